//! Ridge regression to one-hot targets, in closed form through the dual.

use super::head::FitError;
use super::linalg::{add_scaled, centre_gram, cholesky, dot, gram, solve_factored};

/// Steps of iterative refinement: each takes the error of the solution from `e` to about
/// `e n / lambda` roundings, down to the rounding of the weights themselves.
const REFINEMENTS: usize = 3;

pub(super) const fn scratch_len(n: usize) -> usize {
    n * n + 3 * n
}

/// Minimises `|Y - X W' - 1 b'|^2 + lambda |W|^2` over weights and biases, as scikit-learn's
/// `Ridge(alpha=lambda)` does.
///
/// The unpenalised intercept is taken out by centring. With `K` the Gram matrix of the centred
/// examples, `W = A' X` where `(K + lambda I) A = Y - mean(Y)` (Saunders et al. 1998), and the
/// columns of `A` sum to zero, so that `X` itself needs no centring there.
///
/// The factor of `K + lambda I` carries the rounding of `K`, which a small `lambda` magnifies. So
/// the solution is refined with remainders `Y - X W' - 1 b' - lambda A` that come from the weights
/// and the examples, not from `K`.
pub(super) fn fit(
    lambda: f32,
    x: &[f32],
    y: &[u8],
    dim: usize,
    weights: &mut [f32],
    bias: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let n = y.len();
    let (k, rest) = scratch.split_at_mut(n * n);
    let (pivots, rest) = rest.split_at_mut(n);
    let (dual, remainder) = rest.split_at_mut(n);

    gram(x, dim, k);
    centre_gram(k, remainder);
    cholesky(k, lambda, pivots).map_err(|_| FitError::NotPositiveDefinite)?;

    let classes = weights.chunks_exact_mut(dim).zip(bias).enumerate();
    for (class, (weights, bias)) in classes {
        weights.fill(0.0);
        dual.fill(0.0);
        for _ in 0..=REFINEMENTS {
            let rows = x.chunks_exact(dim).zip(y);
            for (remainder, (example, label)) in remainder.iter_mut().zip(rows) {
                let target = if usize::from(*label) == class {
                    1.0
                } else {
                    0.0
                };
                *remainder = target - dot(weights, example);
            }
            *bias = remainder.iter().sum::<f32>() / n as f32;
            for (remainder, dual) in remainder.iter_mut().zip(&*dual) {
                *remainder -= *bias + lambda * dual;
            }
            solve_factored(k, pivots, remainder);
            // The rounding of the remainders' mean comes out of the solver divided by lambda.
            let excess = remainder.iter().sum::<f32>() / n as f32;
            remainder.iter_mut().for_each(|change| *change -= excess);
            for ((example, dual), change) in x.chunks_exact(dim).zip(&mut *dual).zip(&*remainder) {
                *dual += change;
                add_scaled(weights, *change, example);
            }
        }
    }
    Ok(())
}
