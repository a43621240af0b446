//! The files that a run leaves.

use super::checkpoint;
use super::config::RunConfig;
use super::tensorboard;
use crate::net::Weights;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The files of a run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// The run in `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration, every value filled in.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// One `MetricsRow` a line.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.csv")
    }

    /// Checkpoint from which `TrainRequest::resume` goes on.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint.safetensors")
    }

    /// The weights that the run started from, if not from random ones.
    pub fn start(&self) -> PathBuf {
        self.root.join("start.safetensors")
    }

    /// The metrics for TensorBoard.
    pub fn events(&self) -> PathBuf {
        self.root.join(tensorboard::FILE)
    }

    /// The weights of the best check on held-out sets, where a run may end early by these.
    pub fn best(&self) -> PathBuf {
        self.root.join("best.safetensors")
    }

    /// The trunk's weights, once training has ended.
    pub fn weights(&self) -> PathBuf {
        self.root.join("weights.safetensors")
    }

    /// Returns the run's configuration and the weights that it ended with.
    ///
    /// # Errors
    /// If a file is missing or cannot be read.
    pub fn load(&self) -> Result<(RunConfig, Weights)> {
        let config = RunConfig::read(&self.config(), &[])?;
        if !self.weights().exists() {
            bail!(
                "{} holds no weights.safetensors: the run has not ended; continue it with `mtslvr train --resume --out {0}` and the --data that it began with",
                self.root.display()
            );
        }
        Ok((config, checkpoint::load_weights(&self.weights())?))
    }
}
