//! Labelled sets into memory, telling on standard error how it goes.

use super::progress;
use mtslvr_audio::{DecodeCache, LabelledSet};
use mtslvr_evaluate::LoadedSet;

/// Loads the clips of `set` at `sample_rate`; names those that cannot be read, and gives their number
/// beside the others.
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

/// What a report says where clips of a set could not be read.
pub(super) fn missing(set: &LabelledSet, skipped: usize) -> Option<String> {
    (skipped > 0).then(|| {
        format!(
            "{}: {skipped} of {} clips could not be read and are missing.",
            set.name,
            set.clips.len()
        )
    })
}
