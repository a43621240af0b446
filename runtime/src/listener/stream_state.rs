//! The state of a stream: the last frames, the background, the sound that is heard.

use super::event_course::EventCourse;
use super::second_look::SecondLook;
use super::sounds::Sounds;
use super::trigger::Trigger;
use crate::backbone::Backbone;
use crate::clip::{FrameRing, repeat_until_full};
use crate::frontend::FrontendConfig;
use core::ops::Range;

/// Everything behind the frontend. Numbers of frames count from the stream's beginning.
#[derive(Debug)]
pub(super) struct StreamState<'b> {
    pub frontend: FrontendConfig,
    pub smoothing: u16,
    /// Frames from one window to the next.
    pub hop: u64,
    pub sounds: Sounds<'b>,
    pub trigger: Trigger,
    /// The last frames, as many as a patch has.
    pub frames: FrameRing<'b>,
    /// Where a window is put together.
    pub patch: &'b mut [f32],
    pub embedding: &'b mut [f32],
    pub smoothed: &'b mut [f32],
    pub scores: &'b mut [f32],
    /// Frames that windows have reported.
    pub reported: u64,
    /// When the next window is due.
    pub due: u64,
    /// How far the most prominent frame since the last window stood out, dB.
    pub level: f32,
    /// Windows of the sound that have been judged, and where the last of them ended.
    pub judged: u16,
    pub judged_to: u64,
    /// Answers of the verifier about the sound.
    pub second_look: SecondLook,
    pub course: EventCourse,
}

impl StreamState<'_> {
    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.sounds.reset();
        self.trigger.reset();
        self.frames.clear();
        self.reported = 0;
        self.due = self.hop;
        self.level = 0.0;
        self.judged = 0;
        self.judged_to = 0;
        self.second_look = SecondLook::default();
        self.course = EventCourse::default();
    }

    /// Returns the frames of the window that is due: those of the sound that is heard, or else all that
    /// came since the last window.
    pub fn window(&self) -> Range<u64> {
        let pushed = self.frames.pushed();
        let (first, end) = match self.sounds.onset() {
            Some(onset) => (onset, self.sounds.ending()),
            None => (self.reported, pushed),
        };
        let kept = pushed.saturating_sub(self.frontend.frames.into());
        first.max(kept)..end
    }

    /// Returns the first sample that frame `number` covers.
    pub fn sample_of(&self, number: u64) -> u64 {
        number * u64::from(self.frontend.hop)
    }

    /// Returns the sample after the last one that the frames before `number` cover.
    pub fn samples_to(&self, number: u64) -> u64 {
        match number.checked_sub(1) {
            Some(last) => self.sample_of(last) + u64::from(self.frontend.window),
            None => 0,
        }
    }

    /// Puts `frames`, which are no more than a patch and still there, into the patch, repeated until
    /// it is full: the rule for clips ([`crate::clip`]).
    pub fn fill_patch(&mut self, frames: Range<u64>) {
        let filled = self.frames.copy(frames, self.patch).len();
        repeat_until_full(self.patch, filled);
    }

    /// Embeds the patch into the mean over the sound's windows.
    pub fn embed<B: Backbone>(&mut self, backbone: &mut B) -> Result<(), B::Error> {
        backbone.embed(self.patch, self.embedding)?;
        self.judged = self.judged.saturating_add(1);
        self.judged_to = self.sounds.ending();
        let weight = 1.0 / f32::from(self.judged.min(self.smoothing));
        for (mean, value) in self.smoothed.iter_mut().zip(&*self.embedding) {
            // The first value replaces the mean of an earlier sound, which may be anything.
            *mean = if self.judged == 1 {
                *value
            } else {
                *mean + (value - *mean) * weight
            };
        }
        Ok(())
    }

    /// Sets the next window a hop from here.
    pub fn skip(&mut self) {
        self.reported = self.frames.pushed();
        self.due = self.reported + self.hop;
        self.level = 0.0;
    }
}
