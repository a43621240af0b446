//! Calibrates, quantises and packs a backbone, with statistics measured on the packed model itself.

use super::calibration::{RangeRule, calibrate};
use super::graph::Graph;
use super::quantise::{Labels, quantise};
use super::statistics::{EmbeddingStatistics, StatisticsError};
use crate::builder::{BuildError, build};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::frontend::FrontendError;
use mtslvr_runtime::model::{AlignedBytes, Model, OpenError};

/// Most patches that calibration observes.
const CALIBRATION_PATCHES: usize = 256;

/// Fewest patches that calibration observes, however large the backbone, if the audio has so many.
const FEWEST_PATCHES: usize = 32;

/// Multiply-accumulates that calibration may take: a few seconds on two cores.
const CALIBRATION_MACS: u64 = 20_000_000_000;

/// Clips that the packed model's statistics are measured on.
const STATISTICS_CLIPS: usize = 512;

/// How to pack.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// Name of the model.
    pub name: String,
    /// Origin of the weights.
    pub provenance: String,
    /// Whether to fold adapters into kernels, which parts then do not share: adapters cost nothing, and
    /// flash is about twice as large.
    pub fold: bool,
    /// Rule by which calibration chooses ranges.
    pub range: RangeRule,
}

/// Explains why a backbone cannot be packed.
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
///
/// # Errors
/// [`PackError`] if the clips give no patch or no statistics, or the quantised backbone does not fit the
/// format.
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
///
/// # Errors
/// [`PackError`] if the clips give no patch, or the features of `graph` cannot be computed.
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
