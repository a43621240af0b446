//! Enrols the sounds of a cast as a user does: from clean files, or in the place itself.

use super::cast::Cast;
use super::microphone::Microphone;
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

/// Sounds that are taught before a stream, as they are embedded.
#[derive(Clone, Debug, PartialEq)]
pub struct Lessons {
    /// The enrolled classes in order: name, and examples cut to their sound.
    pub classes: Vec<(String, Vec<Vec<f32>>)>,
    /// Patches of the place, which make the background class.
    pub ambient: Vec<Vec<f32>>,
}

impl Lessons {
    /// Cuts the examples of `cast`, at the level that they have in a stream of `shape`, and [`AMBIENT`]
    /// patches of `place`, which is made of the same recordings as the stream's background.
    ///
    /// # Errors
    /// If the frontend cannot hear an example.
    pub fn draw(
        sets: &[LoadedSet],
        cast: &Cast,
        shape: &TrialShape,
        place: &[f32],
        frontend: &FrontendConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let ambient = |length: usize, rng: &mut ChaCha8Rng| {
            let from = rng.random_range(0..=place.len().saturating_sub(length));
            place[from..place.len().min(from + length)].to_vec()
        };
        let samples_of = |seconds: f32| (seconds * shape.scenery.sample_rate as f32) as usize;
        // Of a generator of its own: all else is drawn as it is without it.
        let mut own = rng.clone();
        own.set_stream(1);
        let microphone = Microphone::draw(shape.scenery.sample_rate, &mut own);
        let lesson = |clip: &[f32], by_another: bool, rng: &mut ChaCha8Rng| {
            let gain = shape.scenery.gain(clip);
            let samples: Vec<f32> = clip.iter().map(|sample| gain * sample).collect();
            if shape.taught == Taught::Clean {
                return Ok(samples);
            }
            let (before, after) = (samples_of(BEFORE), samples_of(AFTER));
            let mut recording = ambient(before + samples.len() + after, rng);
            let over = recording.iter_mut().skip(before).zip(&samples);
            over.for_each(|(to, sample)| *to += sample);
            if by_another {
                microphone.record(&mut recording);
            }
            let (quiet, sounding) = recording.split_at(before);
            let cut = cut_out(quiet, sounding, frontend)?;
            anyhow::Ok(cut.unwrap_or_else(|| sounding[..samples.len()].to_vec()))
        };
        let mut classes = Vec::new();
        for (&(set, class), examples) in cast.classes.iter().zip(&cast.examples) {
            let name = class_name(&sets[set], class);
            let clips = examples
                .iter()
                .map(|example| &sets[example.set].clips[example.clip]);
            let by_another = shape.taught.by_another();
            let mut taught: Vec<_> = clips.map(|clip| (clip, by_another)).collect();
            if shape.taught == Taught::OnceMore {
                taught.extend(taught.first().map(|&(clip, _)| (clip, false)));
            }
            let mut cut = Vec::new();
            for (clip, by_another) in taught {
                let samples = lesson(clip, by_another, rng)
                    .map_err(|error| anyhow!("an example of {name} cannot be heard: {error}"))?;
                cut.push(samples);
            }
            classes.push((name, cut));
        }
        let patch = frontend.patch_samples();
        Ok(Self {
            classes,
            ambient: (0..AMBIENT).map(|_| ambient(patch, rng)).collect(),
        })
    }

    /// Returns the number of examples, those of the background class included.
    pub fn examples(&self) -> usize {
        let of_classes = self.classes.iter().map(|(_, examples)| examples.len());
        of_classes.sum::<usize>() + self.ambient.len()
    }

    /// Returns every example, those of the background class last.
    pub(super) fn samples_mut(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        let classes = self.classes.iter_mut();
        classes
            .flat_map(|(_, examples)| examples)
            .chain(&mut self.ambient)
    }

    /// Enrols all examples, and returns the courses of those of the classes.
    ///
    /// # Errors
    /// If an example cannot be embedded or enrolled.
    pub fn teach<B: Backbone>(
        &self,
        learner: &mut Learner,
        backbone: &mut B,
    ) -> Result<Vec<(ClassId, Course)>> {
        let frontend = *backbone.space().frontend();
        let mut courses = Vec::new();
        for (name, examples) in &self.classes {
            for samples in examples {
                let embedding = embed_clip(backbone, samples)
                    .map_err(|error| anyhow!("an example of {name} cannot be embedded: {error}"))?;
                let class = learner
                    .enrol(name, &embedding)
                    .with_context(|| format!("an example of {name} cannot be enrolled"))?;
                courses.push((class, course(samples, &frontend)?));
            }
        }
        for samples in &self.ambient {
            let embedding = embed_clip(backbone, samples)
                .map_err(|error| anyhow!("the background cannot be embedded: {error}"))?;
            learner
                .enrol_role(Role::Background, &embedding)
                .context("the background cannot be enrolled")?;
        }
        learner.fit(&mut vec![0.0; learner.scratch_len()])?;
        Ok(courses)
    }
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
