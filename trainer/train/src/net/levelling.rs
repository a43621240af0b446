//! Principal directions of vectors, their deviations levelled.

use super::leading_eigen;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Share of the largest variance that is added to each: directions with next to none are not blown up.
pub(super) const RIDGE: f64 = 1e-3;

/// Returns what levels directions with these variances, largest first: `(v + ridge v_1)^(-exponent/2)`.
pub(super) fn scales(variances: ArrayView1<'_, f64>, ridge: f64, exponent: f64) -> Array1<f64> {
    let ridge = ridge * variances[0].max(f64::MIN_POSITIVE);
    variances.mapv(|v| (v.max(0.0) + ridge).powf(-exponent / 2.0))
}

/// `y = diag(v + RIDGE v_1)^(-w/2) V^T (x - mean)`: of the covariance of vectors, `V` are the principal
/// directions that are kept, `v` their variances, and `w` is the exponent of levelling.
///
/// Few directions carry most of what embeddings differ by; a cosine would hardly hear the others. An exponent
/// of 1 gives all the same weight, and with it their noise; 0.5 works best for few examples.
#[derive(Clone, Debug)]
pub(crate) struct Levelling {
    mean: Array1<f64>,
    /// `[values, directions]`.
    projection: Array2<f64>,
    /// Share of the variance that the directions carry.
    pub(crate) carried: f64,
}

impl Levelling {
    /// Keeps `dim` directions of vectors with this mean and covariance. Returns `None` where the vectors
    /// are all the same, or hold what is no number.
    ///
    /// # Panics
    /// If `dim` is more than the vectors' length.
    pub(crate) fn new(
        mean: Array1<f64>,
        covariance: &Array2<f64>,
        dim: usize,
        exponent: f64,
    ) -> Option<Self> {
        let variance = covariance.diag().sum();
        if !(variance.is_finite() && variance > 0.0) {
            return None;
        }
        let (variances, directions) = leading_eigen(covariance, dim);
        Some(Self {
            mean,
            projection: directions * &scales(variances.view(), RIDGE, exponent),
            carried: variances.sum() / variance,
        })
    }

    /// Returns vectors less the mean.
    pub(crate) fn centre(&self, rows: ArrayView2<'_, f64>) -> Array2<f64> {
        &rows - &self.mean
    }

    /// Projects vectors that [`Self::centre`] returned.
    pub(crate) fn project(&self, centred: ArrayView2<'_, f64>) -> Array2<f64> {
        centred.dot(&self.projection)
    }
}
