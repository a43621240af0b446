//! A trained network to the files that are shipped: ONNX, `.slvr`, both verified.

use super::write::write;
use crate::net::{BackboneSpec, Parameters, Trunk, Weights};
use anyhow::{Context, Result};
use candle_core::Device;
use mtslvr_audio::atomic_file::Together;
use mtslvr_audio::{Recordings, calibration_clips, calibration_mix};
use mtslvr_pack::calibration::RangeRule;
use mtslvr_pack::engine::{FloatEngine, open_float};
use mtslvr_pack::graph::Graph;
use mtslvr_pack::verify::{Subject, Verification, verify};
use mtslvr_pack::{
    CalibrationAudio, EmbeddingStatistics, ONNX_FILE, PackOptions, SLVR_FILE, ShippedModel, onnx,
    pack, spread_patches,
};
use mtslvr_runtime::frontend::FrontendConfig;
use std::path::{Path, PathBuf};

/// Patches that go through every engine after an export.
const VERIFIED_PATCHES: usize = 16;

/// Weights to export, and the folder to write to.
#[derive(Debug)]
pub struct ExportRequest<'r> {
    /// Shape of the network.
    pub spec: &'r BackboneSpec,
    /// Its weights; what belongs to heads is left out.
    pub weights: &'r Weights,
    /// Its features.
    pub frontend: &'r FrontendConfig,
    /// Sounds for ranges and statistics.
    pub audio: &'r CalibrationAudio,
    /// Centres of ordinary audio that the packed model brings along, 0 for none
    /// ([`PackOptions::cohort`]).
    pub cohort: usize,
    /// Name of the packed model.
    pub name: &'r str,
    /// Origin of the weights; the trunk's shape is added to it.
    pub provenance: &'r str,
    /// Folder for `model.onnx` and `model.slvr`.
    pub out: &'r Path,
}

/// Files of an export, and how its engines compare.
#[derive(Debug, serde::Serialize)]
pub struct Exported {
    /// The float model.
    pub onnx: PathBuf,
    /// The packed model.
    pub slvr: PathBuf,
    /// Comparison of the engines.
    pub verification: Verification,
}

/// Writes `model.onnx` and `model.slvr` into a folder after every engine has agreed on them.
///
/// # Errors
/// If the weights do not fit the network, float engines differ by more than
/// [`TOLERANCE`](mtslvr_pack::verify::TOLERANCE), or a file cannot be written. Models that were there
/// before stay whole then.
pub fn export_run(request: &ExportRequest<'_>) -> Result<Exported> {
    let provenance = request.spec.add_to_provenance(request.provenance);
    let write = |statistics: &EmbeddingStatistics| {
        write(
            request.spec,
            request.weights,
            request.frontend,
            statistics,
            &provenance,
        )
    };
    let bare = write(&EmbeddingStatistics::unmeasured(
        request.spec.embedding_dim(),
    ))?;
    // Opened once here so that a failure is reported, not met on a thread.
    open_float(FloatEngine::BUILT_IN, &bare, ONNX_FILE)?;
    let backbone =
        || open_float(FloatEngine::BUILT_IN, &bare, ONNX_FILE).expect("has just been opened");
    let clips = &request.audio.clips;
    let onnx_bytes = write(&EmbeddingStatistics::measure(backbone, clips)?)?;

    let graph = onnx::read(&onnx_bytes, None)?;
    let options = PackOptions {
        name: request.name.to_owned(),
        provenance: provenance.clone(),
        fold: false,
        range: RangeRule::default(),
        cohort: request.cohort,
    };
    let slvr_bytes = pack(&graph, request.audio, &options)?;

    let patches = verified_patches(&graph, clips)?;
    let candle = candle_embeddings(request, &patches)?;
    let subject = Subject {
        onnx: &onnx_bytes,
        metadata: None,
        graph: &graph,
        slvr: Some(&slvr_bytes),
    };
    let verification = verify(&subject, &patches, Some(&candle))?;
    write_models(&onnx_bytes, &slvr_bytes, verification, request.out)
}

/// Writes the files of a shipped backbone as `model.onnx` and `model.slvr` into `out` after every
/// engine of this machine has agreed on them.
///
/// # Errors
/// If engines differ as in [`export_run`], or a file cannot be written.
pub fn write_shipped(model: &ShippedModel, out: &Path) -> Result<Exported> {
    let float = model
        .onnx
        .expect("this crate takes the shipped ONNX files along");
    let graph = onnx::read(float, None)?;
    let patches = verified_patches(&graph, &calibration_clips(&graph.frontend))?;
    let subject = Subject {
        onnx: float,
        metadata: None,
        graph: &graph,
        slvr: Some(model.slvr),
    };
    let verification = verify(&subject, &patches, None)?;
    write_models(float, model.slvr, verification, out)
}

/// Returns the sounds that a network is exported with: synthetic ones, as many recordings if there are any, and
/// what is known of recordings of one thing.
pub fn calibration_audio(frontend: &FrontendConfig, recordings: &Recordings) -> CalibrationAudio {
    let clips = calibration_mix(frontend, &recordings.clips);
    CalibrationAudio::of_recordings(clips, recordings, frontend)
}

/// The patches of `clips` that go through every engine.
fn verified_patches(graph: &Graph, clips: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let all = spread_patches(graph, clips)?;
    let step = all.len().div_ceil(VERIFIED_PATCHES);
    Ok(all.into_iter().step_by(step).collect())
}

fn write_models(
    onnx_bytes: &[u8],
    slvr_bytes: &[u8],
    verification: Verification,
    out: &Path,
) -> Result<Exported> {
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    let (onnx, slvr) = (out.join(ONNX_FILE), out.join(SLVR_FILE));
    // A packed model beside another ONNX model would be taken for the same.
    let mut files = Together::default();
    for (path, bytes) in [(&onnx, onnx_bytes), (&slvr, slvr_bytes)] {
        files
            .write(path, |neighbour| std::fs::write(neighbour, bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    files
        .commit()
        .with_context(|| format!("cannot write into {}", out.display()))?;
    Ok(Exported {
        onnx,
        slvr,
        verification,
    })
}

/// Embeddings by the network that was trained.
fn candle_embeddings(
    request: &ExportRequest<'_>,
    patches: &[Vec<f32>],
) -> candle_core::Result<Vec<Vec<f32>>> {
    let mut parameters = Parameters::new(0, &Device::Cpu);
    let trunk = Trunk::new(request.spec, &mut parameters)?;
    parameters.load(request.weights)?;
    let frontend = request.frontend;
    trunk.embed(
        patches,
        usize::from(frontend.frames),
        usize::from(frontend.mels),
    )
}
