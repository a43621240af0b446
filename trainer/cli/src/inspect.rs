//! `mtslvr inspect`: shows the cost and the contents of a model.

use super::backbone::FrontendChoice;
use super::examples::examples;
use anyhow::Result;
use mtslvr_pack::{Engine, ModelSource, model_kinds};

/// Show the flash, memory and work that a model needs, and what is in it
///
/// Prints sizes in bytes, multiply-accumulates, the operators, the parts of the embedding and the
/// statistics that were measured on sounds.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Look into a shipped backbone" => "mtslvr inspect edge-s",
    "Look into a model of your own" => "mtslvr inspect mtslvr-run/model.slvr",
))]
pub(super) struct Args {
    #[arg(help = format!(
        "Model to show: {}; run folders and shipped backbones are shown in packed form",
        model_kinds()
    ))]
    model: ModelSource,
    #[command(flatten)]
    frontend: FrontendChoice,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        // A source that holds both forms is asked for the one that goes to a device.
        let engine = match &self.model {
            ModelSource::Path(path) if !path.is_dir() => None,
            _ => Some(Engine::Packed),
        };
        let inspection = self.frontend.open(&self.model, engine)?.inspect()?;
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&inspection)?);
        } else {
            out!("{inspection}");
        }
        Ok(())
    }
}
