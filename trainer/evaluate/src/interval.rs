//! Computes confidence intervals: of the mean over tasks, and of counted events.

/// Mean task accuracy with the half-width of its 95 % interval, both in percent.
///
/// The interval is the normal one over tasks, `1.96 s / sqrt(n)`: it tells how much another draw of
/// tasks would move the mean, and nothing about another training seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Mean, percent.
    pub mean: f64,
    /// Half-width of the 95 % interval, percentage points; 0 for fewer than two tasks.
    pub ci95: f64,
}

impl Accuracy {
    /// Summarises the accuracies of tasks, each in `0..=1`.
    ///
    /// # Panics
    /// If there is no task.
    pub fn over_tasks(tasks: &[f64]) -> Self {
        assert!(!tasks.is_empty(), "an accuracy needs at least one task");
        let n = tasks.len() as f64;
        let mean = tasks.iter().sum::<f64>() / n;
        let squares: f64 = tasks.iter().map(|a| (a - mean) * (a - mean)).sum();
        let deviation = (squares / (n - 1.0).max(1.0)).sqrt();
        Self {
            mean: 100.0 * mean,
            ci95: 100.0 * 1.96 * deviation / n.sqrt(),
        }
    }
}

/// Returns the 95 % interval of a Poisson mean of which `count` was observed: Byar's approximation to
/// the exact one (Breslow and Day 1987, volume II, equation 2.14).
pub(crate) fn rate_interval(count: usize) -> [f64; 2] {
    let bound = |count: f64, z: f64| {
        let root = 1.0 - 1.0 / (9.0 * count) + z / (3.0 * count.sqrt());
        count * root.powi(3)
    };
    let count = count as f64;
    let low = if count > 0.0 {
        bound(count, -1.96)
    } else {
        0.0
    };
    [low, bound(count + 1.0, 1.96)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exact values from tables of the Poisson distribution.
    #[test]
    fn intervals_are_those_of_poisson() {
        let near = |found: [f64; 2], expected: [f64; 2]| {
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 0.02 * b.max(1.0);
            assert!(found.iter().zip(&expected).all(close), "{found:?}");
        };
        near(rate_interval(0), [0.0, 3.69]);
        near(rate_interval(5), [1.62, 11.67]);
        near(rate_interval(100), [81.36, 121.63]);
    }

    #[test]
    fn matches_a_hand_calculation() {
        // Mean 0.5, sample deviation sqrt(0.08/3), half-width 1.96 * 0.16330 / 2.
        let accuracy = Accuracy::over_tasks(&[0.3, 0.5, 0.5, 0.7]);
        assert!((accuracy.mean - 50.0).abs() < 1e-9);
        assert!((accuracy.ci95 - 16.003).abs() < 1e-3, "{}", accuracy.ci95);
        assert_eq!(Accuracy::over_tasks(&[1.0]).ci95, 0.0);
    }
}
