//! A backbone, the sounds that were taught under it, and the streams that are listened to.

use crate::heard::Heard;
use crate::listing::{Backbone as ListedBackbone, Listing};
use crate::stream::Stream;
use crate::studio_error::StudioError;
use mtslvr_listen::capture::Take;
use mtslvr_listen::profile::{
    ClassLabel, Explained, Lesson as ProfileLesson, Memory, Recording, Resemblance, check_name,
    composed, find_sound, teach,
};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{ClassId, Learner, Limits, Role, persist};
use mtslvr_runtime::model::{AlignedBytes, Model};
use mtslvr_runtime::nn::arch::InstructionSet;
use serde::Serialize;

/// Streams at a time: the microphone and a file.
const STREAMS: usize = 2;

/// A backbone with all that was taught under it. It lives until the page is closed, and so does the memory
/// that it borrows.
#[derive(Debug)]
pub struct Studio {
    backbone: PackedBackbone<'static, Vec<i8>>,
    learner: Learner<'static>,
    streams: [Stream; STREAMS],
}

/// The class that a recording is to be an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson<'n> {
    /// A sound with this name.
    Sound(&'n str),
    /// Sounds to ignore.
    Negatives,
    /// The sound of the place when nothing happens.
    Background,
}

/// Outcome of a lesson.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taught {
    /// Id of the class, if the recording is an example of it now.
    pub class: Option<u16>,
    /// Fingerprint of the example in hexadecimal.
    pub example: Option<String>,
    /// Reason why nothing was learnt.
    pub why_not: Option<Explained>,
    /// Sounds that were found in the recording.
    pub sounds: usize,
    /// Length of the sound that was used, seconds.
    pub seconds: f32,
    /// The example that is unlike the others, counted from 1, if they do not all resemble each other.
    pub doubtful: Option<usize>,
    /// The samples that were used.
    #[serde(skip)]
    pub samples: Vec<f32>,
}

impl Studio {
    /// Opens the packed model `bytes`, with the kernels for `instruction_set` where this machine has it.
    ///
    /// # Errors
    /// [`StudioError`] if the bytes are no model, or one that cannot listen.
    pub fn open(bytes: &[u8], instruction_set: InstructionSet) -> Result<Self, StudioError> {
        let model = Model::open(AlignedBytes::new(bytes).leak())?;
        let arena = vec![0; model.arena_len()];
        let backbone = PackedBackbone::with_instruction_set(model, arena, instruction_set)
            .expect("the arena is as long as the model says");
        let memory = Box::leak(Box::new(Memory::for_backbone(&backbone)));
        Ok(Self {
            learner: memory.learner(),
            streams: [Stream::new(&backbone)?, Stream::new(&backbone)?],
            backbone,
        })
    }

    /// Describes the backbone.
    pub fn backbone(&self) -> ListedBackbone {
        let space = self.backbone.space();
        let frontend = space.frontend();
        ListedBackbone {
            id: space.backbone().to_string(),
            sample_rate: frontend.sample_rate,
            mels: frontend.mels,
            hop: frontend.hop,
            // Features are scaled natural logarithms of power.
            decibel: std::f32::consts::LN_10 / 10.0 * frontend.scale,
            dim: space.dim(),
            kernels: self.backbone.instruction_set().name(),
        }
    }

    /// Begins stream `stream`, whose samples come at `rate` Hz.
    ///
    /// # Errors
    /// [`StudioError::Stream`].
    pub fn begin(&mut self, stream: usize, rate: u32) -> Result<(), StudioError> {
        self.stream(stream)?.begin(rate);
        Ok(())
    }

    /// Hears samples of a stream. Returns what came out of them, and the frames that they completed,
    /// `[frames][bands]`.
    ///
    /// # Errors
    /// [`StudioError`] if there is no such stream, or the backbone fails.
    pub fn hear(&mut self, stream: usize, samples: &[f32]) -> Result<(Heard, &[f32]), StudioError> {
        let stream = self
            .streams
            .get_mut(stream)
            .ok_or(StudioError::Stream { stream })?;
        let heard = stream.hear(&mut self.learner, &mut self.backbone, samples)?;
        Ok((heard, &stream.frames))
    }

    /// Ends a stream: a sound that is not over yet is decided on.
    ///
    /// # Errors
    /// As [`Self::hear`].
    pub fn finish(&mut self, stream: usize) -> Result<Heard, StudioError> {
        let stream = self
            .streams
            .get_mut(stream)
            .ok_or(StudioError::Stream { stream })?;
        stream.finish(&mut self.learner, &mut self.backbone)
    }

    /// Makes the main sound in `samples`, which are at the backbone's rate, an example, as `mtslvr enrol`
    /// does: or says why not.
    ///
    /// # Errors
    /// [`StudioError`] if there is no room, the name is not valid, or the backbone fails.
    pub fn teach(&mut self, lesson: Lesson<'_>, samples: &[f32]) -> Result<Taught, StudioError> {
        if samples.is_empty() {
            return Err(StudioError::NothingRecorded);
        }
        let lesson = ProfileLesson {
            label: lesson.label(),
            limits: Limits::default(),
            force: false,
        };
        let unusable = |error: &dyn std::fmt::Display| StudioError::Recording(error.to_string());
        let take = Take::new(samples, self.backbone.space().frontend());
        let take = take.map_err(|error| unusable(&error))?;
        let recording = Recording::of_main_sound(&mut self.backbone, samples, &take);
        let recording = recording.map_err(|error| unusable(&error))?;
        let used = recording
            .cut()
            .map_or(samples, |(cut, _)| take.samples(cut));
        let mut taught = Taught {
            class: None,
            example: None,
            why_not: None,
            sounds: take.cuts().len(),
            seconds: recording.seconds(),
            doubtful: None,
            samples: used.to_vec(),
        };
        let outcome = teach(&mut self.learner, &lesson, &recording);
        self.fit()?;
        match outcome? {
            Ok(class) => {
                taught.class = Some(class.get());
                let alike = Resemblance::of(&self.learner, class).filter(Resemblance::is_doubtful);
                let sound = matches!(lesson.label, ClassLabel::Sound(_));
                taught.doubtful = alike.filter(|_| sound).map(|alike| alike.least() + 1);
                let examples = self.learner.support().examples(class);
                taught.example = examples
                    .last()
                    .map(|example| format!("{:016x}", persist::fingerprint(example)));
            }
            Err(why) => {
                let support = self.learner.support();
                taught.why_not = Some(Explained::new(&why, &lesson, support));
            }
        }
        Ok(taught)
    }

    /// Teaches as [`Self::teach`] does, with the part of a stream from `start` to `end` seconds.
    ///
    /// # Errors
    /// As [`Self::teach`], and if that part is not kept.
    pub fn teach_heard(
        &mut self,
        stream: usize,
        lesson: Lesson<'_>,
        start: f64,
        end: f64,
    ) -> Result<Taught, StudioError> {
        let samples = self.stream(stream)?.part(start, end).to_vec();
        self.teach(lesson, &samples)
    }

    /// Embeds a whole recording at the backbone's rate.
    ///
    /// # Errors
    /// [`StudioError::Recording`] if it is empty.
    pub fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, StudioError> {
        embed_clip(&mut self.backbone, samples)
            .map_err(|error| StudioError::Recording(error.to_string()))
    }

    /// Lists what was taught.
    pub fn listing(&self) -> Listing {
        Listing::of(&self.learner)
    }

    /// Gives a sound another name.
    ///
    /// # Errors
    /// [`StudioError`] if there is no such sound, or the name is taken or not valid.
    pub fn rename(&mut self, class: u16, name: &str) -> Result<(), StudioError> {
        check_name(name)?;
        let (class, name) = (ClassId::new(class), composed(name.trim()));
        let support = self.learner.support_mut();
        if find_sound(support, &name).is_some_and(|other| other != class) {
            return Err(StudioError::NameTaken {
                name: name.into_owned(),
            });
        }
        support.rename(class, &name)?;
        self.fit()
    }

    /// Deletes a class, or one of its examples, counted from 0.
    ///
    /// # Errors
    /// [`StudioError::Support`] if it is not there.
    pub fn delete(&mut self, class: u16, example: Option<usize>) -> Result<(), StudioError> {
        let (class, support) = (ClassId::new(class), self.learner.support_mut());
        match example {
            Some(example) => support.remove_example(class, example)?,
            None => support.remove(class)?,
        }
        self.fit()
    }

    /// Lets a class take part, or not.
    ///
    /// # Errors
    /// [`StudioError::Support`] if it is not there.
    pub fn enable(&mut self, class: u16, enabled: bool) -> Result<(), StudioError> {
        let support = self.learner.support_mut();
        support.set_enabled(ClassId::new(class), enabled)?;
        self.fit()
    }

    /// Sets the threshold of a class, -1 to 1; `None` computes it from the examples.
    ///
    /// # Errors
    /// [`StudioError::Support`] if the class is not there, or the threshold is out of its range.
    pub fn set_threshold(&mut self, class: u16, threshold: Option<f32>) -> Result<(), StudioError> {
        let class = ClassId::new(class);
        Ok(self.learner.set_class_threshold(class, threshold)?)
    }

    /// Returns everything that was taught as the snapshot that devices and `mtslvr` read.
    pub fn export(&self) -> Vec<u8> {
        let mut bytes = vec![0; persist::snapshot_len(self.learner.support())];
        persist::export(&self.learner, &mut bytes).expect("the buffer is as long as was asked");
        bytes
    }

    /// Replaces everything that was taught by a snapshot. Where it is refused, everything stays.
    ///
    /// # Errors
    /// [`StudioError::Import`].
    pub fn import(&mut self, snapshot: &[u8]) -> Result<(), StudioError> {
        let imported = persist::import(&mut self.learner, snapshot);
        self.fit()?;
        Ok(imported?)
    }

    /// Fits the head to what was taught.
    fn fit(&mut self) -> Result<(), StudioError> {
        let support = self.learner.support();
        let sounds = support.classes().iter().filter(|class| class.is_enabled());
        if sounds.count() == 0 {
            return Ok(());
        }
        let mut scratch = vec![0.0; self.learner.scratch_len()];
        Ok(self.learner.fit(&mut scratch)?)
    }

    fn stream(&mut self, stream: usize) -> Result<&mut Stream, StudioError> {
        self.streams
            .get_mut(stream)
            .ok_or(StudioError::Stream { stream })
    }
}

impl<'n> Lesson<'n> {
    fn label(self) -> ClassLabel<'n> {
        match self {
            Self::Sound(name) => ClassLabel::Sound(name),
            Self::Negatives => ClassLabel::Negatives,
            Self::Background => ClassLabel::Background,
        }
    }

    /// Returns the lesson for classes of `role`; sounds are called `name`.
    pub fn new(role: Role, name: &'n str) -> Self {
        match role {
            Role::Negatives => Self::Negatives,
            Role::Background => Self::Background,
            _ => Self::Sound(name),
        }
    }
}
