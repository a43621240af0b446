//! Means over seeds and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// Mean of a figure over the seeds of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Number of seeds.
    pub seeds: usize,
    /// Mean over them.
    pub mean: f64,
    /// Standard deviation over them (`n - 1`); `None` for one seed.
    pub deviation: Option<f64>,
    /// Half-width of the 95 % interval of the mean over seeds, `t s / sqrt(n)` with Student's `t` of
    /// `n - 1` degrees of freedom; `None` for one seed.
    pub ci95: Option<f64>,
}

impl Spread {
    /// Of one value a seed; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        Some(Self {
            seeds: n,
            mean,
            deviation,
            ci95: deviation.map(|s| student_t(n - 1) * s / (n as f64).sqrt()),
        })
    }

    /// `other` less this one: the difference of the means and, where both have several seeds, the
    /// half-width of its 95 % interval (Welch 1947).
    pub fn gain(&self, other: &Self) -> (f64, Option<f64>) {
        let half_width = || {
            let parts = [self, other].map(|s| (s.deviation, s.seeds as f64));
            let [(Some(a), n), (Some(b), m)] = parts else {
                return None;
            };
            let (a, b) = (a * a / n, b * b / m);
            let freedom = (a + b).powi(2) / (a * a / (n - 1.0) + b * b / (m - 1.0));
            // Rounded down, which widens the interval.
            let freedom = if freedom.is_finite() {
                freedom as usize
            } else {
                1
            };
            Some(student_t(freedom.max(1)) * (a + b).sqrt())
        };
        (other.mean - self.mean, half_width())
    }
}

/// The 97.5 % quantile of Student's t distribution.
fn student_t(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    // Beyond the table the first term of the expansion in 1 / freedom is enough.
    let beyond = 1.96 + 2.4 / freedom as f64;
    TABLE
        .get(freedom.wrapping_sub(1))
        .copied()
        .unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_hand_calculations() {
        let spread = Spread::of(&[40.0, 41.0, 42.0]).unwrap();
        assert_eq!((spread.mean, spread.deviation), (41.0, Some(1.0)));
        assert!((spread.ci95.unwrap() - 4.303 / 3f64.sqrt()).abs() < 1e-9);
        let one = Spread::of(&[40.0]).unwrap();
        assert_eq!((one.deviation, one.ci95), (None, None));
        assert!(Spread::of(&[]).is_none());

        // Equal deviations and sizes: as many degrees of freedom as in one pooled sample.
        let other = Spread::of(&[44.0, 45.0, 46.0]).unwrap();
        let (gain, half_width) = spread.gain(&other);
        assert_eq!(gain, 4.0);
        assert!((half_width.unwrap() - 2.776 * (2.0f64 / 3.0).sqrt()).abs() < 1e-9);
        assert_eq!(one.gain(&other), (5.0, None));
        let same = Spread::of(&[40.0, 40.0]).unwrap();
        assert_eq!(same.gain(&same), (0.0, Some(0.0)));
    }

    #[test]
    fn quantiles_fall_to_the_normal_one() {
        let quantiles: Vec<f64> = (1..200).map(student_t).collect();
        assert!(quantiles.windows(2).all(|w| w[0] > w[1]));
        assert!((student_t(199) - 1.972).abs() < 2e-3);
    }
}
