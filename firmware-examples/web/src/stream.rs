//! A stream of samples: its listener, its frames for the picture, and its last seconds.

use crate::heard::Heard;
use crate::resampler::Resampler;
use crate::studio_error::StudioError;
use mtslvr_listen::profile::Memory;
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::frontend::{Frontend, FrontendConfig};
use mtslvr_runtime::listener::{Listener, ListenerConfig};

/// Longest recording that can be taken out of the stream, seconds.
const KEPT: usize = 15;

/// Everything of one stream. It lives until the page is closed.
#[derive(Debug)]
pub struct Stream {
    rate: u32,
    resampler: Resampler,
    listener: Listener<'static>,
    frontend: Frontend<'static>,
    /// The last samples, the first of them being number `first` of the stream.
    kept: Vec<f32>,
    first: usize,
    /// Frames that the last samples completed.
    pub frames: Vec<f32>,
}

impl Stream {
    /// Prepares a stream for `backbone` with the settings that `mtslvr listen` has unless it is told
    /// others.
    pub fn new(backbone: &impl Backbone) -> Result<Self, StudioError> {
        let space = backbone.space();
        let frontend: FrontendConfig = *space.frontend();
        let leaked = |len: usize| -> &'static mut [f32] { vec![0.0; len].leak() };
        let classes = Memory::CLASSES;
        let buffer = leaked(Listener::buffer_len(&frontend, space.dim(), classes));
        let listener = Listener::new(ListenerConfig::DEFAULT, &space, classes, buffer);
        let own = Frontend::new(frontend, leaked(frontend.buffer_len()));
        Ok(Self {
            rate: frontend.sample_rate,
            resampler: Resampler::new(frontend.sample_rate, frontend.sample_rate),
            listener: listener.map_err(|error| StudioError::Listener(error.to_string()))?,
            frontend: own.map_err(|error| StudioError::Listener(error.to_string()))?,
            kept: Vec::new(),
            first: 0,
            frames: Vec::new(),
        })
    }

    /// Begins another stream, whose samples come at `rate` Hz; above 0.
    pub fn begin(&mut self, rate: u32) {
        self.resampler = Resampler::new(rate.max(1), self.rate);
        self.listener.reset();
        self.frontend.reset();
        self.kept.clear();
        self.first = 0;
        self.frames.clear();
    }

    /// Hears samples at the rate that the stream was begun with.
    pub fn hear(
        &mut self,
        learner: &mut Learner,
        backbone: &mut PackedBackbone<'static, Vec<i8>>,
        samples: &[f32],
    ) -> Result<Heard, StudioError> {
        let samples = self.resampler.push(samples);
        self.frames.clear();
        self.keep(&samples);
        let mut heard = Heard::default();
        for sample in &samples {
            heard.peak = heard.peak.max(sample.abs());
        }
        let frames = &mut self.frames;
        self.frontend
            .push(&samples, |frame| frames.extend_from_slice(frame));
        let rate = f64::from(self.rate);
        let pushed = self.listener.push(learner, backbone, &samples, |window| {
            heard.add(window, rate);
        });
        pushed.map_err(|error| StudioError::Listener(error.to_string()))?;
        heard.seconds = self.seconds();
        Ok(heard)
    }

    /// Ends the stream: a sound that is not over yet is decided on.
    pub fn finish(
        &mut self,
        learner: &mut Learner,
        backbone: &mut PackedBackbone<'static, Vec<i8>>,
    ) -> Result<Heard, StudioError> {
        let mut heard = Heard {
            seconds: self.seconds(),
            ..Heard::default()
        };
        let rate = f64::from(self.rate);
        let finished = self.listener.finish(learner, backbone, |window| {
            heard.add(window, rate);
        });
        finished.map_err(|error| StudioError::Listener(error.to_string()))?;
        Ok(heard)
    }

    /// Returns the samples from `start` to `end` seconds of the stream, as far as they are kept.
    pub fn part(&self, start: f64, end: f64) -> &[f32] {
        let place = |seconds: f64| {
            let sample = (seconds * f64::from(self.rate)).max(0.0) as usize;
            sample.saturating_sub(self.first).min(self.kept.len())
        };
        let (start, end) = (place(start), place(end));
        &self.kept[start.min(end)..end]
    }

    fn seconds(&self) -> f64 {
        (self.first + self.kept.len()) as f64 / f64::from(self.rate)
    }

    fn keep(&mut self, samples: &[f32]) {
        self.kept.extend_from_slice(samples);
        let most = KEPT * self.rate as usize;
        // Twice as many, so that the rest is moved seldom.
        if self.kept.len() > 2 * most {
            let gone = self.kept.len() - most;
            self.kept.drain(..gone);
            self.first += gone;
        }
    }
}
