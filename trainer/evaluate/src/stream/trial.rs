//! One stream from beginning to end: drawn, taught and listened to.

use super::calibrate::calibrate;
use super::cast::Cast;
use super::compose::{Composed, Occurrence, compose};
use super::run::{Recording, listen};
use super::teach::Lessons;
use super::trial_shape::TrialShape;
use crate::controls::LoadedSet;
use anyhow::Result;
use mtslvr_audio::round_to_16_bits;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::ListenerConfig;
use mtslvr_runtime::verifier::{Template, Verifier};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Seconds of the place, from which the background is learned and over which examples are recorded.
const PLACE: f32 = 60.0;

/// Material of streams.
#[derive(Clone, Debug)]
pub struct Material {
    /// The labelled sets.
    pub sets: Vec<LoadedSet>,
    /// Whether the classes of each set may be enrolled; all are heard as other sounds.
    pub enrol: Vec<bool>,
    /// Classes that are only background, each as a set and a class in it.
    pub background: Vec<(usize, usize)>,
}

/// A stream that was listened to.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Names of the enrolled sounds: set and class.
    pub classes: Vec<(String, String)>,
    /// Sounds of the stream.
    pub sounds: Vec<Occurrence>,
    /// Result of listening with each of the settings asked for.
    pub heard: Vec<Recording>,
}

/// A stream, and what is taught before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Names of the enrolled sounds: set and class.
    pub classes: Vec<(String, String)>,
    /// The samples and the sounds in them.
    pub composed: Composed,
    /// Examples of the enrolled sounds, and of the place.
    pub lessons: Lessons,
    /// The place without sounds, by which thresholds are set; empty for none.
    pub calibration: Vec<f32>,
}

impl Stream {
    /// Composes the stream of `seed`. A seed gives the same sounds and background at every level.
    ///
    /// # Errors
    /// If the sets are too small, or the frontend cannot hear an example.
    pub fn compose(
        material: &Material,
        shape: &TrialShape,
        frontend: &FrontendConfig,
        seed: u64,
    ) -> Result<Self> {
        let Material {
            sets,
            enrol,
            background,
        } = material;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cast = Cast::draw(sets, enrol, background, shape.cast, &mut rng)?;
        let scenery = &shape.scenery;
        let samples = |seconds: f32| (seconds * scenery.sample_rate as f32) as usize;
        let place = scenery.background(sets, background, samples(PLACE), &mut rng);
        let stream = scenery.background(sets, background, samples(scenery.seconds), &mut rng);
        // Of a generator of its own: all else is drawn as it is without it.
        let mut own = rng.clone();
        own.set_stream(2);
        let calibration = samples(shape.calibration);
        let calibration = scenery.background(sets, background, calibration, &mut own);
        let composed = compose(sets, &cast, scenery, stream, &mut rng);
        let classes = cast.classes.iter();
        let classes =
            classes.map(|&(set, class)| (sets[set].name.clone(), sets[set].classes[class].clone()));
        Ok(Self {
            classes: classes.collect(),
            composed,
            lessons: Lessons::draw(sets, &cast, shape, &place, frontend, &mut rng)?,
            calibration,
        })
    }

    /// Rounds every sample to the value that a file of 16 bits keeps.
    pub fn round_to_16_bits(&mut self) {
        round_to_16_bits(&mut self.composed.samples);
        round_to_16_bits(&mut self.calibration);
        for example in self.lessons.samples_mut() {
            round_to_16_bits(example);
        }
    }

    /// Teaches the sounds, calibrates if `shape` says so, and listens to the stream once with each of `configs`; where
    /// `shape` says so, a verifier takes a second look at what is about to be recognised.
    ///
    /// # Errors
    /// If the backbone fails, or an example cannot be enrolled.
    pub fn listen<B: Backbone>(
        &self,
        backbone: &mut B,
        shape: &TrialShape,
        configs: &[ListenerConfig],
    ) -> Result<Trial> {
        // A copy, because the learner needs the backbone's statistics while the backbone runs.
        let space = backbone.space().into_owned();
        let classes = self.classes.len() + 1;
        let mut storage = StorageVec::new(classes, self.lessons.examples(), space.dim());
        let mut learner = Learner::new(storage.lend(), HeadKind::default(), space.as_space())?;
        let courses = self.lessons.teach(&mut learner, backbone)?;
        let mut room = vec![Template::EMPTY; courses.len()];
        let mut verifier = Verifier::new(&mut room);
        for (class, course) in courses {
            verifier.add(Some(class), course)?;
        }
        let samples = &self.composed.samples;
        // With the settings that count: the others are compared with them.
        let calibrated = !self.calibration.is_empty();
        if let Some(config) = configs.first().filter(|_| calibrated) {
            calibrate(*config, &mut learner, backbone, &self.calibration)?;
        }
        let mut heard = Vec::new();
        for config in configs {
            heard.push(match shape.verified {
                true => listen(*config, &mut learner, &verifier, backbone, samples)?,
                false => listen(*config, &mut learner, &(), backbone, samples)?,
            });
        }
        Ok(Trial {
            classes: self.classes.clone(),
            sounds: self.composed.sounds.clone(),
            heard,
        })
    }
}
