//! `mtslvr inspect`: what a model costs and what is in it.

use crate::export::inspect::Inspection;
use anyhow::Result;
use std::path::PathBuf;

/// Show a model's flash, RAM and arithmetic, its operators, features and statistics
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A packed model (.slvr) or an ONNX model (.onnx)
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let inspection = Inspection::of_file(&self.file)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&inspection)?);
        } else {
            print!("{inspection}");
        }
        Ok(())
    }
}
