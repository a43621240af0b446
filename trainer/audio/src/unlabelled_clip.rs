//! A recording without a label, and what a manifest says of it.

use std::path::PathBuf;

/// One recording of an [`UnlabelledSet`](super::UnlabelledSet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlabelledClip {
    /// Path of the file.
    pub path: PathBuf,
    /// Thing that was recorded: the index of the manifest in
    /// [`UnlabelledSet::manifests`](super::UnlabelledSet::manifests), and the value of its column
    /// `same`.
    pub same: Option<(usize, String)>,
    /// Value of the manifest's column `kind`.
    pub kind: Option<String>,
    /// Value of the manifest's column `group`.
    pub group: Option<String>,
}

/// A `manifest.csv` with the column `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Path of the file.
    pub path: PathBuf,
    /// Whether it has the column `same`.
    pub same: bool,
}
