//! Batch norm over the channels of a channels-last tensor, fused with the residual sum and the
//! rectifier that follow it in a basic block:
//! `y = relu(gain * (x - mean) / sqrt(variance + eps) + bias + residual)`.

mod rows;
pub(super) mod statistics;

pub use statistics::BatchStatistics;

use super::activation::{Activation, Gradient};
use super::loops::{made_in_blocks, vectorised};
use super::node::{Backward, node, passed};
use super::values::with_values;
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;
use rows::{NormaliseRows, Past, SlopeRows, SumRows, rows_per_block};
use statistics::statistics;
use std::mem::MaybeUninit;

/// The value added before the rectifier.
#[derive(Clone, Copy, Debug)]
pub enum Residual<'a> {
    /// Nothing.
    None,
    /// The shortcut of a basic block, of the same shape as the input.
    Add(&'a Activation),
}

/// The operator: see the module's formula.
#[derive(Clone, Copy, Debug)]
struct BatchNorm {
    eps: f32,
    relu: bool,
}

/// Normalises `x` (`[.., channels]`) by the batch's own statistics, or by `fixed` ones; `gain` and
/// `bias` are `[channels]`. Returns the statistics that were used.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn batch_norm(
    x: &Activation,
    gain: &Tensor,
    bias: &Tensor,
    residual: Residual,
    relu: bool,
    eps: f32,
    fixed: Option<&BatchStatistics>,
) -> Result<(Activation, BatchStatistics)> {
    let affine = Tensor::stack(&[gain, bias], 0)?;
    check(x.dims(), affine.dims(), fixed)?;
    let residual = match residual {
        Residual::None => None,
        Residual::Add(residual) if residual.dims() != x.dims() => bail!(
            "batch_norm: residual {:?} differs from input {:?}",
            residual.dims(),
            x.dims()
        ),
        Residual::Add(residual) => Some(residual),
    };
    let (y, used) = with_values("batch_norm", x.values(), |values| {
        with_values("batch_norm", &affine, |affine| {
            let used = match fixed {
                Some(fixed) => fixed.clone(),
                None => statistics(values, affine.len() / 2),
            };
            let op = BatchNorm { eps, relu };
            let y = match residual {
                None => op.forward(values, affine, None, &used),
                Some(residual) => with_values("batch_norm", residual.values(), |residual| {
                    Ok(op.forward(values, affine, Some(residual), &used))
                })?,
            };
            Ok((y, used))
        })
    })?;
    let y = Tensor::from_vec(y, x.dims(), affine.device())?;
    let gradient = Gradient::default();
    let step = Step {
        op: BatchNorm { eps, relu },
        of_batch: fixed.is_none(),
        statistics: used.clone(),
        x: x.clone(),
        residual: residual.map(|residual| residual.gradient().clone()),
        y: y.clone(),
        gradient: gradient.clone(),
    };
    let node = match residual {
        None => node(&[x.node(), &affine], step)?,
        Some(residual) => node(&[x.node(), &affine, residual.node()], step)?,
    };
    Ok((Activation::made(y, node, gradient), used))
}

/// Whether gain and bias, and statistics that are given, fit the input.
fn check(x: &[usize], affine: &[usize], fixed: Option<&BatchStatistics>) -> Result<()> {
    let channels = x.last().copied().unwrap_or(0);
    if affine != [2, channels] || channels == 0 {
        bail!("batch_norm: input {x:?} does not fit gain and bias {affine:?}");
    }
    match fixed {
        Some(s) if s.mean.len() != channels || s.variance.len() != channels => bail!(
            "batch_norm: {} fixed statistics for {channels} channels",
            s.mean.len()
        ),
        _ => Ok(()),
    }
}

/// Sums of `dz` and of `dz * (x - mean)` of each channel over a block.
type BlockSums = (Vec<f32>, Vec<f32>);

/// Gradients of the operator's arguments.
struct Gradients {
    x: Vec<f32>,
    /// `gain`, then `bias`.
    affine: Vec<f32>,
    residual: Option<Vec<f32>>,
}

impl BatchNorm {
    /// Returns the output for the statistics `used`.
    fn forward(
        self,
        x: &[f32],
        affine: &[f32],
        residual: Option<&[f32]>,
        used: &BatchStatistics,
    ) -> Vec<f32> {
        let channels = affine.len() / 2;
        let inverse = self.inverse_deviation(used);
        let scale: Vec<f32> = affine[..channels]
            .iter()
            .zip(&inverse)
            .map(|(g, i)| g * i)
            .collect();
        let offset: Vec<f32> = (0..channels)
            .map(|c| affine[channels + c] - used.mean[c] * scale[c])
            .collect();
        let lowest = self.lowest();
        let block = rows_per_block(channels) * channels;
        let write = |index: usize, y: &mut [MaybeUninit<f32>]| {
            let x = &x[index * block..][..y.len()];
            let residual = residual.map(|r| &r[index * block..][..x.len()]);
            vectorised(NormaliseRows {
                y,
                x,
                residual,
                scale: &scale,
                offset: &offset,
                lowest,
            });
        };
        // SAFETY: blocks are whole rows, and every value of every row is written.
        #[allow(unsafe_code)]
        let (y, _) = unsafe { made_in_blocks(x.len(), block, write) };
        y
    }

    /// With `dz` the gradient past the rectifier and `h` the normalised input,
    /// `dx = gain / deviation * (dz - mean(dz) - h * mean(dz * h))` (Ioffe and Szegedy 2015); the
    /// two means drop out where the statistics are fixed.
    fn backward(
        self,
        x: &[f32],
        affine: &[f32],
        y: &[f32],
        dy: &[f32],
        (used, of_batch): (&BatchStatistics, bool),
        want_residual: bool,
    ) -> Gradients {
        let channels = affine.len() / 2;
        let inverse = self.inverse_deviation(used);
        let block = rows_per_block(channels) * channels;
        let (dz, sums) = self.past_rectifier(x, y, dy, &used.mean, want_residual);
        let mut affine_gradient = vec![0f64; 2 * channels];
        for (sum, product) in sums {
            for c in 0..channels {
                affine_gradient[c] += f64::from(product[c] * inverse[c]);
                affine_gradient[channels + c] += f64::from(sum[c]);
            }
        }

        let rows = (x.len() / channels) as f64;
        let of_batch = if of_batch { 1.0 } else { 0.0 };
        let scale: Vec<f32> = (0..channels).map(|c| affine[c] * inverse[c]).collect();
        let mean_dz: Vec<f32> = (0..channels)
            .map(|c| (of_batch * affine_gradient[channels + c] / rows) as f32)
            .collect();
        let mean_dz_h: Vec<f32> = (0..channels)
            .map(|c| (of_batch * affine_gradient[c] / rows * f64::from(inverse[c])) as f32)
            .collect();
        let lowest = self.lowest();
        let write = |index: usize, dx: &mut [MaybeUninit<f32>]| {
            let here = index * block..index * block + dx.len();
            vectorised(SlopeRows {
                dx,
                x: &x[here.clone()],
                dz: match &dz {
                    Some(dz) => Ok(&dz[here]),
                    None => Err(Past {
                        dy: &dy[here.clone()],
                        y: &y[here],
                        lowest,
                    }),
                },
                scale: &scale,
                mean: &used.mean,
                mean_dz: &mean_dz,
                mean_dz_h: &mean_dz_h,
            });
        };
        // SAFETY: blocks are whole rows, and every value of every row is written.
        #[allow(unsafe_code)]
        let (dx, _) = unsafe { made_in_blocks(x.len(), block, write) };
        Gradients {
            x: dx,
            affine: affine_gradient.iter().map(|&g| g as f32).collect(),
            residual: dz,
        }
    }

    /// Returns the gradient `dz` past the rectifier, if it is wanted, and for each block the sums of `dz`
    /// and of `dz * (x - mean)` of each channel.
    fn past_rectifier(
        self,
        x: &[f32],
        y: &[f32],
        dy: &[f32],
        mean: &[f32],
        wanted: bool,
    ) -> (Option<Vec<f32>>, Vec<BlockSums>) {
        let channels = mean.len();
        let block = rows_per_block(channels) * channels;
        let lowest = self.lowest();
        let sums_of = |at: usize, dz: Option<&mut [MaybeUninit<f32>]>| {
            let (mut sum, mut product) = (vec![0f32; channels], vec![0f32; channels]);
            let here = at..x.len().min(at + block);
            let (dy, y, x) = (&dy[here.clone()], &y[here.clone()], &x[here]);
            vectorised(SumRows {
                past: Past { dy, y, lowest },
                x,
                mean,
                sum: &mut sum,
                product: &mut product,
                kept: dz,
            });
            (sum, product)
        };
        if !wanted {
            let starts = (0..x.len()).into_par_iter().step_by(block);
            return (None, starts.map(|at| sums_of(at, None)).collect());
        }
        let write = |index: usize, dz: &mut [MaybeUninit<f32>]| sums_of(index * block, Some(dz));
        // SAFETY: blocks are whole rows, and every value of every row is written.
        #[allow(unsafe_code)]
        let (dz, sums) = unsafe { made_in_blocks(x.len(), block, write) };
        (Some(dz), sums)
    }

    /// The least value that the rectifier lets pass.
    fn lowest(self) -> f32 {
        if self.relu { 0.0 } else { f32::NEG_INFINITY }
    }

    /// One over the deviation of each channel.
    fn inverse_deviation(self, statistics: &BatchStatistics) -> Vec<f32> {
        statistics
            .variance
            .iter()
            .map(|v| 1.0 / (v + self.eps).sqrt())
            .collect()
    }
}

/// A batch norm in candle's graph.
struct Step {
    op: BatchNorm,
    /// Whether the statistics are the batch's own, and so depend on the input.
    of_batch: bool,
    statistics: BatchStatistics,
    x: Activation,
    residual: Option<Gradient>,
    y: Tensor,
    /// The result's.
    gradient: Gradient,
}

impl Backward for Step {
    const NAME: &'static str = "batch_norm";

    /// The arguments are the input, gain and bias, and the residual if there is one.
    fn backward(&self, arguments: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
        let affine = arguments[1];
        let dy = self.gradient.take(Self::NAME)?;
        let gradients = with_values(Self::NAME, self.x.values(), |x| {
            with_values(Self::NAME, affine, |affine| {
                with_values(Self::NAME, &self.y, |y| {
                    let statistics = (&self.statistics, self.of_batch);
                    let want_residual = self.residual.is_some();
                    Ok(self
                        .op
                        .backward(x, affine, y, &dy, statistics, want_residual))
                })
            })
        })?;
        self.x.gradient().add(gradients.x);
        if let (Some(residual), Some(gradient)) = (&self.residual, gradients.residual) {
            residual.add(gradient);
        }
        let of_affine = Tensor::from_vec(gradients.affine, affine.shape(), affine.device())?;
        let mut told = vec![passed(arguments[0])?, Some(of_affine)];
        for residual in &arguments[2..] {
            told.push(passed(residual)?);
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests;
