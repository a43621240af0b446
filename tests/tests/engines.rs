//! One suite of models and inputs, run on every engine; what an engine ignores is listed here.
//!
//! The packed engine on a Cortex-M is held to the host's bits in `firmware_qemu.rs`.

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use mtslvr_audio::calibration_clips;
use mtslvr_pack::{Engine, open_backbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::patches;
use mtslvr_tests::weights::seeded_weights;
use mtslvr_train::export::{ExportRequest, export_run};
use mtslvr_train::net::{Parameters, Trunk};
use mtslvr_train::train::{PRESETS, RunConfig};

/// A preset and what is changed in it.
struct Case {
    name: &'static str,
    preset: &'static str,
    settings: &'static [&'static str],
}

const SUITE: [Case; 10] = [
    Case {
        name: "edge-s",
        preset: "edge-s",
        settings: &[],
    },
    Case {
        name: "edge-m",
        preset: "edge-m",
        settings: &[],
    },
    Case {
        name: "batch-norm adapters",
        preset: "edge-s",
        settings: &["backbone.adapters.kind=batch-norm"],
    },
    Case {
        name: "no adapters",
        preset: "edge-s",
        settings: &["backbone.adapters.kind=none"],
    },
    Case {
        name: "one objective",
        preset: "edge-s",
        settings: &[
            "backbone.adapters.kind=none",
            "objective.tasks=[\"contrastive\"]",
        ],
    },
    Case {
        name: "parallel adapters",
        preset: "edge-s",
        settings: &["backbone.adapters.kind=parallel"],
    },
    Case {
        name: "series adapters",
        preset: "edge-s",
        settings: &["backbone.adapters.kind=series"],
    },
    Case {
        name: "two networks",
        preset: "edge-s",
        settings: &["backbone.adapters.kind=separate"],
    },
    Case {
        name: "shared first stages",
        preset: "edge-s",
        settings: &[
            "backbone.adapters.kind=parallel",
            "backbone.adapters.from_stage=2",
        ],
    },
    Case {
        name: "odd sizes",
        preset: "edge-s",
        settings: &[
            "backbone.adapters.kind=parallel",
            "frontend.mels=39",
            "frontend.frames=37",
            "backbone.stem.kernel=3",
            "backbone.stem.width=5",
            "backbone.stages=[{ width = 7, blocks = 2, stride = 1 }, { width = 13, blocks = 1, stride = 3 }]",
            "backbone.output={ bands = 7, dim = 60, whitening = 1.0 }",
        ],
    },
];

/// Relative to the largest value of an embedding.
const FLOAT_TOLERANCE: f32 = 1e-4;
/// int8 against float, for a network that was never trained.
const LEAST_COSINE: f32 = 0.99;

/// Cases that an engine leaves out, and why. Empty: every engine runs the whole suite.
const IGNORED: [(Engine, &str, &str); 0] = [];

#[test]
fn every_engine_runs_the_suite_alike() -> Result<()> {
    for case in &SUITE {
        check(case).with_context(|| case.name.to_owned())?;
    }
    Ok(())
}

fn check(case: &Case) -> Result<()> {
    let text = PRESETS
        .iter()
        .find(|(name, _)| *name == case.preset)
        .context("a known preset")?
        .1;
    let settings: Vec<String> = case.settings.iter().map(|&s| s.to_owned()).collect();
    let config = RunConfig::from_toml(text, &settings)?;
    let (spec, frontend) = (&config.backbone, config.frontend.to_config());
    let weights = seeded_weights(spec, 7)?;
    let clips = calibration_clips(&frontend);
    let folder = tempfile::tempdir()?;
    export_run(&ExportRequest {
        spec,
        weights: &weights,
        frontend: &frontend,
        audio: &clips[..24].to_vec().into(),
        cohort: 0,
        name: case.name,
        provenance: "seeded random weights, for tests",
        out: folder.path(),
    })?;

    let mut inputs: Vec<Vec<f32>> = Vec::new();
    // Clips that calibration has not seen, and one that is far beyond its ranges.
    for clip in &clips[24..28] {
        patches(frontend, clip, |patch| inputs.push(patch.to_vec()))?;
    }
    let float_inputs = inputs.len();
    inputs.push(vec![30.0; frontend.patch_len()]);

    let mut parameters = Parameters::new(0, &Device::Cpu);
    let trunk = Trunk::new(spec, &mut parameters)?;
    parameters.load(&weights)?;
    let expected = trunk.embed(
        &inputs,
        usize::from(frontend.frames),
        usize::from(frontend.mels),
    )?;

    for engine in [Engine::Tract, Engine::Ort, Engine::Packed] {
        if IGNORED
            .iter()
            .any(|(ignoring, name, _)| *ignoring == engine && *name == case.name)
        {
            continue;
        }
        let mut backbone = open_backbone(folder.path(), Some(engine))?;
        ensure!(
            *backbone.space().frontend() == frontend,
            "{engine:?} has other features"
        );
        for (index, (input, expected)) in inputs.iter().zip(&expected).enumerate() {
            let mut found = vec![f32::NAN; backbone.space().dim()];
            backbone.embed(input, &mut found)?;
            ensure!(
                found.iter().all(|x| x.is_finite()),
                "{engine:?}, input {index}: not finite"
            );
            if engine == Engine::Packed {
                // Beyond the calibrated ranges the packed engine saturates.
                let cosine = cosine(&found, expected);
                ensure!(
                    index >= float_inputs || cosine > LEAST_COSINE,
                    "{engine:?}, input {index}: cosine {cosine}"
                );
            } else {
                let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
                let difference = found
                    .iter()
                    .zip(expected)
                    .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                ensure!(
                    difference <= FLOAT_TOLERANCE * largest,
                    "{engine:?}, input {index}: off by {difference} of {largest}"
                );
            }
        }
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}
