//! Batch norm over the channels of a channels-last tensor, fused with the residual sum and the
//! rectifier that follow it in a basic block:
//! `y = relu(gain * (x - mean) / sqrt(variance + eps) + bias + residual)`.

use super::activation::{Activation, Gradient, passed, placeholder};
use super::{Loop, composed, made_in_blocks, vectorised, with_values};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Values per block of work. Fixed, so that sums are taken in the same order whatever the number
/// of threads.
const BLOCK_VALUES: usize = 16 * 1024;

/// Mean and (biased) variance of every channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Mean squared deviation of each channel.
    pub variance: Vec<f32>,
}

impl BatchStatistics {
    /// Whether every value is a number that can be computed with.
    pub fn is_finite(&self) -> bool {
        let mut values = self.mean.iter().chain(&self.variance);
        values.all(|value| value.is_finite())
    }
}

/// What is added before the rectifier.
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
pub fn batch_norm(
    x: &Activation,
    gain: &Tensor,
    bias: &Tensor,
    residual: Residual,
    relu: bool,
    eps: f32,
    fixed: Option<&BatchStatistics>,
) -> Result<(Activation, BatchStatistics)> {
    if !gain.device().is_cpu() {
        let residual = match residual {
            Residual::None => None,
            Residual::Add(residual) => Some(residual.values()),
        };
        let (y, used) = composed::batch_norm(x.values(), gain, bias, residual, relu, eps, fixed)?;
        return Ok((Activation::composed(y), used));
    }
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
        None => x.node().apply_op2(&affine, step)?,
        Some(residual) => x.node().apply_op3(&affine, residual.node(), step)?,
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

/// Mean and variance of each channel, merged block by block (Chan, Golub and LeVeque 1979).
fn statistics(x: &[f32], channels: usize) -> BatchStatistics {
    let blocks: Vec<(f64, Vec<f32>, Vec<f32>)> = x
        .par_chunks(rows_per_block(channels) * channels)
        .map(|block| {
            let rows = (block.len() / channels) as f32;
            let (mut mean, mut squares) = (vec![0f32; channels], vec![0f32; channels]);
            vectorised(MeanAndSquares {
                block,
                rows,
                mean: &mut mean,
                squares: &mut squares,
            });
            (f64::from(rows), mean, squares)
        })
        .collect();
    let (mut count, mut mean, mut squares) = (0f64, vec![0f64; channels], vec![0f64; channels]);
    for (rows, block_mean, block_squares) in blocks {
        let total = count + rows;
        for c in 0..channels {
            let delta = f64::from(block_mean[c]) - mean[c];
            mean[c] += delta * rows / total;
            squares[c] += f64::from(block_squares[c]) + delta * delta * count * rows / total;
        }
        count = total;
    }
    BatchStatistics {
        mean: mean.iter().map(|&m| m as f32).collect(),
        variance: squares.iter().map(|&s| (s / count) as f32).collect(),
    }
}

/// Mean of each channel over `rows` rows, then the sum of squares around it.
struct MeanAndSquares<'m> {
    block: &'m [f32],
    rows: f32,
    mean: &'m mut [f32],
    squares: &'m mut [f32],
}

impl Loop for MeanAndSquares<'_> {
    #[inline(always)]
    fn run(self) {
        let (mean, squares) = (self.mean, self.squares);
        for row in self.block.chunks_exact(mean.len()) {
            for (sum, x) in mean.iter_mut().zip(row) {
                *sum += x;
            }
        }
        for sum in mean.iter_mut() {
            *sum /= self.rows;
        }
        for row in self.block.chunks_exact(mean.len()) {
            for ((square, x), mean) in squares.iter_mut().zip(row).zip(&*mean) {
                *square += (x - mean) * (x - mean);
            }
        }
    }
}

/// `y = max(x * scale + offset + residual, lowest)`
struct NormaliseRows<'n> {
    y: &'n mut [MaybeUninit<f32>],
    x: &'n [f32],
    residual: Option<&'n [f32]>,
    scale: &'n [f32],
    offset: &'n [f32],
    lowest: f32,
}

impl Loop for NormaliseRows<'_> {
    #[inline(always)]
    fn run(self) {
        let (scale, offset, lowest) = (self.scale, self.offset, self.lowest);
        let channels = scale.len();
        let rows = self.y.chunks_exact_mut(channels);
        let rows = rows.zip(self.x.chunks_exact(channels));
        match self.residual {
            None => {
                for (y, x) in rows {
                    for (((y, x), s), o) in y.iter_mut().zip(x).zip(scale).zip(offset) {
                        y.write((x * s + o).max(lowest));
                    }
                }
            }
            Some(residual) => {
                for ((y, x), r) in rows.zip(residual.chunks_exact(channels)) {
                    let values = y.iter_mut().zip(x).zip(r);
                    for ((((y, x), r), s), o) in values.zip(scale).zip(offset) {
                        y.write((x * s + o + r).max(lowest));
                    }
                }
            }
        }
    }
}

/// The gradient past a rectifier: that of its output where this was not cut off.
struct Past<'p> {
    dy: &'p [f32],
    y: &'p [f32],
    lowest: f32,
}

impl Past<'_> {
    #[inline(always)]
    fn at(dy: f32, y: f32, lowest: f32) -> f32 {
        if y > lowest { dy } else { 0.0 }
    }
}

/// Adds up `dz` and `dz * (x - mean)` of each channel, and keeps `dz` if asked.
struct SumRows<'s> {
    past: Past<'s>,
    x: &'s [f32],
    mean: &'s [f32],
    sum: &'s mut [f32],
    product: &'s mut [f32],
    kept: Option<&'s mut [MaybeUninit<f32>]>,
}

impl Loop for SumRows<'_> {
    #[inline(always)]
    fn run(self) {
        let Past { dy, y, lowest } = self.past;
        let (mean, sum, product) = (self.mean, self.sum, self.product);
        let channels = mean.len();
        let rows = dy.chunks_exact(channels).zip(y.chunks_exact(channels));
        let rows = rows.zip(self.x.chunks_exact(channels));
        match self.kept {
            None => {
                for ((dy, y), x) in rows {
                    let sums = sum.iter_mut().zip(product.iter_mut());
                    for ((((dy, y), x), mean), (sum, product)) in
                        dy.iter().zip(y).zip(x).zip(mean).zip(sums)
                    {
                        let dz = Past::at(*dy, *y, lowest);
                        *sum += dz;
                        *product += dz * (x - mean);
                    }
                }
            }
            Some(kept) => {
                for (((dy, y), x), kept) in rows.zip(kept.chunks_exact_mut(channels)) {
                    let sums = sum.iter_mut().zip(product.iter_mut()).zip(kept);
                    for ((((dy, y), x), mean), ((sum, product), kept)) in
                        dy.iter().zip(y).zip(x).zip(mean).zip(sums)
                    {
                        let dz = Past::at(*dy, *y, lowest);
                        kept.write(dz);
                        *sum += dz;
                        *product += dz * (x - mean);
                    }
                }
            }
        }
    }
}

/// `dx = scale * (dz - mean_dz - (x - mean) * mean_dz_h)`, where `dz` was kept or is found again.
struct SlopeRows<'s> {
    dx: &'s mut [MaybeUninit<f32>],
    x: &'s [f32],
    dz: std::result::Result<&'s [f32], Past<'s>>,
    /// Gain over deviation.
    scale: &'s [f32],
    mean: &'s [f32],
    mean_dz: &'s [f32],
    /// Over the deviation once more.
    mean_dz_h: &'s [f32],
}

impl Loop for SlopeRows<'_> {
    #[inline(always)]
    fn run(self) {
        let channels = self.scale.len();
        let constants = || {
            let means = self.mean_dz.iter().zip(self.mean_dz_h);
            self.scale.iter().zip(self.mean).zip(means)
        };
        let rows = self.dx.chunks_exact_mut(channels);
        let rows = rows.zip(self.x.chunks_exact(channels));
        match self.dz {
            Ok(dz) => {
                for ((dx, x), dz) in rows.zip(dz.chunks_exact(channels)) {
                    for (((dx, x), dz), ((scale, mean), (mean_dz, mean_dz_h))) in
                        dx.iter_mut().zip(x).zip(dz).zip(constants())
                    {
                        dx.write(scale * (dz - mean_dz - (x - mean) * mean_dz_h));
                    }
                }
            }
            Err(Past { dy, y, lowest }) => {
                let past = dy.chunks_exact(channels).zip(y.chunks_exact(channels));
                for ((dx, x), (dy, y)) in rows.zip(past) {
                    for (((dx, x), (dy, y)), ((scale, mean), (mean_dz, mean_dz_h))) in
                        dx.iter_mut().zip(x).zip(dy.iter().zip(y)).zip(constants())
                    {
                        let dz = Past::at(*dy, *y, lowest);
                        dx.write(scale * (dz - mean_dz - (x - mean) * mean_dz_h));
                    }
                }
            }
        }
    }
}

fn rows_per_block(channels: usize) -> usize {
    (BLOCK_VALUES / channels).max(1)
}

/// Gradients of the operator's arguments.
struct Gradients {
    x: Vec<f32>,
    /// `gain`, then `bias`.
    affine: Vec<f32>,
    residual: Option<Vec<f32>>,
}

impl BatchNorm {
    fn forward(
        &self,
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
        let lowest = if self.relu { 0.0 } else { f32::NEG_INFINITY };
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
        &self,
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

        // Past the rectifier there is no gradient where the output was cut off.
        let lowest = if self.relu { 0.0 } else { f32::NEG_INFINITY };
        let sums_of = |at: usize, dz: Option<&mut [MaybeUninit<f32>]>| {
            let (mut sum, mut product) = (vec![0f32; channels], vec![0f32; channels]);
            let here = at..x.len().min(at + block);
            let (dy, y, x) = (&dy[here.clone()], &y[here.clone()], &x[here]);
            vectorised(SumRows {
                past: Past { dy, y, lowest },
                x,
                mean: &used.mean,
                sum: &mut sum,
                product: &mut product,
                kept: dz,
            });
            (sum, product)
        };
        let (dz, sums) = if want_residual {
            let write =
                |index: usize, dz: &mut [MaybeUninit<f32>]| sums_of(index * block, Some(dz));
            // SAFETY: blocks are whole rows, and every value of every row is written.
            #[allow(unsafe_code)]
            let (dz, sums) = unsafe { made_in_blocks(x.len(), block, write) };
            (Some(dz), sums)
        } else {
            let starts = (0..x.len()).into_par_iter().step_by(block);
            (None, starts.map(|at| sums_of(at, None)).collect())
        };
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

    fn inverse_deviation(&self, statistics: &BatchStatistics) -> Vec<f32> {
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

impl Step {
    /// Hands the gradients of input and residual on; returns that of gain and bias.
    fn backward(&self, affine: &Tensor) -> Result<Option<Tensor>> {
        let name = "batch_norm";
        let dy = self.gradient.take(name)?;
        let gradients = with_values(name, self.x.values(), |x| {
            with_values(name, affine, |affine| {
                with_values(name, &self.y, |y| {
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
        let affine = Tensor::from_vec(gradients.affine, affine.shape(), affine.device())?;
        Ok(Some(affine))
    }
}

impl CustomOp2 for Step {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        placeholder()
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((passed(x)?, self.backward(affine)?))
    }
}

impl CustomOp3 for Step {
    fn name(&self) -> &'static str {
        "batch_norm_residual"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        placeholder()
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        residual: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let affine = self.backward(affine)?;
        Ok((passed(x)?, affine, passed(residual)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};

    const EPS: f32 = 1e-5;

    /// On tensors, with batch norm's own statistics or `fixed` ones.
    fn batch_norm(
        x: &Tensor,
        (gain, bias): (&Tensor, &Tensor),
        residual: Option<&Tensor>,
        relu: bool,
        fixed: Option<&BatchStatistics>,
    ) -> Result<Tensor> {
        let residual = residual.map(Activation::new).transpose()?;
        let residual = residual.as_ref().map_or(Residual::None, Residual::Add);
        let x = Activation::new(x)?;
        super::batch_norm(&x, gain, bias, residual, relu, EPS, fixed)?
            .0
            .tensor()
    }

    #[test]
    fn the_output_of_a_batch_has_the_asked_mean_and_deviation() {
        let x = ((random(1, &[6, 5, 4, 3]) * 3.0).unwrap() + 7.0).unwrap();
        let gain = Tensor::new(&[1f32, 2.0, 0.5], x.device()).unwrap();
        let bias = Tensor::new(&[0f32, -1.0, 4.0], x.device()).unwrap();
        let y = batch_norm(&x, (&gain, &bias), None, false, None).unwrap();
        let of_output = statistics(&y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), 3);
        for (c, (mean, deviation)) in [(0f32, 1f32), (-1.0, 2.0), (4.0, 0.5)]
            .into_iter()
            .enumerate()
        {
            assert!((of_output.mean[c] - mean).abs() < 1e-4);
            assert!((of_output.variance[c].sqrt() - deviation).abs() < 1e-3);
        }
    }

    #[test]
    fn gradients_match_finite_differences() {
        let shape = [3, 2, 4, 5];
        let (x, gain, bias) = (random(1, &shape), random(2, &[5]), random(3, &[5]));
        let residual = random(4, &shape);
        let fixed = BatchStatistics {
            mean: vec![0.1; 5],
            variance: vec![0.7; 5],
        };
        for relu in [false, true] {
            check_gradient(&[x.clone(), gain.clone(), bias.clone()], |t| {
                batch_norm(&t[0], (&t[1], &t[2]), None, relu, None)
            });
            check_gradient(&[x.clone(), gain.clone(), bias.clone()], |t| {
                batch_norm(&t[0], (&t[1], &t[2]), None, relu, Some(&fixed))
            });
            check_gradient(
                &[x.clone(), gain.clone(), bias.clone(), residual.clone()],
                |t| batch_norm(&t[0], (&t[1], &t[2]), Some(&t[3]), relu, None),
            );
        }
    }

    #[test]
    fn statistics_survive_a_large_offset_and_many_blocks() {
        let x = (random(5, &[9000, 2]) + 1000.0).unwrap();
        let got = statistics(&x.flatten_all().unwrap().to_vec1::<f32>().unwrap(), 2);
        assert!((got.mean[0] - 1000.0).abs() < 0.05);
        assert!((got.variance[0] - 1.0).abs() < 0.05, "{}", got.variance[0]);
    }
}
