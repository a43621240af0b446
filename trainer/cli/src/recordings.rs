//! Loads recordings without labels into memory, with progress on standard error.

use super::progress;
use anyhow::{Result, bail};
use mtslvr_audio::{DecodeCache, Licences, UnlabelledSet};
use std::path::PathBuf;

/// Loads every recording below `folders` at `sample_rate` Hz, or with `no_gpl` those that a manifest
/// marks as free of the GPL. Names the files that cannot be read.
///
/// # Errors
/// If a folder is missing or holds no recording, or if none can be read.
pub(super) fn load(
    folders: &[PathBuf],
    no_gpl: bool,
    sample_rate: u32,
    cache: &DecodeCache,
) -> Result<Vec<Vec<f32>>> {
    let licences = if no_gpl {
        Licences::NotGpl
    } else {
        Licences::Any
    };
    let set = UnlabelledSet::open_licensed(folders, licences)?;
    let bar = progress::files(set.clips.len() as u64, "reading recordings");
    let (clips, skipped) = set.load_all(sample_rate, cache, |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    for file in &skipped {
        eprintln!("skipped: {file}");
    }
    let seconds = clips.iter().map(Vec::len).sum::<usize>() as f64 / f64::from(sample_rate);
    eprintln!(
        "{} recordings, {:.2} hours; {} files skipped.",
        clips.len(),
        seconds / 3600.0,
        skipped.len()
    );
    if clips.is_empty() {
        let folders: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        bail!(
            "{}: none of the {} recordings can be read; expected WAV, FLAC, Ogg Vorbis or MP3; the \
             lines above say what is wrong with each",
            folders.join(", "),
            skipped.len()
        );
    }
    Ok(clips)
}
