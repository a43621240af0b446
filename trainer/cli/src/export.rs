//! `mtslvr export`: a finished run to ONNX and `.slvr`, checked in every engine.

use super::cache::Cache;
use super::calibration::Calibration;
use anyhow::Result;
use mtslvr_train::export::{ExportRequest, export_run};
use mtslvr_train::train::Start;
use std::path::PathBuf;

/// Write a run's backbone as ONNX and as a packed model, and check that all engines agree on it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run folder that `mtslvr train` wrote, or a file of weights that --weights wrote
    run: PathBuf,
    /// Folder for model.onnx and model.slvr [default: the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    cache: Cache,
    /// What the packed model is called [default: the run folder's name]
    #[arg(long)]
    name: Option<String>,
    /// Also write the weights, in half precision and with all that `mtslvr train --from` needs
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Print what was written and how the engines compare as JSON
    #[arg(long)]
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
        let clips = self.calibration.clips(&frontend, &self.cache.open()?)?;
        let name = self.name.unwrap_or_else(|| name_of(&self.run));
        let provenance = provenance(&name, config.train.seed);
        let exported = export_run(&ExportRequest {
            spec: &config.backbone,
            weights: &weights,
            frontend: &frontend,
            clips: &clips,
            name: &name,
            provenance: &provenance,
            out: self.out.as_deref().unwrap_or(&self.run),
        })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&exported)?);
            return Ok(());
        }
        print!("{}", exported.verification);
        for path in [&exported.onnx, &exported.slvr]
            .into_iter()
            .chain(&self.weights)
        {
            let bytes = std::fs::metadata(path)?.len();
            println!("{}: {bytes} bytes", path.display());
        }
        Ok(())
    }
}

/// Where a run's weights come from.
pub(super) fn provenance(run: &str, seed: u64) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("mtslvr {version} from run {run}, seed {seed}")
}

/// A path's last part without its ending.
pub(super) fn name_of(path: &std::path::Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.file_stem().map_or("backbone".into(), |stem| {
        stem.to_string_lossy().into_owned()
    })
}
