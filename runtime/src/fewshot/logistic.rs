//! L2-regularised multinomial logistic regression, by Newton's method in the dual.

use super::decision::softmax;
use super::fit_error::FitError;
use super::linalg::{add_scaled, dot};

/// Newton steps; from zero, a handful are usual.
const NEWTON_STEPS: usize = 40;
/// Conjugate-gradient steps for one Newton step.
const CG_STEPS: usize = 120;
/// A Newton system is solved until its residual is this share of the gradient.
const CG_SHARE: f32 = 1e-2;
/// Halvings of a step that does not lower the objective.
const HALVINGS: usize = 16;
/// Norm of the gradient, relative to that of the weights, at which the optimum is reached. The
/// objective is strongly convex in the weights with modulus 1, so they are no further from it than
/// this.
const REACHED: f32 = 2e-6;
/// The same, if rounding keeps the gradient from falling further.
const GOOD_ENOUGH: f32 = 1e-3;

/// Vectors of a dual coefficient per class and example, and a bias per class.
const VECTORS: usize = 9;

pub(super) const fn scratch_len(n: usize, classes: usize) -> usize {
    let vector = classes.saturating_mul(n.saturating_add(1));
    VECTORS.saturating_mul(vector).saturating_add(classes)
}

/// Minimises `|W|^2 / 2 + c * sum_i -ln softmax(W x_i + b)[y_i]` over weights and unpenalised
/// biases: the optimum of scikit-learn's `LogisticRegression(C=c)`, biases adding up to zero.
///
/// Two classes are what scikit-learn makes of them, a single weight vector `w` under the penalty
/// `|w|^2 / 2`. As a softmax, `-w/2` and `w/2`, that has half the penalty, so `c` is halved here.
///
/// By the representer theorem `W = A' X`. In the inner product of the weights, which for two sets
/// of dual coefficients is `tr(A' K B)` with `K = X X'`, the gradient has the dual coefficients
/// `A - c (Y - P)`, `P` being the predicted probabilities, and the Hessian takes `U, u` to
/// `U + c S(K U + u), c 1' S(K U + u)` with `S` the covariance of each example's prediction. So
/// conjugate gradients run here exactly as they would on the weights, for the price of a product
/// with `K` a step. Nothing but the data holds the biases, and it holds them loosely where the
/// predictions are sure, so their inner product is weighted by the curvature that they have.
pub(super) fn fit(
    c: f32,
    k: &[f32],
    y: &[u8],
    dual_out: &mut [f32],
    bias: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let (n, classes) = (y.len(), bias.len());
    let c = if classes == 2 { c / 2.0 } else { c };
    let (row, rest) = scratch.split_at_mut(classes);
    let mut problem = Problem {
        k,
        y,
        c,
        n,
        classes,
        row,
        bias_weight: 1.0,
    };

    let len = classes * (n + 1);
    let mut parts = rest[..VECTORS * len].chunks_exact_mut(len);
    let mut next = || parts.next().expect("scratch_len counts the vectors");
    // Duals and biases; what `K` makes of them plus the biases, the logits; probabilities.
    let (dual, logits, probability) = (next(), next(), next());
    let mut cg = ConjugateGradients {
        residual: next(),
        image: next(),
        direction: next(),
        direction_logits: next(),
        step: next(),
        step_logits: next(),
    };
    dual.fill(0.0);
    logits.fill(0.0);

    let mut loss = problem.predict(dual, logits, probability);
    let mut previous = f32::INFINITY;
    let mut relative = f32::INFINITY;
    let mut taken = 0.0;
    for _ in 0..NEWTON_STEPS {
        problem.weigh_biases(probability);
        problem.negated_gradient(dual, probability, cg.residual);
        problem.multiply(cg.residual, cg.image);
        // Rounding may make it negative; what is no number stays none.
        let square = problem.inner(cg.residual, cg.residual, cg.image);
        let gradient = libm::sqrtf(square.clamp(0.0, f32::INFINITY));
        let size = libm::sqrtf(problem.inner_logits(dual, logits).max(0.0));
        relative = gradient / size.max(1.0);
        let worse = relative > previous && previous < GOOD_ENOUGH;
        if worse {
            // The last step was made of rounding.
            add_scaled(dual, -taken, cg.step);
            relative = previous;
        }
        if worse || relative <= REACHED || relative.is_nan() {
            break;
        }
        previous = relative;

        problem.newton_step(probability, &mut cg);
        (taken, loss) = problem.go_along(&cg, loss, dual, logits, probability);
        // The sums above drift from `K A + b`; this is the product itself.
        problem.multiply(dual, logits);
        problem.predict(dual, logits, probability);
    }
    if relative > GOOD_ENOUGH || relative.is_nan() {
        return Err(FitError::NotConverged);
    }

    dual_out.copy_from_slice(&dual[..classes * n]);
    bias.copy_from_slice(&dual[classes * n..]);
    let mean = bias.iter().sum::<f32>() / classes as f32;
    for bias in bias {
        *bias -= mean;
    }
    Ok(())
}

/// The data of one fit. A vector holds `n` values for each class in a row, then a bias per class.
struct Problem<'a> {
    k: &'a [f32],
    y: &'a [u8],
    c: f32,
    n: usize,
    classes: usize,
    /// Room for one example's values across the classes.
    row: &'a mut [f32],
    /// Weight of the biases in the inner product.
    bias_weight: f32,
}

/// The vectors of the inner iteration.
struct ConjugateGradients<'a> {
    residual: &'a mut [f32],
    /// `K residual + biases`; between uses, room for the Hessian's product.
    image: &'a mut [f32],
    direction: &'a mut [f32],
    direction_logits: &'a mut [f32],
    step: &'a mut [f32],
    step_logits: &'a mut [f32],
}

impl Problem<'_> {
    /// `K` times the duals plus the biases, a logit per class and example. The bias part of `out`
    /// gets the biases themselves, so that logits add up like the vectors they come from.
    fn multiply(&self, vector: &[f32], out: &mut [f32]) {
        let (duals, biases) = vector.split_at(self.classes * self.n);
        let (logits, out_biases) = out.split_at_mut(self.classes * self.n);
        out_biases.copy_from_slice(biases);
        let classes = duals.chunks_exact(self.n).zip(biases);
        for (logits, (duals, bias)) in logits.chunks_exact_mut(self.n).zip(classes) {
            for (logit, row) in logits.iter_mut().zip(self.k.chunks_exact(self.n)) {
                *logit = dot(row, duals) + bias;
            }
        }
    }

    /// Inner product of `a` and `b` as weights and biases; `b_logits` is what [`Self::multiply`]
    /// makes of `b`.
    fn inner(&self, a: &[f32], b: &[f32], b_logits: &[f32]) -> f32 {
        let biases = self.classes * self.n;
        self.inner_logits(a, b_logits) + self.bias_weight * dot(&a[biases..], &b[biases..])
    }

    /// The part of [`Self::inner`] that is over weights.
    fn inner_logits(&self, a: &[f32], b_logits: &[f32]) -> f32 {
        let (duals, _) = a.split_at(self.classes * self.n);
        let (logits, biases) = b_logits.split_at(self.classes * self.n);
        let mut sum = 0.0;
        for (class, bias) in biases.iter().enumerate() {
            let range = class * self.n..(class + 1) * self.n;
            let duals = &duals[range.clone()];
            // Duals of a class nearly cancel out: the bias must not multiply their rounding.
            for (dual, logit) in duals.iter().zip(&logits[range]) {
                sum += dual * (logit - bias);
            }
        }
        sum
    }

    /// Writes the probabilities that belong to `logits` and returns the objective.
    fn predict(&mut self, dual: &[f32], logits: &[f32], probability: &mut [f32]) -> f64 {
        let mut loss = 0.0_f64;
        for (i, label) in self.y.iter().enumerate() {
            for (class, value) in self.row.iter_mut().enumerate() {
                *value = logits[class * self.n + i];
            }
            let own = self.row[usize::from(*label)];
            let largest = self.row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            softmax(self.row);
            let top = self.row.iter().copied().fold(0.0, f32::max);
            // ln p = (z - largest) + ln p_largest: exact also where p itself is rounded to zero.
            loss -= f64::from(own - largest) + f64::from(libm::logf(top));
            for (class, value) in self.row.iter().enumerate() {
                probability[class * self.n + i] = *value;
            }
        }
        let mut penalty = 0.0_f64;
        let biases = &logits[self.classes * self.n..];
        for (class, bias) in biases.iter().enumerate() {
            for i in class * self.n..(class + 1) * self.n {
                penalty += f64::from(dual[i]) * f64::from(logits[i] - bias);
            }
        }
        f64::from(self.c) * loss + 0.5 * penalty
    }

    /// Sets the weight of the biases to the mean of the Hessian's diagonal for them.
    fn weigh_biases(&mut self, probability: &[f32]) {
        let sum: f32 = probability[..self.classes * self.n]
            .iter()
            .map(|p| p * (1.0 - p))
            .sum();
        // The least weight keeps divisions finite where every prediction is sure.
        self.bias_weight = (self.c * sum / self.classes as f32).max(1e-6);
    }

    /// `c (Y - P) - A`, and for the biases `c 1' (Y - P)` over their weight.
    fn negated_gradient(&self, dual: &[f32], probability: &[f32], out: &mut [f32]) {
        let (out, out_biases) = out.split_at_mut(self.classes * self.n);
        out_biases.fill(0.0);
        for (i, label) in self.y.iter().enumerate() {
            let own = usize::from(*label);
            // What the own class lacks is what the others have: `1 - p` would lose the digits of a
            // sure prediction.
            let mut others = 0.0;
            for class in (0..self.classes).filter(|class| *class != own) {
                let at = class * self.n + i;
                out[at] = -self.c * probability[at] - dual[at];
                out_biases[class] -= self.c * probability[at];
                others += probability[at];
            }
            let at = own * self.n + i;
            out[at] = self.c * others - dual[at];
            out_biases[own] += self.c * others;
        }
        for bias in out_biases {
            *bias /= self.bias_weight;
        }
    }

    /// Goes along `cg.step`, as far as the objective, now `loss`, does not grow. Returns the length that
    /// was taken and the objective there.
    fn go_along(
        &mut self,
        cg: &ConjugateGradients,
        loss: f64,
        dual: &mut [f32],
        logits: &mut [f32],
        probability: &mut [f32],
    ) -> (f32, f64) {
        let (mut length, mut taken) = (1.0, 0.0);
        for _ in 0..HALVINGS {
            add_scaled(dual, length - taken, cg.step);
            add_scaled(logits, length - taken, cg.step_logits);
            taken = length;
            let trial = self.predict(dual, logits, probability);
            if trial <= loss + 1e-6 * (1.0 + loss.abs()) {
                return (taken, trial);
            }
            length *= 0.5;
        }
        (taken, loss)
    }

    /// The Hessian times a vector whose logits are given.
    fn hessian(&self, probability: &[f32], vector: &[f32], logits: &[f32], out: &mut [f32]) {
        let (out, out_biases) = out.split_at_mut(self.classes * self.n);
        out_biases.fill(0.0);
        for i in 0..self.n {
            let places = || (0..self.classes).map(|class| class * self.n + i);
            let mean: f32 = places().map(|at| probability[at] * logits[at]).sum();
            for (at, bias) in places().zip(out_biases.iter_mut()) {
                let change = self.c * probability[at] * (logits[at] - mean);
                out[at] = vector[at] + change;
                *bias += change / self.bias_weight;
            }
        }
    }

    /// Solves for the Newton step by conjugate gradients. On entry `cg.residual` is the negated
    /// gradient and `cg.image` what [`Self::multiply`] makes of it.
    fn newton_step(&self, probability: &[f32], cg: &mut ConjugateGradients) {
        cg.step.fill(0.0);
        cg.step_logits.fill(0.0);
        cg.direction.copy_from_slice(cg.residual);
        cg.direction_logits.copy_from_slice(cg.image);
        let mut square = self.inner(cg.residual, cg.residual, cg.image);
        let enough = CG_SHARE * CG_SHARE * square;
        for _ in 0..CG_STEPS {
            self.hessian(probability, cg.direction, cg.direction_logits, cg.image);
            let curvature = self.inner(cg.image, cg.direction, cg.direction_logits);
            if curvature <= 0.0 || curvature.is_nan() {
                return;
            }
            let length = square / curvature;
            add_scaled(cg.step, length, cg.direction);
            add_scaled(cg.step_logits, length, cg.direction_logits);
            add_scaled(cg.residual, -length, cg.image);
            self.multiply(cg.residual, cg.image);
            let next = self.inner(cg.residual, cg.residual, cg.image);
            if next <= enough || next.is_nan() {
                return;
            }
            let share = next / square;
            square = next;
            extend(cg.direction, share, cg.residual);
            extend(cg.direction_logits, share, cg.image);
        }
    }
}

/// `direction = residual + share * direction`.
fn extend(direction: &mut [f32], share: f32, residual: &[f32]) {
    for (direction, residual) in direction.iter_mut().zip(residual) {
        *direction = residual + share * *direction;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fits two classes of two examples each that are as alike as `k` says.
    fn fitted(k: &[f32; 16]) -> Result<[f32; 8], FitError> {
        let (mut dual, mut bias) = ([0.0; 8], [0.0; 2]);
        let mut scratch = vec![0.0; scratch_len(4, 2)];
        fit(1.0, k, &[0, 0, 1, 1], &mut dual, &mut bias, &mut scratch)?;
        Ok(dual)
    }

    /// Likenesses that are no numbers have no minimum, and no head is made of them.
    #[test]
    fn what_is_no_number_does_not_converge() {
        let alike = |own: f32, other: f32| {
            [
                1.0, own, other, other, own, 1.0, other, other, other, other, 1.0, own, other,
                other, own, 1.0,
            ]
        };
        let dual = fitted(&alike(0.8, 0.1)).unwrap();
        assert!(dual[0] > 0.0 && dual[2] < 0.0, "{dual:?}");
        assert_eq!(fitted(&alike(f32::NAN, 0.1)), Err(FitError::NotConverged));
        assert_eq!(fitted(&[f32::NAN; 16]), Err(FitError::NotConverged));
    }
}
