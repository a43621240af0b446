//! Synthetic sounds to try the package with.

use crate::error::raised;
use anyhow::{Result, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_audio::synth::write_dataset;
use pyo3::prelude::*;
use std::path::PathBuf;

/// Makes a labelled set of synthetic sounds to try the package with, as ``mtslvr synth`` does.
///
/// Writes ``folder/<class>/<clip>.wav``, 16 bit, mono, 16 kHz: a set for :func:`evaluate`, and recordings for
/// :meth:`Learner.enrol`.
///
/// Parameters
/// ----------
/// folder:
///     Folder to write, made if it does not exist; it must be empty.
/// classes, clips, seconds:
///     Number of classes, clips of each, and their length.
/// seed:
///     The same seed makes the same sounds.
#[pyfunction]
#[pyo3(signature = (folder, *, classes=10, clips=20, seconds=1.0, seed=1))]
pub fn synth(
    py: Python<'_>,
    folder: PathBuf,
    classes: usize,
    clips: usize,
    seconds: f32,
    seed: u64,
) -> PyResult<()> {
    let write = || -> Result<()> {
        // Sounds of an earlier run would become classes of this one.
        let in_use = folder.is_dir() && std::fs::read_dir(&folder)?.next().is_some();
        ensure!(
            !in_use,
            "{}: the folder is not empty; expected a new or an empty one; name another folder",
            folder.shown()
        );
        Ok(write_dataset(&folder, classes, clips, seconds, seed)?)
    };
    py.detach(write).map_err(raised)
}
