//! Where decoded recordings are kept: what the commands that read many of them have in common.

use anyhow::Result;
use mtslvr_audio::DecodeCache;
use std::path::PathBuf;

/// Names the folder for a whole shell session.
const VARIABLE: &str = "MTSLVR_CACHE";

/// Flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Cache {
    /// Keep decoded recordings in this folder (115 MB an hour of sound), so that the next run need
    /// not decode them [default: MTSLVR_CACHE, or none]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Cache {
    /// The cache that was asked for.
    pub(super) fn open(&self) -> Result<DecodeCache> {
        let variable = || std::env::var_os(VARIABLE).map(PathBuf::from);
        Ok(match self.cache.clone().or_else(variable) {
            Some(folder) => DecodeCache::in_folder(&folder)?,
            None => DecodeCache::NONE,
        })
    }
}
