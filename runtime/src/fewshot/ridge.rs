//! Ridge regression to one-hot targets, in closed form through the dual.

use super::fit_error::FitError;
use super::linalg::{add_scaled, centre_gram, cholesky, solve_factored};

/// Steps of iterative refinement: each takes the error of the solution from `e` to about
/// `e n / lambda` roundings.
const REFINEMENTS: usize = 3;

pub(super) const fn scratch_len(n: usize) -> usize {
    n.saturating_mul(3)
}

/// Minimises `|Y - X W' - 1 b'|^2 + lambda |W|^2` over weights and biases, as scikit-learn's
/// `Ridge(alpha=lambda)` does, for examples `X` with the Gram matrix `k`.
///
/// The unpenalised intercept is taken out by centring. With `K` the Gram matrix of the centred
/// examples, `W = A' X` where `(K + lambda I) A = Y - mean(Y)` (Saunders et al. 1998), and the
/// columns of `A` sum to zero, so that `X` itself needs no centring there. The solution is refined
/// with the remainders `Y - mean(Y) - (K + lambda I) A`.
pub(super) fn fit(
    lambda: f32,
    k: &mut [f32],
    y: &[u8],
    dual: &mut [f32],
    bias: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let n = y.len();
    let (pivots, rest) = scratch.split_at_mut(n);
    let (means, remainder) = rest.split_at_mut(n);

    centre_gram(k, means);
    cholesky(k, lambda, pivots).map_err(|_| FitError::NotPositiveDefinite)?;

    for (class, (dual, bias)) in dual.chunks_exact_mut(n).zip(bias).enumerate() {
        let target = |label: u8| f32::from(u8::from(usize::from(label) == class));
        let mean = y.iter().map(|label| target(*label)).sum::<f32>() / n as f32;
        dual.fill(0.0);
        for _ in 0..=REFINEMENTS {
            for (i, (remainder, label)) in remainder.iter_mut().zip(y).enumerate() {
                // The factor has replaced what lies below the diagonal of the symmetric matrix.
                let (before, after) = dual.split_at(i);
                let column = k[i..].iter().step_by(n).zip(before);
                let row = k[i * n + i..(i + 1) * n].iter().zip(after);
                let product: f32 = column.chain(row).map(|(k, dual)| k * dual).sum();
                *remainder = target(*label) - mean - product - lambda * dual[i];
            }
            solve_factored(k, pivots, remainder);
            // The rounding of the remainders' mean comes out of the solver divided by lambda.
            let excess = remainder.iter().sum::<f32>() / n as f32;
            for change in remainder.iter_mut() {
                *change -= excess;
            }
            add_scaled(dual, 1.0, remainder);
        }
        // What is left on average of Y - X W'.
        *bias = mean - super::dot(means, dual);
    }
    Ok(())
}
