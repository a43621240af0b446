//! Folders as Python names them.

use mtslvr_audio::{AudioError, DecodeCache};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Takes one folder, or several.
pub fn folders(data: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    match data.extract() {
        Ok(folder) => Ok(vec![folder]),
        Err(_) => data.try_iter()?.map(|folder| folder?.extract()).collect(),
    }
}

/// Opens the folder in which decoded recordings are kept, if there is one.
pub fn cache(folder: Option<PathBuf>) -> Result<DecodeCache, AudioError> {
    folder.map_or(Ok(DecodeCache::NONE), |folder| {
        DecodeCache::in_folder(&folder)
    })
}
