//! The option that keeps decoded recordings, of all commands that read many of them.

use anyhow::Result;
use mtslvr_audio::DecodeCache;
#[cfg(feature = "train")]
use std::path::Path;
use std::path::PathBuf;

/// Flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct CacheChoice {
    /// Folder to keep decoded recordings in for later runs, 115 MB for each hour [default: none]
    ///
    /// Without it, each run decodes every recording again. Answers of teachers to the recordings are kept
    /// there, too.
    #[arg(long, value_name = "DIR", env = "MTSLVR_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
}

impl CacheChoice {
    /// Returns the folder that was asked for.
    #[cfg(feature = "train")]
    pub(super) fn folder(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// Returns the folder for the answers of teachers: in the cache, or else in `out`.
    #[cfg(feature = "train")]
    pub(super) fn heard(&self, out: &Path) -> PathBuf {
        self.folder().unwrap_or(out).join("teachers")
    }

    /// Opens the cache that was asked for.
    pub(super) fn open(&self) -> Result<DecodeCache> {
        Ok(match &self.cache {
            Some(folder) => DecodeCache::in_folder(folder)?,
            None => DecodeCache::NONE,
        })
    }
}
