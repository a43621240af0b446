//! The linear probe of the published protocol, for comparison with its figures only.
//!
//! One-versus-rest logistic regression on features as they come (neither centred nor normalised),
//! by stochastic gradient descent without regularisation, stopped after at most 20 passes: what
//! scikit-learn's `SGDClassifier(loss="log_loss", alpha=0, learning_rate="adaptive", eta0=0.1,
//! max_iter=20, tol=1e-4, n_iter_no_change=2)` does. The probe is under-trained by design, so its
//! result depends on the scale of the features; the device's heads do not.

use rand::Rng;
use rand::seq::SliceRandom;

const PASSES: usize = 20;
const FIRST_RATE: f64 = 0.1;
const LEAST_RATE: f64 = 1e-6;
const TOLERANCE: f64 = 1e-4;
const PATIENCE: usize = 2;

/// A fitted probe.
#[derive(Clone, Debug)]
pub struct LinearProbe {
    dim: usize,
    /// `classes x dim`, row-major.
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl LinearProbe {
    /// Fits to `x` (`labels.len() x dim`, row-major) with labels below `classes`.
    pub fn fit(
        x: &[f32],
        labels: &[u8],
        classes: usize,
        dim: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let mut probe = Self {
            dim,
            weights: vec![0.0; classes * dim],
            bias: vec![0.0; classes],
        };
        for class in 0..classes {
            probe.fit_class(class, x, labels, rng);
        }
        probe
    }

    fn fit_class(&mut self, class: usize, x: &[f32], labels: &[u8], rng: &mut (impl Rng + ?Sized)) {
        let weights = &mut self.weights[class * self.dim..][..self.dim];
        let bias = &mut self.bias[class];
        let mut order: Vec<usize> = (0..labels.len()).collect();
        let (mut rate, mut best, mut stalled) = (FIRST_RATE, f64::INFINITY, 0);
        for _ in 0..PASSES {
            order.shuffle(rng);
            let mut loss = 0.0;
            for &i in &order {
                let row = &x[i * self.dim..][..self.dim];
                let target = if usize::from(labels[i]) == class {
                    1.0
                } else {
                    -1.0
                };
                let dot = weights.iter().zip(row).map(|(w, &v)| w * f64::from(v));
                let margin = target * (dot.sum::<f64>() + *bias);
                loss += softplus(-margin);
                let step = rate * target / (1.0 + margin.exp());
                for (w, &v) in weights.iter_mut().zip(row) {
                    *w += step * f64::from(v);
                }
                *bias += step;
            }
            stalled = if loss > best - TOLERANCE * labels.len() as f64 {
                stalled + 1
            } else {
                0
            };
            best = best.min(loss);
            if stalled >= PATIENCE {
                if rate <= LEAST_RATE {
                    return;
                }
                rate /= 5.0;
                stalled = 0;
            }
        }
    }

    /// Returns the class whose probe answers most strongly.
    pub fn classify(&self, query: &[f32]) -> usize {
        let score = |class: usize| {
            let row = &self.weights[class * self.dim..][..self.dim];
            let dot = row.iter().zip(query).map(|(w, &v)| w * f64::from(v));
            dot.sum::<f64>() + self.bias[class]
        };
        (0..self.bias.len())
            .max_by(|&a, &b| score(a).total_cmp(&score(b)).then(b.cmp(&a)))
            .unwrap_or(0)
    }
}

/// Returns `ln(1 + e^z)` without overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn separates_what_a_plane_separates() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (classes, dim, each) = (4, 6, 8);
        let mut x = Vec::new();
        let mut labels = Vec::new();
        for i in 0..classes * each {
            let class = i % classes;
            x.extend((0..dim).map(|d| {
                let centre = if d == class { 3.0 } else { 0.0 };
                centre + rng.random_range(-0.5f32..0.5)
            }));
            labels.push(class as u8);
        }
        let probe = LinearProbe::fit(&x, &labels, classes, dim, &mut rng);
        for (row, &label) in x.chunks(dim).zip(&labels) {
            assert_eq!(probe.classify(row), usize::from(label));
        }
    }

    #[test]
    fn a_tie_goes_to_the_smallest_class() {
        let probe = LinearProbe {
            dim: 1,
            weights: vec![0.0; 3],
            bias: vec![0.0; 3],
        };
        assert_eq!(probe.classify(&[1.0]), 0);
    }

    #[test]
    fn survives_features_of_any_size() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let probe = LinearProbe::fit(&[1e30, -1e30], &[0, 1], 2, 1, &mut rng);
        assert_eq!(probe.classify(&[1e30]), 0);
    }
}
