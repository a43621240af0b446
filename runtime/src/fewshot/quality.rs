//! Checks whether a recording is fit to be learnt from.

use super::{ClassId, DirectionError, Learner, Role};
use crate::clip::Levels;

/// Limits that an example is checked against before it is enrolled.
///
/// The defaults refuse sure mistakes and let doubtful clips pass: of genuine examples of their classes
/// in four sets of real recordings, from other recordings or makers than the examples already there, 0
/// to 4 in 100 are refused, all for similarity (`models/RESULTS.md`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Smallest peak, full scale being 1. 0.002 is -54 dB, below the quietest of 4,130 recordings.
    pub least_peak: f32,
    /// Largest share of clipped samples ([`Levels::clipped`]). At 0.01, a hundredth of the clip has
    /// lost its shape; none of those recordings comes near.
    pub most_clipped: f32,
    /// Smallest length in seconds. 0.03 is shorter than any drum hit among those recordings.
    pub least_seconds: f32,
    /// Smallest similarity to the examples that the class has. Every second pair of unrelated sounds
    /// has less than 0. With a cohort, similarities are those of
    /// [`Decision::similarity`](super::Decision::similarity), and this is counted from the median of
    /// unrelated pairs.
    pub least_own: f32,
    /// Largest excess of the similarity to another class over that to its own. A cohort lowers both alike.
    pub most_margin: f32,
    /// Largest similarity of the first example of a class to another class: above it, the two are one,
    /// however ordinary they are.
    pub most_other: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            least_peak: 0.002,
            most_clipped: 0.01,
            least_seconds: 0.03,
            least_own: -0.25,
            most_margin: 0.6,
            most_other: 0.98,
        }
    }
}

/// Explains why a recording should not be enrolled, with the values measured.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// It is too quiet, or silent.
    #[error(
        "the clip is silent or too quiet: its loudest sample is {peak}, expected at least {least}; \
         record it again, nearer"
    )]
    TooQuiet {
        /// Largest magnitude of its samples, full scale being 1.
        peak: f32,
        /// Smallest value that is accepted.
        least: f32,
    },
    /// It is clipped: the microphone was overloaded.
    #[error(
        "the clip is clipped: {share} of its samples, expected at most {most}; record it again, less \
         loud"
    )]
    Clipped {
        /// Share of its samples, 0 to 1.
        share: f32,
        /// Largest value that is accepted.
        most: f32,
    },
    /// It is too short.
    #[error(
        "the clip is too short: {seconds} s, expected at least {least} s; record all of the sound"
    )]
    TooShort {
        /// Its length.
        seconds: f32,
        /// Smallest value that is accepted.
        least: f32,
    },
    /// It is unlike the examples that its class has.
    #[error(
        "the clip is unlike the other examples: similarity {similarity}, expected at least {least}; \
         record it again, or give it another name"
    )]
    UnlikeItsClass {
        /// Cosine similarity to their mean.
        similarity: f32,
        /// Smallest value that is accepted.
        least: f32,
    },
    /// It is like another class.
    #[error(
        "the clip is like class {class}: similarity {similarity}, expected at most {most}; record it \
         again, or enrol it there"
    )]
    LikeAnotherClass {
        /// That class.
        class: ClassId,
        /// Cosine similarity to the mean of its examples.
        similarity: f32,
        /// Largest value that is accepted.
        most: f32,
    },
    /// Its embedding has no direction.
    #[error(transparent)]
    Embedding(#[from] DirectionError),
}

impl Limits {
    /// Checks a clip by its samples alone, which came at `sample_rate` a second.
    ///
    /// # Errors
    /// [`Refusal`]: the first limit that the clip is beyond.
    pub fn check_levels(&self, levels: &Levels, sample_rate: u32) -> Result<(), Refusal> {
        let seconds = levels.samples() as f32 / sample_rate as f32;
        if seconds < self.least_seconds {
            let least = self.least_seconds;
            return Err(Refusal::TooShort { seconds, least });
        }
        let (peak, least) = (levels.peak(), self.least_peak);
        if peak < least {
            return Err(Refusal::TooQuiet { peak, least });
        }
        let (share, most) = (levels.clipped(), self.most_clipped);
        if share > most {
            return Err(Refusal::Clipped { share, most });
        }
        Ok(())
    }

    /// Checks the embedding of a clip that is to be enrolled in `learner` as an example of the sound
    /// called `name`, against the classes that are enabled. It needs no fit.
    ///
    /// # Errors
    /// [`Refusal`]: the first limit that the clip is beyond.
    pub fn check_example(
        &self,
        learner: &mut Learner,
        name: &str,
        embedding: &[f32],
    ) -> Result<(), Refusal> {
        learner.set_query(embedding)?;
        let own_class = learner.support().find(name);
        let classes = || learner.support().classes().iter().enumerate();
        let own = classes().find(|(_, class)| Some(class.id()) == own_class);
        let own = own.map(|(place, _)| learner.query_similarity(place));
        let mut most = self.most_other;
        if let Some(own) = own {
            let (similarity, least) = match learner.space().cohort() {
                None => (own, self.least_own),
                Some(_) => {
                    let [median, ..] = learner.space().reference().quantiles();
                    (own - learner.query_level(), median + self.least_own)
                }
            };
            if similarity < least {
                return Err(Refusal::UnlikeItsClass { similarity, least });
            }
            most = own + self.most_margin;
        }
        for (place, class) in classes() {
            let is_own = Some(class.id()) == own_class;
            if is_own || class.role() != Role::Sound || !class.is_enabled() {
                continue;
            }
            let similarity = learner.query_similarity(place);
            if similarity > most {
                return Err(Refusal::LikeAnotherClass {
                    class: class.id(),
                    similarity,
                    most,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fewshot::{HeadKind, Reference, StorageVec};
    use crate::model::Cohort;
    use crate::space::test_space::space;

    fn levels(samples: &[f32]) -> Levels {
        let mut levels = Levels::default();
        levels.push(samples);
        levels
    }

    #[test]
    fn clips_are_refused_for_what_is_wrong_with_them() {
        let limits = Limits::default();
        let check = |samples: &[f32]| limits.check_levels(&levels(samples), 8000);
        assert_eq!(check(&[0.1; 400]), Ok(()));
        let (seconds, least) = (0.0125, 0.03);
        assert_eq!(
            check(&[0.1; 100]),
            Err(Refusal::TooShort { seconds, least })
        );
        let (peak, least) = (0.001, 0.002);
        assert_eq!(
            check(&[-0.001; 400]),
            Err(Refusal::TooQuiet { peak, least })
        );
        // The limits themselves are kept.
        assert_eq!(check(&[0.002; 240]), Ok(()));
        let mut loud = [0.5; 400];
        loud[10..14].fill(1.0);
        assert_eq!(check(&loud), Ok(()));
        loud[20..24].fill(-1.0);
        let (share, most) = (0.02, 0.01);
        assert_eq!(check(&loud), Err(Refusal::Clipped { share, most }));
    }

    #[test]
    fn examples_are_refused_for_what_they_are_like() {
        let mut storage = StorageVec::new(4, 8, 2);
        let space = space(&[2], &[0.0; 2], Reference::assumed(0.5));
        let mut learner = Learner::new(storage.lend(), HeadKind::default(), space).unwrap();
        let limits = Limits::default();
        let check = |learner: &mut Learner, name: &str, angle: f32| {
            let (sin, cos) = angle.to_radians().sin_cos();
            limits.check_example(learner, name, &[cos, sin])
        };
        assert_eq!(check(&mut learner, "a", 0.0), Ok(()));
        let a = learner.enrol("a", &[1.0, 0.0]).unwrap();
        assert_eq!(check(&mut learner, "a", 60.0), Ok(()));
        let unlike = check(&mut learner, "a", 120.0);
        assert!(
            matches!(unlike, Err(Refusal::UnlikeItsClass { similarity, .. }) if (similarity + 0.5).abs() < 0.01)
        );
        assert_eq!(check(&mut learner, "b", 20.0), Ok(()));
        let same = check(&mut learner, "b", 2.0);
        assert!(matches!(same, Err(Refusal::LikeAnotherClass { class, .. }) if class == a));
        let b = learner.enrol("b", &[0.0, 1.0]).unwrap();
        let other = check(&mut learner, "a", 85.0);
        assert!(matches!(other, Err(Refusal::LikeAnotherClass { class, .. }) if class == b));
        // What does not take part is like nothing.
        learner.support_mut().set_enabled(b, false).unwrap();
        assert_eq!(check(&mut learner, "a", 85.0), Ok(()));
        // An ordinary sound must be the more like its class; the median of the pairs is 0 here.
        let cohort = Cohort::new(&[64, 127], 2);
        let with = learner.space().with_cohort(cohort).unwrap();
        let mut storage = StorageVec::new(4, 8, 2);
        let mut ordinary = Learner::new(storage.lend(), HeadKind::default(), with).unwrap();
        assert_eq!(check(&mut ordinary, "a", 0.0), Ok(()));
        ordinary.enrol("a", &[1.0, 0.0]).unwrap();
        assert_eq!(check(&mut ordinary, "a", 0.0), Ok(()));
        let level = 1.0;
        let unlike = check(&mut ordinary, "a", 63.4);
        assert!(
            matches!(unlike, Err(Refusal::UnlikeItsClass { similarity, .. })
                if (similarity + level - 0.448).abs() < 0.02)
        );
        let same = check(&mut ordinary, "b", 2.0);
        assert!(matches!(same, Err(Refusal::LikeAnotherClass { .. })));
        let nothing = limits.check_example(&mut learner, "a", &[0.0, 0.0]);
        assert_eq!(nothing, Err(Refusal::Embedding(DirectionError::Degenerate)));
    }
}
