//! The nearest-class-mean head as a linear one.

use super::linalg::{add_scaled, dot};

/// Weights are the class means `m`, biases `-|m|^2 / 2`.
///
/// A score `m.x - |m|^2 / 2` is `(|x|^2 - |x - m|^2) / 2`: the class with the best score is the one
/// whose mean is nearest to `x` (Snell et al. 2017, section 2.4; with centred unit vectors, Wang et
/// al. 2019, "SimpleShot").
pub(super) fn fit(x: &[f32], y: &[u8], dim: usize, weights: &mut [f32], bias: &mut [f32]) {
    weights.fill(0.0);
    for (example, class) in x.chunks_exact(dim).zip(y) {
        let class = usize::from(*class);
        add_scaled(&mut weights[class * dim..(class + 1) * dim], 1.0, example);
    }
    for (class, (mean, bias)) in weights.chunks_exact_mut(dim).zip(bias).enumerate() {
        let count = y
            .iter()
            .filter(|label| usize::from(**label) == class)
            .count();
        mean.iter_mut().for_each(|value| *value /= count as f32);
        *bias = -0.5 * dot(mean, mean);
    }
}
