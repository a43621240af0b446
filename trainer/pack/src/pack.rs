//! Calibrates, quantises and packs a backbone, with statistics measured on the packed model itself.

use super::calibration::{RangeRule, calibrate};
use super::cohort::{DEFAULT_CENTRES, centres};
use super::equalise::equalise;
use super::graph::Graph;
use super::kinds;
use super::quantise::{Labels, quantise};
use super::statistics::{EmbeddingStatistics, StatisticsError, directions, embed, reference};
use crate::builder::{BuildError, build};
use mtslvr_audio::{Recordings, ShowPath};
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip;
use mtslvr_runtime::frontend::{FrontendConfig, FrontendError};
use mtslvr_runtime::model::{AlignedBytes, Cohort, Model, OpenError};
use std::path::Path;

/// Most patches that calibration observes.
const CALIBRATION_PATCHES: usize = 256;

/// Fewest patches that calibration observes, however large the backbone, if the audio has so many.
const FEWEST_PATCHES: usize = 32;

/// Multiply-accumulates that calibration may take: a few seconds on two cores.
const CALIBRATION_MACS: u64 = 20_000_000_000;

/// Clips that the packed model's statistics are measured on.
const STATISTICS_CLIPS: usize = 512;

/// Most clips that centres of ordinary audio are sought of.
const COHORT_CLIPS: usize = 2_048;

/// Fewest clips for each centre, if the audio gives so many.
const CLIPS_PER_CENTRE: usize = 8;

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
    /// Centres of ordinary audio to bring along ([`centres`]), 0 for none; fewer if there are not as many
    /// clips.
    pub cohort: usize,
}

impl PackOptions {
    /// Returns the usual options for the ONNX file `onnx`, which `graph` was read from: the file's name is the
    /// model's.
    pub fn of_file(onnx: &Path, graph: &Graph) -> Self {
        let provenance = graph.provenance.clone();
        Self {
            name: name_of(onnx),
            provenance: provenance.unwrap_or_else(|| format!("packed from {}", onnx.shown())),
            fold: false,
            range: RangeRule::default(),
            cohort: DEFAULT_CENTRES,
        }
    }
}

/// Returns a path's last part without its ending: the name of the model that is made of it.
pub fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.file_stem().map_or("backbone".into(), |stem| {
        stem.to_string_lossy().into_owned()
    })
}

/// Clips of one kind of sound: a list of things, each a list of clips of that thing.
pub type Kind = Vec<Vec<Vec<f32>>>;

/// Sounds that a packed model is measured on: samples at the frontend's rate.
#[derive(Clone, Debug, Default)]
pub struct CalibrationAudio {
    /// Ordinary audio, for ranges, base mean, cohort and reference; at least two clips.
    pub clips: Vec<Vec<f32>>,
    /// Recordings of which it is known that they are of one thing, by kind: for the weights of the parts. None
    /// where that is not known.
    pub kinds: Vec<Kind>,
    /// Recordings of which it is known that they are of one source, such as a voice, by kind.
    pub sources: Vec<Kind>,
}

impl CalibrationAudio {
    /// Takes `clips`, and all that is known of `recordings`, for a backbone with features of `frontend`.
    pub fn of_recordings(
        clips: Vec<Vec<f32>>,
        recordings: &Recordings,
        frontend: &FrontendConfig,
    ) -> Self {
        Self {
            clips,
            kinds: recordings.things_by_kind(frontend.patch_samples()),
            sources: recordings.sources_by_kind(frontend.patch_samples()),
        }
    }
}

impl From<Vec<Vec<f32>>> for CalibrationAudio {
    /// Takes clips of which nothing else is known.
    fn from(clips: Vec<Vec<f32>>) -> Self {
        Self {
            clips,
            ..Self::default()
        }
    }
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
    Build(BuildError),
    /// The packed model does not open.
    #[error("the packed model does not open: {0}")]
    Open(OpenError),
    /// Its statistics cannot be measured.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
}

impl From<BuildError> for PackError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// Packs `graph`, calibrated on `audio`: the bytes of a `.slvr`.
///
/// Base mean, cohort, its weights and reference are measured with the packed model itself, so that
/// centring matches what the device computes.
///
/// # Errors
/// [`PackError`] if the clips give no patch or no statistics, or the quantised backbone does not fit the
/// format.
pub fn pack(
    graph: &Graph,
    audio: &CalibrationAudio,
    options: &PackOptions,
) -> Result<AlignedBytes, PackError> {
    let clips = &audio.clips;
    let mut graph = graph.clone();
    if options.fold {
        graph.fold_adapters();
    }
    let patches = spread_patches(&graph, clips)?;
    equalise(&mut graph, &patches);
    let graph = &graph;
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
    if options.cohort > 0 {
        let space = model.space();
        let (mean, parts) = (&spec.base_mean, space.parts());
        let of = |clips: &[&Vec<f32>]| -> Result<Vec<Vec<i8>>, StatisticsError> {
            Ok(directions(embed(backbone, clips)?.iter(), mean, parts))
        };
        let [ordinary, compared] = separated(clips, step, options.cohort);
        spec.cohort = centres(&of(&ordinary)?, parts, options.cohort);
        let cohort = Cohort::new(&spec.cohort, mean.len());
        spec.reference = Some(reference(&of(&compared)?, parts, cohort));
        if let Some(cohort) = &cohort {
            let thing = |clips: &Vec<Vec<f32>>| of(&clips.iter().collect::<Vec<_>>());
            let kind = |things: &Kind| things.iter().map(thing).collect::<Result<Vec<_>, _>>();
            let embedded = |kinds: &[Kind]| kinds.iter().map(kind).collect::<Result<Vec<_>, _>>();
            let (kinds, sources) = (embedded(&audio.kinds)?, embedded(&audio.sources)?);
            spec.cohort_weights = kinds::weights(&kinds, &sources, parts, cohort);
        }
    }
    Ok(build(&spec)?)
}

/// Chooses clips to find `count` centres of, and clips that are then compared with those: others, so that
/// the reference speaks of sounds that the centres have not seen.
fn separated(clips: &[Vec<f32>], step: usize, count: usize) -> [Vec<&Vec<f32>>; 2] {
    if clips.len() < 4 {
        let all = || clips.iter().collect();
        return [all(), all()];
    }
    let every = |nth: usize| clips.iter().step_by(nth).collect::<Vec<_>>();
    let rest: Vec<&Vec<f32>> = clips
        .iter()
        .enumerate()
        .filter_map(|(at, clip)| (at % step != 0).then_some(clip))
        .collect();
    if rest.len() >= CLIPS_PER_CENTRE * count {
        let nth = rest.len().div_ceil(COHORT_CLIPS);
        return [rest.into_iter().step_by(nth).collect(), every(step)];
    }
    [clips.iter().skip(1).step_by(2).collect(), every(2)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_and_reference_have_clips_of_their_own() {
        let clips: Vec<Vec<f32>> = (0..3_000).map(|i| vec![i as f32]).collect();
        for (len, count) in [(3_000_usize, 32), (700, 32), (512, 32), (20, 32), (4, 1)] {
            let step = len.div_ceil(STATISTICS_CLIPS);
            let [ordinary, compared] = separated(&clips[..len], step, count);
            assert!(!ordinary.is_empty() && !compared.is_empty());
            assert!(ordinary.len() <= COHORT_CLIPS);
            assert!(
                ordinary.iter().all(|clip| !compared.contains(clip)),
                "{len}"
            );
        }
    }
}
