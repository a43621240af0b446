//! Tells a sound from noise that has risen: noise is steady.
//!
//! While the gate is open, frames are averaged in blocks. Blocks that are alike follow each other where
//! the place has become louder, or a machine was switched on; speech, music, knocks and whatever fades
//! away are not alike from one block to the next. A tone is steady, too, but stands out in few bands, so
//! that it is no noise.

use super::config::frames_in;
use super::level::{excess, fourth_root};

/// Seconds of a block.
const BLOCK: f32 = 0.25;

/// Largest difference of a block from the mean of the steady blocks before it, dB: of its mean over
/// bands, and of the fourth-power mean over bands. The means of a block of white noise differ by no
/// more than a third of the first and two thirds of the second.
const LEVEL: f32 = 2.0;
const BANDS: f32 = 4.0;

/// A band stands out if it is above the background by this much, dB. Noise stands out in half of the bands
/// or more.
const BROAD: f32 = 3.0;

/// Steady blocks after which a sound is the background, and after which what stands out from it is a
/// sound of its own. A gong that fades by 10 dB a second is not steady for two blocks.
const BACKGROUND: u16 = 6;
const ONSET: u16 = 4;

/// Steady blocks from which on the usual level of the frames is measured.
const MEASURED: u16 = 3;

/// Averages what is heard while the gate is open.
#[derive(Debug)]
pub(super) struct Steady<'b> {
    /// Sum of the frames of the block so far, in each band.
    sum: &'b mut [f32],
    /// Mean of the steady blocks, in each band.
    mean: &'b mut [f32],
    /// dB that one unit of a feature is worth.
    decibels: f32,
    /// Frames of a block.
    block: u32,
    /// Frames of this block, and how many of them stand out from the background.
    frames: u32,
    sounding: u32,
    /// Steady blocks.
    blocks: u16,
    /// Sum of the levels of frames above the mean, dB, and their number.
    levels: f32,
    measured: u32,
}

impl<'b> Steady<'b> {
    /// Averages frames of as many bands as `room` has pairs of values, `frames_per_second` a second.
    pub fn new(room: &'b mut [f32], decibels: f32, frames_per_second: f32) -> Self {
        let (sum, mean) = room.split_at_mut(room.len() / 2);
        Self {
            sum,
            mean,
            decibels,
            block: frames_in(BLOCK, frames_per_second),
            frames: 0,
            sounding: 0,
            blocks: 0,
            levels: 0.0,
            measured: 0,
        }
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.frames = 0;
        self.sounding = 0;
        self.forget_blocks();
    }

    /// Forgets the steady blocks, and keeps the one that is being averaged.
    fn forget_blocks(&mut self) {
        self.blocks = 0;
        self.levels = 0.0;
        self.measured = 0;
    }

    /// Returns the level of a frame above the steady sound, dB, once that is long enough for a new
    /// sound to be told from it.
    pub fn level_of(&self, frame: &[f32]) -> Option<f32> {
        (self.blocks >= ONSET).then(|| self.level(frame))
    }

    fn level(&self, frame: &[f32]) -> f32 {
        self.decibels * excess(frame, self.mean).0
    }

    /// Takes a frame, which stands out from `background` or not, and tells whether the sound has been
    /// steady for long enough to be the background.
    pub fn add(&mut self, frame: &[f32], background: &[f32], stands_out: bool) -> bool {
        if self.blocks >= MEASURED {
            self.levels += self.level(frame);
            self.measured += 1;
        }
        let first = self.frames == 0;
        for (sum, value) in self.sum.iter_mut().zip(frame) {
            *sum = if first { *value } else { *sum + value };
        }
        self.frames += 1;
        self.sounding += u32::from(stands_out);
        if self.frames < self.block {
            return false;
        }
        self.end_block(background);
        self.blocks >= BACKGROUND
    }

    fn end_block(&mut self, background: &[f32]) {
        let count = self.block as f32;
        // Background between two sounds is no steady sound.
        let sounds = 4 * self.sounding >= 3 * self.block;
        let bands = self.sum.iter().zip(background);
        let broad =
            bands.filter(|(sum, background)| self.decibels * (*sum / count - *background) >= BROAD);
        if !sounds || 2 * broad.count() < self.sum.len() {
            self.reset();
            return;
        }
        let (mut difference, mut square) = (0.0, 0.0);
        for (sum, mean) in self.sum.iter().zip(&*self.mean) {
            let from_mean = sum / count - mean;
            difference += from_mean;
            square += from_mean * from_mean * from_mean * from_mean;
        }
        let bands = self.mean.len() as f32;
        let alike = (self.decibels * difference / bands).abs() < LEVEL
            && self.decibels * fourth_root(square / bands) < BANDS;
        if !alike {
            self.forget_blocks();
        }
        self.blocks += 1;
        let weight = 1.0 / f32::from(self.blocks);
        for (mean, sum) in self.mean.iter_mut().zip(&*self.sum) {
            let value = sum / count;
            // The first block replaces the mean of an earlier sound, which may be anything.
            *mean = if self.blocks == 1 {
                value
            } else {
                *mean + (value - *mean) * weight
            };
        }
        self.frames = 0;
        self.sounding = 0;
    }

    /// Returns the mean of the steady sound in each band.
    pub fn mean(&self) -> &[f32] {
        self.mean
    }

    /// Returns how far its frames usually are above its mean, dB, if that was measured.
    pub fn usual(&self) -> Option<f32> {
        (self.measured > 0).then(|| self.levels / self.measured as f32)
    }
}
