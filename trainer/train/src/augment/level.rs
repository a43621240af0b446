//! The level of samples.

/// Scales samples beyond full scale down to it, as a device's converter has no more to give.
/// Clipping instead would leave a trace in the sound.
pub(super) fn limit(samples: &mut [f32]) {
    let peak = samples
        .iter()
        .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    if peak > 1.0 {
        let gain = 1.0 / peak;
        for sample in samples {
            *sample *= gain;
        }
    }
}

/// Returns the mean power of `samples`.
pub(super) fn power(samples: &[f32]) -> f32 {
    let sum: f64 = samples
        .chunks(256)
        .map(|part| f64::from(part.iter().map(|x| x * x).sum::<f32>()))
        .sum();
    (sum / samples.len() as f64) as f32
}
