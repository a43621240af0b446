//! A recording without a label, and what a manifest says of it.

use std::path::PathBuf;

/// One recording of an [`UnlabelledSet`](super::UnlabelledSet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlabelledClip {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is a recording of: the index of its manifest in [`UnlabelledSet::manifests`](super::UnlabelledSet::manifests), and the
    /// value of the column `same` there.
    pub same: Option<(usize, String)>,
    /// The manifest's column `kind`.
    pub kind: Option<String>,
    /// The manifest's column `group`.
    pub group: Option<String>,
}

/// A `manifest.csv` with the column `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it has the column `same`.
    pub same: bool,
}
