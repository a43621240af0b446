//! The files that a run leaves.

use super::checkpoint;
use super::config::RunConfig;
use super::tensorboard;
use crate::net::Weights;
use anyhow::{Context, Result, bail};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A run folder that only this process writes into, until this is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "held for its lock")] Option<File>);

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

    /// Makes the folder, and keeps other processes from writing into it until the result is dropped.
    ///
    /// # Errors
    /// If it cannot be made, or another process has it.
    pub fn lock(&self) -> Result<FolderLock> {
        let root = &self.root;
        std::fs::create_dir_all(root)
            .with_context(|| format!("cannot make the folder {}", root.display()))?;
        // Elsewhere than on Unix a folder cannot be opened as a file.
        if cfg!(not(unix)) {
            return Ok(FolderLock(None));
        }
        let folder = File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => bail!(
                "{}: another `mtslvr` writes into this run folder; wait for it, or name another folder with --out",
                root.display()
            ),
            // A file system without locks.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(FolderLock(Some(folder))),
        }
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

    /// Checkpoint before that one.
    pub fn checkpoint_before(&self) -> PathBuf {
        checkpoint::before(&self.checkpoint())
    }

    /// The command line that continues the run.
    pub fn continuing(&self) -> PathBuf {
        self.root.join("continue.txt")
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
            let command = std::fs::read_to_string(self.continuing())
                .unwrap_or_else(|_| "mtslvr train --resume".to_owned());
            bail!(
                "{} holds no weights.safetensors: the run has not ended; continue it with\n{}",
                self.root.display(),
                command.trim_end()
            );
        }
        Ok((config, checkpoint::load_weights(&self.weights())?))
    }
}
