//! Checks on held-out sets while a run trains.

use crate::range::check_range;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The `[monitor]` table: few-shot accuracy on held-out labelled sets while a run trains.
///
/// A run that is chosen or ended by these figures has seen the sets: report accuracy on others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorConfig {
    /// Labelled sets (`DIR/<class>/<clip>`), or folders of such sets; none: no checks.
    pub sets: Vec<PathBuf>,
    /// Steps between two checks.
    pub every: u64,
    /// Classes in a task.
    pub ways: usize,
    /// Examples of each class.
    pub shots: usize,
    /// Tasks a set.
    pub tasks: usize,
    /// The run ends after this many checks in a row without a better mean accuracy, with the weights
    /// of the best check; 0: it runs to its end, and keeps the weights it then has.
    pub patience: u64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            sets: Vec::new(),
            every: 200,
            ways: 5,
            shots: 1,
            tasks: 300,
            patience: 0,
        }
    }
}

impl MonitorConfig {
    /// Refuses values that are out of range, and a patience without sets.
    pub(super) fn check(&self) -> Result<()> {
        check_range("monitor.every", self.every as f64, 1.0, 1e12)?;
        check_range("monitor.ways", self.ways as f64, 2.0, 256.0)?;
        check_range("monitor.shots", self.shots as f64, 1.0, 1e4)?;
        check_range("monitor.tasks", self.tasks as f64, 1.0, 1e6)?;
        if self.patience > 0 && self.sets.is_empty() {
            bail!(
                "monitor.patience is {}, but monitor.sets is empty: name held-out labelled sets to stop by",
                self.patience
            );
        }
        Ok(())
    }
}
