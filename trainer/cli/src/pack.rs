//! `mtslvr pack`: packs an ONNX model, of this program or another, into a `.slvr`.

use super::backbone::FrontendChoice;
use super::cache::CacheChoice;
use super::calibration::CalibrationChoice;
use super::cohort::CohortChoice;
use super::examples::examples;
use super::export::{name_of, verification_fields};
use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_pack::calibration::RangeRule;
use mtslvr_pack::engine::{FrontendDescription, OnnxMetadata};
use mtslvr_pack::graph::Graph;
use mtslvr_pack::verify::{Subject, Verification, verify};
use mtslvr_pack::{EmbeddingStatistics, PackOptions, onnx, pack, spread_patches};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Patches that go through every engine afterwards.
const VERIFIED_PATCHES: usize = 16;

/// Cosine between the embeddings of the packed and the ONNX model that good calibration reaches.
/// Recordings gave 0.999 on networks of others, synthetic sounds 0.979 to 0.989.
const CLOSE: f32 = 0.995;

/// Pack an ONNX backbone into an int8 model for a device
///
/// Quantises the weights and activations to int8, writes a .slvr file, and compares it with the ONNX
/// model in every engine. The ONNX file may come from `mtslvr train` or from another program.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Pack a model that this program trained" =>
        "mtslvr pack mtslvr-run/model.onnx --out model.slvr",
    "Pack a model from PyTorch, calibrated on your recordings" =>
        "mtslvr pack net.onnx --frontend net.toml --calibrate sounds --out n.slvr",
))]
pub(super) struct Args {
    /// ONNX model to pack
    onnx: PathBuf,
    /// Packed model to write
    #[arg(long, value_name = "FILE.slvr")]
    out: PathBuf,
    #[command(flatten)]
    frontend: FrontendChoice,
    /// Fold the adapters into the kernels of each path: less work at run time, about twice the flash
    #[arg(long)]
    fold: bool,
    /// Name to write into the packed model [default: the ONNX file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[arg(
        long,
        help = "Print the file and how well the engines agree as JSON instead of text",
        long_help = concat!(
            "Print the file and how well the engines agree as JSON instead of text. Fields:\n  \
             slvr, bytes: path and size of the packed model\n",
            verification_fields!(),
            "\n  warning: words on int8 that is far from float; null if it is not"
        )
    )]
    json: bool,
    #[command(flatten, next_help_heading = "Calibration")]
    calibration: CalibrationChoice,
    #[command(flatten, next_help_heading = "Calibration")]
    cohort: CohortChoice,
    #[command(flatten, next_help_heading = "Calibration")]
    cache: CacheChoice,
}

/// The packed model, for scripts.
#[derive(Debug, Serialize)]
struct Outcome<'o> {
    slvr: &'o Path,
    bytes: usize,
    verification: Verification,
    /// A remark on int8 that is far from float.
    warning: Option<String>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let file = self.onnx.display().to_string();
        let bytes = onnx::load(&self.onnx).with_context(|| file.clone())?;
        let frontend = self.frontend.description()?;
        let graph = onnx::read(&bytes, frontend.as_ref()).with_context(|| file.clone())?;
        let audio = self
            .calibration
            .audio(&graph.frontend, &self.cache.open()?)?;
        let packed = pack(&graph, &audio, &self.options(&graph)).with_context(|| file.clone())?;
        // Nothing is written before all engines agree.
        let verification = compare(&bytes, frontend, &graph, &packed, &audio.clips)
            .with_context(|| file.clone())?;
        write_bytes(&self.out, &packed)
            .with_context(|| format!("cannot write {}", self.out.shown()))?;
        let warning = self.warning(&verification);
        self.print(packed.len(), verification, warning)
    }

    fn options(&self, graph: &Graph) -> PackOptions {
        let provenance = graph.provenance.clone();
        PackOptions {
            name: self.name.clone().unwrap_or_else(|| name_of(&self.onnx)),
            provenance: provenance.unwrap_or_else(|| format!("packed from {}", self.onnx.shown())),
            fold: self.fold,
            range: RangeRule::default(),
            cohort: self.cohort.centres(),
        }
    }

    /// Returns a remark if the packed model's embeddings are far from the ONNX model's.
    fn warning(&self, verification: &Verification) -> Option<String> {
        let packed = verification.engines.iter().find(|engine| !engine.float)?;
        let remedy = if self.calibration.is_synthetic() {
            "It was calibrated on synthetic sounds: give recordings like those that the device will \
             hear, with --calibrate DIR."
        } else {
            "Calibrate on more recordings, and on such as the device will hear."
        };
        (packed.cosine < CLOSE).then(|| {
            format!(
                "The packed model is less accurate than it could be: the least cosine between its \
                 embeddings and those of the ONNX model is {:.4}, expected at least {CLOSE}. {remedy}",
                packed.cosine
            )
        })
    }

    fn print(
        &self,
        bytes: usize,
        verification: Verification,
        warning: Option<String>,
    ) -> Result<()> {
        if let Some(warning) = &warning {
            errln!("{warning}");
        }
        if self.json {
            let outcome = Outcome {
                slvr: &self.out,
                bytes,
                verification,
                warning,
            };
            outln!("{}", serde_json::to_string_pretty(&outcome)?);
            return Ok(());
        }
        out!("{verification}");
        outln!("{}: {bytes} bytes", self.out.shown());
        Ok(())
    }
}

/// Runs patches of `clips` through the ONNX model in every engine and through the packed model.
fn compare(
    onnx: &[u8],
    frontend: Option<FrontendDescription>,
    graph: &Graph,
    packed: &[u8],
    clips: &[Vec<f32>],
) -> Result<Verification> {
    let patches = spread_patches(graph, clips)?;
    let step = patches.len().div_ceil(VERIFIED_PATCHES);
    let patches: Vec<Vec<f32>> = patches.into_iter().step_by(step).collect();
    let mut metadata = onnx::read_metadata(onnx)?;
    complete(&mut metadata, frontend, graph.dim());
    let subject = Subject {
        onnx,
        metadata: Some(metadata),
        graph,
        slvr: Some(packed),
    };
    Ok(verify(&subject, &patches, None)?)
}

/// Fills in what the float engines ask for and a model of another program lacks. Embeddings do not
/// depend on its statistics.
fn complete(metadata: &mut OnnxMetadata, given: Option<FrontendDescription>, dim: usize) {
    metadata.frontend = given.or_else(|| metadata.frontend.take());
    let unmeasured = EmbeddingStatistics::unmeasured(dim);
    metadata.base_mean.get_or_insert(unmeasured.base_mean);
    metadata.reference.get_or_insert(unmeasured.reference);
}
