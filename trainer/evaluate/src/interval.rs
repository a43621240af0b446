//! Computes the mean over tasks and its confidence interval.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_hand_calculation() {
        // Mean 0.5, sample deviation sqrt(0.08/3), half-width 1.96 * 0.16330 / 2.
        let accuracy = Accuracy::over_tasks(&[0.3, 0.5, 0.5, 0.7]);
        assert!((accuracy.mean - 50.0).abs() < 1e-9);
        assert!((accuracy.ci95 - 16.003).abs() < 1e-3, "{}", accuracy.ci95);
        assert_eq!(Accuracy::over_tasks(&[1.0]).ci95, 0.0);
    }
}
