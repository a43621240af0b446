//! Loads labelled sets into memory, with progress on standard error.

use super::progress;
use mtslvr_audio::{DecodeCache, LabelledSet};
use mtslvr_evaluate::LoadedSet;

/// Loads the clips of `set` at `sample_rate` Hz, names those that cannot be read, and returns the set and
/// their number.
pub(super) fn load(set: &LabelledSet, sample_rate: u32, cache: &DecodeCache) -> (LoadedSet, usize) {
    let bar = progress::files(set.clips.len() as u64, &format!("reading {}", set.name));
    let (loaded, skipped) = LoadedSet::load(set, sample_rate, cache, |done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    for file in &skipped {
        eprintln!("skipped: {file}");
    }
    (loaded, skipped.len())
}

/// Returns the note for a report on clips that could not be read, if there are any.
pub(super) fn missing(set: &LabelledSet, skipped: usize) -> Option<String> {
    (skipped > 0).then(|| {
        format!(
            "{}: {skipped} of {} clips could not be read and are missing.",
            set.name,
            set.clips.len()
        )
    })
}
