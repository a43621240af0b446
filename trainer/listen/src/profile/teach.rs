//! Makes an example of a recording, or says why not.

use super::error::ProfileError;
use super::name::{as_taught, check_name};
use super::place::ClassLabel;
use crate::capture::{Cut, Take};
use mtslvr_audio::{EmbedError, Reader, embed};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::{self, ClipError, Levels, embed_clip};
use mtslvr_runtime::fewshot::{Class, ClassId, Learner, Limits, Refusal, Role, direction};

/// A recording, measured and embedded.
#[derive(Clone, Debug)]
pub struct Recording {
    levels: Levels,
    sample_rate: u32,
    embedding: Vec<f32>,
    /// The part of a longer recording that this is, and the length of that, seconds.
    cut: Option<(Cut, f32)>,
    /// Sounds that were found in the whole recording; none were looked for if it is used as it is.
    sounds: Option<usize>,
}

impl Recording {
    /// Embeds the part `cut` of the recording `samples`, in which `take` found the sounds.
    ///
    /// # Errors
    /// If it is empty, or the backbone fails.
    pub fn of_cut<B: Backbone>(
        backbone: &mut B,
        samples: &[f32],
        take: &Take,
        cut: Cut,
    ) -> Result<Self, ClipError<B::Error>> {
        let sample_rate = backbone.space().frontend().sample_rate;
        Ok(Self {
            levels: clip::levels(cut.of(samples, sample_rate)),
            sample_rate,
            embedding: embed_clip(backbone, take.samples(cut))?,
            cut: Some((cut, samples.len() as f32 / sample_rate as f32)),
            sounds: Some(take.cuts().len()),
        })
    }

    /// Embeds the main sound that `take` found in the recording `samples`; all of the recording where there is
    /// none, to be refused ([`NotLearnt::NoSound`]).
    ///
    /// # Errors
    /// If it is empty, or the backbone fails.
    pub fn of_main_sound<B: Backbone>(
        backbone: &mut B,
        samples: &[f32],
        take: &Take,
    ) -> Result<Self, ClipError<B::Error>> {
        match take.main() {
            Some(cut) => Self::of_cut(backbone, samples, take, cut),
            None => Ok(Self {
                sounds: Some(0),
                ..Self::new(backbone, samples)?
            }),
        }
    }

    /// Says that this is a part of a recording of `whole` seconds with so many `sounds`, whose samples began at
    /// `start` in it, seconds.
    #[must_use]
    pub fn within(mut self, start: f64, whole: f32, sounds: usize) -> Self {
        self.cut = self.cut.map(|(cut, _)| {
            let cut = Cut {
                start: cut.start + start,
                end: cut.end + start,
            };
            (cut, whole)
        });
        self.sounds = Some(sounds);
        self
    }

    /// Returns the part of a longer recording that this is, and the length of that in seconds.
    pub fn cut(&self) -> Option<(Cut, f32)> {
        self.cut
    }

    /// Returns the number of sounds that were found in the whole recording; `None` if none were looked for.
    pub fn sounds(&self) -> Option<usize> {
        self.sounds
    }

    /// Returns its embedding.
    pub fn embedding(&self) -> &[f32] {
        &self.embedding
    }

    /// Embeds `samples`, which are at the rate of `backbone`'s features.
    ///
    /// # Errors
    /// If there are none, or the backbone fails.
    pub fn new<B: Backbone>(
        backbone: &mut B,
        samples: &[f32],
    ) -> Result<Self, ClipError<B::Error>> {
        Ok(Self {
            levels: clip::levels(samples),
            sample_rate: backbone.space().frontend().sample_rate,
            embedding: embed_clip(backbone, samples)?,
            cut: None,
            sounds: None,
        })
    }

    /// Embeds the recording that `reader` gives, in memory that does not grow with it.
    ///
    /// # Errors
    /// If it cannot be read to its end, or the backbone fails.
    pub fn read<B: Backbone>(
        backbone: &mut B,
        reader: Reader,
    ) -> Result<Self, EmbedError<B::Error>> {
        let (embedding, levels) = embed(backbone, reader)?;
        Ok(Self {
            levels,
            sample_rate: backbone.space().frontend().sample_rate,
            embedding,
            cut: None,
            sounds: None,
        })
    }

    /// Returns how loud it is, and how much of it is clipped.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Returns its length in seconds.
    pub fn seconds(&self) -> f32 {
        self.levels.samples() as f32 / self.sample_rate as f32
    }
}

/// Class to be learnt, and the strictness of the checks.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'n> {
    /// The class that the recordings are examples of.
    pub label: ClassLabel<'n>,
    /// Limits that they must meet.
    pub limits: Limits,
    /// Whether to learn recordings that the limits refuse, too.
    pub force: bool,
}

/// Explains why nothing was learnt from a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NotLearnt {
    /// The limits refuse it.
    Refused(Refusal),
    /// It is one of the examples already.
    Known,
    /// It is an example of another class.
    KnownAs(ClassId),
    /// Nothing in it stands out from its background.
    NoSound,
}

/// Makes `recording` an example and returns its class, unless there is a reason not to. The learner
/// needs a fit afterwards.
///
/// Negatives and background are checked by their samples only, because they may sound like anything;
/// background may be as quiet as the place is, and need not hold a sound. Digital silence, and an embedding without direction,
/// cannot be forced; neither can a recording that is an example of another class already.
///
/// # Errors
/// If there is no room for it, or the name is not valid or means something else.
pub fn teach(
    learner: &mut Learner,
    lesson: &Lesson,
    recording: &Recording,
) -> Result<Result<ClassId, NotLearnt>, ProfileError> {
    if let ClassLabel::Sound(name) = lesson.label {
        check_name(name)?;
    }
    if let Some(class) = class_of(learner, &recording.embedding) {
        let own = lesson.label.find(learner.support()) == Some(class);
        let known = if own {
            NotLearnt::Known
        } else {
            NotLearnt::KnownAs(class)
        };
        return Ok(Err(known));
    }
    if let Err(refusal) = check(learner, lesson, recording) {
        return Ok(Err(NotLearnt::Refused(refusal)));
    }
    // Too quiet and too short say more.
    let is_background = lesson.label == ClassLabel::Background;
    if recording.sounds == Some(0) && !lesson.force && !is_background {
        return Ok(Err(NotLearnt::NoSound));
    }
    let embedding = &recording.embedding;
    let class = match lesson.label {
        ClassLabel::Sound(name) => {
            let name = as_taught(learner.support(), name);
            learner.enrol(&name, embedding)
        }
        ClassLabel::Negatives => learner.enrol_role(Role::Negatives, embedding),
        ClassLabel::Background => learner.enrol_role(Role::Background, embedding),
    };
    Ok(Ok(class.map_err(ProfileError::Enrol)?))
}

/// The sound that a recording is taken for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognised {
    /// Its class.
    pub class: ClassId,
    /// Similarity of the two, -1 to 1.
    pub similarity: f32,
    /// Similarity from which on they are the same.
    pub threshold: f32,
}

/// Fits `learner` and returns the sound that it takes `recording` for.
pub fn recognised(learner: &mut Learner, recording: &Recording) -> Option<Recognised> {
    let mut scratch = vec![0.0; learner.scratch_len()];
    learner.fit(&mut scratch).ok()?;
    let mut scores = vec![0.0; learner.support().class_count()];
    let decision = learner.classify(&recording.embedding, &mut scores).ok()?;
    Some(Recognised {
        class: decision.class?,
        similarity: decision.similarity,
        threshold: decision.threshold,
    })
}

/// Returns the class that has this very embedding for an example.
fn class_of(learner: &Learner, embedding: &[f32]) -> Option<ClassId> {
    let space = learner.space();
    let mut wanted = vec![0; space.dim()];
    direction(embedding, space.base_mean(), space.parts(), &mut wanted).ok()?;
    let support = learner.support();
    let mut classes = support.classes().iter().map(Class::id);
    classes.find(|class| support.examples(*class).any(|example| example == wanted))
}

fn check(learner: &mut Learner, lesson: &Lesson, recording: &Recording) -> Result<(), Refusal> {
    let mut limits = lesson.limits;
    if lesson.label == ClassLabel::Background || lesson.force {
        limits.least_peak = f32::MIN_POSITIVE;
    }
    if lesson.force {
        limits = Limits {
            least_peak: limits.least_peak,
            most_clipped: f32::INFINITY,
            least_seconds: 0.0,
            least_own: f32::NEG_INFINITY,
            most_margin: f32::INFINITY,
            most_other: f32::INFINITY,
        };
    }
    limits.check_levels(&recording.levels, recording.sample_rate)?;
    match lesson.label {
        ClassLabel::Sound(name) => {
            let name = as_taught(learner.support(), name);
            limits.check_example(learner, &name, &recording.embedding)
        }
        ClassLabel::Negatives | ClassLabel::Background => Ok(()),
    }
}
