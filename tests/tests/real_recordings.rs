//! Tests on real recordings: `cargo xtask test` runs them where `MTSLVR_DATA` is set.

use anyhow::{Context, Result, ensure};
use mtslvr_audio::{self as audio, DecodeCache, LabelledSet};
use mtslvr_evaluate::{EpisodeShape, LoadedSet, TaskSet, embed_clips};
use mtslvr_pack::BackboneFile;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::{self, embed_clip};
use mtslvr_runtime::fewshot::{HeadKind, Learner, Limits, Refusal, StorageVec};
use mtslvr_runtime::model::{AlignedBytes, Model};
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_tests::firmware::{Firmware, Script};
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
        .map(|set| (set, file.backbone_on(set).unwrap().expect("a packed model")))
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

/// Five classes of each set, enrolled from one recording each, and one more recording of each to
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

/// Of clips that are what they are said to be, few are refused at the default limits, with the
/// shipped model: 5 sounds are enrolled from 1 to 3 examples each, and further clips of the same
/// sounds are to follow. `--nocapture` prints how many were refused, and for what.
#[test]
#[ignore = "needs recordings in MTSLVR_DATA"]
fn genuine_examples_are_rarely_refused() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/edge-s/model.slvr");
    let bytes = AlignedBytes::new(&std::fs::read(path).context(path)?);
    let model = Model::open(&bytes)?;
    let backbone = || PackedBackbone::new(model, vec![0_i8; model.arena_len()]);
    let mut engines = [backbone()?, backbone()?];
    let limits = Limits::default();
    let names = ["drums", "esc10", "fsdd", "philharmonia"];
    let mut worst = 0.0_f64;
    for path in sets()? {
        let labelled = LabelledSet::open(&path)?;
        if !names.contains(&labelled.name.as_str()) {
            continue;
        }
        let (set, _) = LoadedSet::load(&labelled, RATE, &DecodeCache::NONE, |_| ());
        let features = embed_clips(&mut engines, &set.clips, || ())
            .map_err(|(clip, error)| anyhow::anyhow!("clip {clip}: {error}"))?;
        for shots in [1, 3] {
            let shape = EpisodeShape {
                ways: 5,
                shots,
                queries: 5,
            };
            let tasks =
                TaskSet::draw(&set.name, &set.classes, &set.candidates, shape, 300, 1)?.tasks;
            let (mut asked, mut refused) = (0, [0; 3]);
            for task in &tasks {
                let mut storage = StorageVec::new(5, 5 * shots, features.dim());
                let space = model.space();
                let mut learner = Learner::new(storage.lend(), HeadKind::default(), space)?;
                for (class, clips) in task.support.iter().enumerate() {
                    for &clip in clips {
                        learner.enrol(&class.to_string(), features.row(clip))?;
                    }
                }
                for (class, clips) in task.queries.iter().enumerate() {
                    for &clip in clips {
                        asked += 1;
                        let levels = clip::levels(&set.clips[clip]);
                        let name = class.to_string();
                        let checked = limits.check_levels(&levels, RATE).and_then(|()| {
                            limits.check_example(&mut learner, &name, features.row(clip))
                        });
                        match checked {
                            Ok(()) => {}
                            Err(Refusal::UnlikeItsClass { .. }) => refused[0] += 1,
                            Err(Refusal::LikeAnotherClass { .. }) => refused[1] += 1,
                            Err(_) => refused[2] += 1,
                        }
                    }
                }
            }
            let share = |count: usize| 100.0 * count as f64 / asked as f64;
            let all = share(refused.iter().sum());
            println!(
                "{} after {shots}: {all:.1} % of {asked} refused: unlike {:.1}, like another {:.1}, \
                 by level or length {:.1}",
                set.name,
                share(refused[0]),
                share(refused[1]),
                share(refused[2])
            );
            worst = all.max(worst);
        }
    }
    ensure!(worst < 5.0, "{worst} % refused");
    Ok(())
}
