//! How sure an answer must be for sounds of none of the classes to be rejected.

use super::reference::{Reference, normal_exceeded_by, normal_share_above};

/// Chooses the sounds of none of the classes that a threshold is calibrated for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Strangers {
    /// Any sounds: those that the backbone's [`Reference`] was measured on. Where the enrolled classes
    /// are alike, the threshold rises with that as far as it costs few recognitions.
    #[default]
    Unrelated,
    /// Sounds of the kind that is enrolled, as other words are where words are: what the enrolled
    /// classes are like to each other, and the negatives and the background to them, tells how alike
    /// such strangers will be. Stricter than [`Self::Unrelated`], or the same; it takes three classes,
    /// or negatives or background, to be of use, and several examples of each to be reliable.
    Related,
}

/// Calibrates the threshold of classes that have none of their own.
///
/// Rates measured on real recordings are in the project's `models/reports/open-set.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Calibration {
    /// Share of the strangers that may be taken for one of the classes, 0 to 1, however many classes
    /// there are.
    pub false_acceptance: f32,
    /// Kind of strangers.
    pub strangers: Strangers,
}

impl Default for Calibration {
    /// One in twenty unrelated sounds.
    fn default() -> Self {
        Self {
            false_acceptance: 0.05,
            strangers: Strangers::default(),
        }
    }
}

/// Statistics of the enrolled examples from which strangers are judged; a fit computes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StrangerStatistics {
    /// Number of classes in independent directions that would give a stranger as many chances.
    independent: f32,
    /// Mean and deviation of the similarities of examples to the likest class that is not their own.
    related: Option<[f32; 2]>,
}

/// Observations that the prior of the deviation of related strangers counts for.
const PRIOR_WEIGHT: f32 = 5.0;

/// The prior's deviation as a share of that of unrelated sounds: the best of some similarities spreads
/// less than one, and those of one kind of sound less than those of all.
const PRIOR_SHARE: f32 = 0.5;

/// Share of enrolled sounds that may be less like another class than the threshold is.
const SPARED: f32 = 0.05;

impl StrangerStatistics {
    /// Computes the statistics from the Gram matrix of the examples and their labels, which come in
    /// order. Of each label, `lengths` holds the length of the sum of its examples, zero if they cancel
    /// out, and `is_sound` tells whether a stranger can be taken for it. `levels` gives each example's
    /// level in the cohort, zero if there is none.
    ///
    /// A stranger is compared with the mean direction of each of `n` sounds. Were these orthogonal, it
    /// would have `n` chances; were they one, a single chance. With the similarities `c` of the means,
    /// those below zero counted as zero, `n^2 / sum(c)` is taken, which is exact for both and for `n`
    /// sounds in equal clusters of any size.
    pub fn of(
        gram: &[f32],
        labels: &[u8],
        lengths: &[f32],
        is_sound: impl Fn(u8) -> bool,
        levels: impl Iterator<Item = f32>,
        reference: &Reference,
    ) -> Self {
        let n = labels.len();
        let groups = || {
            let mut end = 0;
            labels.chunk_by(|a, b| a == b).map(move |group| {
                end += group.len();
                (group[0], end - group.len()..end)
            })
        };
        let sounds = || groups().filter(|(label, _)| is_sound(*label));
        let length = |label: u8| lengths[usize::from(label)];
        let to_mean = |example: usize, (label, members): (u8, core::ops::Range<usize>)| {
            let along: f32 = gram[example * n..][members].iter().sum();
            if length(label) > 0.0 {
                along / length(label)
            } else {
                0.0
            }
        };

        let (mut count, mut alike) = (0.0_f32, 0.0_f32);
        for (label, members) in sounds() {
            count += 1.0;
            for other in sounds() {
                let along: f32 = members.clone().map(|x| to_mean(x, other.clone())).sum();
                if length(label) > 0.0 {
                    alike += (along / length(label)).max(0.0);
                }
            }
        }
        // Welford's method: sums of squares would lose the deviation of similarities near 1.
        let (mut seen, mut mean, mut squares) = (0.0_f32, 0.0_f32, 0.0_f32);
        let mut levels = levels;
        for (label, members) in groups() {
            for example in members {
                let level = levels.next().unwrap_or(0.0);
                let others = sounds().filter(|(other, _)| *other != label);
                let likest = others.map(|other| to_mean(example, other)).reduce(f32::max);
                if let Some(likest) = likest.map(|likest| likest - level) {
                    seen += 1.0;
                    let from_mean = likest - mean;
                    mean += from_mean / seen;
                    squares += from_mean * (likest - mean);
                }
            }
        }
        let related = (seen >= 2.0).then(|| {
            let [median, .., twentieth] = reference.quantiles()[..4] else {
                return [mean, 0.0];
            };
            let prior = PRIOR_SHARE * (twentieth - median) / normal_exceeded_by(0.05);
            let square = (squares + PRIOR_WEIGHT * prior * prior) / (seen - 1.0 + PRIOR_WEIGHT);
            [mean, libm::sqrtf(square)]
        });
        Self {
            independent: if alike > 0.0 {
                (count * count / alike).clamp(1.0, count.max(1.0))
            } else {
                count.max(1.0)
            },
            related,
        }
    }

    /// Statistics of a learner that knows nothing.
    pub const NONE: Self = Self {
        independent: 1.0,
        related: None,
    };

    /// Returns the similarity to the best class below which a sound is a stranger, -1 to 1.
    ///
    /// Where the enrolled sounds are alike, all of one voice for instance, even the strangers that the
    /// reference knows are less alike than they are to each other. A known sound is more like its class
    /// than they are, so that a threshold at their lower quantile of [`SPARED`] rejects few of those:
    /// the threshold for unrelated strangers is never below it.
    pub fn threshold(&self, reference: &Reference, calibration: Calibration) -> f32 {
        let rate = calibration.false_acceptance.clamp(0.0, 1.0);
        // One of `n` independent comparisons exceeds what each does with the share `1 - (1 - rate)^(1/n)`.
        let each = -libm::expm1f(libm::log1pf(-rate) / self.independent);
        let unrelated = reference.similarity_exceeded_by(each);
        let Some([mean, deviation]) = self.related.filter(|_| rate > 0.0) else {
            return unrelated;
        };
        let deviations = match calibration.strangers {
            Strangers::Unrelated => -normal_exceeded_by(SPARED),
            Strangers::Related => normal_exceeded_by(rate),
        };
        unrelated.max(mean + deviations * deviation).min(1.0)
    }

    /// Returns the probability, 0 to 1, that a stranger is as like its best class as `similarity`. At
    /// the threshold it is at most the rate that the threshold is calibrated for.
    pub fn chance(&self, reference: &Reference, strangers: Strangers, similarity: f32) -> f32 {
        let each = reference.share_above(similarity);
        let unrelated = -libm::expm1f(self.independent * libm::log1pf(-each));
        let chance = match (strangers, self.related) {
            (Strangers::Related, Some([mean, deviation])) => {
                let related = normal_share_above((similarity - mean) / deviation.max(1e-6));
                unrelated.max(related)
            }
            _ => unrelated,
        };
        chance.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference() -> Reference {
        Reference::new([0.0, 0.17, 0.36, 0.48, 0.6, 0.68, 0.75, 0.83]).unwrap()
    }

    /// Of unit vectors in a plane, at `degrees`, one class each unless `labels` say otherwise.
    fn statistics(degrees: &[f32], labels: &[u8]) -> StrangerStatistics {
        let gram: Vec<f32> = degrees
            .iter()
            .flat_map(|a| degrees.iter().map(move |b| (a - b).to_radians().cos()))
            .collect();
        let classes = labels.iter().max().map_or(0, |label| label + 1);
        let n = labels.len();
        let lengths: Vec<f32> = (0..classes)
            .map(|class| {
                let own: Vec<usize> = (0..n).filter(|i| labels[*i] == class).collect();
                let square: f32 = own
                    .iter()
                    .flat_map(|i| own.iter().map(move |j| (i, j)))
                    .map(|(i, j)| gram[i * n + j])
                    .sum();
                square.max(0.0).sqrt()
            })
            .collect();
        let levels = core::iter::empty();
        StrangerStatistics::of(
            &gram,
            labels,
            &lengths,
            |label| label != 9,
            levels,
            &reference(),
        )
    }

    #[test]
    fn classes_count_by_how_far_apart_they_are() {
        let independent = |degrees: &[f32]| {
            let labels: Vec<u8> = (0..degrees.len() as u8).collect();
            statistics(degrees, &labels).independent
        };
        assert!((independent(&[10.0]) - 1.0).abs() < 1e-6);
        assert!((independent(&[10.0, 10.0, 10.0]) - 1.0).abs() < 1e-5);
        assert!((independent(&[0.0, 90.0]) - 2.0).abs() < 1e-5);
        assert!((independent(&[0.0, 0.0, 90.0, 90.0]) - 2.0).abs() < 1e-5);
        assert!((independent(&[0.0, 180.0]) - 2.0).abs() < 1e-5);
        assert!((statistics(&[0.0, 20.0, 90.0], &[0, 0, 1]).independent - 1.7).abs() < 0.1);
    }

    #[test]
    fn more_classes_ask_for_more_likeness() {
        let calibration = Calibration::default();
        let one = statistics(&[0.0], &[0]).threshold(&reference(), calibration);
        let two = statistics(&[0.0, 90.0], &[0, 1]).threshold(&reference(), calibration);
        assert!((one - 0.48).abs() < 1e-5);
        // Half of five in a hundred, 2.5 in a hundred, lies between the quantiles of 5 and 2.
        assert!(two > 0.55 && two < 0.6, "{two}");
        assert!(
            (StrangerStatistics::NONE.threshold(&reference(), calibration) - 0.48).abs() < 1e-5
        );
    }

    #[test]
    fn related_strangers_are_measured_on_each_other() {
        let related = Calibration {
            strangers: Strangers::Related,
            ..Calibration::default()
        };
        // Classes 20 degrees apart: strangers of their kind are as like one of them.
        let near = statistics(&[0.0, 20.0, 40.0], &[0, 1, 2]);
        let [mean, deviation] = near.related.unwrap();
        assert!((mean - 20.0_f32.to_radians().cos()).abs() < 1e-4 && deviation > 0.01);
        assert!(near.threshold(&reference(), related) > mean);
        // Nor are unrelated ones as like them as they are to each other.
        let unrelated = near.threshold(&reference(), Calibration::default());
        assert!(unrelated > 0.65 && unrelated < mean, "{unrelated}");
        // A single class knows nothing of its kind.
        let alone = statistics(&[0.0, 10.0], &[0, 0]);
        assert_eq!(alone.related, None);
        assert_eq!(
            alone.threshold(&reference(), related),
            alone.threshold(&reference(), Calibration::default())
        );
        // Negatives do: they are strangers, and nothing is taken for one of them.
        let negatives = statistics(&[0.0, 30.0, 40.0], &[0, 9, 9]);
        assert_eq!(negatives.independent, 1.0);
        let [mean, _] = negatives.related.unwrap();
        assert!(
            (mean - (30.0_f32.to_radians().cos() + 40.0_f32.to_radians().cos()) / 2.0).abs() < 1e-4
        );
    }

    #[test]
    fn a_rate_of_nothing_or_all_is_taken_at_its_word() {
        let known = statistics(&[0.0, 60.0, 90.0], &[0, 1, 2]);
        for strangers in [Strangers::Unrelated, Strangers::Related] {
            let at = |false_acceptance| {
                known.threshold(
                    &reference(),
                    Calibration {
                        false_acceptance,
                        strangers,
                    },
                )
            };
            assert_eq!(at(0.0), 1.0);
            assert_eq!(at(f32::NAN), 1.0);
            assert!(at(1.0) < 0.6);
        }
        assert!(known.chance(&reference(), Strangers::Unrelated, -1.0) > 0.999);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// At the threshold, the chance is the rate, or less where the enrolled sounds are alike; a sound
        /// that is more alike is less a stranger.
        #[test]
        fn the_chance_at_the_threshold_is_at_most_the_rate(
            degrees in prop::collection::vec(0.0_f32..180.0, 1..7),
            rate in 0.002_f32..0.4,
            related in any::<bool>(),
        ) {
            let labels: Vec<u8> = (0..degrees.len() as u8).collect();
            let known = statistics(&degrees, &labels);
            let strangers = if related { Strangers::Related } else { Strangers::Unrelated };
            let calibration = Calibration { false_acceptance: rate, strangers };
            let threshold = known.threshold(&reference(), calibration);
            prop_assert!((-1.0..=1.0).contains(&threshold));
            let chance = |similarity| known.chance(&reference(), strangers, similarity);
            let alike = known.related.is_some() && strangers == Strangers::Unrelated;
            prop_assert!(threshold == 1.0 || chance(threshold) <= rate * 1.02);
            if threshold < 1.0 && !alike {
                prop_assert!(chance(threshold) >= rate * 0.98, "{} {rate}", chance(threshold));
            }
            prop_assert!(chance(threshold + 0.1) <= chance(threshold) + 1e-6);
            prop_assert!(chance(threshold - 0.1) >= chance(threshold) - 1e-6);
            let stricter = Calibration { false_acceptance: 0.5 * rate, strangers };
            prop_assert!(known.threshold(&reference(), stricter) >= threshold - 1e-6);
        }
    }
}
