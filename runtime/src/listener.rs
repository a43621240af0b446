//! Turns a stream of samples into detection events.
//!
//! A stream flows like this: samples → frames, each computed once, and while nothing is heard one in several → an
//! energy gate, which tells a sound from the background → windows of the sound, overlapping → embedding →
//! [`Learner`] → smoothing, hysteresis, refractory period → [`Event`].
//!
//! Sounds are judged by the rule for clips ([`crate::clip`]): a sound lasts from where it begins to
//! stand out to where it ceases to, or to where a much louder one begins. If the sound is longer than a
//! patch, its last patch is judged; if it is shorter, it is repeated until a patch is full. So a sound that
//! was enrolled from a clip is compared with the embedding that the same clip would give. While a sound
//! lasts, the mean over its windows is judged, as over the patches of a clip, and once more at its end.

use crate::backbone::Backbone;
use crate::clip::FrameRing;
use crate::fewshot::Learner;
use crate::frontend::{Frontend, FrontendConfig, FrontendError};
use crate::space::EmbeddingSpace;
use crate::verifier::Check;

mod config;
mod error;
mod event_course;
mod frame_handler;
mod gate;
mod level;
mod second_look;
mod sound_finder;
mod sound_scores;
mod sounds;
mod steady;
mod stream_state;
mod surge;
mod trigger;
mod watch;
mod window;

pub use config::{ListenerConfig, ListenerConfigError};
pub use error::{ListenError, ListenerError};
pub use sound_finder::{FoundSound, SoundFinder};
pub use sound_scores::{Scored, SoundScores};
pub use trigger::{Judgement, Trigger};
pub use window::{Change, Ended, Event, Window};

use config::frames_in;
use event_course::EventCourse;
use frame_handler::FrameHandler;
use gate::Gate;
use second_look::SecondLook;
use sounds::Sounds;
use stream_state::StreamState;
use watch::Watch;

/// Listens to a stream in a buffer that the caller owns.
///
/// Windows and events depend on the samples only, bit for bit, not on how they are cut into calls.
///
/// ```
/// # use core::convert::Infallible;
/// # use mtslvr_runtime::{backbone::Backbone, clip::embed_clip};
/// # use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
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
/// #     form: FrontendForm::PLAIN,
/// # };
/// # let mut backbone = Bands(config);
/// # let buzz: Vec<f32> = (0..8000).map(|i| 0.4 * ((i % 61) as f32 / 61.0 - 0.5)).collect();
/// # let stream = [vec![0.0; 48_000], buzz.clone(), vec![0.0; 16_000]].concat();
/// # let mut storage = StorageVec::new(4, 8, 16);
/// # let space = backbone.space().into_owned();
/// # let mut learner = Learner::new(storage.lend(), HeadKind::default(), space.as_space())?;
/// let enrolled = learner.enrol("buzz", &embed_clip(&mut backbone, &buzz)?)?;
/// let mut scratch = vec![0.0; learner.scratch_len()];
/// learner.fit(&mut scratch)?;
///
/// // Up to 4 classes.
/// let mut buffer = vec![0.0; Listener::buffer_len(learner.space().frontend(), 16, 4)];
/// let config = ListenerConfig::DEFAULT;
/// let mut listener = Listener::new(config, learner.space(), 4, &mut buffer)?;
/// let mut heard = Vec::new();
/// for samples in stream.chunks(1024) {
///     listener.push(&mut learner, &mut backbone, samples, |window| {
///         if let Some(event) = window.event {
///             heard.push((event.class, event.start as f32 / 16_000.0));
///         }
///     })?;
/// }
/// let &[(class, seconds)] = heard.as_slice() else { panic!("one event") };
/// assert!(class == enrolled && (seconds - 3.0).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Listener<'b> {
    watch: Watch<'b>,
    state: StreamState<'b>,
}

impl<'b> Listener<'b> {
    /// Returns the length in `f32` of the buffer for features of `frontend`, embeddings of
    /// `embedding_dim` values and up to `classes` classes.
    pub const fn buffer_len(
        frontend: &FrontendConfig,
        embedding_dim: usize,
        classes: usize,
    ) -> usize {
        frontend
            .buffer_len()
            .saturating_add(Watch::room(frontend))
            .saturating_add(frontend.patch_len().saturating_mul(2))
            .saturating_add(Gate::room(frontend.mels as usize))
            .saturating_add(embedding_dim.saturating_mul(2))
            .saturating_add(classes)
    }

    /// Returns the frames a second whose features are computed while nothing is heard.
    pub fn quiet_frames_per_second(frontend: &FrontendConfig) -> f32 {
        frontend.sample_rate as f32 / Watch::room(frontend) as f32
    }

    /// Prepares to listen with a backbone whose embeddings `space` describes and a learner of up to
    /// `classes` classes, in `buffer`, of which the first [`Self::buffer_len`] values are used.
    ///
    /// # Errors
    /// [`ListenerError`] if a setting or a parameter of the features is out of its range, or `buffer` is
    /// shorter than [`Self::buffer_len`].
    pub fn new(
        config: ListenerConfig,
        space: &EmbeddingSpace<'_>,
        classes: usize,
        buffer: &'b mut [f32],
    ) -> Result<Self, ListenerError> {
        config.validate()?;
        let (frontend, embedding_dim) = (*space.frontend(), space.dim());
        frontend.validate().map_err(FrontendError::from)?;
        let needed = Self::buffer_len(&frontend, embedding_dim, classes);
        let found = buffer.len();
        if found < needed {
            return Err(ListenerError::BufferTooShort { needed, found });
        }
        let (own, rest) = buffer.split_at_mut(frontend.buffer_len());
        let (kept, rest) = rest.split_at_mut(Watch::room(&frontend));
        let (rows, rest) = rest.split_at_mut(frontend.patch_len());
        let (patch, rest) = rest.split_at_mut(frontend.patch_len());
        let (gate, rest) = rest.split_at_mut(Gate::room(frontend.mels.into()));
        let (embedding, rest) = rest.split_at_mut(embedding_dim);
        let (smoothed, rest) = rest.split_at_mut(embedding_dim);
        let hop = frames_in(config.hop, frontend.frames_per_second());
        let patch_frames = u32::from(frontend.frames);
        let hold = config.hold_frames(&frontend);
        let refractory = config.refractory * frontend.sample_rate as f32;
        let mut listener = Self {
            watch: Watch::new(Frontend::new(frontend, own)?, kept),
            state: StreamState {
                frontend,
                smoothing: config.smoothing,
                hop: u64::from(hop.min(patch_frames)),
                sounds: Sounds::new(Gate::new(&frontend, config.gate, hold, gate)),
                trigger: Trigger::new(&config, refractory as u64),
                frames: FrameRing::new(rows, frontend.mels.into()),
                patch,
                embedding,
                smoothed,
                scores: &mut rest[..classes],
                reported: 0,
                due: 0,
                level: 0.0,
                judged: 0,
                judged_to: 0,
                second_look: SecondLook::default(),
                course: EventCourse::default(),
            },
        };
        listener.reset();
        Ok(listener)
    }

    /// Takes samples, meant to lie in [-1, 1], and calls `on_window` with each window that they
    /// complete.
    ///
    /// # Errors
    /// [`ListenError`] if the backbone has other features or embeddings than this listener, the learner
    /// cannot classify, or the backbone fails. The stream goes on with the samples that follow.
    pub fn push<B: Backbone>(
        &mut self,
        learner: &mut Learner,
        backbone: &mut B,
        samples: &[f32],
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        self.push_verified(learner, &(), backbone, samples, on_window)
    }

    /// Takes samples, as [`Self::push`] does. A sound that is about to be recognised must also be accepted
    /// by `check`, such as a [`Verifier`](crate::verifier::Verifier); one that is refused is looked at again
    /// in its next window and at its end. Once the beginning of a sound is gone, because it is longer than a
    /// patch, there is nothing to compare, and it passes.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_verified<B: Backbone, C: Check>(
        &mut self,
        learner: &mut Learner,
        check: &C,
        backbone: &mut B,
        samples: &[f32],
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        let mut handler = self.state.handler(learner, check, backbone, on_window)?;
        self.watch.push(samples, &mut handler);
        handler.result
    }

    /// Takes samples of 16-bit PCM, as [`Self::push`] does.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_i16<B: Backbone>(
        &mut self,
        learner: &mut Learner,
        backbone: &mut B,
        samples: &[i16],
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        self.push_i16_verified(learner, &(), backbone, samples, on_window)
    }

    /// Takes samples of 16-bit PCM, as [`Self::push_verified`] does.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_i16_verified<B: Backbone, C: Check>(
        &mut self,
        learner: &mut Learner,
        check: &C,
        backbone: &mut B,
        samples: &[i16],
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        let mut handler = self.state.handler(learner, check, backbone, on_window)?;
        self.watch.push(samples, &mut handler);
        handler.result
    }

    /// Ends the stream: the sound that is heard, if one is, ends here. Another stream begins.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish<B: Backbone>(
        &mut self,
        learner: &mut Learner,
        backbone: &mut B,
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        self.finish_verified(learner, &(), backbone, on_window)
    }

    /// Ends the stream, as [`Self::finish`] does, where samples came by [`Self::push_verified`].
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish_verified<B: Backbone, C: Check>(
        &mut self,
        learner: &mut Learner,
        check: &C,
        backbone: &mut B,
        on_window: impl FnMut(&Window<'_>),
    ) -> Result<(), ListenError<B::Error>> {
        let mut handler = self.state.handler(learner, check, backbone, on_window)?;
        self.watch.flush(&mut handler);
        handler.end();
        handler.report_ended();
        let result = handler.result;
        self.reset();
        result
    }

    /// Forgets the stream, background included: another begins.
    pub fn reset(&mut self) {
        self.watch.reset();
        self.state.reset();
    }

    /// Returns how often features of a frame of this stream were computed: once for each while a sound is heard, about
    /// [`Self::quiet_frames_per_second`] times a second otherwise. A frame that was looked at, and then might have been a
    /// sound, counts twice.
    pub fn computed_frames(&self) -> u32 {
        self.watch.frontend().computed_frames()
    }

    /// Returns the number of samples of this stream that were taken as silence: see
    /// [`Frontend::invalid_samples`].
    pub fn invalid_samples(&self) -> u32 {
        self.watch.frontend().invalid_samples()
    }
}

impl<'b> StreamState<'b> {
    fn handler<'a, 'l, B: Backbone, C, F>(
        &'a mut self,
        learner: &'a mut Learner<'l>,
        check: &'a C,
        backbone: &'a mut B,
        on_window: F,
    ) -> Result<FrameHandler<'a, 'b, 'l, B, C, F>, ListenError<B::Error>> {
        let space = backbone.space();
        if *space.frontend() != self.frontend || space.dim() != self.embedding.len() {
            return Err(ListenError::OtherBackbone);
        }
        Ok(FrameHandler {
            state: self,
            learner,
            check,
            backbone,
            on_window,
            result: Ok(()),
        })
    }
}

#[cfg(test)]
mod tests;
