//! The answer of a verifier, and what a listener asks.

use super::{Course, Verifier};
use crate::fewshot::ClassId;

/// How a candidate compares with the examples of its class.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verdict {
    /// Mean distance of the candidate's course from those of the examples.
    pub order: f32,
    /// Largest such distance that passes.
    pub most_order: f32,
    /// Least logarithm of the ratio of the candidate's length and that of an example.
    pub length: f32,
    /// Largest such logarithm that passes.
    pub most_length: f32,
    /// Whether a mistake is more like the candidate than every example is.
    pub is_mistake: bool,
}

impl Verdict {
    /// The verdict on a class about which too little is known.
    pub(super) const UNKNOWN: Self = Self {
        order: 0.0,
        most_order: f32::INFINITY,
        length: 0.0,
        most_length: f32::INFINITY,
        is_mistake: false,
    };

    /// Tells whether the candidate is accepted.
    pub fn passes(&self) -> bool {
        self.order <= self.most_order && self.length <= self.most_length && !self.is_mistake
    }
}

/// Takes a second look at candidates. `()` accepts all.
pub trait Check {
    /// Tells whether a sound that begins with these log-mel frames, `[frames][mels]`, and is about to be
    /// recognised as `class`, is accepted.
    fn accepts(&self, class: ClassId, frames: &[f32], mels: usize) -> bool;

    /// Whether it ever refuses one.
    const REFUSES: bool;
}

impl Check for () {
    fn accepts(&self, _: ClassId, _: &[f32], _: usize) -> bool {
        true
    }

    const REFUSES: bool = false;
}

impl Check for Verifier<'_> {
    fn accepts(&self, class: ClassId, frames: &[f32], mels: usize) -> bool {
        self.verify(class, &Course::of(frames, mels)).passes()
    }

    const REFUSES: bool = true;
}
