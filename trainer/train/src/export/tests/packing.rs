//! Packing of backbones of every form.

use crate::export::{random, write};
use crate::net::{AdapterKind, OutputSpec};
use mtslvr_pack::calibration::RangeRule;
use mtslvr_pack::verify::{Subject, verify};
use mtslvr_pack::{CalibrationAudio, PackError, PackOptions, onnx, pack, spread_patches};
use mtslvr_runtime::model::Model;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Clips of noise with slowly moving loudness and colour.
fn clips(count: usize) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..count)
        .map(|_| {
            let (memory, pace) = (rng.random_range(0.0..0.98f32), rng.random_range(2.0..40.0));
            let mut value = 0.0f32;
            (0..12_000)
                .map(|i| {
                    value = memory * value + rng.random_range(-0.1..0.1f32);
                    value * (0.55 + 0.45 * (i as f32 * pace / 16_000.0).sin())
                })
                .collect()
        })
        .collect()
}

fn options(fold: bool, range: RangeRule) -> PackOptions {
    PackOptions {
        name: "test".into(),
        provenance: "a test".into(),
        fold,
        range,
        cohort: 0,
    }
}

/// Odd seeds give a backbone with a whitened output.
fn exported(kind: AdapterKind, from_stage: usize, seed: u64) -> Vec<u8> {
    let mut spec = random::spec(kind, from_stage);
    spec.output = (seed % 2 == 1).then_some(OutputSpec {
        bands: 5,
        dim: 16,
        equivariant_dim: (seed % 4 == 3 && spec.paths() == 2).then_some(9),
        whitening: 0.5,
        within: 0.0,
    });
    let statistics = random::statistics(&spec);
    let weights = random::weights(&spec, seed);
    write(&spec, &weights, &random::frontend(), &statistics, "a test").unwrap()
}

#[test]
fn packed_embeddings_follow_the_float_ones() {
    let audio = CalibrationAudio::from(clips(24));
    for (kind, from_stage, fold) in [
        (AdapterKind::Parallel, 0, false),
        (AdapterKind::Parallel, 0, true),
        (AdapterKind::Parallel, 1, false),
        (AdapterKind::BatchNorm, 0, false),
        (AdapterKind::Series, 0, false),
        (AdapterKind::Series, 1, false),
        (AdapterKind::Split, 0, false),
        (AdapterKind::Separate, 1, false),
        (AdapterKind::None, 0, false),
    ] {
        for seed in 0..3 {
            let onnx = exported(kind, from_stage, seed);
            let graph = onnx::read(&onnx, None).unwrap();
            let patches = spread_patches(&graph, &audio.clips).unwrap();
            for range in [RangeRule::Full, RangeRule::LeastError] {
                let slvr = pack(&graph, &audio, &options(fold, range)).unwrap();
                let subject = Subject {
                    onnx: &onnx,
                    metadata: None,
                    graph: &graph,
                    slvr: Some(&slvr),
                };
                let verification = verify(&subject, &patches[..8], None).unwrap();
                let packed = verification.engines.last().unwrap();
                assert_eq!(packed.engine, "packed int8");
                assert!(packed.cosine > 0.99, "{verification}");
                let model = Model::open(&slvr).unwrap();
                let space = model.space();
                assert_eq!(space.parts().as_slice().len(), graph.outputs.len());
                assert!(space.base_mean().iter().any(|&mean| mean != 0.0));
                assert!(space.reference().quantiles()[7] > 0.0);
            }
        }
    }
}

#[test]
fn sharing_saves_flash_against_folding() {
    let audio = clips(4).into();
    let graph = onnx::read(&exported(AdapterKind::Parallel, 0, 2), None).unwrap();
    let len = |fold| {
        pack(&graph, &audio, &options(fold, RangeRule::Full))
            .unwrap()
            .len()
    };
    let (shared, folded) = (len(false), len(true));
    // Kernels of 3x3 once with two adapters, 9 + 2, or twice, 18; the rest is the same.
    assert!(shared * 10 < folded * 9, "{shared} {folded}");
}

#[test]
fn channels_without_variance_or_gain_do_not_break_packing() {
    let spec = random::spec(AdapterKind::Parallel, 0);
    let mut weights = random::weights(&spec, 5);
    for (name, (_, values)) in &mut weights {
        match name.rsplit('.').next() {
            Some("var") => values[0] = 0.0,
            Some("weight") if name.contains("norm") => values[1] = 1e-12,
            Some("weight") if name.contains("norm2") => values.fill(0.0),
            _ => {}
        }
        // A dead channel before a norm: zeros, zero variance.
        if name.ends_with("conv1.weight") || name.contains("conv1.adapter") {
            let row = values.len() / spec.stages[0].width.max(8);
            values[..row.min(9)].fill(0.0);
        }
    }
    let statistics = random::statistics(&spec);
    let onnx = write(&spec, &weights, &random::frontend(), &statistics, "").unwrap();
    let graph = onnx::read(&onnx, None).unwrap();
    for range in [RangeRule::Full, RangeRule::LeastError] {
        pack(&graph, &clips(4).into(), &options(false, range)).unwrap();
    }
}

#[test]
fn silence_and_too_little_audio_are_told() {
    let graph = onnx::read(&exported(AdapterKind::Parallel, 0, 1), None).unwrap();
    let options = options(false, RangeRule::LeastError);
    let none = pack(&graph, &CalibrationAudio::default(), &options).unwrap_err();
    assert!(matches!(none, PackError::NoPatches));
    let one = pack(&graph, &clips(1).into(), &options).unwrap_err();
    assert!(one.to_string().contains("at least 2"), "{one}");
    pack(&graph, &vec![vec![0.0; 16_000]; 3].into(), &options).unwrap();
}
