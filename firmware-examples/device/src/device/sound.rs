//! Keeps a sound that was heard, to be enrolled if the user wants it.

use crate::recording::{Overwritten, Recording};
use mtslvr_runtime::clip::Levels;

/// Samples read at once.
const CHUNK: usize = 256;

/// A sound that was heard. Its place is that in the recording.
#[derive(Debug)]
pub(super) struct Sound<'m> {
    /// False if no sound was heard yet, or the last one is too old.
    pub there: bool,
    pub start: u32,
    pub end: u32,
    pub levels: Levels,
    pub embedding: &'m mut [f32],
}

impl<'m> Sound<'m> {
    pub fn none(embedding: &'m mut [f32]) -> Self {
        Self {
            there: false,
            start: 0,
            end: 0,
            levels: Levels::default(),
            embedding,
        }
    }

    pub fn copy_from(&mut self, other: &Sound) {
        self.there = other.there;
        (self.start, self.end) = (other.start, other.end);
        self.levels = other.levels;
        self.embedding.copy_from_slice(other.embedding);
    }
}

/// Measures the samples from `start` to `end`, as far as they are still there.
pub(super) fn levels<const N: usize>(recording: &Recording<N>, start: u32, end: u32) -> Levels {
    let mut levels = Levels::default();
    let mut chunk = [0; CHUNK];
    let mut at = start;
    while at != end {
        let count = chunk.len().min(end.wrapping_sub(at) as usize);
        match recording.read(at, &mut chunk[..count]) {
            Ok(()) => {
                levels.push_i16(&chunk[..count]);
                at = at.wrapping_add(count as u32);
            }
            Err(Overwritten { samples }) => {
                at = at.wrapping_add(samples.min(end.wrapping_sub(at)));
            }
        }
    }
    levels
}
