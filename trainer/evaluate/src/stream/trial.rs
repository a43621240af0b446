//! Runs one stream from beginning to end: draws it, teaches its sounds and listens to it.

use super::cast::Cast;
use super::compose::{Composed, Occurrence, compose};
use super::run::{Recording, listen};
use super::teach::{AMBIENT, teach};
use super::trial_shape::TrialShape;
use crate::controls::LoadedSet;
use anyhow::Result;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
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

/// Composes the stream of `seed`, teaches its sounds and listens to it once with each of `configs`. A
/// seed gives the same sounds and background at every level.
///
/// # Errors
/// If the sets are too small or the backbone fails.
pub fn trial<B: Backbone>(
    backbone: &mut B,
    material: &Material,
    shape: &TrialShape,
    configs: &[ListenerConfig],
    seed: u64,
) -> Result<Trial> {
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
    let Composed { samples, sounds } = compose(sets, &cast, scenery, stream, &mut rng);

    // A copy, because the learner needs the backbone's statistics while the backbone runs.
    let space = backbone.space().into_owned();
    let examples = cast.examples.iter().map(Vec::len).sum::<usize>() + AMBIENT;
    let mut storage = StorageVec::new(cast.classes.len() + 1, examples, space.dim());
    let mut learner = Learner::new(storage.lend(), HeadKind::default(), space.as_space())?;
    let courses = teach(&mut learner, backbone, sets, &cast, shape, &place, &mut rng)?;
    let mut room = vec![Template::EMPTY; courses.len()];
    let mut verifier = Verifier::new(&mut room);
    for (class, course) in courses {
        verifier.add(Some(class), course)?;
    }
    let mut heard = Vec::new();
    for config in configs {
        heard.push(match shape.verified {
            true => listen(*config, &mut learner, &verifier, backbone, &samples)?,
            false => listen(*config, &mut learner, &(), backbone, &samples)?,
        });
    }
    let classes = cast.classes.iter();
    let classes =
        classes.map(|&(set, class)| (sets[set].name.clone(), sets[set].classes[class].clone()));
    Ok(Trial {
        classes: classes.collect(),
        sounds,
        heard,
    })
}
