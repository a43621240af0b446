//! A second look at sounds that are about to be recognised: compares the order of things in them with
//! that in the examples.
//!
//! An embedding tells which sounds a window holds and little of their order: a word backwards, or half of
//! it, is often as like the class as the whole word. A [`Verifier`] keeps the [`Course`] of each example,
//! what changes from one time slice to the next, and compares a candidate with all courses of its class by
//! dynamic time warping. How much two sounds of the class may differ, the examples say: each is compared
//! with the others. So it takes two examples of a class; with fewer, every candidate passes. It also keeps
//! the courses of sounds that were taken for a class by mistake: a candidate that is more like one of
//! those than like every example of its class is refused.
//!
//! It compares sounds from their beginning: a listener asks it while the beginning is within the last patch,
//! and lets longer sounds pass.
//!
//! It is optional: a [`Listener`](crate::listener::Listener) that is not given one
//! ([`Listener::push_verified`](crate::listener::Listener::push_verified)) holds none of its code.
//! A template takes [`TEMPLATE_BYTES`] bytes, 40 of them 15 KiB; verifying needs 0.5 KiB of stack. With five
//! examples it takes 25 alignments, 0.2 million multiply-accumulates, for each candidate.
//!
//! ```
//! use mtslvr_runtime::fewshot::ClassId;
//! use mtslvr_runtime::verifier::{Course, Template, Verifier};
//!
//! // Log-mel frames of 16 bands: a band that rises, in 0.3 s and in 0.35 s.
//! let rising = |frames: usize| -> Vec<f32> {
//!     let band = |at: usize| (0..16).map(move |band| f32::from(u8::from(band == 16 * at / frames)));
//!     (0..frames).flat_map(band).collect()
//! };
//! let mut room = [Template::EMPTY; 8];
//! let mut verifier = Verifier::new(&mut room);
//! let class = ClassId::new(0);
//! for frames in [18, 22, 20] {
//!     verifier.add(Some(class), Course::of(&rising(frames), 16))?;
//! }
//! let heard = rising(21);
//! assert!(verifier.verify(class, &Course::of(&heard, 16)).passes());
//! let backwards: Vec<f32> = heard.chunks(16).rev().flatten().copied().collect();
//! assert!(!verifier.verify(class, &Course::of(&backwards, 16)).passes());
//! # Ok::<(), mtslvr_runtime::verifier::VerifierFull>(())
//! ```

mod course;
mod verdict;

pub use course::{BANDS, Course, MOST_SLICES, SLICE_FRAMES};
pub use verdict::{Check, Verdict};

use crate::fewshot::ClassId;

/// The course of an example, or of a sound that was taken for a class by mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// `None` for a sound that is none of the classes.
    class: Option<ClassId>,
    course: Course,
}

impl Template {
    /// A template that is not in use.
    pub const EMPTY: Self = Self {
        class: None,
        course: Course::EMPTY,
    };
}

/// Bytes of a template.
pub const TEMPLATE_BYTES: usize = size_of::<Template>();

/// All templates are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("all {capacity} templates are in use: remove a class first")]
pub struct VerifierFull {
    /// Templates that there is room for.
    pub capacity: usize,
}

/// Tells whether a candidate has the course of its class, from the templates in a room that the caller
/// owns. Its answers depend on the templates alone.
#[derive(Debug)]
pub struct Verifier<'b> {
    room: &'b mut [Template],
    /// The first `used` of them are in use.
    used: usize,
}

/// Weight of the prior of a deviation, in observations.
const PRIOR_WEIGHT: f32 = 5.0;

/// Deviation of the distances of examples of one class, median of classes of pretraining recordings, and
/// deviations above their mean from which on a candidate is refused.
const ORDER: Rule = Rule {
    prior: 0.125,
    deviations: 2.8,
};

/// The same for the logarithm of the ratio of two lengths.
const LENGTH: Rule = Rule {
    prior: 0.075,
    deviations: 4.0,
};

/// Says how far above the values of the examples a candidate's may be.
struct Rule {
    prior: f32,
    deviations: f32,
}

impl Rule {
    /// Returns the largest value that passes, from those of the examples.
    fn limit(&self, values: impl Iterator<Item = f32> + Clone) -> f32 {
        let count = values.clone().count() as f32;
        let mean = values.clone().sum::<f32>() / count;
        let squares: f32 = values.map(|value| (value - mean) * (value - mean)).sum();
        let square =
            (squares + PRIOR_WEIGHT * self.prior * self.prior) / (count - 1.0 + PRIOR_WEIGHT);
        mean + self.deviations * libm::sqrtf(square)
    }
}

impl<'b> Verifier<'b> {
    /// Makes a verifier that knows nothing: every candidate passes.
    pub fn new(room: &'b mut [Template]) -> Self {
        Self { room, used: 0 }
    }

    /// Adds the course of an example of `class`, or with `None` that of a sound which was taken for a
    /// class by mistake.
    ///
    /// # Errors
    /// [`VerifierFull`].
    pub fn add(&mut self, class: Option<ClassId>, course: Course) -> Result<(), VerifierFull> {
        let capacity = self.room.len();
        let place = self.room.get_mut(self.used);
        *place.ok_or(VerifierFull { capacity })? = Template { class, course };
        self.used += 1;
        Ok(())
    }

    /// Removes the templates of a class, or with `None` those of mistakes. The others keep their order.
    pub fn remove(&mut self, class: Option<ClassId>) {
        let mut kept = 0;
        for at in 0..self.used {
            if self.room[at].class != class {
                self.room.swap(kept, at);
                kept += 1;
            }
        }
        self.used = kept;
    }

    /// Returns the number of templates.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Tells whether there is no template.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Returns the courses of a class, or with `None` those of mistakes.
    fn courses(&self, class: Option<ClassId>) -> impl Iterator<Item = &Course> + Clone {
        let templates = self.room.get(..self.used).unwrap_or_default().iter();
        let own = templates.filter(move |template| template.class == class);
        own.map(|template| &template.course)
    }

    /// Compares a candidate for `class` with the class's examples and with the mistakes.
    pub fn verify(&self, class: ClassId, candidate: &Course) -> Verdict {
        let own = self.courses(Some(class));
        let count = own.clone().count();
        if count < 2 {
            return Verdict::UNKNOWN;
        }
        // Each example against the others, as the candidate against all.
        let left_out = own.clone().enumerate().map(|(out, example)| {
            let others = own.clone().enumerate().filter(move |(at, _)| *at != out);
            Distances::of(example, others.map(|(_, other)| other))
        });
        let found = Distances::of(candidate, own.clone());
        let mistakes = self.courses(None).map(|other| candidate.distance(other));
        Verdict {
            order: found.mean,
            most_order: ORDER.limit(left_out.clone().map(|distances| distances.mean)),
            length: found.length,
            most_length: LENGTH.limit(left_out.map(|distances| distances.length)),
            is_mistake: mistakes.fold(f32::INFINITY, f32::min) < found.least,
        }
    }
}

/// How far a course is from some others.
struct Distances {
    mean: f32,
    least: f32,
    /// Least magnitude of the logarithm of the ratio of their lengths.
    length: f32,
}

impl Distances {
    fn of<'c>(course: &Course, others: impl Iterator<Item = &'c Course>) -> Self {
        let (mut sum, mut count) = (0.0, 0.0);
        let (mut least, mut length) = (f32::INFINITY, f32::INFINITY);
        for other in others {
            let distance = course.distance(other);
            sum += distance;
            count += 1.0;
            least = least.min(distance);
            length = length.min(course.length_from(other));
        }
        Self {
            mean: sum / count,
            least,
            length,
        }
    }
}

#[cfg(test)]
mod tests;
