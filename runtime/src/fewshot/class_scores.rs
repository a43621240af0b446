//! Scores from which the threshold of a class is chosen: those of its own examples, and of the examples of
//! negatives and background.

use super::class::Role;
use super::gram::Gram;
use super::reference::normal_exceeded_by;

/// Mean and spread of some scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub count: f32,
    pub mean: f32,
    /// Sum of the squared distances from the mean.
    squares: f32,
}

impl Spread {
    /// Spread of no scores.
    pub const NONE: Self = Self {
        count: 0.0,
        mean: 0.0,
        squares: 0.0,
    };

    /// Counts a score, by Welford's method: sums of squares would lose the deviation of scores near 1.
    pub fn push(&mut self, score: f32) {
        self.count += 1.0;
        let from_mean = score - self.mean;
        self.mean += from_mean / self.count;
        self.squares += from_mean * (score - self.mean);
    }

    /// Returns the standard deviation of scores of which this is a sample, where `weight` more observations
    /// say `prior`.
    pub fn deviation(&self, prior: f32, weight: f32) -> f32 {
        let square = (self.squares + weight * prior * prior) / (self.count - 1.0 + weight);
        libm::sqrtf(square)
    }
}

/// Scores for one class, in short; a fit computes them. A score is a similarity to the mean of the class's
/// examples, less the level in the cohort, as in a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Mean score of its examples, each left out of the class once. `None` for a single example.
    own: Option<f32>,
    /// Score that sounds like the user's negatives seldom exceed, if there are any.
    negatives: Option<f32>,
    /// Mean and deviation of the scores of the background of the place, if there is any.
    background: Option<[f32; 2]>,
}

/// Weight of the scores of a class's own examples against that of strangers.
///
/// A threshold balances hits and false alarms where the density of a class's sounds is a fixed
/// multiple of that of strangers, which falls off exponentially: a class whose examples are alike can ask
/// for more, and one whose examples are not must ask for less. Chosen on streams of pretraining recordings,
/// where weights from 0 to 0.3 miss the same number of sounds at the same number of false alarms.
const OWN_WEIGHT: f32 = 0.15;

/// Deviation of the scores of sounds of the place that its examples stand for, and of sounds like a
/// negative, before any example is known.
const PRIOR_DEVIATION: f32 = 0.1;

/// Observations that the prior counts for.
const PRIOR_WEIGHT: f32 = 5.0;

impl ClassScores {
    /// Scores of a class about which nothing is known: all zeros, so that a static room for sounds takes no
    /// flash.
    pub const NONE: Self = Self {
        own: None,
        negatives: None,
        background: None,
    };

    /// Computes the scores for the class `label`. `role` tells what each class is for, and `levels` are
    /// the examples' levels in the cohort, zeros if there is none.
    pub(super) fn of(
        gram: &Gram<'_>,
        label: u8,
        role: impl Fn(u8) -> Role,
        levels: &[f32],
    ) -> Self {
        let [mut own, mut negatives, mut background] = [Spread::NONE; 3];
        for (example, level) in levels.iter().enumerate() {
            let other = gram.label(example);
            if other == label {
                if let Some(similarity) = gram.left_out(example) {
                    own.push(similarity - level);
                }
                continue;
            }
            let spread = match role(other) {
                Role::Negatives => &mut negatives,
                Role::Background => &mut background,
                Role::Sound => continue,
            };
            spread.push(gram.similarity_to_mean(example, label) - level);
        }
        Self::from_spreads(&own, &negatives, &background)
    }

    /// Returns the mean score of the examples, each left out of the class once; `None` for a single example.
    pub(super) fn own(&self) -> Option<f32> {
        self.own
    }

    fn from_spreads(own: &Spread, negatives: &Spread, background: &Spread) -> Self {
        let deviation = |spread: &Spread| spread.deviation(PRIOR_DEVIATION, PRIOR_WEIGHT);
        let mut scores = Self::NONE;
        if own.count > 0.0 {
            scores.own = Some(own.mean);
        }
        if negatives.count > 0.0 {
            scores.negatives = Some(negatives.mean + deviation(negatives));
        }
        if background.count > 0.0 {
            scores.background = Some([background.mean, deviation(background)]);
        }
        scores
    }

    /// Returns the threshold of the class, -1 to 1, where strangers exceed `unrelated` with the probability
    /// `share`, above 0.
    ///
    /// It lies between that and the mean score of the class's own examples, nearer to strangers, and is no
    /// lower than the score that the sounds of the place exceed with the same probability. The user's
    /// negatives were heard because they scored high: the threshold is a deviation above them, but leaves
    /// half of the class's own sounds.
    pub(super) fn threshold(&self, unrelated: f32, share: f32) -> f32 {
        let own = self.own.unwrap_or(unrelated);
        let between = unrelated + OWN_WEIGHT * (own - unrelated);
        let place = self
            .background
            .map(|[mean, deviation]| mean + normal_exceeded_by(share) * deviation);
        let negatives = self
            .negatives
            .map(|score| score.min(self.own.unwrap_or(1.0)));
        let bounds = place.into_iter().chain(negatives);
        bounds.fold(between, f32::max).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(scores: &[f32]) -> Spread {
        let mut spread = Spread::NONE;
        for score in scores {
            spread.push(*score);
        }
        spread
    }

    fn scores(own: &[f32], negatives: &[f32], background: &[f32]) -> ClassScores {
        ClassScores::from_spreads(&spread(own), &spread(negatives), &spread(background))
    }

    /// A share that a normal variable exceeds by three deviations.
    const SHARE: f32 = 0.00135;

    #[test]
    fn the_deviation_is_that_of_the_scores() {
        let spread = spread(&[0.1, 0.2, 0.4, 0.5]);
        assert!((spread.mean - 0.3).abs() < 1e-6);
        // Squared distances of 0.04, 0.01, 0.01 and 0.04, over three.
        assert!((spread.deviation(1.0, 0.0) - (0.1_f32 / 3.0).sqrt()).abs() < 1e-6);
        // Two observations that say 0.2 are 0.08 more, over five.
        assert!((spread.deviation(0.2, 2.0) - (0.18_f32 / 5.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_single_example_is_judged_by_strangers_alone() {
        assert_eq!(ClassScores::NONE.threshold(0.35, SHARE), 0.35);
    }

    #[test]
    fn examples_that_are_alike_ask_for_more() {
        let with = |own: &[f32]| scores(own, &[], &[]).threshold(0.35, SHARE);
        assert!((with(&[0.75, 0.65, 0.7]) - 0.4025).abs() < 1e-6);
        assert!((with(&[0.1, -0.1]) - 0.2975).abs() < 1e-6);
    }

    #[test]
    fn the_place_and_the_negatives_raise_the_threshold() {
        let own = [0.6, 0.6];
        let at = |negatives: &[f32], background: &[f32]| {
            scores(&own, negatives, background).threshold(0.3, SHARE)
        };
        let alone = at(&[], &[]);
        assert_eq!(at(&[], &[-0.3, -0.2, -0.25]), alone);
        let loud = [0.2, 0.25, 0.3];
        let deviation = spread(&loud).deviation(0.1, 5.0);
        assert!((at(&[], &loud) - (0.25 + 3.0 * deviation)).abs() < 0.02);
        let negatives = |score: f32| at(&[score], &[]);
        assert_eq!(negatives(-0.2), alone);
        assert!((negatives(0.4) - 0.5).abs() < 1e-6);
        // Half of the sounds of the class are left.
        assert!((negatives(0.9) - 0.6).abs() < 1e-6);
    }

    #[test]
    fn examples_are_compared_with_the_others() {
        let degrees = [0.0_f32, 30.0, 60.0, 90.0, 120.0];
        let gram: Vec<f32> = degrees
            .iter()
            .flat_map(|a| degrees.iter().map(move |b| (a - b).to_radians().cos()))
            .collect();
        let labels = [0, 0, 0, 1, 2];
        let lengths = [1.0 + 3.0_f32.sqrt(), 1.0, 1.0];
        let gram = Gram::new(&gram, &labels, &lengths);
        let roles = [Role::Sound, Role::Negatives, Role::Background];
        let levels = [0.1, 0.1, 0.1, 0.2, 0.3];
        let scores = ClassScores::of(&gram, 0, |label| roles[usize::from(label)], &levels);
        // 0 and 60 degrees are 45 from the mean of the others, 30 is that mean.
        let expected = (2.0 * 45.0_f32.to_radians().cos() + 1.0) / 3.0 - 0.1;
        assert!((scores.own.unwrap() - expected).abs() < 1e-5);
        let [mean, deviation] = scores.background.unwrap();
        assert!((mean + 0.3).abs() < 1e-5 && (deviation - PRIOR_DEVIATION).abs() < 1e-6);
        let negative = 60.0_f32.to_radians().cos() - 0.2;
        assert!((scores.negatives.unwrap() - negative - PRIOR_DEVIATION).abs() < 1e-5);
        // A single example has no others, and other sounds do not count.
        let alone = ClassScores::of(&gram, 1, |_| Role::Sound, &levels);
        assert_eq!(alone, ClassScores::NONE);
    }
}
