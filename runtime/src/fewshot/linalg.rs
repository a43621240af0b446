//! The little linear algebra that the heads need, in a fixed order of operations.

/// Returns the dot product of two slices, in eight interleaved sums. They are meant to be as long as
/// each other; some of the values that one has more are left out.
///
/// The order of additions is part of the definition: compilers turn it into vector instructions
/// where there are any, with the same bits as where there are none.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a_eights.iter().zip(b_eights) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += a * b;
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
}

/// `y += factor * x`.
pub(super) fn add_scaled(y: &mut [f32], factor: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// Makes of a symmetric `n x n` matrix `k` the matrix `H k H` with `H = I - 1/n`: the Gram matrix of
/// the same vectors after their mean has been subtracted. `means` is room for `n` values.
pub(super) fn centre_gram(k: &mut [f32], means: &mut [f32]) {
    let n = means.len();
    for (mean, row) in means.iter_mut().zip(k.chunks(n)) {
        *mean = row.iter().sum::<f32>() / n as f32;
    }
    let grand = means.iter().sum::<f32>() / n as f32;
    for (i, row) in k.chunks_mut(n).enumerate() {
        for (value, mean) in row.iter_mut().zip(&*means) {
            // Symmetric to the last bit, because the two means are added first.
            *value = *value - (*mean + means[i]) + grand;
        }
    }
}

/// The matrix that [`cholesky`] met was not positive definite.
#[derive(Debug)]
pub(super) struct NotPositiveDefinite;

/// Factors `k + shift * I = L L'`, `n x n` and row-major. The part of `k` below the diagonal is
/// overwritten by `L`, whose diagonal goes, inverted, to `pivots`.
pub(super) fn cholesky(
    k: &mut [f32],
    shift: f32,
    pivots: &mut [f32],
) -> Result<(), NotPositiveDefinite> {
    let n = pivots.len();
    for i in 0..n {
        for j in 0..i {
            let done = dot(&k[i * n..i * n + j], &k[j * n..j * n + j]);
            k[i * n + j] = (k[j * n + i] - done) * pivots[j];
        }
        let row = &k[i * n..i * n + i];
        let rest = (k[i * n + i] + shift) - dot(row, row);
        // An infinite value or NaN is refused here as well.
        if rest <= 0.0 || !rest.is_finite() {
            return Err(NotPositiveDefinite);
        }
        pivots[i] = 1.0 / libm::sqrtf(rest);
    }
    Ok(())
}

/// Solves `L L' x = b` in place, for a factor that [`cholesky`] left.
pub(super) fn solve_factored(factor: &[f32], pivots: &[f32], b: &mut [f32]) {
    let n = pivots.len();
    for i in 0..n {
        let (known, rest) = b.split_at_mut(i);
        rest[0] = (rest[0] - dot(&factor[i * n..i * n + i], known)) * pivots[i];
    }
    for i in (0..n).rev() {
        let value = b[i] * pivots[i];
        b[i] = value;
        add_scaled(&mut b[..i], -value, &factor[i * n..i * n + i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gram(x: &[f32], dim: usize, gram: &mut [f32]) {
        let n = x.len() / dim;
        for (i, a) in x.chunks(dim).enumerate() {
            for (j, b) in x.chunks(dim).enumerate() {
                gram[i * n + j] = dot(a, b);
            }
        }
    }

    #[test]
    fn dot_products_of_every_length() {
        for n in 0..40_u16 {
            let a: Vec<f32> = (0..n).map(f32::from).collect();
            let sum: u16 = (0..n).map(|i| i * i).sum();
            assert_eq!(dot(&a, &a), f32::from(sum));
        }
    }

    #[test]
    fn a_factored_system_is_solved() {
        let x = [2.0, 0.0, 1.0, 1.0, -1.0, 3.0, 0.0, 0.5, 0.25];
        let mut k = [0.0; 9];
        gram(&x, 3, &mut k);
        let original = k;
        let mut pivots = [0.0; 3];
        cholesky(&mut k, 0.5, &mut pivots).unwrap();
        let b = [1.0, -2.0, 0.5];
        let mut solution = b;
        solve_factored(&k, &pivots, &mut solution);
        for i in 0..3 {
            let row = dot(&original[3 * i..3 * i + 3], &solution) + 0.5 * solution[i];
            assert!((row - b[i]).abs() < 1e-5, "row {i} gives {row}");
            assert_eq!(k[3 * i + i..3 * i + 3], original[3 * i + i..3 * i + 3]);
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        let mut pivots = [0.0; 2];
        assert!(cholesky(&mut [1.0, 2.0, 2.0, 1.0], 0.0, &mut pivots).is_err());
        assert!(cholesky(&mut [f32::NAN; 4], 1.0, &mut pivots).is_err());
        assert!(cholesky(&mut [f32::INFINITY; 4], 1.0, &mut pivots).is_err());
    }

    #[test]
    fn a_centred_gram_is_that_of_centred_vectors() {
        let x = [1.0, 2.0, 4.0, 0.0, 1.0, 7.0];
        let mut k = [0.0; 9];
        gram(&x, 2, &mut k);
        centre_gram(&mut k, &mut [0.0; 3]);
        let centred = [-1.0, -1.0, 2.0, -3.0, -1.0, 4.0];
        let mut expected = [0.0; 9];
        gram(&centred, 2, &mut expected);
        k.iter()
            .zip(expected)
            .for_each(|(a, b)| assert!((a - b).abs() < 1e-5));
    }
}
