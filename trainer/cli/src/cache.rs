//! Where decoded recordings are kept: what the commands that read many of them have in common.

use anyhow::Result;
use mtslvr_audio::DecodeCache;
use std::path::{Path, PathBuf};

/// Names the folder for a whole shell session.
const VARIABLE: &str = "MTSLVR_CACHE";

/// Flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Cache {
    /// Keep decoded recordings (115 MB an hour of sound) and what teachers say of them in this folder,
    /// so that the next run need not begin anew [default: MTSLVR_CACHE, or none]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Cache {
    /// The cache that was asked for.
    pub(super) fn open(&self) -> Result<DecodeCache> {
        Ok(match self.folder() {
            Some(folder) => DecodeCache::in_folder(&folder)?,
            None => DecodeCache::NONE,
        })
    }

    /// Folder for what teachers say of recordings: in the cache, or else in `out`.
    pub(super) fn heard(&self, out: &Path) -> PathBuf {
        self.folder().as_deref().unwrap_or(out).join("teachers")
    }

    fn folder(&self) -> Option<PathBuf> {
        let variable = || std::env::var_os(VARIABLE).map(PathBuf::from);
        self.cache.clone().or_else(variable)
    }
}
