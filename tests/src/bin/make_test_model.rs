//! Writes the packed model that the firmware's tests run: `make_test_model FILE.slvr`.
//!
//! It is the `edge-s` preset with parallel adapters, which ask the most of a device, and seeded random
//! weights; exported, calibrated on synthesised sounds, verified and packed as a trained one would be:
//! the tests compare engines, and need no accuracy.

use anyhow::{Context, Result};
use mtslvr_audio::synth::write_dataset;
use mtslvr_audio::{self as audio, LabelledSet};
use mtslvr_tests::weights::seeded_weights;
use mtslvr_train::export::{ExportRequest, export_run};
use mtslvr_train::train::{PRESETS, RunConfig};
use std::env;
use std::fs;
use std::path::PathBuf;

const SEED: u64 = 3;

fn main() -> Result<()> {
    let out = env::args_os().nth(1).map(PathBuf::from);
    let out = out.context("usage: make_test_model FILE.slvr")?;
    let settings = ["backbone.adapters.kind=parallel".to_owned()];
    let config = RunConfig::from_toml(PRESETS[0].1, &settings)?;
    let frontend = config.frontend.to_config();
    let weights = seeded_weights(&config.backbone, SEED)?;

    let folder = tempfile::tempdir()?;
    let sounds = folder.path().join("sounds");
    write_dataset(&sounds, 8, 4, 1.2, SEED)?;
    let clips = LabelledSet::open(&sounds)?.clips;
    let clips: Vec<Vec<f32>> = clips
        .iter()
        .map(|clip| audio::load(&clip.path, frontend.sample_rate))
        .collect::<Result<_, _>>()?;
    let exported = export_run(&ExportRequest {
        spec: &config.backbone,
        weights: &weights,
        frontend: &frontend,
        audio: &clips.into(),
        cohort: 0,
        name: "edge-s-untrained",
        provenance: "seeded random weights, for tests",
        out: folder.path(),
    })?;
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(&exported.slvr, &out).with_context(|| out.display().to_string())?;
    println!("{}", out.display());
    Ok(())
}
