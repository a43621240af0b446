//! Keeps a sound that was heard, to be enrolled if the user wants it.

use super::clips::Samples;
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
    /// Sample of the stream at which the sound began.
    pub onset: Option<u64>,
    pub samples: Samples<'m>,
}

impl<'m> Sound<'m> {
    pub fn none(embedding: &'m mut [f32], samples: Samples<'m>) -> Self {
        Self {
            there: false,
            start: 0,
            end: 0,
            levels: Levels::default(),
            embedding,
            onset: None,
            samples,
        }
    }

    pub fn copy_from(&mut self, other: &Sound) {
        self.there = other.there;
        (self.start, self.end) = (other.start, other.end);
        self.levels = other.levels;
        self.embedding.copy_from_slice(other.embedding);
        self.onset = other.onset;
        self.samples.copy_from(&other.samples);
    }

    /// Takes the sound from `start` to `end`, whose embedding is there: measures and keeps its samples, as far as they
    /// are still in the recording.
    pub fn take<const N: usize>(&mut self, recording: &Recording<N>, start: u32, end: u32) {
        self.there = true;
        (self.start, self.end) = (start, end);
        self.levels = Levels::default();
        self.samples.clear();
        let mut chunk = [0; CHUNK];
        let mut at = start;
        while at != end {
            let count = chunk.len().min(end.wrapping_sub(at) as usize);
            match recording.read(at, &mut chunk[..count]) {
                Ok(()) => {
                    self.levels.push_i16(&chunk[..count]);
                    self.samples.push(&chunk[..count]);
                    at = at.wrapping_add(count as u32);
                }
                Err(Overwritten { samples }) => {
                    self.samples.spoil();
                    at = at.wrapping_add(samples.min(end.wrapping_sub(at)));
                }
            }
        }
    }
}
