//! A stream of samples in, detection events out.
//!
//! The way of a stream: samples → frames, each computed once → an energy gate, which tells a sound
//! from the background → windows of the sound, overlapping → embedding → [`Learner`] → smoothing,
//! hysteresis, refractory period → [`Event`].
//!
//! What is judged is a sound, by the rule for clips ([`crate::clip`]): from where it begins to stand
//! out to where it ends to, or the last patch of it if it is longer, repeated until a patch is full
//! if it is shorter. So a sound
//! that was enrolled from a clip is compared with what the same clip would give. While a sound
//! lasts, the mean over its windows is judged, as over the patches of a clip, and once more at its
//! end.

use crate::backbone::Backbone;
use crate::fewshot::{ClassifyError, Decision, Learner};
use crate::frontend::{Frontend, FrontendConfig, FrontendError};

mod config;
mod ear;
mod gate;
mod hearing;
mod trigger;

pub use config::{ListenerConfig, ListenerConfigError};
pub use trigger::{Judgement, Trigger};

use ear::Ear;
use gate::Gate;
use hearing::Hearing;

/// A sound was recognised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The class, of those that the learner knows.
    pub class: u8,
    /// The sample, counted from the stream's beginning, at which the sound began: where the gate
    /// opened.
    pub start: u64,
    /// The sample at which it was recognised: the end of the window that decided.
    pub end: u64,
    /// How sure it is, 0 to 1: the share of strange sounds that would be less like the class (one
    /// minus [`Decision::chance`]).
    pub confidence: f32,
}

/// What was heard since the window before: one a `hop` while a sound lasts, one at its end, and one
/// a `hop` while there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window<'w> {
    /// Sample at which the window begins: where the sound began, or later if it is longer than a
    /// patch.
    pub start: u64,
    /// Sample at which the window ends: where the sound ended, if it has.
    pub end: u64,
    /// Sample at which the sound began that is heard in it: the same in all windows of one sound.
    /// `None` while the gate is closed.
    pub onset: Option<u64>,
    /// Log-mel frames since the window before, `[frames][mels]`; the older ones are left out where
    /// they are more than a patch.
    pub frames: &'w [f32],
    /// How far the most prominent of these frames stood out from the background, dB:
    /// [`ListenerConfig::gate`].
    pub level: f32,
    /// Embedding of the sound so far, smoothed; `None` while the gate is closed, or held open after
    /// a sound that has been judged. To be enrolled by who says "that was it".
    pub embedding: Option<&'w [f32]>,
    /// What the learner says of it; `None` where there is no embedding or nothing is enrolled.
    pub decision: Option<Decision<'w>>,
    /// The same, as the trigger saw it.
    pub judgement: Option<Judgement>,
    /// The event that begins with this window.
    pub event: Option<Event>,
}

/// Listens to a stream in a buffer that the caller owns.
///
/// Windows and events depend on the samples only, bit for bit, not on how they are cut into calls.
///
/// ```
/// # use core::convert::Infallible;
/// # use mtslvr_runtime::{backbone::Backbone, frontend::FrontendConfig, clip::embed_clip};
/// # use mtslvr_runtime::fewshot::Reference;
/// # use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
/// use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
/// use mtslvr_runtime::listener::{Listener, ListenerConfig};
/// # struct Bands(FrontendConfig);
/// # impl Backbone for Bands {
/// #     type Error = Infallible;
/// #     fn space(&self) -> EmbeddingSpace<'_> {
/// #         let parts = Parts::new([Part { name: "features", len: 16, share: 1.0 }]).unwrap();
/// #         let (id, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// #         EmbeddingSpace::new(id, self.0, parts, &[0.0; 16], reference).unwrap()
/// #     }
/// #     fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Infallible> {
/// #         embedding.fill(0.0);
/// #         for frame in patch.chunks(16) {
/// #             embedding.iter_mut().zip(frame).for_each(|(sum, value)| *sum += value);
/// #         }
/// #         Ok(())
/// #     }
/// # }
/// # let config = FrontendConfig {
/// #     sample_rate: 16_000, window: 256, hop: 128, mels: 16, frames: 40,
/// #     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// # };
/// # let mut backbone = Bands(config);
/// # let buzz: Vec<f32> = (0..8000).map(|i| 0.4 * ((i % 61) as f32 / 61.0 - 0.5)).collect();
/// # let stream = [vec![0.0; 48_000], buzz.clone(), vec![0.0; 16_000]].concat();
/// # let mut storage = StorageVec::new(4, 8, 16);
/// # let space = backbone.space().into_owned();
/// # let mut learner = Learner::new(storage.lend(), HeadKind::default(), space.as_space())?;
/// learner.enrol("buzz", &embed_clip(&mut backbone, &buzz)?)?;
/// let mut scratch = vec![0.0; learner.scratch_len()];
/// learner.fit(&mut scratch)?;
///
/// let (frontend, dim) = (*space.as_space().frontend(), space.as_space().dim());
/// let mut buffer = vec![0.0; Listener::buffer_len(&frontend, dim, 4)]; // up to 4 classes
/// let mut listener = Listener::new(ListenerConfig::DEFAULT, frontend, dim, 4, &mut buffer)?;
/// let mut heard = Vec::new();
/// for samples in stream.chunks(1024) {
///     listener.push(&mut learner, &mut backbone, samples, |window| {
///         if let Some(event) = window.event {
///             heard.push((event.class, event.start as f32 / 16_000.0));
///         }
///     })?;
/// }
/// let &[(class, seconds)] = heard.as_slice() else { panic!("one event") };
/// assert!(class == 0 && (seconds - 3.0).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Listener<'b> {
    frontend: Frontend<'b>,
    ear: Ear<'b>,
}

/// Why a [`Listener`] could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenerError {
    /// A setting is out of its range.
    Config(ListenerConfigError),
    /// The frontend's parameters do not fit.
    Frontend(FrontendError),
    /// The buffer is shorter than [`Listener::buffer_len`].
    BufferTooShort {
        /// Values that are needed.
        needed: usize,
        /// Values that the buffer has.
        found: usize,
    },
}

/// Why samples could not be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError<E> {
    /// The backbone was made for other features than this listener, or has longer or shorter
    /// embeddings.
    OtherBackbone,
    /// The learner cannot classify: it was not fitted since it was changed, or knows more classes
    /// than the listener was made for.
    Classify(ClassifyError),
    /// The backbone failed.
    Backbone(E),
}

impl<'b> Listener<'b> {
    /// Length in `f32` of the buffer for features of `frontend`, embeddings of `embedding_dim`
    /// values and up to `classes` classes.
    pub const fn buffer_len(
        frontend: &FrontendConfig,
        embedding_dim: usize,
        classes: usize,
    ) -> usize {
        frontend.buffer_len()
            + 2 * frontend.patch_len()
            + frontend.mels as usize
            + 2 * embedding_dim
            + classes
    }

    /// Prepares to listen in `buffer`, of which the first [`Self::buffer_len`] values are used.
    pub fn new(
        config: ListenerConfig,
        frontend: FrontendConfig,
        embedding_dim: usize,
        classes: usize,
        buffer: &'b mut [f32],
    ) -> Result<Self, ListenerError> {
        config.validate().map_err(ListenerError::Config)?;
        frontend
            .validate()
            .map_err(|error| ListenerError::Frontend(FrontendError::Config(error)))?;
        let needed = Self::buffer_len(&frontend, embedding_dim, classes);
        let found = buffer.len();
        if found < needed {
            return Err(ListenerError::BufferTooShort { needed, found });
        }
        let (own, rest) = buffer.split_at_mut(frontend.buffer_len());
        let (rows, rest) = rest.split_at_mut(frontend.patch_len());
        let (patch, rest) = rest.split_at_mut(frontend.patch_len());
        let (background, rest) = rest.split_at_mut(frontend.mels.into());
        let (embedding, rest) = rest.split_at_mut(embedding_dim);
        let (smoothed, rest) = rest.split_at_mut(embedding_dim);
        let frames = |seconds: f32| ((seconds * frontend.frames_per_second() + 0.5) as u32).max(1);
        let patch_frames = u32::from(frontend.frames);
        let hold = frames(config.hold).min(patch_frames.div_ceil(2));
        let refractory = config.refractory * frontend.sample_rate as f32;
        let mut listener = Self {
            frontend: Frontend::new(frontend, own).map_err(ListenerError::Frontend)?,
            ear: Ear {
                frontend,
                mels: frontend.mels.into(),
                smoothing: config.smoothing,
                hop: u64::from(frames(config.hop).min(patch_frames)),
                gate: Gate::new(&frontend, config.gate, hold, background),
                trigger: Trigger::new(&config, refractory as u64),
                rows,
                patch,
                embedding,
                smoothed,
                scores: &mut rest[..classes],
                frames: 0,
                told: 0,
                due: 0,
                level: 0.0,
                onset: None,
                sounding: 0,
                ending: 0,
                judged: 0,
                judged_to: 0,
            },
        };
        listener.reset();
        Ok(listener)
    }

    /// Takes samples, meant to lie in [-1, 1], and calls `on_window` with each window that they
    /// complete. After an error the stream goes on with the samples that follow.
    pub fn push<B: Backbone>(
        &mut self,
        learner: &mut Learner,
        backbone: &mut B,
        samples: &[f32],
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        let mut hearing = self.ear.hear(learner, backbone, on_window)?;
        self.frontend.push(samples, |frame| hearing.add(frame));
        hearing.result
    }

    /// [`Self::push`] for 16-bit PCM.
    pub fn push_i16<B: Backbone>(
        &mut self,
        learner: &mut Learner,
        backbone: &mut B,
        samples: &[i16],
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        let mut hearing = self.ear.hear(learner, backbone, on_window)?;
        self.frontend.push_i16(samples, |frame| hearing.add(frame));
        hearing.result
    }

    /// Ends the stream: the sound that is heard, if one is, ends here. Another stream begins.
    pub fn finish<B: Backbone>(
        &mut self,
        learner: &mut Learner,
        backbone: &mut B,
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        let mut hearing = self.ear.hear(learner, backbone, on_window)?;
        self.frontend.flush(|frame| hearing.add(frame));
        hearing.end();
        let result = hearing.result;
        self.reset();
        result
    }

    /// Forgets the stream, background included: another begins.
    pub fn reset(&mut self) {
        self.frontend.reset();
        self.ear.reset();
    }

    /// Samples of this stream that were taken as silence: see [`Frontend::invalid_samples`].
    pub fn invalid_samples(&self) -> u32 {
        self.frontend.invalid_samples()
    }
}

impl<'b> Ear<'b> {
    fn hear<'a, 'l, B: Backbone, F>(
        &'a mut self,
        learner: &'a mut Learner<'l>,
        backbone: &'a mut B,
        on_window: F,
    ) -> Result<Hearing<'a, 'b, 'l, B, F>, ListenError<B::Error>> {
        let space = backbone.space();
        if *space.frontend() != self.frontend || space.dim() != self.embedding.len() {
            return Err(ListenError::OtherBackbone);
        }
        Ok(Hearing {
            ear: self,
            learner,
            backbone,
            on_window,
            result: Ok(()),
        })
    }
}

impl core::fmt::Display for ListenerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Frontend(error) => error.fmt(f),
            Self::BufferTooShort { needed, found } => write!(
                f,
                "the listener's buffer holds {found} values and {needed} are needed: see \
                 Listener::buffer_len"
            ),
        }
    }
}

impl core::error::Error for ListenerError {}

impl<E: core::fmt::Debug> core::fmt::Display for ListenError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OtherBackbone => f.write_str(
                "the listener was made for other features or embeddings than this backbone's",
            ),
            Self::Classify(error) => error.fmt(f),
            Self::Backbone(error) => write!(f, "the backbone failed: {error:?}"),
        }
    }
}

impl<E: core::fmt::Debug> core::error::Error for ListenError<E> {}

#[cfg(test)]
mod tests;
