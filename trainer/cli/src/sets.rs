//! Loads labelled sets into memory, with progress on standard error.

use super::progress;
use mtslvr_audio::{DecodeCache, LabelledSet, Skipped};
use mtslvr_evaluate::{LoadedSet, missing_note};
use std::collections::HashSet;
use std::path::Path;

/// Loads the clips of `set` at `sample_rate` Hz, names those that cannot be read, and returns the set and
/// their number.
pub(super) fn load(set: &LabelledSet, sample_rate: u32, cache: &DecodeCache) -> (LoadedSet, usize) {
    let what = format!("reading {}", set.name);
    let bar = progress::step(set.clips.len() as u64, "clips", &what);
    let (loaded, skipped) = LoadedSet::load(set, sample_rate, cache, |done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    for file in &skipped {
        errln!("skipped: {file}");
    }
    if let Some(note) = missing_note(set, skipped.len()) {
        errln!("{note} By class: {}.", by_class(set, &skipped));
    }
    (loaded, skipped.len())
}

/// Returns how many clips each class has lost, for a sentence.
fn by_class(set: &LabelledSet, skipped: &[Skipped]) -> String {
    let paths: HashSet<&Path> = skipped.iter().map(|file| file.path.as_path()).collect();
    let of_class = |class: usize| set.clips.iter().filter(move |clip| clip.class == class);
    let lost = set.classes.iter().enumerate().filter_map(|(class, name)| {
        let clips = of_class(class).count();
        let lost = of_class(class)
            .filter(|clip| paths.contains(clip.path.as_path()))
            .count();
        (lost > 0).then(|| format!("{name} {lost} of {clips}"))
    });
    lost.collect::<Vec<_>>().join(", ")
}
