//! The learning rate over a run.

/// Linear warm-up, then a cosine down to zero (Loshchilov and Hutter 2017), as a factor of the peak
/// rate. `progress` is the share of the run that is done, `warmup` the share in which it rises.
pub fn warmup_cosine(progress: f64, warmup: f64) -> f64 {
    let progress = progress.clamp(0.0, 1.0);
    if progress < warmup {
        return progress / warmup;
    }
    let along = (progress - warmup) / (1.0 - warmup).max(f64::EPSILON);
    0.5 * (1.0 + (std::f64::consts::PI * along.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::warmup_cosine;

    #[test]
    fn rises_once_and_falls_once() {
        assert_eq!(warmup_cosine(0.0, 0.1), 0.0);
        assert!((warmup_cosine(0.05, 0.1) - 0.5).abs() < 1e-12);
        assert!((warmup_cosine(0.1, 0.1) - 1.0).abs() < 1e-12);
        assert!(warmup_cosine(1.0, 0.1).abs() < 1e-12);
        assert_eq!(warmup_cosine(0.0, 0.0), 1.0);
        let values: Vec<f64> = (10..=100)
            .map(|i| warmup_cosine(f64::from(i) / 100.0, 0.1))
            .collect();
        assert!(values.windows(2).all(|w| w[1] <= w[0]));
    }
}
