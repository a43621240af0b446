//! The program and the example firmware in QEMU, over its UART: profiles go to the device and come back.
#![cfg(unix)]

#[path = "../../trainer/cli/tests/json_fields/mod.rs"]
mod json_fields;

use anyhow::{Context, Result, ensure};
use json_fields::untold;
use mtslvr_audio::LabelledSet;
use mtslvr_audio::synth::write_dataset;
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, export, import, snapshot_len, store_scratch_len,
};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_tests::firmware::{CLASSES, EXAMPLES, Faults, Firmware, Flash, Linked, Script};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::{env, fs};
use tempfile::TempDir;

/// A folder with three classes of sounds, and the firmware.
struct Bench {
    firmware: Firmware,
    folder: TempDir,
    /// Clips of each class.
    clips: Vec<Vec<PathBuf>>,
}

impl Bench {
    fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        let sounds = folder.path().join("set");
        write_dataset(&sounds, 3, 3, 0.7, 11)?;
        let set = LabelledSet::open(&sounds)?;
        let mut clips = vec![Vec::new(); set.classes.len()];
        for clip in &set.clips {
            clips[clip.class].push(clip.path.clone());
        }
        Ok(Self {
            firmware: Firmware::from_env()?,
            folder,
            clips,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program.
    fn output(&self, arguments: &[&str]) -> Result<Output> {
        let program = env::var_os("MTSLVR_TEST_BINARY")
            .context("MTSLVR_TEST_BINARY is not set: run `cargo xtask test`")?;
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .output()?;
        eprintln!("{arguments:?}: {output:?}");
        Ok(output)
    }

    /// Runs the program, which must succeed, and returns its standard output.
    fn said(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs the program with `--json`, whose help names every field.
    fn figures(&self, arguments: &[&str]) -> Result<Value> {
        let said = self.said(&[arguments, &["--json"]].concat())?;
        let figures = serde_json::from_str(&said)?;
        let help = self.said(&[&arguments[..2], &["--help"]].concat())?;
        let untold = untold(&figures, &help);
        ensure!(untold.is_empty(), "{arguments:?}: {untold:?} in {help}");
        Ok(figures)
    }

    /// Runs the program, which must fail, and returns its standard error.
    fn complaint(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        ensure!(!output.status.success(), "{arguments:?} succeeded");
        Ok(String::from_utf8(output.stderr)?)
    }

    /// Teaches the program two sounds, from two clips each.
    fn taught(&self) -> Result<Vec<u8>> {
        let model = env::var("MTSLVR_TEST_MODEL")?;
        for (class, clips) in self.clips[..2].iter().enumerate() {
            let clips = clips[..2].iter().map(|clip| clip.to_str().expect("UTF-8"));
            let name = format!("sound{class}");
            let options = ["--model", &model, "--profile", "taught.mtss", "--force"];
            let words: Vec<&str> = ["enrol", &name]
                .into_iter()
                .chain(clips)
                .chain(options)
                .collect();
            self.said(&words)?;
        }
        Ok(fs::read(self.path("taught.mtss"))?)
    }

    /// Does on this host what the device does with a profile: the same flash must come of it.
    fn flash_with(&self, profile: &[u8]) -> Result<Flash> {
        let mut flash = self.firmware.blank_flash()?;
        let len = flash.content().len() as u32;
        self.with_learner(|learner| {
            import(learner, profile)?;
            let mut scratch = scratch(learner);
            BlockingFlashStore::new(&mut flash, 0..len)
                .and_then(|mut store| store.save(learner, &mut scratch))
                .map_err(|error| anyhow::anyhow!("{error:?}"))
        })?;
        Ok(flash)
    }

    /// The profile in a flash.
    fn profile_in(&self, flash: &mut Flash) -> Result<Vec<u8>> {
        let len = flash.content().len() as u32;
        self.with_learner(|learner| {
            let mut scratch = scratch(learner);
            BlockingFlashStore::new(flash, 0..len)
                .and_then(|mut store| store.load(learner, &mut scratch))
                .map_err(|error| anyhow::anyhow!("{error:?}"))?;
            let mut bytes = vec![0; snapshot_len(learner.support())];
            export(learner, &mut bytes)?;
            Ok(bytes)
        })
    }

    fn with_learner<T>(&self, work: impl FnOnce(&mut Learner) -> Result<T>) -> Result<T> {
        let host = self.firmware.host()?;
        let space = host.model()?.space();
        let mut storage = StorageVec::new(CLASSES, EXAMPLES, space.dim());
        work(&mut Learner::new(
            storage.lend(),
            HeadKind::default(),
            space,
        )?)
    }
}

fn scratch(learner: &Learner) -> Vec<u8> {
    vec![0; store_scratch_len(CLASSES, EXAMPLES, learner.metric().dim())]
}

/// The firmware's arguments for serving the link with its flash at `path`.
fn link(path: &Path, more: &[String]) -> Vec<String> {
    let flash = format!("flash={}", path.display());
    [&[flash], more, &["link".to_owned()]].concat()
}

#[test]
fn taught_on_a_computer_recognised_on_the_device_and_back() -> Result<()> {
    let bench = Bench::new()?;
    let profile = bench.taught()?;
    let flash_file = bench.path("flash.bin");
    let mut flash = bench.flash_with(&profile)?;
    {
        let device = Linked::on_terminal(&bench.firmware, &link(&flash_file, &[]))?;
        let port = device.port();
        let shown = bench.figures(&["device", "show", "--port", port])?;
        assert_eq!(
            (&shown["classes"], &shown["class_room"]),
            (&0.into(), &8.into())
        );

        // What belongs to another backbone does not get there.
        let clip = bench.clips[0][0].to_str().context("UTF-8")?;
        bench.said(&[
            "enrol",
            "bell",
            clip,
            "--model",
            "edge-s",
            "--profile",
            "other.mtss",
        ])?;
        let push = ["device", "push", "--port", port, "--profile"];
        let refused = bench.complaint(&[&push[..], &["other.mtss"]].concat())?;
        assert!(refused.contains(" classes reembed --profile "), "{refused}");
        let model = bench.complaint(&["device", "install", "edge-s", "--port", port])?;
        assert!(model.contains("takes no models"), "{model}");

        let pushed = bench.figures(&[&push[..], &["taught.mtss"]].concat())?;
        assert_eq!(pushed["had"], 0);
        assert_eq!(pushed["sent"], profile.len());
        device.told("pushed classes=2 examples=4")?;
        let shown = bench.figures(&["device", "show", "--port", port])?;
        assert_eq!(
            (&shown["classes"], &shown["examples"]),
            (&2.into(), &4.into())
        );
    }

    // The power was cut; the device decides as this host does with the profile.
    let ask = Script {
        flash: Some(flash_file.clone()),
        queries: bench.clips.iter().map(|clips| clips[2].clone()).collect(),
        ..Script::default()
    };
    let report = bench.firmware.check_kept(&ask, &mut flash)?;
    assert_eq!(report.of("query").count(), bench.clips.len());

    // One more is taught there, and comes back.
    let clip = &bench.clips[2][0];
    let teach = Script {
        support: vec![("sound2".to_owned(), clip.clone())],
        flash: Some(flash_file.clone()),
        ..Script::default()
    };
    bench.firmware.check_kept(&teach, &mut flash)?;
    let device = Linked::on_terminal(&bench.firmware, &link(&flash_file, &[]))?;
    let pull = [
        "device",
        "pull",
        "--port",
        device.port(),
        "--out",
        "device.mtss",
    ];
    bench.said(&pull)?;
    assert!(fs::read(bench.path("device.mtss"))? == bench.profile_in(&mut flash)?);
    let list = bench.said(&["classes", "list", "--profile", "device.mtss", "--json"])?;
    for name in ["sound0", "sound1", "sound2"] {
        assert!(list.contains(name), "{list}");
    }
    let kept = bench.complaint(&pull)?;
    assert!(kept.contains("exists already"), "{kept}");
    bench.said(&[&pull[..], &["--force"]].concat())?;
    Ok(())
}

/// Examples of the profile that is cut: three times as many bytes as are cut off.
const MANY: usize = 24;

/// A profile of eight classes with [`MANY`] examples.
fn long(bench: &Bench) -> Result<Vec<u8>> {
    bench.with_learner(|learner| {
        let mut embedding = learner.support().space().base_mean().to_vec();
        for number in 0..MANY {
            for (i, value) in embedding.iter_mut().enumerate() {
                *value += ((i * 31 + number * 17) as f32).sin();
            }
            learner.enrol(&format!("sound{}", number % CLASSES), &embedding)?;
        }
        let mut bytes = vec![0; snapshot_len(learner.support())];
        export(learner, &mut bytes)?;
        Ok(bytes)
    })
}

#[test]
fn a_bad_line_only_takes_longer() -> Result<()> {
    let bench = Bench::new()?;
    let profile = bench.taught()?;
    let faults = Faults {
        lost: 1_103,
        flipped: 1_511,
        breaks_after: None,
    };
    let faults = Arc::new(Mutex::new(faults));
    let flash = bench.path("flash.bin");
    let device = Linked::behind_bridge(&bench.firmware, &link(&flash, &[]), faults)?;
    let port = device.port();
    let pushed = bench.figures(&["device", "push", "--port", port, "--profile", "taught.mtss"])?;
    assert!(pushed["repeats"].as_u64() > Some(0), "{pushed}");
    device.told("pushed classes=2 examples=4")?;
    let pulled = bench.figures(&["device", "pull", "--port", port, "--out", "back.mtss"])?;
    assert_eq!(pulled["bytes"], profile.len());
    assert!(fs::read(bench.path("back.mtss"))? == profile);
    assert!(fs::read(&flash)? == bench.flash_with(&profile)?.content());
    Ok(())
}

#[test]
fn a_transfer_that_was_cut_goes_on_with_the_rest() -> Result<()> {
    let bench = Bench::new()?;
    let profile = long(&bench)?;
    fs::write(bench.path("long.mtss"), &profile)?;
    let faults = Faults {
        breaks_after: Some(4_000),
        ..Faults::default()
    };
    let faults = Arc::new(Mutex::new(faults));
    let flash = bench.path("flash.bin");
    let device = Linked::behind_bridge(&bench.firmware, &link(&flash, &[]), Arc::clone(&faults))?;
    let push = [
        "device",
        "push",
        "--port",
        device.port(),
        "--profile",
        "long.mtss",
    ];
    let broken = bench.complaint(&push)?;
    assert!(broken.contains("the line broke"), "{broken}");
    let pushed = bench.figures(&push)?;
    let had = pushed["had"].as_u64().context("a number")?;
    assert!((2_000..4_000).contains(&had), "{pushed}");
    assert_eq!(pushed["sent"], profile.len() as u64 - had);
    device.told("pushed classes=8 examples=24")?;

    // And on the way back, where only the requests go to the device.
    let pull = ["device", "pull", "--port", device.port(), "--out", "b.mtss"];
    faults.lock().unwrap().breaks_after = Some(80);
    let broken = bench.complaint(&pull)?;
    assert!(broken.contains("the line broke"), "{broken}");
    assert!(bench.path("b.mtss.part").exists() && !bench.path("b.mtss").exists());
    let pulled = bench.figures(&pull)?;
    let had = pulled["had"].as_u64().context("a number")?;
    assert!((1..profile.len() as u64).contains(&had), "{pulled}");
    assert!(fs::read(bench.path("b.mtss"))? == profile);
    assert!(!bench.path("b.mtss.part").exists());
    Ok(())
}

/// A model goes to the other slot of a device, the rest of it after the line broke, and is tried at the next start.
#[test]
fn a_model_is_installed_and_tried_at_the_next_start() -> Result<()> {
    let bench = Bench::new()?;
    let elf =
        env::var_os("MTSLVR_TEST_UPDATE").context("MTSLVR_TEST_UPDATE: `cargo xtask test`")?;
    let update = Firmware::at(elf.into());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/golden");
    let (old, new) = (
        fs::read(golden.join("v1.slvr"))?,
        golden.join("v1-operators.slvr"),
    );
    let slot = 128 * 4096;
    let mut flash = vec![0xff; 2 * slot + 2 * 4096];
    flash[..old.len()].copy_from_slice(&old);
    let file = bench.path("slots.bin");
    fs::write(&file, flash)?;
    let arguments = [format!("flash={}", file.display()), "link=1".to_owned()];
    let len = fs::metadata(&new)?.len();
    let faults = Faults {
        breaks_after: Some(len / 2),
        ..Faults::default()
    };
    {
        let faults = Arc::new(Mutex::new(faults));
        let device = Linked::behind_bridge(&update, &arguments, faults)?;
        let new = new.to_str().context("UTF-8")?;
        let install = ["device", "install", new, "--port", device.port()];
        let broken = bench.complaint(&install)?;
        assert!(broken.contains("the line broke"), "{broken}");
        let installed = bench.figures(&install)?;
        let (had, sent) = (installed["had"].as_u64(), installed["sent"].as_u64());
        assert_eq!(had.zip(sent).map(|(had, sent)| had + sent), Some(len));
        device.told("taken backbone=")?;
        let too_long =
            bench.complaint(&["device", "install", "edge-m", "--port", device.port()])?;
        assert!(
            too_long.contains("the device has room for 524288"),
            "{too_long}"
        );
    }
    let output = update.command(&arguments[..1]).output()?;
    let text = String::from_utf8(output.stdout)?;
    assert!(text.starts_with("started slot=B how=Trial"), "{text}");
    Ok(())
}
