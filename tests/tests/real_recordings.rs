//! What needs real recordings: `cargo xtask test` runs it where `MTSLVR_DATA` is set.

use anyhow::{Context, Result, ensure};
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::HeadKind;
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_tests::firmware::{Firmware, Script};
use mtslvr_trainer::audio::{self, LabelledSet};
use mtslvr_trainer::export::BackboneFile;
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const RATE: u32 = 16_000;

/// The labelled sets in `MTSLVR_DATA/eval`, in order of name.
fn sets() -> Result<Vec<PathBuf>> {
    let data = env::var_os("MTSLVR_DATA").context(
        "MTSLVR_DATA is not set: set it to a folder that holds eval/<set>/<class>/<clip>",
    )?;
    let folder = Path::new(&data).join("eval");
    let entries = folder
        .read_dir()
        .with_context(|| folder.display().to_string())?;
    let mut sets: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    sets.retain(|path| path.is_dir());
    sets.sort();
    ensure!(!sets.is_empty(), "{}: no set in it", folder.display());
    Ok(sets)
}

/// A short run of `mtslvr eval` over all sets: it gives a row for each, and even the untrained test
/// model tells real sounds apart better than chance does.
#[test]
#[ignore = "needs recordings in MTSLVR_DATA"]
fn episodes_on_real_recordings() -> Result<()> {
    let file = |name: &str| {
        env::var_os(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"))
    };
    const WAYS: usize = 5;
    let sets = sets()?;
    let output = Command::new(file("MTSLVR_TEST_BINARY")?)
        .arg("eval")
        .arg("--model")
        .arg(file("MTSLVR_TEST_MODEL")?)
        .arg("--data")
        .args(&sets)
        .args(["--ways", &WAYS.to_string(), "--shots", "1"])
        .args(["--tasks", "200", "--json", "-"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "mtslvr eval: {}", output.status);
    let figures: Value = serde_json::from_slice(&output.stdout)?;
    let rows = figures["sets"].as_array().context("no rows")?;
    ensure!(rows.len() == sets.len(), "{} rows", rows.len());
    for row in rows {
        ensure!(row["tasks"] == 200, "{row}");
    }
    let mean = figures["mean"].as_f64().context("no mean")?;
    let chance = 100.0 / WAYS as f64;
    ensure!(mean > chance + 5.0, "mean accuracy {mean} %");
    Ok(())
}

/// The shipped model on clips of each set, through the kernels of every instruction set that this
/// machine has: the same bits.
#[test]
#[ignore = "needs recordings in MTSLVR_DATA"]
fn every_instruction_set_embeds_real_recordings_alike() -> Result<()> {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/edge-s/model.slvr");
    let file = BackboneFile::read(Path::new(model), None)?;
    let available = InstructionSet::ALL
        .into_iter()
        .filter(|set| set.is_available());
    let mut backbones: Vec<_> = available
        .map(|set| (set, file.backbone_on(set).expect("a packed model")))
        .collect();
    let mut compared = 0;
    for set in sets()? {
        let clips = LabelledSet::open(&set)?.clips;
        for clip in clips.iter().step_by(clips.len().div_ceil(40)) {
            let samples = audio::load(&clip.path, RATE)?;
            let mut embeddings = backbones.iter_mut().map(|(set, backbone)| {
                let embedding = embed_clip(backbone, &samples);
                (*set, embedding.expect("a clip that has been read"))
            });
            let (_, expected) = embeddings.next().context("no kernels at all")?;
            for (set, embedding) in embeddings {
                let name = set.name();
                ensure!(embedding == expected, "{name}: {}", clip.path.display());
                compared += 1;
            }
        }
    }
    println!("{compared} embeddings compared with the portable kernels'");
    Ok(())
}

/// Of each set, five classes enrolled from one recording each and one more recording of each to
/// recognise: the firmware gives the host's bits.
#[test]
#[ignore = "needs recordings in MTSLVR_DATA"]
fn firmware_on_real_recordings() -> Result<()> {
    let firmware = Firmware::from_env()?;
    for set in sets()? {
        let folder = tempfile::tempdir()?;
        let labelled = LabelledSet::open(&set)?;
        let mut script = Script::default();
        for class in 0..labelled.classes.len().min(5) {
            let clips = labelled.clips.iter().filter(|clip| clip.class == class);
            for (i, clip) in clips.take(2).enumerate() {
                // What the device can hold in its patience: the first three seconds.
                let mut samples = audio::load(&clip.path, RATE)?;
                samples.truncate(3 * RATE as usize);
                let path = folder.path().join(format!("{class}_{i}.wav"));
                audio::write_wav(&path, &samples, RATE)?;
                match i {
                    0 => script.support.push((format!("class{class}"), path)),
                    _ => script.queries.push(path),
                }
            }
        }
        firmware
            .check(&script, HeadKind::default())
            .with_context(|| set.display().to_string())?;
    }
    Ok(())
}
