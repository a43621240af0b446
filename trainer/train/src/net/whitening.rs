//! Embeddings from features: principal directions, their deviations levelled.

use super::eigen::symmetric_eigen;
use super::levelling::scales;
use super::parameters::{Buffer, Parameters};
use candle_core::{Result, Tensor};
use ndarray::{Array1, Array2, Axis};

/// `y = D diag(v + RIDGE v_1)^(-w/2) V^T (x - mean)`: of the features' covariance, `V` are the
/// principal directions that are kept, `v` their variances, `w` the exponent of
/// [`Whitening::settle`].
///
/// Few directions carry most of what sounds differ by, much of it level and spectral tilt; a cosine
/// would hardly hear the others. An exponent of 1 gives all the same weight (whitening), and with it
/// their noise; between the two lies what works best for few examples. `D` is the orthonormal cosine
/// transform (DCT-II): it leaves cosines as they are and spreads the largest directions over all
/// values, so that one scale of int8 serves them.
#[derive(Debug)]
pub struct Whitening {
    inputs: usize,
    dim: usize,
    /// `NAME.weight`, `[dim, inputs]`.
    weight: Buffer,
    /// `NAME.bias`, `[dim]`.
    bias: Buffer,
}

impl Whitening {
    /// Keeps the first `dim` of `inputs` features until it is settled.
    pub fn new(p: &mut Parameters, name: &str, (inputs, dim): (usize, usize)) -> Self {
        let mut identity = vec![0.0; dim * inputs];
        for (index, row) in identity.chunks_exact_mut(inputs).enumerate() {
            row[index] = 1.0;
        }
        Self {
            inputs,
            dim,
            weight: p.buffer(&format!("{name}.weight"), &[dim, inputs], identity),
            bias: p.buffer(&format!("{name}.bias"), &[dim], vec![0.0; dim]),
        }
    }

    /// Returns `[rows, outputs]` of `x`, `[rows, inputs]`.
    ///
    /// # Errors
    /// If `x` has another number of columns.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let tensor = |buffer: &Buffer, shape: &[usize]| {
            let values = buffer.lock().expect("no panic while locked");
            Tensor::from_slice(&values, shape, x.device())
        };
        let weight = tensor(&self.weight, &[self.dim, self.inputs])?;
        x.matmul(&weight.t()?)?
            .broadcast_add(&tensor(&self.bias, &[self.dim])?)
    }

    /// Computes the layer from the features of clean sounds, `[rows][inputs]`; `exponent` 0 only
    /// turns, 1 levels deviations altogether.
    ///
    /// # Panics
    /// If there are no rows.
    pub fn settle(&self, rows: &[Vec<f32>], exponent: f64) {
        assert!(!rows.is_empty(), "no features to settle by");
        let mut centred =
            Array2::from_shape_fn((rows.len(), self.inputs), |(r, i)| f64::from(rows[r][i]));
        let mean = centred.mean_axis(Axis(0)).expect("there are rows");
        centred -= &mean;
        let covariance = centred.t().dot(&centred) / rows.len() as f64;
        let (variances, directions) = symmetric_eigen(covariance);
        let scales = scales(variances.view(), exponent);
        let levelled = Array2::from_shape_fn((self.dim, self.inputs), |(row, i)| {
            directions[[i, row]] * scales[row]
        });
        let weight = cosine_transform(self.dim).dot(&levelled);
        let bias: Array1<f64> = -weight.dot(&mean);
        let mut out = self.weight.lock().expect("no panic while locked");
        for (value, &weight) in out.iter_mut().zip(&weight) {
            *value = weight as f32;
        }
        let mut out = self.bias.lock().expect("no panic while locked");
        for (value, &bias) in out.iter_mut().zip(&bias) {
            *value = bias as f32;
        }
    }
}

/// The orthonormal DCT-II of `n` values.
fn cosine_transform(n: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(k, i)| {
        let scale = if k == 0 { 1.0 } else { 2.0 } / n as f64;
        scale.sqrt() * (std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / n as f64).cos()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Points around (5, -1, 2, 0) whose deviations along orthogonal directions are 4, 1, 0.25 and 0.
    fn rows() -> Vec<Vec<f32>> {
        let axes = [
            ([0.5, 0.5, 0.5, 0.5], 4.0),
            ([0.5, -0.5, 0.5, -0.5], 1.0),
            ([0.5, 0.5, -0.5, -0.5], 0.25),
        ];
        let signs =
            (0..8).map(|bits| [0, 1, 2].map(|b| if bits >> b & 1 == 1 { 1.0 } else { -1.0 }));
        let point = |signs: [f32; 3]| {
            let mut point = vec![5.0, -1.0, 2.0, 0.0];
            for ((axis, deviation), sign) in axes.iter().zip(signs) {
                for (value, a) in point.iter_mut().zip(axis) {
                    *value += sign * deviation * a;
                }
            }
            point
        };
        signs.map(point).collect()
    }

    fn settled(dim: usize, exponent: f64) -> Vec<Vec<f32>> {
        let mut p = Parameters::new(0, &Device::Cpu);
        let whitening = Whitening::new(&mut p, "whitening.0", (4, dim));
        whitening.settle(&rows(), exponent);
        let x = Tensor::new(rows(), &Device::Cpu).unwrap();
        whitening.forward(&x).unwrap().to_vec2().unwrap()
    }

    fn variances(rows: &[Vec<f32>]) -> Array1<f64> {
        let y = Array2::from_shape_fn((rows.len(), rows[0].len()), |(r, i)| f64::from(rows[r][i]));
        let mean = y.mean_axis(Axis(0)).unwrap();
        assert!(mean.iter().all(|mean| mean.abs() < 1e-5), "not centred");
        symmetric_eigen(y.t().dot(&y) / rows.len() as f64).0
    }

    #[test]
    fn deviations_are_levelled_by_the_exponent() {
        for (exponent, expected) in [(0.0, [16.0, 1.0]), (0.5, [4.0, 1.0]), (1.0, [1.0, 1.0])] {
            let variances = variances(&settled(2, exponent));
            for (found, expected) in variances.iter().zip(expected) {
                // The ridge takes a little off.
                assert!(
                    (found / expected - 1.0).abs() < 0.02,
                    "{exponent}: {variances:?}"
                );
            }
        }
    }

    #[test]
    fn without_levelling_all_directions_keep_the_angles() {
        let (mean, embedded) = ([5.0, -1.0, 2.0, 0.0], settled(4, 0.0));
        let rows: Vec<Vec<f32>> = rows()
            .iter()
            .map(|row| row.iter().zip(mean).map(|(x, mean)| x - mean).collect())
            .collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for (a, y) in rows.iter().zip(&embedded) {
            for (b, z) in rows.iter().zip(&embedded) {
                assert!((dot(a, b) - dot(y, z)).abs() < 1e-3);
            }
        }
    }
}
