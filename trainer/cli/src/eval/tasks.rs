//! The options on labelled sets and on the tasks drawn from them.

use crate::lists::SEVERAL;
use anyhow::{Result, ensure};
use mtslvr_audio::LabelledSet;
use mtslvr_evaluate::EpisodeShape;
use std::path::PathBuf;

/// Flattened into the arguments of `eval` and its subcommands.
#[derive(Debug, clap::Args)]
pub(super) struct SetChoice {
    /// Labelled sets (DIR/<class>/<clip>) to draw tasks from, or folders of such sets
    #[arg(long, value_name = "DIR", num_args = SEVERAL, required = true)]
    pub(super) data: Vec<PathBuf>,
}

impl SetChoice {
    /// Finds the clips of the sets.
    pub(super) fn open(&self) -> Result<Vec<LabelledSet>> {
        Ok(LabelledSet::open_all(&self.data)?)
    }
}

/// Flattened into the arguments of `eval` and its subcommands.
#[derive(Debug, clap::Args)]
pub(super) struct TaskChoice {
    /// Classes in each task
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) ways: usize,
    /// Greatest number of clips of each class to ask about
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) queries: usize,
    /// Tasks for each set
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) tasks: usize,
    /// Seed of the tasks: the same seed draws the same tasks
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
}

impl TaskChoice {
    /// Checks the ranges.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.tasks > 0, "--tasks must be at least 1, not 0");
        ensure!(
            (2..=256).contains(&self.ways),
            "--ways must be from 2 to 256, not {}",
            self.ways
        );
        Ok(())
    }

    /// Returns the shape of a task with `shots` examples of each class.
    pub(super) fn shape(&self, shots: usize) -> EpisodeShape {
        EpisodeShape {
            ways: self.ways,
            shots,
            queries: self.queries,
        }
    }
}
