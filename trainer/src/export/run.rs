//! A trained network to the files that are shipped: ONNX, `.slvr`, both verified.

use super::calibration::RangeRule;
use super::graph::Sharing;
use super::onnx;
use super::opened::{ONNX_FILE, SLVR_FILE};
use super::pack::{PackOptions, pack, spread_patches};
use super::statistics::EmbeddingStatistics;
use super::verify::{Subject, Verification, verify};
use crate::atomic_file::write_bytes;
use crate::net::{BackboneSpec, Parameters, Trunk, Weights};
use anyhow::{Context, Result};
use candle_core::Device;
use mtslvr_runtime::engine::TractBackbone;
use mtslvr_runtime::frontend::FrontendConfig;
use std::path::{Path, PathBuf};

/// Patches that go through every engine after an export.
const VERIFIED_PATCHES: usize = 16;

/// What to export, and where to.
#[derive(Debug)]
pub struct ExportRequest<'r> {
    /// Shape of the network.
    pub spec: &'r BackboneSpec,
    /// Its weights; what belongs to heads is left out.
    pub weights: &'r Weights,
    /// Its features.
    pub frontend: &'r FrontendConfig,
    /// Clips at the frontend's sample rate, for ranges and statistics; at least two.
    pub clips: &'r [Vec<f32>],
    /// What the packed model is called.
    pub name: &'r str,
    /// Where the weights come from; the trunk's shape is added to it.
    pub provenance: &'r str,
    /// Folder for `model.onnx` and `model.slvr`.
    pub out: &'r Path,
}

/// What an export wrote and found.
#[derive(Debug, serde::Serialize)]
pub struct Exported {
    /// The float model.
    pub onnx: PathBuf,
    /// The packed model.
    pub slvr: PathBuf,
    /// How the engines compare.
    pub verification: Verification,
    /// How far the packed model's paths share kernels.
    pub sharing: Sharing,
}

/// Writes `model.onnx` and `model.slvr` into a folder after every engine has agreed on them.
///
/// # Errors
/// If the weights do not fit the network, float engines differ by more than
/// [`TOLERANCE`](super::verify::TOLERANCE), or a file cannot be written. Models that were there
/// before stay whole then.
pub fn export_run(request: &ExportRequest<'_>) -> Result<Exported> {
    let provenance = request.spec.add_to_provenance(request.provenance);
    let write = |statistics: &EmbeddingStatistics| {
        onnx::write(
            request.spec,
            request.weights,
            request.frontend,
            statistics,
            &provenance,
        )
    };
    let dim = request.spec.paths() * request.spec.path_dim();
    let bare = write(&EmbeddingStatistics::unmeasured(dim))?;
    // Opened once here so that a failure is reported, not met on a thread.
    TractBackbone::from_bytes(&bare, ONNX_FILE, None)?;
    let backbone =
        || TractBackbone::from_bytes(&bare, ONNX_FILE, None).expect("has just been opened");
    let onnx_bytes = write(&EmbeddingStatistics::measure(backbone, request.clips)?)?;

    let graph = onnx::read(&onnx_bytes, None)?;
    let options = PackOptions {
        name: request.name.to_owned(),
        provenance: provenance.clone(),
        fold: false,
        range: RangeRule::default(),
    };
    let slvr_bytes = pack(&graph, request.clips, &options)?;

    let all = spread_patches(&graph, request.clips)?;
    let step = all.len().div_ceil(VERIFIED_PATCHES);
    let patches: Vec<Vec<f32>> = all.into_iter().step_by(step).collect();
    let candle = candle_embeddings(request, &patches)?;
    let subject = Subject {
        onnx: &onnx_bytes,
        metadata: None,
        graph: &graph,
        slvr: Some(&slvr_bytes),
    };
    let verification = verify(&subject, &patches, Some(&candle))?;
    std::fs::create_dir_all(request.out)
        .with_context(|| format!("cannot make the folder {}", request.out.display()))?;
    let (onnx, slvr) = (request.out.join(ONNX_FILE), request.out.join(SLVR_FILE));
    for (path, bytes) in [(&onnx, &onnx_bytes[..]), (&slvr, &slvr_bytes[..])] {
        write_bytes(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exported {
        onnx,
        slvr,
        verification,
        sharing: graph.sharing(),
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
