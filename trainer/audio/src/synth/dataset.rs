//! Writes a labelled set of synthetic sounds.

use super::super::atomic_file::UnfinishedFolder;
use super::super::error::AudioError;
use super::super::wav::write_wav;
use super::patch::Patch;
use super::voice::Family;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::fs;
use std::path::Path;

/// Sample rate of the files, Hz.
const SAMPLE_RATE: u32 = 16_000;

/// Deviation of a clip's parameters from those of its class.
const WITHIN_CLASS: f32 = 0.05;

/// Writes `classes` folders of `clips_per_class` WAV files (16 bit, 16 kHz, `seconds` long) below
/// `dir`. The families take turns, so that neighbouring classes differ in kind; the clips of a
/// class differ in onset, pitch, level and timbre. The same `seed` gives the same bytes. `dir` is there once the set is
/// whole; before that it may be there if it is empty.
///
/// # Errors
/// [`AudioError`] if a count or the length is impossible, something is in `dir`, or a file cannot be written.
pub fn write_dataset(
    dir: &Path,
    classes: usize,
    clips_per_class: usize,
    seconds: f32,
    seed: u64,
) -> Result<(), AudioError> {
    let request = |what, found: String, expected| {
        Err(AudioError::Request {
            path: dir.to_owned(),
            what,
            found,
            expected,
        })
    };
    if classes == 0 {
        return request("the number of classes", "0".into(), "at least 1");
    }
    if clips_per_class == 0 {
        return request("the number of clips", "0".into(), "at least 1");
    }
    // Written so that a NaN fails too.
    if !(0.05..=600.0).contains(&seconds) {
        return request("the length in seconds", seconds.to_string(), "0.05 to 600");
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| AudioError::Io {
            path,
            action: "written",
            error,
        }
    };
    let samples = (seconds * SAMPLE_RATE as f32) as usize;
    let set = UnfinishedFolder::new(dir).map_err(io(dir))?;
    (0..classes).into_par_iter().try_for_each(|class| {
        // Every class has its own stream, so that more classes leave the first ones as they are.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(class as u64);
        let family = Family::ALL[class % Family::ALL.len()];
        let patch = Patch::random_of(family, &mut rng);
        let folder = set.path().join(format!("{class:03}_{}", family.name()));
        // Not with the folders above it: those are gone when the program is interrupted.
        fs::create_dir(&folder).map_err(io(&folder))?;
        for clip in 0..clips_per_class {
            let sound = patch.perturb(WITHIN_CLASS, &mut rng);
            let sound = sound.render(samples, SAMPLE_RATE, &mut rng);
            write_wav(&folder.join(format!("{clip:03}.wav")), &sound, SAMPLE_RATE)?;
        }
        Ok(())
    })?;
    set.finish().map_err(io(dir))
}

#[cfg(test)]
mod tests {
    use super::super::super::{DecodeCache, LabelledSet};
    use super::*;

    #[test]
    fn a_set_is_written_as_asked_and_again_the_same() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_dataset(one.path(), 9, 3, 0.5, 7).unwrap();
        write_dataset(two.path(), 9, 3, 0.5, 7).unwrap();
        let set = LabelledSet::open(one.path()).unwrap();
        assert_eq!((set.classes.len(), set.clips.len()), (9, 27));
        let (clips, skipped) = set.load_all(16_000, &DecodeCache::NONE, |_| ());
        assert!(skipped.is_empty());
        assert!(clips.iter().all(|(_, samples)| samples.len() == 8000));
        let (again, _) =
            LabelledSet::open(two.path())
                .unwrap()
                .load_all(16_000, &DecodeCache::NONE, |_| ());
        assert_eq!(clips, again);
        assert_ne!(clips[0].1, clips[1].1);
    }

    #[test]
    fn impossible_requests_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_dataset(dir.path(), 0, 1, 1.0, 1).is_err());
        assert!(write_dataset(dir.path(), 1, 0, 1.0, 1).is_err());
        let error = write_dataset(dir.path(), 1, 1, f32::NAN, 1).unwrap_err();
        assert!(error.to_string().contains("0.05 to 600"));
    }
}
