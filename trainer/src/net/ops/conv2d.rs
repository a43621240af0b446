//! Two-dimensional convolution, channels last: im2col over blocks of images and one matrix product
//! per block, forward and backward.

use super::{composed, values, with_values};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

/// Rows of the unfolded input that a block aims at: its unfolded patch matrix then stays in the
/// second-level cache for the channel counts used here.
const BLOCK_VALUES: usize = 96 * 1024;

/// `y[b,oy,ox,o] = Σ x[b, oy*stride+ky-pad, ox*stride+kx-pad, i] * w[o,ky,kx,i]`, zeros outside.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// Step between output positions, both ways.
    pub stride: usize,
    /// Zeros around the input, on every side.
    pub padding: usize,
}

/// Convolves `x` (`[batch, height, width, in]`) with `weight` (`[out, kh, kw, in]`).
pub fn conv2d(x: &Tensor, weight: &Tensor, op: Conv2d) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::conv2d(x, weight, op);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// All sizes of one convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) out_channels: usize,
    pub(super) kh: usize,
    pub(super) kw: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Geometry {
    pub(super) fn new(op: &Conv2d, x: &[usize], w: &[usize]) -> Result<Self> {
        let (&[batch, height, width, channels], &[out_channels, kh, kw, in_channels]) = (x, w)
        else {
            bail!("conv2d: expected [batch,h,w,c] and [out,kh,kw,in], got {x:?} and {w:?}");
        };
        let (padded_h, padded_w) = (height + 2 * op.padding, width + 2 * op.padding);
        if channels != in_channels || op.stride == 0 || padded_h < kh || padded_w < kw {
            bail!(
                "conv2d: input {x:?} does not fit weight {w:?} with stride {} and padding {}",
                op.stride,
                op.padding
            );
        }
        Ok(Self {
            batch,
            height,
            width,
            channels,
            out_channels,
            kh,
            kw,
            out_height: (padded_h - kh) / op.stride + 1,
            out_width: (padded_w - kw) / op.stride + 1,
            stride: op.stride,
            padding: op.padding,
        })
    }

    /// Values of the patch under one output position.
    pub(super) fn patch(&self) -> usize {
        self.kh * self.kw * self.channels
    }

    fn out_rows(&self) -> usize {
        self.out_height * self.out_width
    }

    fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Images per block: whole ones, enough to feed the matrix product.
    fn block_images(&self) -> usize {
        (BLOCK_VALUES / (self.out_rows() * self.patch())).clamp(1, self.batch.max(1))
    }

    /// Whether the unfolded input is the input itself.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kh == 1 && self.kw == 1 && self.stride == 1 && self.padding == 0
    }

    /// The spans of input columns under an output position's kernel row: kernel columns
    /// `first..last`, beginning at input column `start`.
    fn columns(&self, ox: usize) -> (usize, usize, usize) {
        let left = ox * self.stride;
        let first = self.padding.saturating_sub(left);
        let last = self
            .kw
            .min((self.width + self.padding).saturating_sub(left))
            .max(first);
        (first, last, (left + first).saturating_sub(self.padding))
    }

    /// Calls `f(offset in the patch row, offset in the image, length)` for every contiguous run of
    /// input values under output position (`oy`, `ox`), and `outside(offset, length)` for padding.
    fn runs(
        &self,
        oy: usize,
        ox: usize,
        mut f: impl FnMut(usize, usize, usize),
        mut outside: impl FnMut(usize, usize),
    ) {
        let c = self.channels;
        let (first, last, start) = self.columns(ox);
        for ky in 0..self.kh {
            let row = ky * self.kw * c;
            let y = oy * self.stride + ky;
            if y < self.padding || y >= self.height + self.padding {
                outside(row, self.kw * c);
                continue;
            }
            if first > 0 {
                outside(row, first * c);
            }
            if last > first {
                let image = ((y - self.padding) * self.width + start) * c;
                f(row + first * c, image, (last - first) * c);
            }
            if last < self.kw {
                outside(row + last * c, (self.kw - last) * c);
            }
        }
    }

    /// Unfolds images into patch rows, `[images * out_rows, patch]`.
    fn unfold(&self, images: &[f32], rows: &mut [f32]) {
        let (patch, mut at) = (self.patch(), 0);
        for image in images.chunks_exact(self.image_len()) {
            for oy in 0..self.out_height {
                for ox in 0..self.out_width {
                    let (whole, mut zeros) = (&mut rows[at..at + patch], [(0, 0); 16]);
                    let mut count = 0;
                    self.runs(
                        oy,
                        ox,
                        |to, from, len| {
                            whole[to..to + len].copy_from_slice(&image[from..from + len])
                        },
                        |to, len| {
                            zeros[count] = (to, len);
                            count += 1;
                        },
                    );
                    for &(to, len) in &zeros[..count] {
                        whole[to..to + len].fill(0.0);
                    }
                    at += patch;
                }
            }
        }
    }

    /// Adds patch rows back onto the images they came from.
    fn fold(&self, rows: &[f32], images: &mut [f32]) {
        let (patch, mut at) = (self.patch(), 0);
        for image in images.chunks_exact_mut(self.image_len()) {
            for oy in 0..self.out_height {
                for ox in 0..self.out_width {
                    let row = &rows[at..at + patch];
                    self.runs(
                        oy,
                        ox,
                        |from, to, len| {
                            for (sum, value) in
                                image[to..to + len].iter_mut().zip(&row[from..from + len])
                            {
                                *sum += value;
                            }
                        },
                        |_, _| {},
                    );
                    at += patch;
                }
            }
        }
    }
}

/// A row-major matrix, or its transpose, as a matrix product reads it.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], columns: usize) -> Self {
        Self {
            values,
            row_stride: columns,
            column_stride: 1,
        }
    }

    fn transposed(self) -> Self {
        Self {
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = a · b`, or `out += a · b`; `a` is `m x k`, `b` is `k x n`, `out` row-major `m x n`.
#[allow(unsafe_code)]
fn multiply(
    out: &mut [f32],
    accumulate: bool,
    a: Matrix,
    b: Matrix,
    (m, k, n): (usize, usize, usize),
) {
    let span = |x: &Matrix, rows: usize, columns: usize| {
        (rows - 1) * x.row_stride + (columns - 1) * x.column_stride + 1
    };
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    assert!(
        out.len() >= m * n && a.values.len() >= span(&a, m, k) && b.values.len() >= span(&b, k, n)
    );
    // SAFETY: the assertion bounds every element that the strides reach, and `out` is borrowed
    // mutably, so it overlaps neither operand.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = Geometry::new(self, lx.dims(), lw.dims())?;
        let (x, w) = (values("conv2d", x, lx)?, values("conv2d", w, lw)?);
        let block = g.block_images();
        let mut out = vec![0f32; g.batch * g.out_rows() * g.out_channels];
        out.par_chunks_mut(block * g.out_rows() * g.out_channels)
            .zip(x.par_chunks(block * g.image_len()))
            .for_each_init(Vec::new, |unfolded: &mut Vec<f32>, (out, images)| {
                let rows = images.len() / g.image_len() * g.out_rows();
                let size = (rows, g.patch(), g.out_channels);
                let kernel = Matrix::new(w, g.patch()).transposed();
                if g.is_pointwise() {
                    return multiply(out, false, Matrix::new(images, g.patch()), kernel, size);
                }
                unfolded.resize(rows * g.patch(), 0.0);
                g.unfold(images, unfolded);
                multiply(out, false, Matrix::new(unfolded, g.patch()), kernel, size);
            });
        let shape = Shape::from((g.batch, g.out_height, g.out_width, g.out_channels));
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = Geometry::new(self, x.dims(), w.dims())?;
        let (dx, dw) = with_values("conv2d", x, |xs| {
            with_values("conv2d", w, |ws| {
                with_values("conv2d", dy, |dys| {
                    Ok(gradients(&g, xs, ws, dys, x.track_op()))
                })
            })
        })?;
        let dx = dx
            .map(|dx| Tensor::from_vec(dx, x.shape(), x.device()))
            .transpose()?;
        Ok((dx, Some(Tensor::from_vec(dw, w.shape(), w.device())?)))
    }
}

/// Gradients of a convolution's input (where it is wanted) and weight.
fn gradients(
    g: &Geometry,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    want_dx: bool,
) -> (Option<Vec<f32>>, Vec<f32>) {
    // Partial weight gradients are summed in block order, and the blocks do not depend on the
    // number of threads: the same bits on every run.
    let block = g.block_images();
    let mut dx = vec![0f32; if want_dx { x.len() } else { 0 }];
    let images: Vec<&mut [f32]> = if want_dx {
        dx.chunks_mut(block * g.image_len()).collect()
    } else {
        (0..g.batch.div_ceil(block)).map(|_| &mut [][..]).collect()
    };
    let partial: Vec<Vec<f32>> = images
        .into_par_iter()
        .zip(x.par_chunks(block * g.image_len()))
        .zip(dy.par_chunks(block * g.out_rows() * g.out_channels))
        .map_init(Vec::new, |unfolded: &mut Vec<f32>, ((dx, x), dy)| {
            let rows = x.len() / g.image_len() * g.out_rows();
            let mut dw = vec![0f32; g.out_channels * g.patch()];
            let dy = Matrix::new(dy, g.out_channels);
            let (dw_size, dx_size) = (
                (g.out_channels, rows, g.patch()),
                (rows, g.out_channels, g.patch()),
            );
            let kernel = Matrix::new(w, g.patch());
            if g.is_pointwise() {
                multiply(
                    &mut dw,
                    false,
                    dy.transposed(),
                    Matrix::new(x, g.patch()),
                    dw_size,
                );
                if want_dx {
                    multiply(dx, false, dy, kernel, dx_size);
                }
                return dw;
            }
            unfolded.resize(rows * g.patch(), 0.0);
            g.unfold(x, unfolded);
            multiply(
                &mut dw,
                false,
                dy.transposed(),
                Matrix::new(unfolded, g.patch()),
                dw_size,
            );
            if want_dx {
                multiply(unfolded, false, dy, kernel, dx_size);
                g.fold(unfolded, dx);
            }
            dw
        })
        .collect();
    let mut dw = vec![0f32; w.len()];
    for part in partial {
        for (sum, value) in dw.iter_mut().zip(part) {
            *sum += value;
        }
    }
    (want_dx.then_some(dx), dw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};

    /// The definition, term by term.
    fn reference(x: &Tensor, w: &Tensor, op: Conv2d) -> Vec<f32> {
        let g = Geometry::new(&op, x.dims(), w.dims()).unwrap();
        let (x, w) = (
            x.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            w.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        );
        let mut y = Vec::new();
        for b in 0..g.batch {
            for oy in 0..g.out_height {
                for ox in 0..g.out_width {
                    for o in 0..g.out_channels {
                        let mut sum = 0f64;
                        for ky in 0..g.kh {
                            for kx in 0..g.kw {
                                let (iy, ix) = (
                                    (oy * g.stride + ky) as isize - g.padding as isize,
                                    (ox * g.stride + kx) as isize - g.padding as isize,
                                );
                                if iy < 0
                                    || ix < 0
                                    || iy >= g.height as isize
                                    || ix >= g.width as isize
                                {
                                    continue;
                                }
                                for i in 0..g.channels {
                                    let at = ((b * g.height + iy as usize) * g.width + ix as usize)
                                        * g.channels
                                        + i;
                                    sum += f64::from(x[at])
                                        * f64::from(
                                            w[((o * g.kh + ky) * g.kw + kx) * g.channels + i],
                                        );
                                }
                            }
                        }
                        y.push(sum as f32);
                    }
                }
            }
        }
        y
    }

    #[test]
    fn forward_and_backward_match_their_definitions() {
        // (height, width, in, out, kernel, stride, padding), odd sizes with stride 2 among them
        for (case, (h, w, i, o, k, stride, padding)) in [
            (5, 7, 3, 4, 3, 1, 1),
            (7, 6, 2, 5, 3, 2, 1),
            (8, 5, 4, 3, 1, 1, 0),
            (7, 9, 4, 3, 1, 2, 0),
            (9, 8, 1, 4, 5, 2, 2),
            (2, 2, 3, 3, 3, 1, 1),
            (1, 1, 3, 2, 3, 1, 1),
        ]
        .into_iter()
        .enumerate()
        {
            let op = Conv2d { stride, padding };
            let x = random(case as u64, &[3, h, w, i]);
            let weight = random(case as u64 + 100, &[o, k, k, i]);
            let y = conv2d(&x, &weight, op).unwrap();
            let got = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (got, want) in got.iter().zip(reference(&x, &weight, op)) {
                assert!((got - want).abs() < 1e-5, "case {case}: {got} != {want}");
            }
            check_gradient(&[x, weight], |t| conv2d(&t[0], &t[1], op));
        }
    }

    #[test]
    fn a_batch_of_several_blocks_matches_one_image_at_a_time() {
        let op = Conv2d {
            stride: 1,
            padding: 1,
        };
        let (x, w) = (random(1, &[37, 16, 16, 8]), random(2, &[8, 3, 3, 8]));
        let whole = conv2d(&x, &w, op).unwrap();
        for image in [0, 20, 36] {
            let one = conv2d(&x.narrow(0, image, 1).unwrap(), &w, op).unwrap();
            let difference = (one - whole.narrow(0, image, 1).unwrap())
                .unwrap()
                .abs()
                .unwrap();
            assert!(difference.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let error = conv2d(
            &random(0, &[1, 4, 4, 3]),
            &random(0, &[2, 3, 3, 4]),
            Conv2d {
                stride: 1,
                padding: 1,
            },
        );
        assert!(error.unwrap_err().to_string().contains("does not fit"));
    }
}
