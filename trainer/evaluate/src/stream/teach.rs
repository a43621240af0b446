//! Enrols the sounds of a cast as a user does: from clean files, or in the place itself.

use super::cast::Cast;
use super::trial_shape::{Taught, TrialShape};
use crate::controls::LoadedSet;
use anyhow::{Context, Result, anyhow};
use mtslvr_listen::capture::{SoundCutter, course};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{CLASS_NAME_BYTES, ClassId, Learner, Role};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::verifier::Course;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Number of patches of the place that make the background class.
pub const AMBIENT: usize = 10;

/// Seconds of the place before an example, enough to learn the background, and after it, enough for the
/// sound to end.
const BEFORE: f32 = 4.0;
const AFTER: f32 = 1.5;

/// Seconds at which a longer example is cut.
const LONGEST: f32 = 10.0;

/// Enrols the examples of `cast`, at the level that they have in a stream of `shape`, and a background
/// class of [`AMBIENT`] patches of `place`, which is made of the same recordings as the stream's
/// background. Returns the courses of the examples with their classes.
///
/// # Errors
/// If a clip cannot be embedded or enrolled.
pub fn teach<B: Backbone>(
    learner: &mut Learner,
    backbone: &mut B,
    sets: &[LoadedSet],
    cast: &Cast,
    shape: &TrialShape,
    place: &[f32],
    rng: &mut ChaCha8Rng,
) -> Result<Vec<(ClassId, Course)>> {
    let ambient = |length: usize, rng: &mut ChaCha8Rng| {
        let from = rng.random_range(0..=place.len().saturating_sub(length));
        &place[from..place.len().min(from + length)]
    };
    let frontend = *backbone.space().frontend();
    let mut courses = Vec::new();
    let samples_of = |seconds: f32| (seconds * shape.scenery.sample_rate as f32) as usize;
    for (&(set, class), examples) in cast.classes.iter().zip(&cast.examples) {
        let name = class_name(&sets[set], class);
        for example in examples {
            let clip = &sets[example.set].clips[example.clip];
            let gain = shape.scenery.gain(clip);
            let mut samples: Vec<f32> = clip.iter().map(|sample| gain * sample).collect();
            if shape.taught == Taught::InPlace {
                let (before, after) = (samples_of(BEFORE), samples_of(AFTER));
                let mut recording = ambient(before + samples.len() + after, rng).to_vec();
                let over = recording.iter_mut().skip(before).zip(&samples);
                over.for_each(|(to, sample)| *to += sample);
                let (quiet, sounding) = recording.split_at(before);
                samples = cut_out(quiet, sounding, &frontend)
                    .map_err(|error| anyhow!("an example of {name} cannot be heard: {error}"))?
                    .unwrap_or_else(|| sounding[..samples.len()].to_vec());
            }
            let embedding = embed_clip(backbone, &samples)
                .map_err(|error| anyhow!("an example of {name} cannot be embedded: {error}"))?;
            let class = learner
                .enrol(&name, &embedding)
                .with_context(|| format!("an example of {name} cannot be enrolled"))?;
            courses.push((class, course(&samples, &frontend)?));
        }
    }
    let patch = backbone.space().frontend().patch_samples();
    for _ in 0..AMBIENT {
        let embedding = embed_clip(backbone, ambient(patch, rng))
            .map_err(|error| anyhow!("the background cannot be embedded: {error}"))?;
        learner
            .enrol_role(Role::Background, &embedding)
            .context("the background cannot be enrolled")?;
    }
    learner.fit(&mut vec![0.0; learner.scratch_len()])?;
    Ok(courses)
}

/// Returns the longest sound that stands out of `sounding`, heard after `quiet`, if there is one.
fn cut_out(quiet: &[f32], sounding: &[f32], frontend: &FrontendConfig) -> Result<Option<Vec<f32>>> {
    let mut buffer = Vec::new();
    let mut cutter = SoundCutter::new(frontend, &mut buffer, LONGEST)?;
    cutter.push(quiet);
    Ok(cutter.push(sounding).into_iter().max_by_key(Vec::len))
}

/// Returns the name of an enrolled class: set and class, cut to the length of a name.
pub(super) fn class_name(set: &LoadedSet, class: usize) -> String {
    let mut name = format!("{} {}", set.name, set.classes[class]);
    while name.len() > CLASS_NAME_BYTES {
        name.pop();
    }
    name
}
