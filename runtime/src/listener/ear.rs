//! What a listener remembers of the stream: the last frames, the background, the sound that is
//! heard.

use super::{Gate, Trigger};
use crate::backbone::Backbone;
use crate::frontend::FrontendConfig;
use core::ops::Range;

/// Everything behind the frontend. Numbers of frames count from the stream's beginning.
#[derive(Debug)]
pub(super) struct Ear<'b> {
    pub frontend: FrontendConfig,
    pub mels: usize,
    pub smoothing: u16,
    /// Frames from one window to the next.
    pub hop: u64,
    pub gate: Gate<'b>,
    pub trigger: Trigger,
    /// The last frames; frame `i` is row `i % patch_frames`.
    pub rows: &'b mut [f32],
    /// Where a window is put together.
    pub patch: &'b mut [f32],
    pub embedding: &'b mut [f32],
    pub smoothed: &'b mut [f32],
    pub scores: &'b mut [f32],
    /// Frames so far.
    pub frames: u64,
    /// Frames of which windows have told.
    pub told: u64,
    /// When the next window is due.
    pub due: u64,
    /// How far the most prominent frame since the last window stood out, dB.
    pub level: f32,
    /// The first frame of the sound that is heard.
    pub onset: Option<u64>,
    /// The frame after the last one that stood out.
    pub sounding: u64,
    /// The frame after the sound's last: what follows while the gate is held open is background
    /// again, which no example of it holds.
    pub ending: u64,
    /// Windows of it that have been judged, and where the last of them ended.
    pub judged: u16,
    pub judged_to: u64,
}

impl Ear<'_> {
    pub fn reset(&mut self) {
        self.gate.reset();
        self.trigger.reset();
        self.frames = 0;
        self.told = 0;
        self.due = self.hop;
        self.level = 0.0;
        self.onset = None;
        self.sounding = 0;
        self.ending = 0;
        self.judged = 0;
        self.judged_to = 0;
    }

    pub fn patch_frames(&self) -> u64 {
        self.frontend.frames.into()
    }

    /// The frames of the window that is due: of the sound that is heard, or else of all that came
    /// since the last one.
    pub fn window(&self) -> Range<u64> {
        let (first, end) = match self.onset {
            Some(onset) => (onset, self.ending),
            None => (self.told, self.frames),
        };
        first.max(self.frames.saturating_sub(self.patch_frames()))..end
    }

    /// The first sample that frame `number` covers.
    pub fn sample_of(&self, number: u64) -> u64 {
        number * u64::from(self.frontend.hop)
    }

    /// The sample after the last one that the frames before `number` cover.
    pub fn samples_to(&self, number: u64) -> u64 {
        match number.checked_sub(1) {
            Some(last) => self.sample_of(last) + u64::from(self.frontend.window),
            None => 0,
        }
    }

    /// Puts `frames`, which are no more than a patch and still there, into the patch, repeated until
    /// it is full: the rule for clips ([`crate::clip`]).
    pub fn fill_patch(&mut self, frames: Range<u64>) {
        let filled = Self::gather(self.rows, self.patch, self.mels, frames).len();
        for at in (filled..self.patch.len()).step_by(self.mels) {
            let source = at % filled;
            self.patch.copy_within(source..source + self.mels, at);
        }
    }

    /// Copies the frames `first..end`, or the last of them that fit in, oldest first.
    pub fn gather<'p>(
        rows: &[f32],
        patch: &'p mut [f32],
        mels: usize,
        Range { start: first, end }: Range<u64>,
    ) -> &'p [f32] {
        let length = (rows.len() / mels) as u64;
        let first = first.max(end.saturating_sub(length));
        let count = (end - first) as usize;
        for (to, number) in patch.chunks_exact_mut(mels).zip(first..end) {
            let row = (number % length) as usize * mels;
            to.copy_from_slice(&rows[row..row + mels]);
        }
        &patch[..count * mels]
    }

    /// Embeds the patch into the mean over the sound's windows.
    pub fn embed<B: Backbone>(&mut self, backbone: &mut B) -> Result<(), B::Error> {
        backbone.embed(self.patch, self.embedding)?;
        self.judged = self.judged.saturating_add(1);
        self.judged_to = self.ending;
        let weight = 1.0 / f32::from(self.judged.min(self.smoothing));
        for (mean, value) in self.smoothed.iter_mut().zip(&*self.embedding) {
            // Not added to what an earlier sound has left there, which may be anything.
            *mean = if self.judged == 1 {
                *value
            } else {
                *mean + (value - *mean) * weight
            };
        }
        Ok(())
    }

    /// The next window is a hop from here.
    pub fn skip(&mut self) {
        self.told = self.frames;
        self.due = self.frames + self.hop;
        self.level = 0.0;
    }
}
