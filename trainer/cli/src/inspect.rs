//! `mtslvr inspect`: what a model costs and what is in it.

use anyhow::Result;
use mtslvr_pack::{BackboneFile, Engine, ModelSource, model_kinds};

/// Show a model's flash, RAM and arithmetic, its operators, features and statistics
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(help = format!("The model: {}; of the latter two the packed form is shown", model_kinds()))]
    model: ModelSource,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        // What holds both forms is asked for the one that goes to a device.
        let engine = match &self.model {
            ModelSource::Path(path) if !path.is_dir() => None,
            _ => Some(Engine::Packed),
        };
        let inspection = BackboneFile::open(&self.model, engine)?.inspect()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&inspection)?);
        } else {
            print!("{inspection}");
        }
        Ok(())
    }
}
