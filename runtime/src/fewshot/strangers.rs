//! How sure an answer must be for sounds of none of the classes to be rejected.

use super::class_scores::{ClassScores, Spread};
use super::gram::Gram;
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
/// Rates measured on real recordings are in the project's `models/reports`: `stream.md` has false alarms an
/// hour, `open-set.md` shares of single clips.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Calibration {
    /// Share of the strangers that may be taken for one of the classes, 0 to 1, however many classes
    /// there are.
    pub false_acceptance: f32,
    /// Kind of strangers.
    pub strangers: Strangers,
    /// How much higher the scores of unrelated strangers are than those of the [`Reference`], which are of single
    /// recordings: 0 for such, [`Self::IN_A_ROOM`] where a listener hears them.
    pub raised: f32,
}

impl Calibration {
    /// How much higher the scores of sounds in a room are than those of single recordings: what was taught there and
    /// all else that is heard there have its noise and its echo in common.
    ///
    /// Chosen on streams of pretraining recordings, on which [`Self::default`] then gives the false alarms that it
    /// aims at.
    pub const IN_A_ROOM: f32 = 0.07;

    /// Number of windows of a sound that are judged as if each was a sound of its own: a sound is judged
    /// each half second while it lasts, and what its windows are like differs little.
    const WINDOWS: f32 = 1.5;

    /// Number of sounds of none of the classes that are heard in an hour, in the room that the default is
    /// made for.
    pub const SOUNDS: f32 = 180.0;

    /// Aims at `false_alarms` an hour in a room in which `sounds` sounds an hour are heard that belong to
    /// none of the classes.
    ///
    /// ```
    /// use mtslvr_runtime::fewshot::Calibration;
    /// assert_eq!(Calibration::hourly(1.0, 180.0), Calibration::default());
    /// ```
    pub fn hourly(false_alarms: f32, sounds: f32) -> Self {
        Self {
            raised: Self::IN_A_ROOM,
            ..Self::of_clips((false_alarms / (Self::WINDOWS * sounds)).clamp(0.0, 1.0))
        }
    }

    /// Lets the share `false_acceptance` of single recordings pass that belong to none of the classes, 0 to 1.
    pub fn of_clips(false_acceptance: f32) -> Self {
        Self {
            false_acceptance,
            strangers: Strangers::default(),
            raised: 0.0,
        }
    }

    /// Returns the false alarms an hour to expect in a room in which `sounds` sounds an hour are heard that
    /// belong to none of the classes, where the share `false_acceptance` of such sounds is accepted when
    /// each is judged once. It is the inverse of [`Self::hourly`].
    ///
    /// ```
    /// use mtslvr_runtime::fewshot::Calibration;
    /// let share = Calibration::hourly(2.0, 60.0).false_acceptance;
    /// assert!((Calibration::false_alarms(share, 60.0) - 2.0).abs() < 1e-5);
    /// ```
    pub fn false_alarms(false_acceptance: f32, sounds: f32) -> f32 {
        false_acceptance * Self::WINDOWS * sounds
    }
}

impl Default for Calibration {
    /// One false alarm an hour in a room with [`Calibration::SOUNDS`] other sounds an hour.
    fn default() -> Self {
        Self::hourly(1.0, Self::SOUNDS)
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
    /// Computes the statistics from the similarities of the examples. `is_sound` tells of each label
    /// whether a stranger can be taken for it, and `levels` are the examples' levels in the cohort, zeros if
    /// there is none.
    ///
    /// A stranger is compared with the mean direction of each of `n` sounds. Were these orthogonal, it
    /// would have `n` chances; were they one, a single chance. With the similarities `c` of the means,
    /// those below zero counted as zero, `n^2 / sum(c)` is taken, which is exact for both and for `n`
    /// sounds in equal clusters of any size.
    pub fn of(
        gram: &Gram<'_>,
        is_sound: impl Fn(u8) -> bool,
        levels: &[f32],
        reference: &Reference,
    ) -> Self {
        let sounds = || gram.groups().filter(|(label, _)| is_sound(*label));
        let (mut count, mut alike) = (0.0_f32, 0.0_f32);
        for (label, members) in sounds() {
            count += 1.0;
            for (other, _) in sounds() {
                let along: f32 = members
                    .clone()
                    .map(|x| gram.similarity_to_mean(x, other))
                    .sum();
                if gram.length(label) > 0.0 {
                    alike += (along / gram.length(label)).max(0.0);
                }
            }
        }
        let mut likest_scores = Spread::NONE;
        for (example, level) in levels.iter().enumerate() {
            let others = sounds().filter(|(other, _)| *other != gram.label(example));
            let likest = others.map(|(other, _)| gram.similarity_to_mean(example, other));
            if let Some(likest) = likest.reduce(f32::max) {
                likest_scores.push(likest - level);
            }
        }
        let related = (likest_scores.count >= 2.0).then(|| {
            let [median, .., twentieth] = reference.quantiles()[..4] else {
                return [likest_scores.mean, 0.0];
            };
            let prior = PRIOR_SHARE * (twentieth - median) / normal_exceeded_by(0.05);
            let deviation = likest_scores.deviation(prior, PRIOR_WEIGHT);
            [likest_scores.mean, deviation]
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

    /// Returns the score that the sounds which a calibration is for exceed at its rate, -1 to 1, and the
    /// probability with which they exceed it for each class alone.
    ///
    /// Where the enrolled sounds are alike, all of one voice for instance, even the strangers that the
    /// reference knows are less alike than they are to each other. A known sound is more like its class
    /// than they are, so that a threshold at their lower quantile of [`SPARED`] rejects few of those:
    /// the score for unrelated strangers is never below it.
    pub fn exceeded(&self, reference: &Reference, calibration: Calibration) -> [f32; 2] {
        let rate = calibration.false_acceptance.clamp(0.0, 1.0);
        // One of `n` independent comparisons exceeds what each does with the share `1 - (1 - rate)^(1/n)`.
        let each = -libm::expm1f(libm::log1pf(-rate) / self.independent);
        let unrelated = reference.similarity_exceeded_by(each) + calibration.raised;
        let Some([mean, deviation]) = self.related.filter(|_| rate > 0.0) else {
            return [unrelated.clamp(-1.0, 1.0), each];
        };
        let deviations = match calibration.strangers {
            Strangers::Unrelated => -normal_exceeded_by(SPARED),
            Strangers::Related => normal_exceeded_by(rate),
        };
        let exceeded = unrelated.max(mean + deviations * deviation);
        [exceeded.clamp(-1.0, 1.0), each]
    }

    /// Returns the threshold of a class with these scores, -1 to 1. A rate of nothing gives 1.
    pub fn threshold(
        &self,
        scores: &ClassScores,
        reference: &Reference,
        calibration: Calibration,
    ) -> f32 {
        let [exceeded, each] = self.exceeded(reference, calibration);
        if each > 0.0 {
            scores.threshold(exceeded, each)
        } else {
            1.0
        }
    }

    /// Returns the probability, 0 to 1, that a stranger is as like its best class as `similarity`. At
    /// the threshold it is at most the rate that the threshold is calibrated for.
    pub fn chance(&self, reference: &Reference, calibration: Calibration, similarity: f32) -> f32 {
        let each = reference.share_above(similarity - calibration.raised);
        let unrelated = -libm::expm1f(self.independent * libm::log1pf(-each));
        let chance = match (calibration.strangers, self.related) {
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

    /// One in twenty unrelated sounds.
    const TWENTIETH: Calibration = Calibration {
        false_acceptance: 0.05,
        strangers: Strangers::Unrelated,
        raised: 0.0,
    };

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
        StrangerStatistics::of(
            &Gram::new(&gram, labels, &lengths),
            |label| label != 9,
            &vec![0.0; labels.len()],
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
        let calibration = TWENTIETH;
        let one = statistics(&[0.0], &[0]).exceeded(&reference(), calibration)[0];
        let two = statistics(&[0.0, 90.0], &[0, 1]).exceeded(&reference(), calibration)[0];
        assert!((one - 0.48).abs() < 1e-5);
        // Half of five in a hundred, 2.5 in a hundred, lies between the quantiles of 5 and 2.
        assert!(two > 0.55 && two < 0.6, "{two}");
        assert!(
            (StrangerStatistics::NONE.exceeded(&reference(), calibration)[0] - 0.48).abs() < 1e-5
        );
    }

    /// The thresholds of a room lie higher by what its sounds have in common, and so do the chances.
    #[test]
    fn sounds_of_one_room_are_nearer() {
        let of_clips = Calibration::of_clips(Calibration::default().false_acceptance);
        let known = statistics(&[0.0, 90.0], &[0, 1]);
        let reference = Reference::new([-0.03, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]).unwrap();
        let at = |calibration| known.exceeded(&reference, calibration)[0];
        let (clip, room) = (at(of_clips), at(Calibration::default()));
        assert!((room - clip - Calibration::IN_A_ROOM).abs() < 1e-6);
        let chance = |calibration, similarity| known.chance(&reference, calibration, similarity);
        let [clip, room] = [chance(of_clips, clip), chance(Calibration::default(), room)];
        assert!((clip / room - 1.0).abs() < 1e-3, "{clip} {room}");
    }

    #[test]
    fn related_strangers_are_measured_on_each_other() {
        let related = Calibration {
            strangers: Strangers::Related,
            ..TWENTIETH
        };
        // Classes 20 degrees apart: strangers of their kind are as like one of them.
        let near = statistics(&[0.0, 20.0, 40.0], &[0, 1, 2]);
        let [mean, deviation] = near.related.unwrap();
        assert!((mean - 20.0_f32.to_radians().cos()).abs() < 1e-4 && deviation > 0.01);
        assert!(near.exceeded(&reference(), related)[0] > mean);
        // Nor are unrelated ones as like them as they are to each other.
        let unrelated = near.exceeded(&reference(), TWENTIETH)[0];
        assert!(unrelated > 0.65 && unrelated < mean, "{unrelated}");
        // A single class knows nothing of its kind.
        let alone = statistics(&[0.0, 10.0], &[0, 0]);
        assert_eq!(alone.related, None);
        assert_eq!(
            alone.exceeded(&reference(), related)[0],
            alone.exceeded(&reference(), TWENTIETH)[0]
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
                let calibration = Calibration {
                    strangers,
                    ..Calibration::of_clips(false_acceptance)
                };
                known.threshold(&ClassScores::NONE, &reference(), calibration)
            };
            assert_eq!(at(0.0), 1.0);
            assert_eq!(at(f32::NAN), 1.0);
            assert!(at(1.0) < 0.6);
        }
        assert!(known.chance(&reference(), TWENTIETH, -1.0) > 0.999);
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
            raised in 0.0_f32..0.1,
        ) {
            let labels: Vec<u8> = (0..degrees.len() as u8).collect();
            let known = statistics(&degrees, &labels);
            let strangers = if related { Strangers::Related } else { Strangers::Unrelated };
            let calibration = Calibration { false_acceptance: rate, strangers, raised };
            let threshold = known.exceeded(&reference(), calibration)[0];
            prop_assert!((-1.0..=1.0).contains(&threshold));
            let chance = |similarity| known.chance(&reference(), calibration, similarity);
            let alike = known.related.is_some() && strangers == Strangers::Unrelated;
            prop_assert!(threshold == 1.0 || chance(threshold) <= rate * 1.02);
            if threshold < 1.0 && !alike {
                prop_assert!(chance(threshold) >= rate * 0.98, "{} {rate}", chance(threshold));
            }
            prop_assert!(chance(threshold + 0.1) <= chance(threshold) + 1e-6);
            prop_assert!(chance(threshold - 0.1) >= chance(threshold) - 1e-6);
            let stricter = Calibration { false_acceptance: 0.5 * rate, ..calibration };
            prop_assert!(known.exceeded(&reference(), stricter)[0] >= threshold - 1e-6);
        }
    }
}
