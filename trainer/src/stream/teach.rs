//! Enrols the sounds of a cast, as a user does: in silence from files, or in the place itself.

use super::cast::Cast;
use super::trial::TrialShape;
use crate::evaluate::LoadedSet;
use anyhow::{Context, Result, anyhow};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{CLASS_NAME_BYTES, Learner, Role};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Patches of the place that make the background class.
pub const AMBIENT: usize = 10;

/// Where sounds are taught.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Taught {
    /// Where the stream is heard: over its background.
    #[default]
    InPlace,
    /// From recordings as they are, without background.
    Clean,
}

/// Enrols the examples of `cast`, at the level that they have in a stream of `shape`, and a background class
/// of [`AMBIENT`] patches of `place`: other seconds of what the stream's background is made of.
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
) -> Result<()> {
    let ambient = |length: usize, rng: &mut ChaCha8Rng| {
        let from = rng.random_range(0..=place.len().saturating_sub(length));
        &place[from..place.len().min(from + length)]
    };
    for (&(set, class), examples) in cast.classes.iter().zip(&cast.examples) {
        let name = class_name(&sets[set], class);
        for example in examples {
            let clip = &sets[example.set].clips[example.clip];
            let gain = shape.scenery.gain(clip);
            let mut samples: Vec<f32> = clip.iter().map(|sample| gain * sample).collect();
            if shape.taught == Taught::InPlace {
                let place = ambient(samples.len(), rng);
                samples.iter_mut().zip(place).for_each(|(to, x)| *to += x);
            }
            let embedding = embed_clip(backbone, &samples)
                .map_err(|error| anyhow!("an example of {name} cannot be embedded: {error}"))?;
            learner
                .enrol(&name, &embedding)
                .with_context(|| format!("an example of {name} cannot be enrolled"))?;
        }
    }
    let patch = backbone.frontend().patch_samples();
    for _ in 0..AMBIENT {
        let embedding = embed_clip(backbone, ambient(patch, rng))
            .map_err(|error| anyhow!("the background cannot be embedded: {error}"))?;
        learner
            .enrol_role(Role::Background, &embedding)
            .context("the background cannot be enrolled")?;
    }
    learner.fit(&mut vec![0.0; learner.scratch_len()])?;
    Ok(())
}

/// What an enrolled class is called: set and class, as much as a name may hold.
pub(super) fn class_name(set: &LoadedSet, class: usize) -> String {
    let mut name = format!("{} {}", set.name, set.classes[class]);
    while name.len() > CLASS_NAME_BYTES {
        name.pop();
    }
    name
}
