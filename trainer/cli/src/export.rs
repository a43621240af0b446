//! `mtslvr export`: turns a finished run into ONNX and `.slvr`, checked in every engine.

use super::cache::CacheChoice;
use super::calibration::CalibrationChoice;
use super::cohort::CohortChoice;
use super::examples::examples;
use anyhow::Result;
use mtslvr_audio::ShowPath;
use mtslvr_pack::name_of;
use mtslvr_train::export::{ExportRequest, export_run};
use mtslvr_train::train::Start;
use std::path::PathBuf;

/// Describes the fields of a verification for the help on `--json`.
macro_rules! verification_fields {
    () => {
        "  verification: comparison of the engines on the same patches
    reference: engine that the others are compared with
    patches: number of patches
    engines: for each other engine that ran
      engine, float: its name, and whether it computes in float
      absolute, relative: greatest difference of a value, and that over the greatest value of the embedding
      cosine: least cosine of two embeddings of a patch
      snr: power of the reference over that of the difference, dB
    absent: for each engine that did not run, its name and the reason"
    };
}
pub(super) use verification_fields;

/// Turn a training run into model.onnx and model.slvr
///
/// `train` does this at its end with its own recordings. Use `export` for a run that was stopped or
/// trained with --no-export, or to calibrate the int8 model on other recordings. All engines must agree
/// on the models.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Export a run in place" => "mtslvr export mtslvr-run",
    "Calibrate on recordings of the place where the device will be" =>
        "mtslvr export runs/mine --calibrate kitchen --out models/mine",
))]
pub(super) struct Args {
    /// Run folder that `mtslvr train` wrote, or file that --weights wrote
    run: PathBuf,
    /// Folder for model.onnx and model.slvr [default: the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    calibration: CalibrationChoice,
    #[command(flatten)]
    cohort: CohortChoice,
    #[command(flatten)]
    cache: CacheChoice,
    /// Name to write into the packed model [default: the run folder's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// File to write the weights to as well, for `mtslvr train --from` [default: none]
    ///
    /// The weights are in half precision, with the configuration beside them.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[arg(
        long,
        help = "Print the files and how well the engines agree as JSON instead of text",
        long_help = concat!(
            "Print the files and how well the engines agree as JSON instead of text. Fields:\n  \
             onnx, slvr: paths of the float model and the packed model\n",
            verification_fields!()
        )
    )]
    json: bool,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let start = Start::read(&self.run)?;
        if let Some(path) = &self.weights {
            start.write(path)?;
        }
        let Start { config, weights } = start;
        let frontend = config.frontend.to_config();
        let audio = self.calibration.audio(&frontend, &self.cache.open()?)?;
        let name = self.name.unwrap_or_else(|| name_of(&self.run));
        let provenance = provenance(&name, config.train.seed);
        let exported = export_run(&ExportRequest {
            spec: &config.backbone,
            weights: &weights,
            frontend: &frontend,
            audio: &audio,
            cohort: self.cohort.centres(),
            name: &name,
            provenance: &provenance,
            out: self.out.as_deref().unwrap_or(&self.run),
        })?;
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&exported)?);
            return Ok(());
        }
        out!("{}", exported.verification);
        let files = [&exported.onnx, &exported.slvr];
        for path in files.into_iter().chain(&self.weights) {
            let bytes = std::fs::metadata(path)?.len();
            outln!("{}: {bytes} bytes", path.shown());
        }
        Ok(())
    }
}

/// Says where a run's weights come from.
pub(super) fn provenance(run: &str, seed: u64) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("mtslvr {version} from run {run}, seed {seed}")
}
