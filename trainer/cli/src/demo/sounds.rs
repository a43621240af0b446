//! The sounds that the demo trains on, enrols and asks about; no clip that is tested is trained on.

use crate::sets;
use anyhow::{Result, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_audio::synth::{Family, Patch};
use mtslvr_audio::{DecodeCache, LabelledSet, Recordings};
use mtslvr_evaluate::{Candidate, Episode, EpisodeSampler, EpisodeShape, LoadedSet};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Sounds to enrol, if there are as many.
const ENROLLED: usize = 5;
/// Most questions about each.
const QUERIES: usize = 12;
/// Classes of synthetic sounds that are tested, the enrolled ones among them.
const CLASSES: usize = 24;
/// Clips of each.
const CLIPS: usize = 12;
/// Synthetic clips that are never enrolled, where the user's recordings have no class to spare.
const STRANGERS: usize = 40;
/// Distance between the parameters of the clips of one synthetic sound.
const WITHIN_CLASS: f32 = 0.03;
/// Share of the user's clips of a class that are held out for the test.
const HELD_OUT: f64 = 0.35;

/// The demo's audio.
pub(super) struct Sounds {
    /// Sample rate of every clip, Hz.
    pub(super) sample_rate: u32,
    /// Unlabelled clips to train on beside the synthesiser; may be empty.
    pub(super) training: Arc<Recordings>,
    /// Names the sounds trained on, for a sentence.
    pub(super) training_source: String,
    /// Held-out classes and clips.
    pub(super) set: LoadedSet,
    /// The clips among them that are enrolled, one of each sound, and asked about.
    pub(super) episode: Episode,
    /// Clips of sounds that are not enrolled.
    pub(super) strangers: Vec<Vec<f32>>,
    /// Names the strangers, for a sentence.
    pub(super) strangers_source: String,
}

/// Returns a generator for the demo's sounds, apart from those that training draws from.
fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6865_6c64_5f6f_7574);
    rng.set_stream(stream);
    rng
}

impl Sounds {
    /// Synthesises everything. The tested sounds are patches of their own: training draws each of its
    /// patches anew and does not meet them.
    pub(super) fn synthetic(sample_rate: u32, seed: u64) -> Self {
        let made: Vec<(String, Vec<Vec<f32>>)> = (0..CLASSES)
            .into_par_iter()
            .map(|class| {
                let mut rng = generator(seed, class as u64);
                let family = Family::ALL[class % Family::ALL.len()];
                let patch = Patch::random_of(family, &mut rng);
                let clips = (0..CLIPS).map(|_| {
                    let sound = patch.perturb(WITHIN_CLASS, &mut rng);
                    sound.render(sample_rate as usize, sample_rate, &mut rng)
                });
                let clips = clips.collect();
                let number = class / Family::ALL.len() + 1;
                (
                    format!("{} {number}", family.name().replace('_', " ")),
                    clips,
                )
            })
            .collect();
        let mut set = LoadedSet {
            name: "synthetic sounds".into(),
            classes: made.iter().map(|(name, _)| name.clone()).collect(),
            candidates: Vec::new(),
            clips: Vec::new(),
        };
        for (class, (_, clips)) in made.into_iter().enumerate() {
            set.candidates
                .extend(clips.iter().map(|_| Candidate { class, group: None }));
            set.clips.extend(clips);
        }
        let episode = draw(&set, seed).expect("the classes have clips enough");
        let strangers = other_classes(&set, &episode);
        Self {
            sample_rate,
            training: Arc::default(),
            training_source: "the built-in synthesiser's sounds".into(),
            set,
            episode,
            strangers,
            strangers_source: "synthetic sounds of other classes".into(),
        }
    }

    /// Loads the user's recordings in `folder`. If something `trains`, some clips of each class (whole
    /// groups, where a manifest gives groups) are held out for the test, and the others are trained on
    /// without their labels; otherwise all are for the test.
    pub(super) fn from_folder(
        folder: &Path,
        sample_rate: u32,
        seed: u64,
        trains: bool,
    ) -> Result<Self> {
        let found = LabelledSet::open(folder)?;
        let (mut all, skipped) = sets::load(&found, sample_rate, &DecodeCache::NONE);
        if skipped > 0 {
            errln!("{skipped} of {} files skipped.", found.clips.len());
        }
        ensure!(
            all.classes.len() >= 2,
            "{}: {} class found, expected at least 2; make a folder for each class (DIR/<class>/<clip>)",
            folder.shown(),
            all.classes.len()
        );
        let held_out = match trains {
            true => hold_out(&all.candidates, all.classes.len(), seed),
            false => vec![true; all.clips.len()],
        };
        let mut set = LoadedSet {
            name: all.name.clone(),
            classes: all.classes.clone(),
            candidates: Vec::new(),
            clips: Vec::new(),
        };
        let mut training = Vec::new();
        for (index, clip) in std::mem::take(&mut all.clips).into_iter().enumerate() {
            if held_out[index] {
                set.candidates.push(all.candidates[index].clone());
                set.clips.push(clip);
            } else {
                training.push(clip);
            }
        }
        let episode = draw(&set, seed)?;
        let mut strangers = other_classes(&set, &episode);
        let mut strangers_source = format!("clips of other classes of {}", set.name);
        if strangers.is_empty() {
            strangers = (0..STRANGERS as u64)
                .into_par_iter()
                .map(|clip| {
                    let mut rng = generator(seed, clip);
                    Patch::random(&mut rng).render(sample_rate as usize, sample_rate, &mut rng)
                })
                .collect();
            strangers_source = "synthetic sounds (every class of yours is enrolled)".into();
        }
        let training_source = if training.is_empty() {
            "the built-in synthesiser's sounds (all your clips are needed for the test)".into()
        } else {
            format!(
                "{} of your {} clips and the built-in synthesiser",
                training.len(),
                held_out.len()
            )
        };
        Ok(Self {
            sample_rate,
            training: Arc::new(training.into()),
            training_source,
            set,
            episode,
            strangers,
            strangers_source,
        })
    }

    /// Names of the enrolled classes.
    pub(super) fn enrolled(&self) -> Vec<&str> {
        let classes = self.episode.classes.iter();
        classes.map(|&c| self.set.classes[c].as_str()).collect()
    }
}

/// Draws what is enrolled and asked about.
fn draw(set: &LoadedSet, seed: u64) -> Result<Episode> {
    let shape = EpisodeShape {
        ways: set.classes.len().min(ENROLLED),
        shots: 1,
        queries: QUERIES,
    };
    let sampler = EpisodeSampler::new(&set.name, &set.classes, &set.candidates, shape, seed)?;
    Ok(sampler.episode(0)?)
}

/// Returns the clips of the classes that are not enrolled.
fn other_classes(set: &LoadedSet, episode: &Episode) -> Vec<Vec<f32>> {
    let clips = set.clips.iter().zip(&set.candidates);
    let others = clips.filter(|(_, candidate)| !episode.classes.contains(&candidate.class));
    others.map(|(clip, _)| clip.clone()).collect()
}

/// Chooses the clips to hold out: about [`HELD_OUT`] of every class, at least two, from at least two
/// groups where there are so many; all clips of a group, or none.
fn hold_out(candidates: &[Candidate], classes: usize, seed: u64) -> Vec<bool> {
    // A clip without a group is a group of its own.
    let group = |index: usize| match &candidates[index].group {
        Some(name) => (0, name.clone()),
        None => (index + 1, String::new()),
    };
    let mut chosen = HashSet::new();
    for class in 0..classes {
        let members: Vec<usize> = (0..candidates.len())
            .filter(|&i| candidates[i].class == class)
            .collect();
        let wanted = ((members.len() as f64 * HELD_OUT).round() as usize).max(2);
        let mut order = members.clone();
        order.shuffle(&mut generator(seed, u64::MAX - class as u64));
        for &candidate in &order {
            let held: Vec<_> = members
                .iter()
                .map(|&i| group(i))
                .filter(|g| chosen.contains(g))
                .collect();
            let groups: HashSet<_> = held.iter().collect();
            if held.len() >= wanted && groups.len() >= 2 {
                break;
            }
            chosen.insert(group(candidate));
        }
    }
    (0..candidates.len())
        .map(|i| chosen.contains(&group(i)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_audio::synth::write_dataset;

    #[test]
    fn the_seed_decides_the_synthetic_sounds() {
        let a = Sounds::synthetic(8000, 3);
        assert_eq!(a.set.clips, Sounds::synthetic(8000, 3).set.clips);
        assert_ne!(a.set.clips, Sounds::synthetic(8000, 4).set.clips);
        assert_eq!(a.episode.support.len(), ENROLLED);
        assert_eq!(a.strangers.len(), (CLASSES - ENROLLED) * CLIPS);
    }

    #[test]
    fn what_is_tested_is_not_trained_on() {
        let root = tempfile::tempdir().unwrap();
        write_dataset(root.path(), 3, 8, 0.1, 1).unwrap();
        let sounds = Sounds::from_folder(root.path(), 16_000, 1, true).unwrap();
        assert_eq!(sounds.set.clips.len(), 9);
        assert_eq!(sounds.training.clips.len(), 15);
        let trained: Vec<_> = sounds
            .training
            .clips
            .iter()
            .map(mtslvr_audio::Samples::to_vec)
            .collect();
        assert!(sounds.set.clips.iter().all(|clip| !trained.contains(clip)));
        assert_eq!(sounds.episode.support.len(), 3);
        assert_eq!(sounds.strangers.len(), STRANGERS);
        // Where nothing trains, all are for the test.
        let sounds = Sounds::from_folder(root.path(), 16_000, 1, false).unwrap();
        assert_eq!(
            (sounds.set.clips.len(), sounds.training.clips.len()),
            (24, 0)
        );
    }

    #[test]
    fn groups_are_held_out_whole() {
        let candidates: Vec<_> = (0..60)
            .map(|i| Candidate {
                class: i % 3,
                group: Some(format!("speaker {}", i / 12)),
            })
            .collect();
        let held = hold_out(&candidates, 3, 1);
        for (a, first) in candidates.iter().zip(&held) {
            for (b, second) in candidates.iter().zip(&held) {
                assert!(a.group != b.group || first == second);
            }
        }
        assert_eq!(
            held.iter().filter(|&&h| h).count(),
            24,
            "two speakers of five"
        );
    }

    #[test]
    fn the_smallest_folder_works_and_a_smaller_one_says_why_not() {
        let root = tempfile::tempdir().unwrap();
        write_dataset(root.path(), 2, 2, 0.1, 1).unwrap();
        let sounds = Sounds::from_folder(root.path(), 16_000, 1, true).unwrap();
        assert!(sounds.training.clips.is_empty());
        let class = std::fs::read_dir(root.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        std::fs::remove_file(class.join("000.wav")).unwrap();
        let error = Sounds::from_folder(root.path(), 16_000, 1, true)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("1 clips, and 1 shots need 2"), "{error}");
        std::fs::remove_dir_all(&class).unwrap();
        let error = Sounds::from_folder(root.path(), 16_000, 1, true)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("expected at least 2"), "{error}");
    }
}
