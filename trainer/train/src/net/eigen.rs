//! Eigenvalues of symmetric matrices.

use ndarray::{Array1, Array2};

/// Sweeps over all pairs; convergence is quadratic, and matrices of hundreds of rows take about ten.
const MOST_SWEEPS: usize = 30;

/// Eigenvalues of a symmetric matrix, largest first, and its eigenvectors as columns in the same
/// order, each with its largest magnitude positive: the same matrix gives the same vectors.
///
/// The cyclic method of Jacobi (Golub and Van Loan, Matrix Computations, 8.5): each rotation makes
/// one pair of off-diagonal entries zero.
pub(super) fn symmetric_eigen(mut a: Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let n = a.nrows();
    // Rows are eigenvectors while they are worked on: rotations then run along memory.
    let mut vectors = Array2::<f64>::eye(n);
    let total: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..MOST_SWEEPS {
        let off: f64 = (0..n)
            .flat_map(|p| (0..p).map(move |q| (p, q)))
            .map(|pair| a[pair] * a[pair])
            .sum();
        if off <= f64::EPSILON * f64::EPSILON * total {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[[p, q]] == 0.0 {
                    continue;
                }
                let tau = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
                let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
                let cosine = tangent.hypot(1.0).recip();
                let sine = tangent * cosine;
                rotate_rows(&mut a, (p, q), (cosine, sine));
                for row in 0..n {
                    let (x, y) = (a[[row, p]], a[[row, q]]);
                    a[[row, p]] = cosine * x - sine * y;
                    a[[row, q]] = sine * x + cosine * y;
                }
                rotate_rows(&mut vectors, (p, q), (cosine, sine));
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[[j, j]].total_cmp(&a[[i, i]]));
    let values = order.iter().map(|&i| a[[i, i]]).collect();
    let mut columns = Array2::zeros((n, n));
    for (mut column, &i) in columns.columns_mut().into_iter().zip(&order) {
        column.assign(&vectors.row(i));
        let largest = column
            .iter()
            .copied()
            .max_by(|x, y| x.abs().total_cmp(&y.abs()));
        column *= largest.map_or(1.0, f64::signum);
    }
    (values, columns)
}

fn rotate_rows(a: &mut Array2<f64>, (p, q): (usize, usize), (cosine, sine): (f64, f64)) {
    let (mut first, mut second) = a.multi_slice_mut((ndarray::s![p, ..], ndarray::s![q, ..]));
    for (x, y) in first.iter_mut().zip(second.iter_mut()) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_vectors_make_up_the_matrix() {
        // The last row is the sum of two others: one eigenvalue is zero.
        let n = 12;
        let mut factor =
            Array2::from_shape_fn((n, n), |(i, j)| ((i * j * 7 + 3 * i + j * j) as f64).sin());
        let dependent = &factor.row(0) + &factor.row(1);
        factor.row_mut(n - 1).assign(&dependent);
        let matrix = factor.dot(&factor.t());
        let (values, vectors) = symmetric_eigen(matrix.clone());
        let remade = (&vectors * &values).dot(&vectors.t());
        let near =
            |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|d| d.abs() < 1e-12 * n as f64);
        assert!(near(&remade, &matrix));
        assert!(near(&vectors.t().dot(&vectors), &Array2::eye(n)));
        assert!(values.windows(2).into_iter().all(|pair| pair[0] >= pair[1]));
        assert!(
            values[n - 1].abs() < 1e-12 && values[n - 2] > 1e-6,
            "{values}"
        );
    }
}
