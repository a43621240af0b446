//! `mtslvr pack`: packs an ONNX model, of this program or another, into a `.slvr`.

use super::backbone::FrontendChoice;
use super::cache::CacheChoice;
use super::calibration::CalibrationChoice;
use super::cohort::CohortChoice;
use super::examples::examples;
use super::export::verification_fields;
use super::output_place;
use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_pack::graph::Graph;
use mtslvr_pack::verify::{Verification, verify_packed};
use mtslvr_pack::{PackOptions, onnx, pack};
use serde::Serialize;
use std::path::{Path, PathBuf};

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
        output_place::check_file("--out", &self.out)?;
        let file = self.onnx.display().to_string();
        let bytes = onnx::load(&self.onnx).with_context(|| file.clone())?;
        let frontend = self.frontend.description()?;
        let graph = onnx::read(&bytes, frontend.as_ref()).with_context(|| file.clone())?;
        let audio = self
            .calibration
            .audio(&graph.frontend, &self.cache.open()?)?;
        let packed = pack(&graph, &audio, &self.options(&graph)).with_context(|| file.clone())?;
        // Nothing is written before all engines agree.
        let verification = verify_packed(&bytes, frontend, &graph, &packed, &audio.clips)
            .with_context(|| file.clone())?;
        write_bytes(&self.out, &packed)
            .with_context(|| format!("cannot write {}", self.out.shown()))?;
        let warning = verification.warning(self.calibration.is_synthetic());
        self.print(packed.len(), verification, warning)
    }

    fn options(&self, graph: &Graph) -> PackOptions {
        let usual = PackOptions::of_file(&self.onnx, graph);
        PackOptions {
            name: self.name.clone().unwrap_or(usual.name),
            fold: self.fold,
            cohort: self.cohort.centres(),
            ..usual
        }
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
