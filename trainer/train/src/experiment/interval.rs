//! Means over seeds and how far they can be trusted.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

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
    /// Returns the spread of one value a seed; `None` without any.
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

/// Returns the 97.5 % quantile of Student's t distribution with `freedom` degrees of freedom, at least 1.
fn student_t(freedom: usize) -> f64 {
    StudentsT::new(0.0, 1.0, freedom as f64)
        .expect("the degrees of freedom are above 0")
        .inverse_cdf(0.975)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_hand_calculations() {
        let spread = Spread::of(&[40.0, 41.0, 42.0]).unwrap();
        assert_eq!((spread.mean, spread.deviation), (41.0, Some(1.0)));
        assert!((spread.ci95.unwrap() - 4.302_652_7 / 3f64.sqrt()).abs() < 1e-6);
        let one = Spread::of(&[40.0]).unwrap();
        assert_eq!((one.deviation, one.ci95), (None, None));
        assert!(Spread::of(&[]).is_none());

        // Equal deviations and sizes: as many degrees of freedom as in one pooled sample.
        let other = Spread::of(&[44.0, 45.0, 46.0]).unwrap();
        let (gain, half_width) = spread.gain(&other);
        assert_eq!(gain, 4.0);
        assert!((half_width.unwrap() - 2.776_445_1 * (2.0f64 / 3.0).sqrt()).abs() < 1e-6);
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
