//! How alike unrelated sounds are: thresholds are calibrated by that.

/// Shares of pairs of unrelated sounds that are more alike than the quantiles of a [`Reference`].
pub const REFERENCE_TAILS: [f32; 8] = [0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002];

/// Natural logarithms of the reciprocals of [`REFERENCE_TAILS`].
const LOG_ODDS: [f32; 8] = [
    core::f32::consts::LN_2,
    2.0 * core::f32::consts::LN_2,
    core::f32::consts::LN_10,
    2.995_732_3,
    3.912_023,
    4.605_170_2,
    5.298_317_4,
    6.214_608,
];

/// Quantiles of the standard normal distribution at [`REFERENCE_TAILS`].
const NORMAL: [f32; 8] = [
    0.0,
    0.674_489_75,
    1.281_551_6,
    1.644_853_6,
    2.053_749,
    2.326_347_9,
    2.575_829_3,
    2.878_161_7,
];

/// How alike the directions of unrelated sounds are: quantiles of the similarity
/// ([`Metric`](super::Metric)) of pairs of different recordings, measured when the backbone was packed. With
/// a cohort, of the similarity less the [`level`](super::Metric::level) of one of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reference {
    quantiles: [f32; 8],
}

impl Reference {
    /// Takes a measured distribution: similarities, -1 to 1, that shares of [`REFERENCE_TAILS`] of the
    /// pairs exceed. `None` if a value is out of its range or below the one before it.
    pub fn new(quantiles: [f32; 8]) -> Option<Self> {
        let in_range = |value: &f32| (-1.0..=1.0).contains(value);
        let valid = quantiles.iter().all(in_range) && quantiles.is_sorted();
        valid.then_some(Self { quantiles })
    }

    /// Assumes a normal distribution around zero, for a backbone of which only the similarity
    /// `twentieth` is known that one in twenty pairs exceeds.
    pub const fn assumed(twentieth: f32) -> Self {
        let deviation = twentieth.max(0.0) / NORMAL[3];
        let mut quantiles = NORMAL;
        let mut at = 0;
        while at < quantiles.len() {
            quantiles[at] = (quantiles[at] * deviation).min(1.0);
            at += 1;
        }
        Self { quantiles }
    }

    /// Returns the similarities that the shares [`REFERENCE_TAILS`] of unrelated pairs exceed.
    pub const fn quantiles(&self) -> &[f32; 8] {
        &self.quantiles
    }

    /// Returns the similarity that `share` of unrelated pairs exceed, -1 to 1. A `share` that is not above 0
    /// gives 1.
    ///
    /// Between quantiles it is linear in the logarithm of the share, as tails that fall off
    /// exponentially are; above the last quantile it goes on so. Below the median the distribution is
    /// taken to be symmetric.
    pub fn similarity_exceeded_by(&self, share: f32) -> f32 {
        if share > 0.0 {
            exceeded_by(&self.quantiles, share.min(1.0)).clamp(-1.0, 1.0)
        } else {
            1.0
        }
    }

    /// Returns the share of unrelated pairs that are more alike than `similarity`, 0 to 1: the inverse of
    /// [`Self::similarity_exceeded_by`].
    pub fn share_above(&self, similarity: f32) -> f32 {
        share_above(&self.quantiles, similarity)
    }
}

/// Returns the value that a standard normal variable exceeds with the probability `share`, above 0 to 1,
/// interpolated as in [`Reference`]: to 0.02 down to a share of 0.001.
pub(super) fn normal_exceeded_by(share: f32) -> f32 {
    exceeded_by(&NORMAL, share)
}

/// Returns the probability that a standard normal variable exceeds `value`: the inverse of
/// [`normal_exceeded_by`].
pub(super) fn normal_share_above(value: f32) -> f32 {
    share_above(&NORMAL, value)
}

fn exceeded_by(quantiles: &[f32; 8], share: f32) -> f32 {
    if share > 0.5 {
        return 2.0 * quantiles[0] - upper(quantiles, (1.0 - share).max(f32::MIN_POSITIVE));
    }
    upper(quantiles, share)
}

/// [`exceeded_by`] for a share of up to a half.
fn upper(quantiles: &[f32; 8], share: f32) -> f32 {
    let log = -libm::logf(share);
    let at = LOG_ODDS[1..7]
        .iter()
        .take_while(|odds| log > **odds)
        .count();
    let along = (log - LOG_ODDS[at]) / (LOG_ODDS[at + 1] - LOG_ODDS[at]);
    quantiles[at] + along * (quantiles[at + 1] - quantiles[at])
}

fn share_above(quantiles: &[f32; 8], value: f32) -> f32 {
    if value < quantiles[0] {
        return 1.0 - upper_share(quantiles, 2.0 * quantiles[0] - value);
    }
    upper_share(quantiles, value)
}

/// [`share_above`] for a value that is not below the median.
fn upper_share(quantiles: &[f32; 8], value: f32) -> f32 {
    let at = quantiles[1..7].iter().take_while(|q| value > **q).count();
    let (from, to) = (quantiles[at], quantiles[at + 1]);
    let along = if to > from {
        (value - from) / (to - from)
    } else {
        // The quantiles are one, or the last two are: beyond them there is nothing.
        f32::from(u8::from(value > to)) * f32::MAX
    };
    libm::expf(-(LOG_ODDS[at] + along * (LOG_ODDS[at + 1] - LOG_ODDS[at])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEASURED: [f32; 8] = [-0.03, 0.17, 0.36, 0.48, 0.6, 0.68, 0.75, 0.83];

    #[test]
    fn the_tables_agree() {
        for (tail, odds) in REFERENCE_TAILS.iter().zip(LOG_ODDS) {
            assert!((-tail.ln() - odds).abs() < 1e-6);
        }
        // The normal distribution by its error function.
        for (tail, quantile) in REFERENCE_TAILS.iter().zip(NORMAL) {
            let above = 0.5 * libm::erfc(f64::from(quantile) / core::f64::consts::SQRT_2);
            assert!((above - f64::from(*tail)).abs() < 1e-6, "{quantile}");
        }
    }

    #[test]
    fn quantiles_are_met_and_tails_go_on() {
        let reference = Reference::new(MEASURED).unwrap();
        for (tail, quantile) in REFERENCE_TAILS.iter().zip(MEASURED) {
            assert!((reference.similarity_exceeded_by(*tail) - quantile).abs() < 1e-6);
            assert!((reference.share_above(quantile) / tail - 1.0).abs() < 1e-5);
        }
        assert!(reference.similarity_exceeded_by(0.001) > 0.83);
        assert!(reference.share_above(0.9) < 0.002);
        assert_eq!(reference.similarity_exceeded_by(0.0), 1.0);
        assert_eq!(reference.similarity_exceeded_by(f32::NAN), 1.0);
        assert!((reference.similarity_exceeded_by(0.95) + 0.54).abs() < 1e-6);
    }

    #[test]
    fn one_number_makes_a_normal_distribution() {
        let reference = Reference::assumed(0.4);
        assert_eq!(reference.similarity_exceeded_by(0.05), 0.4);
        let (above, below) = (reference.share_above(0.4), reference.share_above(-0.4));
        assert!((above - 0.05).abs() < 1e-6 && (below - 0.95).abs() < 1e-6);
        // Not even a number that says that everything is alike makes a division by zero.
        for twentieth in [0.0, -0.3, 1.0] {
            let reference = Reference::assumed(twentieth);
            for similarity in [-1.0, -0.3, 0.0, 0.3, 1.0] {
                assert!((0.0..=1.0).contains(&reference.share_above(similarity)));
            }
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let with = |at: usize, value: f32| {
            let mut quantiles = MEASURED;
            quantiles[at] = value;
            Reference::new(quantiles)
        };
        for (at, value) in [(0, f32::NAN), (7, 1.1), (3, 0.2), (0, -1.5)] {
            assert_eq!(with(at, value), None, "{value} at {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_rarer_share_asks_for_more_likeness(
            mut quantiles in proptest::array::uniform8(-1.0_f32..1.0),
            mut shares in proptest::array::uniform4(1e-6_f32..1.0),
        ) {
            quantiles.sort_by(f32::total_cmp);
            shares.sort_by(f32::total_cmp);
            let reference = Reference::new(quantiles).unwrap();
            let similarities = shares.map(|share| reference.similarity_exceeded_by(share));
            prop_assert!(similarities.iter().all(|s| (-1.0..=1.0).contains(s)));
            prop_assert!(similarities.is_sorted_by(|a, b| a + 1e-6 >= *b));
            for (share, similarity) in shares.iter().zip(similarities) {
                let back = reference.share_above(similarity);
                prop_assert!((0.0..=1.0).contains(&back));
                // Clamped similarities and flat stretches of the distribution have no inverse.
                let steps = quantiles.windows(2).map(|pair| pair[1] - pair[0]);
                if similarity.abs() < 1.0 && steps.fold(f32::MAX, f32::min) > 0.01 {
                    prop_assert!((back / share - 1.0).abs() < 0.02, "{share} {similarity} {back}");
                }
            }
        }
    }
}
