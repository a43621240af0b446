//! Eigenvalues of symmetric matrices.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rayon::prelude::*;

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

/// Directions beside those that are wanted, which speed up what follows, at least.
const GUARDS: usize = 32;

/// Products with the matrix at most, and after how many the directions are looked at.
const MOST_PRODUCTS: usize = 400;
const LOOK_EVERY: usize = 10;

/// The `count` largest eigenvalues of a symmetric matrix without negative ones (a covariance), largest
/// first, and their eigenvectors as columns, each with its largest magnitude positive.
///
/// Orthogonal iteration with a Rayleigh-Ritz step (Golub and Van Loan, Matrix Computations, 8.2.4), on
/// all cores, until the residual of each vector is 1e-10 of the largest eigenvalue: where a small share
/// of a thousand directions is wanted, a fraction of what [`symmetric_eigen`] takes, which is left the
/// smaller matrices. The same matrix gives the same bits on any number of cores.
///
/// # Panics
/// If the matrix has fewer than `count` rows.
pub(crate) fn leading_eigen(a: &Array2<f64>, count: usize) -> (Array1<f64>, Array2<f64>) {
    let n = a.nrows();
    assert!(count <= n, "{count} of {n} eigenvectors");
    let block = count + GUARDS.max(count / 2);
    if 2 * block >= n {
        let (values, vectors) = symmetric_eigen(a.clone());
        return (
            values.slice(s![..count]).to_owned(),
            vectors.slice(s![.., ..count]).to_owned(),
        );
    }
    // Directions are rows. They begin anywhere, but always at the same place.
    let mut basis = Array2::from_shape_fn((block, n), |(i, j)| {
        let x = ((i * n + j) as f64 * 0.618_033_988_749_895).fract();
        (x * 12.9898).sin()
    });
    orthonormalise(&mut basis);
    for product in 1..=MOST_PRODUCTS {
        let image = times(&basis, a);
        if product % LOOK_EVERY == 0 {
            // Within the span, the eigenvectors.
            let (values, turn) = symmetric_eigen(image.dot(&basis.t()));
            let (vectors, images) = (turn.t().dot(&basis), turn.t().dot(&image));
            let residual = |i: usize| {
                let difference = &images.row(i) - &(&vectors.row(i) * values[i]);
                norm(difference.view())
            };
            let settled = (0..count).all(|i| residual(i) <= 1e-10 * values[0].abs());
            if settled || product == MOST_PRODUCTS {
                let mut vectors = vectors.slice(s![..count, ..]).to_owned();
                for mut vector in vectors.rows_mut() {
                    let largest = vector
                        .iter()
                        .copied()
                        .max_by(|x, y| x.abs().total_cmp(&y.abs()));
                    vector *= largest.map_or(1.0, f64::signum);
                }
                return (
                    values.slice(s![..count]).to_owned(),
                    vectors.reversed_axes(),
                );
            }
        }
        basis = image;
        orthonormalise(&mut basis);
    }
    unreachable!("the last product returns")
}

/// `rows * a`, a few rows on each core at a time.
fn times(rows: &Array2<f64>, a: &Array2<f64>) -> Array2<f64> {
    let mut out = Array2::zeros(rows.dim());
    let outs: Vec<_> = out.axis_chunks_iter_mut(Axis(0), 16).collect();
    let ins: Vec<_> = rows.axis_chunks_iter(Axis(0), 16).collect();
    (outs, ins)
        .into_par_iter()
        .for_each(|(mut out, rows)| out.assign(&rows.dot(a)));
    out
}

/// Length of what is left of a unit vector that lies in the span of others.
const NOISE: f64 = 1e-12;

/// Makes rows orthogonal and of unit length, one after the other; a row in the span of those before it
/// becomes zero.
fn orthonormalise(rows: &mut Array2<f64>) {
    for i in 0..rows.nrows() {
        let (earlier, mut rest) = rows.view_mut().split_at(Axis(0), i);
        let mut row = rest.row_mut(0);
        // Twice is enough (Kahan; Parlett, The Symmetric Eigenvalue Problem, 6.9).
        for _ in 0..2 {
            let length = norm(row.view());
            if length > 0.0 {
                row /= length;
            }
            let shares = earlier.dot(&row);
            row -= &earlier.t().dot(&shares);
            if norm(row.view()) < NOISE {
                row.fill(0.0);
            }
        }
        let length = norm(row.view());
        if length > 0.0 {
            row /= length;
        }
    }
}

fn norm(row: ArrayView1<'_, f64>) -> f64 {
    row.dot(&row).sqrt()
}

fn rotate_rows(a: &mut Array2<f64>, (p, q): (usize, usize), (cosine, sine): (f64, f64)) {
    let (mut first, mut second) = a.multi_slice_mut((s![p, ..], s![q, ..]));
    for (x, y) in first.iter_mut().zip(second.iter_mut()) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leading_vectors_are_those_of_the_whole_matrix() {
        // A covariance whose deviations fall slowly, of rank 150 in 260 directions.
        let n = 260;
        let factor = Array2::from_shape_fn((n, 150), |(i, j)| {
            let x = ((i * 131 + j * 977 + i * j) as f64 * 0.713).sin();
            x / (1.0 + j as f64).sqrt()
        });
        let matrix = factor.dot(&factor.t());
        let (values, vectors) = leading_eigen(&matrix, 20);
        let (all, directions) = symmetric_eigen(matrix.clone());
        for i in 0..20 {
            assert!((values[i] / all[i] - 1.0).abs() < 1e-9, "{i}");
            let cosine = vectors.column(i).dot(&directions.column(i));
            assert!((cosine - 1.0).abs() < 1e-6, "{i}: {cosine}");
        }
        // Few rows are left to the exact method; a matrix of one direction does not end in noise.
        assert_eq!(leading_eigen(&matrix, 200).0.len(), 200);
        let one = Array2::from_elem((n, n), 1.0);
        let (values, vectors) = leading_eigen(&one, 3);
        assert!((values[0] - n as f64).abs() < 1e-9 && values[1].abs() < 1e-9);
        assert!(vectors.iter().all(|x| x.is_finite()));
    }

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
