//! The same operators out of candle's own, for devices that the hand-written ones do not run on
//! (CUDA): convolution as one matrix product over an unfolded input, batch norm step by step.
//!
//! candle's own `conv2d` is left alone: its backward pass does not use cuDNN, and with a stride it
//! fails for some odd sizes. Unfolding is slices and a concatenation, whose backward passes are
//! slices and sums.

use super::batch_norm::statistics::BatchStatistics;
use super::conv2d::geometry::{Conv2d, Geometry};
use candle_core::{DType, Result, Tensor};

/// [`super::conv2d`], by candle's operators.
pub(super) fn conv2d(x: &Tensor, weight: &Tensor, op: Conv2d) -> Result<Tensor> {
    let g = Geometry::new(&op, x.dims(), weight.dims())?;
    let rows = g.batch * g.out_height * g.out_width;
    let unfolded = match g.is_pointwise() {
        true => x.contiguous()?.reshape((rows, g.channels))?,
        false => unfold(x, &g)?.reshape((rows, g.patch()))?,
    };
    let kernels = weight.reshape((g.out_channels, g.patch()))?;
    let y = unfolded.matmul(&kernels.t()?)?;
    y.reshape((g.batch, g.out_height, g.out_width, g.out_channels))
}

/// `[batch, out_height, out_width, kh * kw * channels]`: what lies under each output position.
fn unfold(x: &Tensor, g: &Geometry) -> Result<Tensor> {
    let s = g.stride;
    // Rows and columns as (step, place within the step): a strided slice is then a plain one.
    let steps = |kernel: usize, out: usize| (kernel - 1) / s + out;
    let (down, across) = (steps(g.kh, g.out_height), steps(g.kw, g.out_width));
    let fit = |x: &Tensor, dim: usize, size: usize, length: usize| -> Result<Tensor> {
        let beyond = length.saturating_sub(g.padding + size);
        x.pad_with_zeros(dim, g.padding, beyond)?
            .narrow(dim, 0, length)
    };
    let x = fit(x, 1, g.height, down * s)?;
    let x = fit(&x, 2, g.width, across * s)?.contiguous()?;
    let x = x.reshape((g.batch, down, s, across * s * g.channels))?;
    let mut taps = Vec::with_capacity(g.kh * g.kw);
    for ky in 0..g.kh {
        let rows = x
            .narrow(2, ky % s, 1)?
            .narrow(1, ky / s, g.out_height)?
            .contiguous()?
            .reshape((g.batch, g.out_height, across, s * g.channels))?;
        for kx in 0..g.kw {
            let columns = rows.narrow(2, kx / s, g.out_width)?;
            taps.push(columns.narrow(3, (kx % s) * g.channels, g.channels)?);
        }
    }
    Tensor::cat(&taps, 3)?.contiguous()
}

/// [`super::batch_norm`], by candle's operators.
pub(super) fn batch_norm(
    x: &Tensor,
    gain: &Tensor,
    bias: &Tensor,
    residual: Option<&Tensor>,
    relu: bool,
    eps: f32,
    fixed: Option<&BatchStatistics>,
) -> Result<(Tensor, BatchStatistics)> {
    let channels = x.dim(candle_core::D::Minus1)?;
    let rows = x.contiguous()?.reshape(((), channels))?;
    let row = |values: &[f32]| Tensor::from_slice(values, (1, channels), x.device());
    let mean = match fixed {
        Some(statistics) => row(&statistics.mean)?,
        None => rows.mean_keepdim(0)?,
    };
    let centred = rows.broadcast_sub(&mean)?;
    let variance = match fixed {
        Some(statistics) => row(&statistics.variance)?,
        None => centred.sqr()?.mean_keepdim(0)?,
    };
    let deviation = (&variance + f64::from(eps))?.sqrt()?;
    let scale = gain.reshape((1, channels))?.div(&deviation)?;
    let y = centred
        .broadcast_mul(&scale)?
        .broadcast_add(&bias.reshape((1, channels))?)?
        .reshape(x.shape())?;
    let y = match residual {
        None => y,
        Some(residual) => (y + residual)?,
    };
    let y = if relu { y.relu()? } else { y };
    let used = match fixed {
        Some(statistics) => statistics.clone(),
        None => {
            let values = |t: &Tensor| t.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>();
            BatchStatistics {
                mean: values(&mean)?,
                variance: values(&variance)?,
            }
        }
    };
    Ok((y, used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use crate::net::ops::{Activation, Residual};
    use candle_core::Var;

    /// Values and gradients of both forms on the same arguments, which must agree.
    fn compare(
        arguments: &[Tensor],
        one: impl Fn(&[Tensor]) -> Result<Tensor>,
        other: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) {
        let run = |f: &dyn Fn(&[Tensor]) -> Result<Tensor>| -> Vec<Vec<f32>> {
            let variables: Vec<Var> = arguments
                .iter()
                .map(|t| Var::from_tensor(t).unwrap())
                .collect();
            let inputs: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
            let y = f(&inputs).unwrap();
            let weight = random(77, y.dims());
            let loss = (&y * weight).unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            let found = inputs.iter().map(|t| gradients.get(t).unwrap().clone());
            std::iter::once(y)
                .chain(found)
                .map(|t| t.flatten_all().unwrap().to_vec1().unwrap())
                .collect()
        };
        for (a, b) in run(&one).iter().zip(&run(&other)) {
            assert_eq!(a.len(), b.len());
            let largest = a.iter().fold(1f32, |m, v| m.max(v.abs()));
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() < 2e-5 * largest, "{a} != {b}");
            }
        }
    }

    #[test]
    fn convolution_agrees_with_the_hand_written_one() {
        // (height, width, in, out, kernel, stride, padding)
        for (case, (h, w, i, o, k, stride, padding)) in [
            (5, 7, 3, 4, 3, 1, 1),
            (7, 6, 2, 5, 3, 2, 1),
            (8, 5, 4, 3, 1, 1, 0),
            (7, 9, 4, 3, 1, 2, 0),
            (8, 10, 4, 3, 1, 3, 0),
            (9, 8, 1, 4, 5, 2, 2),
            (10, 11, 2, 3, 3, 3, 1),
            (1, 1, 3, 2, 3, 1, 1),
        ]
        .into_iter()
        .enumerate()
        {
            let op = Conv2d { stride, padding };
            let x = random(case as u64, &[2, h, w, i]);
            let weight = random(case as u64 + 100, &[o, k, k, i]);
            compare(
                &[x, weight],
                |t| super::super::conv2d(&Activation::new(&t[0])?, &t[1], op)?.tensor(),
                |t| conv2d(&t[0], &t[1], op),
            );
        }
        let op = Conv2d {
            stride: 2,
            padding: 1,
        };
        check_gradient(&[random(1, &[2, 5, 6, 2]), random(2, &[3, 3, 3, 2])], |t| {
            conv2d(&t[0], &t[1], op)
        });
    }

    #[test]
    fn batch_norm_agrees_with_the_hand_written_one() {
        let shape = [3, 2, 4, 5];
        let arguments = [
            random(1, &shape),
            random(2, &[5]),
            random(3, &[5]),
            random(4, &shape),
        ];
        let fixed = BatchStatistics {
            mean: vec![0.1; 5],
            variance: vec![0.7; 5],
        };
        for relu in [false, true] {
            for fixed in [None, Some(&fixed)] {
                compare(
                    &arguments,
                    |t| Ok(by_hand(t, Some(&t[3]), relu, fixed)?.0),
                    |t| Ok(batch_norm(&t[0], &t[1], &t[2], Some(&t[3]), relu, EPS, fixed)?.0),
                );
            }
        }
        let [x, gain, bias, _] = &arguments;
        let a = by_hand(&arguments, None, false, None).unwrap().1;
        let b = batch_norm(x, gain, bias, None, false, EPS, None).unwrap().1;
        let both = a
            .mean
            .iter()
            .chain(&a.variance)
            .zip(b.mean.iter().chain(&b.variance));
        for (a, b) in both {
            assert!((a - b).abs() < 1e-5);
        }
    }

    const EPS: f32 = 1e-5;

    fn by_hand(
        t: &[Tensor],
        residual: Option<&Tensor>,
        relu: bool,
        fixed: Option<&BatchStatistics>,
    ) -> Result<(Tensor, BatchStatistics)> {
        let residual = residual.map(Activation::new).transpose()?;
        let residual = residual.as_ref().map_or(Residual::None, Residual::Add);
        let x = Activation::new(&t[0])?;
        let (y, used) = super::super::batch_norm(&x, &t[1], &t[2], residual, relu, EPS, fixed)?;
        Ok((y.tensor()?, used))
    }
}
