//! Writes the packed model that the firmware's tests run: `make_test_model FILE.slvr`.
//!
//! It is the `edge-s` preset with seeded random weights, exported, calibrated on synthesised sounds,
//! verified and packed as a trained one would be: the tests compare engines, and need no accuracy.

use anyhow::{Context, Result};
use candle_core::Device;
use mtslvr_trainer::audio::synth::write_dataset;
use mtslvr_trainer::audio::{self, LabelledSet};
use mtslvr_trainer::export::{ExportRequest, export_run};
use mtslvr_trainer::net::{Parameters, Trunk, Weights};
use mtslvr_trainer::train::RunConfig;
use std::env;
use std::fs;
use std::path::PathBuf;

const SEED: u64 = 3;

fn main() -> Result<()> {
    let out = env::args_os().nth(1).map(PathBuf::from);
    let out = out.context("usage: make_test_model FILE.slvr")?;
    let config = RunConfig::preset("edge-s")?;
    let frontend = config.frontend.to_config();

    let mut parameters = Parameters::new(SEED, &Device::Cpu);
    Trunk::new(&config.backbone, &mut parameters)?;
    let mut weights = parameters.to_weights()?;
    shake_norms(&mut weights);

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
        clips: &clips,
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

/// Gives the norms, which begin as the identity, statistics and gains of their own, negative ones
/// among them, so that the two paths differ in every channel.
fn shake_norms(weights: &mut Weights) {
    let mut state = SEED;
    // Knuth's linear congruential generator: the upper bits, from 0 to 1.
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    for (name, (_, values)) in weights.iter_mut() {
        let norm = name.contains("norm");
        for value in values.iter_mut() {
            let shake = next();
            if norm && name.ends_with(".weight") {
                *value *= if shake < 0.1 { -0.5 } else { 0.6 + 0.8 * shake };
            } else if norm && name.ends_with(".var") {
                *value *= 0.5 + shake;
            } else if norm || name.contains(".adapter.") {
                *value += 0.4 * (shake - 0.5);
            }
        }
    }
}
