//! Loads many files on all cores.

use super::bounded::open_regular;
use super::cache::DecodeCache;
use super::container::{Kind, is_extension_of_sound};
use super::error::AudioError;
use super::region::Beginning;
use super::samples::Samples;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that was left out, and why. The message names the file.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Fault that was found.
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
    let io = |error| AudioError::Io {
        path: folder.to_owned(),
        action: "read",
        error,
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
    if is_extension_of_sound(extension) {
        return true;
    }
    // A few bytes prove too little against a name that says something else.
    if OTHERS.contains(&extension.to_ascii_lowercase().as_str()) {
        return false;
    }
    open_regular(path)
        .and_then(|mut file| Beginning::find(&mut file))
        .is_ok_and(|beginning| Kind::of(&beginning.bytes).is_some())
}

/// Ends of the names of files that hold no sound.
const OTHERS: [&str; 30] = [
    "avif", "bin", "bmp", "c", "csv", "dat", "gif", "h", "heic", "html", "jpeg", "jpg", "js",
    "json", "log", "md", "npy", "onnx", "pdf", "png", "py", "rs", "sh", "slvr", "toml", "tsv",
    "txt", "xml", "yaml", "zip",
];
