//! Keeps the last thing that the device did, which a press may be about.

use mtslvr_runtime::fewshot::{ClassName, direction};
use mtslvr_runtime::space::EmbeddingSpace;

/// The sound that was recognised or enrolled last.
#[derive(Debug)]
pub(super) struct Recent {
    pub name: ClassName,
    pub did: Did,
}

/// Deed of the device about it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Did {
    /// Recognised it.
    Recognised,
    /// Learnt an example of it.
    Enrolled,
    /// Took what was recognised for a negative. `threshold` was set for the sound before.
    Rejected { threshold: Option<f32> },
}

/// The sound that was recognised last, as it would be enrolled.
#[derive(Debug)]
pub(super) struct Recognised<'m> {
    /// Sample of the stream at which it began.
    onset: Option<u64>,
    direction: &'m mut [i8],
    there: bool,
}

impl<'m> Recognised<'m> {
    pub fn none(direction: &'m mut [i8]) -> Self {
        Self {
            onset: None,
            direction,
            there: false,
        }
    }

    /// Takes the embedding of the window in which a sound that began at `onset` was recognised, if `now`, or of a
    /// later window of that sound.
    pub fn follow(
        &mut self,
        onset: Option<u64>,
        now: bool,
        embedding: &[f32],
        space: &EmbeddingSpace<'_>,
    ) {
        if !now && (onset.is_none() || onset != self.onset) {
            return;
        }
        self.onset = onset;
        let made = direction(
            embedding,
            space.base_mean(),
            space.parts(),
            &mut *self.direction,
        );
        self.there = made.is_ok();
    }

    /// Tells whether the sound that began at `onset` is the one that was recognised.
    pub fn is_of(&self, onset: Option<u64>) -> bool {
        onset.is_some() && onset == self.onset
    }

    pub fn direction(&self) -> Option<&[i8]> {
        self.there.then_some(&*self.direction)
    }
}
