//! Checks of the place that a command will write to, before its work: what it took is not lost at its end.

use anyhow::{Context, Result, ensure};
use mtslvr_audio::ShowPath;
use std::path::Path;

/// Refuses a folder that holds something.
pub(super) fn check_empty(folder: &Path) -> Result<()> {
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

/// Refuses a file, given as `option`, in a folder that does not exist.
pub(super) fn check_file(option: &str, file: &Path) -> Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    ensure!(
        folder.is_none_or(Path::is_dir),
        "{option} {}: its folder does not exist; make it first",
        file.shown()
    );
    Ok(())
}

/// Makes a folder, if it is not there.
pub(super) fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.shown()))
}
