//! Loads many files on all cores.

use super::cache::DecodeCache;
use super::container::Container;
use super::error::AudioError;
use super::samples::Samples;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that was left out, and why. The message names the file.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Fault that was found.
    #[source]
    pub error: AudioError,
}

/// Loads `paths` at `sample_rate` Hz through `cache` on all cores, keeping their order. `progress` gets
/// the number of files finished so far, from any thread. Returns index and samples of each file that
/// could be read, and the files that could not.
pub(super) fn load_paths(
    paths: &[&Path],
    sample_rate: u32,
    cache: &DecodeCache,
    progress: impl Fn(usize) + Sync,
) -> (Vec<(usize, Samples)>, Vec<Skipped>) {
    let finished = AtomicUsize::new(0);
    let results: Vec<_> = paths
        .par_iter()
        .map(|path| {
            let result = cache.load(path, sample_rate);
            progress(finished.fetch_add(1, Ordering::Relaxed) + 1);
            result
        })
        .collect();
    let (mut loaded, mut skipped) = (Vec::new(), Vec::new());
    for (index, (result, path)) in results.into_iter().zip(paths).enumerate() {
        match result {
            Ok(samples) => loaded.push((index, samples)),
            Err(error) => skipped.push(Skipped {
                path: path.to_path_buf(),
                error,
            }),
        }
    }
    (loaded, skipped)
}

/// Returns the entries of a folder, sorted by name, without hidden ones.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, AudioError> {
    let io = |source| AudioError::Io {
        path: folder.to_owned(),
        action: "read",
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Tells whether `path` counts as a recording: by its name, or by its first bytes. A file with the name
/// of a recording counts whatever is in it, so that loading reports it.
pub(super) fn is_recording(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "wav" | "wave" | "flac" | "ogg" | "oga" | "mp3" => return true,
        // Two bytes of MPEG sync prove too little against a name that says something else.
        "csv" | "txt" | "md" | "json" | "toml" | "xml" | "html" | "png" | "jpg" | "pdf" => {
            return false;
        }
        _ => (),
    }
    let mut start = [0; 12];
    File::open(path)
        .and_then(|mut file| file.read(&mut start))
        .is_ok_and(|read| Container::of(&start[..read]).is_some())
}
