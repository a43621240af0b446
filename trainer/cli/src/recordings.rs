//! Loads recordings without labels into memory, with progress on standard error.

use super::progress;
use anyhow::{Result, bail};
use mtslvr_audio::{DecodeCache, Licences, Recordings, UnlabelledSet};
use std::path::PathBuf;

/// Loads every recording below `folders` that is not held out, at `sample_rate` Hz; with `no_gpl` only
/// those that a manifest marks as free of the GPL. Names the files that cannot be read.
///
/// # Errors
/// If a folder is missing or holds no recording, or if none can be read.
pub(super) fn load(
    folders: &[PathBuf],
    no_gpl: bool,
    sample_rate: u32,
    cache: &DecodeCache,
) -> Result<Recordings> {
    let licences = if no_gpl {
        Licences::NotGpl
    } else {
        Licences::Any
    };
    let looking = progress::waiting("looking for recordings");
    let set = UnlabelledSet::for_training(folders, licences)?;
    looking.finish_and_clear();
    let bar = progress::step(set.clips.len() as u64, "files", "reading recordings");
    let (recordings, skipped) =
        set.load_all(sample_rate, cache, |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    for file in &skipped {
        errln!("skipped: {file}");
    }
    let held_out = match set.held_out {
        0 => String::new(),
        count => format!("{count} held out by the column `split`; "),
    };
    errln!(
        "{}; {held_out}{} files skipped.",
        describe(&recordings, sample_rate),
        skipped.len()
    );
    if recordings.clips.is_empty() {
        let folders: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        bail!(
            "{}: none of the {} recordings can be read; the lines above \
             say what is wrong with each",
            folders.join(", "),
            skipped.len()
        );
    }
    Ok(recordings)
}

/// Returns the number of recordings, hours and groups, for a sentence.
pub(super) fn describe(recordings: &Recordings, sample_rate: u32) -> String {
    let hours = recordings.total_samples() as f64 / f64::from(sample_rate) / 3600.0;
    let groups = match recordings.groups.len() {
        0 => String::new(),
        count => format!(
            ", {} of them in {count} groups of one thing",
            recordings.grouped()
        ),
    };
    format!(
        "{} recordings ({hours:.2} h){groups}",
        recordings.clips.len()
    )
}
