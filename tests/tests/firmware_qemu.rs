//! The example firmware in QEMU against the runtime on this host: the same recordings give the same
//! bits.

use anyhow::{Result, bail};
use mtslvr_audio::synth::write_dataset;
use mtslvr_audio::{self as audio, LabelledSet};
use mtslvr_runtime::fewshot::HeadKind;
use mtslvr_tests::firmware::{Firmware, Script};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xtask::report::{Line, Report};

/// Four classes of synthesised sounds: of three, two clips to learn from and one to recognise, and
/// of the fourth one to reject.
struct Recordings {
    folder: TempDir,
    script: Script,
}

impl Recordings {
    fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        write_dataset(&folder.path().join("set"), 4, 3, 0.7, 11)?;
        let set = LabelledSet::open(&folder.path().join("set"))?;
        let mut script = Script::default();
        for class in 0..set.classes.len() {
            let clips = set.clips.iter().filter(|clip| clip.class == class);
            let clips: Vec<PathBuf> = clips.map(|clip| clip.path.clone()).collect();
            if class < 3 {
                for clip in &clips[..2] {
                    script.support.push((format!("sound{class}"), clip.clone()));
                }
            }
            script.queries.push(clips[2].clone());
        }
        Ok(Self { folder, script })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, samples: &[f32], rate: u32) -> Result<PathBuf> {
        let path = self.path(name);
        audio::write_wav(&path, samples, rate)?;
        Ok(path)
    }
}

#[test]
fn device_and_host_give_the_same_bits() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let mut script = recordings.script.clone();
    // Much shorter and much longer than a patch, of one sample, silent, and a name with spaces.
    let samples = audio::load(&script.queries[0], 16_000)?;
    script.queries.extend([
        recordings.write("short.wav", &samples[..700], 16_000)?,
        recordings.write("long, with spaces.wav", &samples.repeat(5), 16_000)?,
        recordings.write("one.wav", &samples[..1], 16_000)?,
        recordings.write("silent.wav", &[0.0; 20_000], 16_000)?,
    ]);
    let report = firmware.check(&script, HeadKind::default())?;

    let again = firmware.check(&script, HeadKind::default())?;
    assert_eq!(report, again, "instructions are counted, not timed");
    let fit = report.of("fit").next().expect("a line about the fit");
    assert_eq!(fit.number("classes")?, 3);
    assert_eq!(fit.number("examples")?, 6);
    for line in report.of("query").chain(report.of("support")) {
        assert!(line.number("instructions")? > 1_000_000, "{line:?}");
    }
    Ok(())
}

#[test]
fn every_head_gives_the_same_bits() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    for (head, kind) in [
        ("nearest-mean", HeadKind::NearestMean),
        ("ridge:0.5", HeadKind::Ridge { lambda: 0.5 }),
        ("logistic:4", HeadKind::Logistic { c: 4.0 }),
    ] {
        let script = Script {
            head: Some(head),
            ..recordings.script.clone()
        };
        firmware.check(&script, kind)?;
    }
    Ok(())
}

#[test]
fn the_threshold_decides_what_is_unknown() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let classes = |threshold: f32| -> Result<Vec<String>> {
        let script = Script {
            threshold: Some(threshold),
            ..recordings.script.clone()
        };
        let report = firmware.check(&script, HeadKind::default())?;
        let class = |line: &Line| Ok(line.get("class")?.to_owned());
        report.of("query").map(class).collect()
    };
    assert!(classes(1.0)?.iter().all(|class| class == "unknown"));
    assert!(classes(-1.0)?.iter().all(|class| class != "unknown"));
    Ok(())
}

/// A device's life: it is taught, the power goes in the middle of a write, it starts again and
/// recognises, forgets, and starts again. After each run the device's flash holds the bytes that the
/// runtime on this host would have put there, and after each start both give the same bits.
#[test]
fn what_was_enrolled_outlives_restarts_and_power_cuts() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let Script {
        support, queries, ..
    } = &recordings.script;
    let (known, new) = support.split_at(4);
    let script = Script {
        flash: Some(recordings.path("flash.bin")),
        ..Script::default()
    };
    let ask = Script {
        queries: queries.clone(),
        ..script.clone()
    };
    let teach = |support: &[(String, PathBuf)]| Script {
        support: support.to_vec(),
        ..script.clone()
    };
    let restored = |report: &Report| -> Result<[u64; 2]> {
        let line = report.of("restored").next().expect("a line about it");
        Ok([line.number("classes")?, line.number("examples")?])
    };

    let mut flash = firmware.blank_flash()?;
    let report = firmware.check_kept(&teach(known), &mut flash)?;
    assert_eq!(restored(&report)?, [0, 0]);
    let taught = (fs::read(recordings.path("flash.bin"))?, flash.clone());

    // What the next example takes to be written.
    let mut uncut = flash.clone();
    let add = teach(&new[..1]);
    let host = firmware.host()?;
    host.run(&add, HeadKind::default(), Some(&mut uncut))?;
    let bytes = uncut.bytes_changed() - flash.bytes_changed();
    let mut outcomes = Vec::new();
    for cut in [bytes - 1, bytes * 2 / 3, 0, 1, bytes / 3] {
        fs::write(recordings.path("flash.bin"), &taught.0)?;
        flash = taught.1.clone();
        let cut_short = Script {
            cut: Some(cut),
            ..add.clone()
        };
        let report = firmware.check_kept(&cut_short, &mut flash)?;
        assert_eq!(report.of("power").count(), 1, "{cut} of {bytes}");
        assert_eq!(report.of("saved").count(), 0, "{cut} of {bytes}");
        assert_eq!(flash != taught.1, cut > 0, "{cut} of {bytes}");
        let report = firmware.check_kept(&ask, &mut flash)?;
        assert_eq!(report.of("query").count(), queries.len());
        outcomes.push(restored(&report)?);
    }
    assert!(
        outcomes
            .iter()
            .all(|known| [[2, 4], [3, 5]].contains(known))
    );
    assert_eq!(outcomes[2..], [[2, 4]; 3]);

    // The interrupted one again, and the last of all.
    let report = firmware.check_kept(&teach(new), &mut flash)?;
    assert_eq!(restored(&report)?, [2, 4]);
    let delete = Script {
        deleted: vec!["sound1".to_owned()],
        ..script.clone()
    };
    let report = firmware.check_kept(&delete, &mut flash)?;
    assert_eq!(restored(&report)?, [3, 6]);
    let report = firmware.check_kept(&ask, &mut flash)?;
    assert_eq!(restored(&report)?, [2, 4]);
    for line in report.of("query") {
        let scores = line.get("scores")?;
        assert!(
            scores.contains("sound0:") && scores.contains("sound2:"),
            "{scores}"
        );
        assert!(!scores.contains("sound1:"), "{scores}");
    }
    // Nothing is left, which is no fault.
    let forget = Script {
        deleted: vec!["sound0".to_owned(), "sound2".to_owned()],
        ..script.clone()
    };
    firmware.check_kept(&forget, &mut flash)?;
    let report = firmware.check_kept(&script, &mut flash)?;
    assert_eq!(restored(&report)?, [0, 0]);
    Ok(())
}

/// A file that is no flash is named, and left as it is.
#[test]
fn flash_that_cannot_be_used_is_an_error() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let path = recordings.path("flash.bin");
    let run = || -> Result<String> {
        let script = Script {
            flash: Some(path.clone()),
            ..recordings.script.clone()
        };
        let (report, passed) = firmware.run(&script.arguments())?;
        assert!(!passed);
        assert_eq!(report.of("support").count(), 0);
        let error = report.of("error").next().expect("an error");
        Ok(error.get("text")?.to_owned())
    };
    fs::write(&path, b"something else")?;
    assert!(run()?.contains("the file has 14 bytes"));
    assert_eq!(fs::read(&path)?, b"something else");

    // Of another backbone.
    let mut flash = firmware.blank_flash()?;
    firmware.host()?.enrol_under_another_backbone(&mut flash)?;
    fs::write(&path, flash.content())?;
    assert!(run()?.contains("enrolled under the backbone"));
    assert_eq!(fs::read(&path)?, flash.content());
    Ok(())
}

/// Each fault is named with its file, the exit status tells of it, and the other files are done.
#[test]
fn bad_recordings_are_named_and_the_others_done() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let good = fs::read(&recordings.script.queries[0])?;
    let file = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = recordings.path(name);
        fs::write(&path, bytes)?;
        Ok(path)
    };
    let rate = recordings.write("rate.wav", &[0.1; 9_000], 22_050)?;
    let bad = [
        (recordings.path("missing.wav"), "cannot open the file"),
        (file("text.wav", b"These are words, not sounds.")?, "RIFF"),
        (file("empty.wav", b"")?, "RIFF"),
        (file("cut.wav", &good[..good.len() - 1_001])?, "ends inside"),
        (rate, "22050 Hz, expected the model's 16000 Hz"),
        (file("none.wav", &without_samples(&good))?, "no samples"),
    ];
    let mut script = recordings.script.clone();
    for (path, _) in &bad {
        script.queries.insert(1, path.clone());
    }
    // Silence can be asked about, but nothing can be learned from it.
    let silence = (
        recordings.write("silence.wav", &[0.0; 9_000], 16_000)?,
        "silent",
    );
    script
        .support
        .insert(1, ("silence".to_owned(), silence.0.clone()));
    script.queries.push(silence.0.clone());
    let bad: Vec<(PathBuf, &str)> = bad.into_iter().chain([silence]).collect();
    let (report, passed) = firmware.run(&script.arguments())?;
    assert!(!passed, "QEMU must end with a failure");
    for (path, why) in &bad {
        let named = report.of("error").any(|line| {
            let text = line.get("text").unwrap_or_default();
            text.contains(&path.display().to_string()) && text.contains(why)
        });
        assert!(named, "no error about {} with {why:?}", path.display());
    }
    assert_eq!(report.of("error").count(), bad.len());

    // The faults left no trace in the others.
    let (clean, passed) = firmware.run(&recordings.script.arguments())?;
    assert!(passed);
    let queries = |report: &Report| -> Vec<Line> {
        let lines = report.of("query");
        let told = lines.filter(|line| !line.get("file").unwrap_or_default().contains("silence"));
        told.map(|line| line.without("instructions")).collect()
    };
    assert_eq!(queries(&report), queries(&clean));
    Ok(())
}

#[test]
fn bad_arguments_are_named() -> Result<()> {
    let firmware = Firmware::from_env()?;
    for (argument, why) in [
        ("enrol=dog.wav", "expected support:LABEL=PATH"),
        ("support:=dog.wav", "label"),
        ("support:a,b=dog.wav", "label"),
        ("threshold=2", "expected a number from -1 to 1"),
        ("threshold=NaN", "expected a number from -1 to 1"),
        ("head=svm", "expected nearest-mean"),
        ("cut=-1", "expected a number of bytes"),
        ("delete=dog", "no class"),
    ] {
        let (report, passed) = firmware.run(&[argument])?;
        assert!(!passed, "{argument}");
        let text = report.of("error").next().expect("an error").get("text")?;
        assert!(text.contains(why), "{argument}: {text}");
    }
    let (report, passed) = firmware.run::<&str>(&[])?;
    assert!(!passed);
    assert!(report.of("error").next().is_some());
    Ok(())
}

/// As under `| head -1`: what nobody reads is lost, and the firmware ends all the same.
#[test]
fn a_closed_console_does_not_hang_the_firmware() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let arguments = recordings.script.arguments();
    let mut qemu = firmware
        .command(&arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    drop(qemu.stdout.take());
    let start = Instant::now();
    while qemu.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            qemu.kill()?;
            qemu.wait()?;
            bail!("the firmware still runs after a minute");
        }
        sleep(Duration::from_millis(50));
    }
    assert!(qemu.wait()?.success());
    Ok(())
}

/// The memory that the firmware reports is that of its parts.
#[test]
fn memory_is_accounted_for() -> Result<()> {
    let firmware = Firmware::from_env()?;
    let recordings = Recordings::new()?;
    let (report, _) = firmware.run(&recordings.script.arguments())?;
    let host = firmware.host()?;
    let model = host.model()?;
    let memory = report.of("memory").next().expect("a line about memory");
    assert_eq!(memory.number("model")?, model.as_bytes().len() as u64);
    assert_eq!(memory.number("arena")?, model.arena_len() as u64);
    assert!(memory.number("flash")? > memory.number("model")? + memory.number("code")?);
    let parts = memory.number("arena")? + memory.number("frontend")? + memory.number("head")?;
    assert!(memory.number("ram")? >= parts);
    let stack = report.of("stack").next().expect("a line about the stack");
    assert!((1..64 * 1024).contains(&stack.number("used")?));
    Ok(())
}

/// A WAV file's header with an empty data chunk.
fn without_samples(wav: &[u8]) -> Vec<u8> {
    let data = wav.windows(4).position(|id| id == b"data");
    let mut bytes = wav[..data.expect("a data chunk") + 4].to_vec();
    bytes.extend([0; 4]);
    bytes
}
