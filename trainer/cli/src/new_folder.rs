//! Folders that a command fills, and that must hold nothing else.

use anyhow::{Context, Result, ensure};
use mtslvr_audio::ShowPath;
use std::path::Path;

/// Refuses a folder that holds something.
pub(super) fn check(folder: &Path) -> Result<()> {
    let entries = || std::fs::read_dir(folder);
    let in_use = folder.is_dir()
        && entries()
            .with_context(|| format!("cannot read {}", folder.shown()))?
            .next()
            .is_some();
    ensure!(
        !in_use,
        "{}: the folder is not empty; expected a new or an empty one; name another folder",
        folder.shown()
    );
    Ok(())
}
