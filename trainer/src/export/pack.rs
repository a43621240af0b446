//! Calibrates, quantises and packs a backbone, and gives the packed model statistics of its own.

use super::calibration::{RangeRule, calibrate};
use super::graph::Graph;
use super::quantise::{Labels, quantise};
use super::statistics::{EmbeddingStatistics, StatisticsError};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::frontend::FrontendError;
use mtslvr_runtime::model::builder::{BuildError, build};
use mtslvr_runtime::model::{AlignedBytes, Model, OpenError};

/// Most patches that calibration observes.
const CALIBRATION_PATCHES: usize = 256;

/// Fewest, however large the backbone, if the audio gives so many.
const FEWEST_PATCHES: usize = 32;

/// Multiply-accumulates that calibration may take: a few seconds on two cores.
const CALIBRATION_MACS: u64 = 20_000_000_000;

/// Clips that the packed model's statistics are measured on.
const STATISTICS_CLIPS: usize = 512;

/// How to pack.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// What the model is called.
    pub name: String,
    /// Where it comes from.
    pub provenance: String,
    /// Fold adapters into kernels, which parts then do not share: no adapter cost, about twice the flash.
    pub fold: bool,
    /// How calibration chooses ranges.
    pub range: RangeRule,
}

/// Why a backbone cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The calibration audio gives no patch.
    #[error("the calibration audio holds no sound to calibrate on")]
    NoPatches,
    /// Features cannot be made.
    #[error("the frontend cannot be used: {0}")]
    Frontend(FrontendError),
    /// The quantised backbone does not fit the format.
    #[error("cannot be packed: {0}")]
    Build(#[from] BuildError),
    /// The packed model does not open.
    #[error("the packed model does not open: {0}")]
    Open(OpenError),
    /// Its statistics cannot be measured.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
}

/// Packs `graph`, calibrated on `clips` (samples at the frontend's rate, at least two): the bytes
/// of a `.slvr`.
///
/// Base mean and reference are measured with the packed model itself, so that centring
/// matches what the device computes.
pub fn pack(
    graph: &Graph,
    clips: &[Vec<f32>],
    options: &PackOptions,
) -> Result<AlignedBytes, PackError> {
    let folded;
    let graph = if options.fold {
        let mut own = graph.clone();
        own.fold_adapters();
        folded = own;
        &folded
    } else {
        graph
    };
    let patches = spread_patches(graph, clips)?;
    let calibration = calibrate(graph, &patches, options.range);
    let labels = Labels {
        name: &options.name,
        provenance: &options.provenance,
    };
    let unmeasured = EmbeddingStatistics::unmeasured(graph.dim());
    let mut spec = quantise(graph, &calibration, &unmeasured, labels);
    let bytes = build(&spec)?;
    let model = Model::open(&bytes).map_err(PackError::Open)?;
    let step = clips.len().div_ceil(STATISTICS_CLIPS).max(1);
    let chosen: Vec<Vec<f32>> = clips.iter().step_by(step).cloned().collect();
    let backbone = || {
        PackedBackbone::new(model, vec![0i8; model.arena_len()])
            .expect("the arena is as long as the model says")
    };
    let statistics = EmbeddingStatistics::measure(backbone, &chosen)?;
    spec.base_mean = statistics.base_mean;
    spec.reference = Some(statistics.reference);
    Ok(build(&spec)?)
}

/// Patches from all over `clips`, evenly spread, as many as calibration of `graph` takes.
pub fn spread_patches(graph: &Graph, clips: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, PackError> {
    let affordable = (CALIBRATION_MACS / graph.macs().max(1)) as usize;
    let count = affordable.clamp(FEWEST_PATCHES, CALIBRATION_PATCHES);
    let filled: Vec<&Vec<f32>> = clips.iter().filter(|clip| !clip.is_empty()).collect();
    let step = filled.len().div_ceil(count).max(1);
    let mut patches: Vec<Vec<f32>> = Vec::new();
    for clip in filled.into_iter().step_by(step) {
        clip::patches(graph.frontend, clip, |patch| patches.push(patch.to_vec()))
            .map_err(PackError::Frontend)?;
    }
    if patches.is_empty() {
        return Err(PackError::NoPatches);
    }
    let step = patches.len().div_ceil(count);
    Ok(patches.into_iter().step_by(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::verify::{Subject, verify};
    use crate::export::{onnx, random};
    use crate::net::{AdapterKind, OutputSpec};
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
        }
    }

    /// Odd seeds give a backbone with a whitened output.
    fn exported(kind: AdapterKind, from_stage: usize, seed: u64) -> Vec<u8> {
        let mut spec = random::spec(kind, from_stage);
        spec.output = (seed % 2 == 1).then_some(OutputSpec {
            bands: 5,
            dim: 16,
            whitening: 0.5,
        });
        let statistics = random::statistics(&spec);
        let weights = random::weights(&spec, seed);
        onnx::write(&spec, &weights, &random::frontend(), &statistics, "a test").unwrap()
    }

    #[test]
    fn packed_embeddings_follow_the_float_ones() {
        let clips = clips(24);
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
                let patches = spread_patches(&graph, &clips).unwrap();
                for range in [RangeRule::Full, RangeRule::LeastError] {
                    let slvr = pack(&graph, &clips, &options(fold, range)).unwrap();
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
        let clips = clips(4);
        let graph = onnx::read(&exported(AdapterKind::Parallel, 0, 2), None).unwrap();
        let len = |fold| {
            pack(&graph, &clips, &options(fold, RangeRule::Full))
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
        let onnx = onnx::write(&spec, &weights, &random::frontend(), &statistics, "").unwrap();
        let graph = onnx::read(&onnx, None).unwrap();
        for range in [RangeRule::Full, RangeRule::LeastError] {
            pack(&graph, &clips(4), &options(false, range)).unwrap();
        }
    }

    #[test]
    fn silence_and_too_little_audio_are_told() {
        let graph = onnx::read(&exported(AdapterKind::Parallel, 0, 1), None).unwrap();
        let options = options(false, RangeRule::LeastError);
        let none = pack(&graph, &[], &options).unwrap_err();
        assert!(matches!(none, PackError::NoPatches));
        let one = pack(&graph, &clips(1), &options).unwrap_err();
        assert!(one.to_string().contains("at least 2"), "{one}");
        pack(&graph, &vec![vec![0.0; 16_000]; 3], &options).unwrap();
    }
}
