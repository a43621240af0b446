//! Embeddings from features: the directions that tell sounds apart, their deviations levelled.

use super::eigen::symmetric_eigen;
use super::levelling::{RIDGE, scales};
use super::parameters::{Buffer, Parameters};
use candle_core::{Result, Tensor};
use ndarray::{Array1, Array2, Axis};

/// Share of the largest variance within pairs that is added to each. In other places and from other devices
/// sounds differ in more ways than in the recordings of a corpus.
const PAIR_RIDGE: f64 = 0.03;

/// `y = D diag(v + RIDGE v_1)^(-w/2) V^T W (x - mean)`. `W = (S + PAIR_RIDGE s_1)^(-b/2)` levels what the
/// two sounds of a pair differ by, `S`, whose largest variance is `s_1`: another voice, another
/// instrument, the noise of a room. Of the covariance of `W x`, `V` are the principal directions that
/// are kept and `v` their variances. The exponents `b` and `w` are those of [`Levels`].
///
/// With `b` = 1 these are the directions of linear discriminant analysis (Fisher 1936): those in which
/// sounds differ most, for what a pair of the same thing does.
///
/// Few directions carry most of what sounds differ by, much of it level and spectral tilt; a cosine
/// would hardly hear the others. An exponent `w` of 1 gives all the same weight (whitening), and with it
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

    /// Returns rows as a matrix, `[rows, inputs]`.
    fn matrix(&self, rows: &[Vec<f32>]) -> Array2<f64> {
        Array2::from_shape_fn((rows.len(), self.inputs), |(r, i)| f64::from(rows[r][i]))
    }

    /// Computes the layer from the features of clean sounds and what those of the two sounds of pairs differ by,
    /// `[rows][inputs]`. Without pairs, nothing is levelled within them.
    ///
    /// # Panics
    /// If there are no clean sounds.
    pub fn settle(&self, clean: &[Vec<f32>], apart: &[Vec<f32>], levels: Levels) {
        assert!(!clean.is_empty(), "no features to settle by");
        let mut centred = self.matrix(clean);
        let mean = centred.mean_axis(Axis(0)).expect("there are rows");
        centred -= &mean;
        let mut covariance = centred.t().dot(&centred) / clean.len() as f64;
        let within = (levels.within > 0.0 && !apart.is_empty()).then(|| {
            let pairs = 2 * apart.len();
            let apart = self.matrix(apart);
            let variance = apart.t().dot(&apart) / pairs as f64;
            let (variances, directions) = symmetric_eigen(variance);
            let scaled = &directions * &scales(variances.view(), PAIR_RIDGE, levels.within);
            scaled.dot(&directions.t())
        });
        if let Some(within) = &within {
            covariance = within.dot(&covariance).dot(within);
        }
        let (variances, directions) = symmetric_eigen(covariance);
        let scales = scales(variances.view(), RIDGE, levels.whitening);
        let mut levelled = Array2::from_shape_fn((self.dim, self.inputs), |(row, i)| {
            directions[[i, row]] * scales[row]
        });
        if let Some(within) = &within {
            levelled = levelled.dot(within);
        }
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

/// Exponents, 0 to 1, by which deviations are levelled: 0 leaves them as they are, 1 makes them the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Exponent of what the two sounds of a pair differ by.
    pub within: f64,
    /// Exponent of the directions that are kept.
    pub whitening: f64,
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

    fn settled(dim: usize, whitening: f64) -> Vec<Vec<f32>> {
        let levels = Levels {
            within: 0.0,
            whitening,
        };
        settled_by(dim, &[], levels)
    }

    fn settled_by(dim: usize, apart: &[Vec<f32>], levels: Levels) -> Vec<Vec<f32>> {
        let mut p = Parameters::new(0, &Device::Cpu);
        let whitening = Whitening::new(&mut p, "whitening.0", (4, dim));
        whitening.settle(&rows(), apart, levels);
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

    /// The two sounds of a pair differ along the first axis alone, the one in which sounds differ most.
    fn apart() -> Vec<Vec<f32>> {
        vec![vec![2.0; 4]; 8]
    }

    #[test]
    fn directions_in_which_pairs_differ_come_last() {
        let axes = [[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]];
        for (within, axis) in [(0.0, axes[0]), (1.0, axes[1])] {
            let levels = Levels {
                within,
                whitening: 0.0,
            };
            let found = settled_by(1, &apart(), levels);
            // The one value that is kept is proportional to the place along the axis.
            let ratios = rows().into_iter().zip(&found).map(|(row, y)| {
                let centred = row.iter().zip([5.0, -1.0, 2.0, 0.0]);
                let along: f32 = centred.zip(axis).map(|((x, mean), a)| (x - mean) * a).sum();
                y[0] / along
            });
            let ratios: Vec<f32> = ratios.collect();
            assert!(
                ratios.iter().all(|r| (r / ratios[0] - 1.0).abs() < 1e-3),
                "{within}: {ratios:?}"
            );
        }
    }
}
