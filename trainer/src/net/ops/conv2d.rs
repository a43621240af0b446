//! Two-dimensional convolution, channels last: im2col over blocks of images and one matrix product
//! per block, forward and backward.

use super::{Loop, composed, made_in_blocks, values, vectorised, with_values};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;
use std::cell::RefCell;
use std::mem::MaybeUninit;

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
    #[inline(always)]
    fn columns(&self, ox: usize) -> (usize, usize, usize) {
        let left = ox * self.stride;
        let first = self.padding.saturating_sub(left);
        let last = self
            .kw
            .min((self.width + self.padding).saturating_sub(left))
            .max(first);
        (first, last, (left + first).saturating_sub(self.padding))
    }

    /// Whether the kernel at an output position covers no padding.
    #[inline(always)]
    fn is_inside(&self, oy: usize, ox: usize) -> bool {
        let inside = |out: usize, kernel: usize, size: usize| {
            let start = out * self.stride;
            start >= self.padding && start + kernel <= size + self.padding
        };
        inside(oy, self.kh, self.height) && inside(ox, self.kw, self.width)
    }

    /// Calls `f(offset in the patch row, offset in the image, length)` for every contiguous run of
    /// input values under output position (`oy`, `ox`); what is left out lies in the padding.
    #[inline(always)]
    fn runs(&self, oy: usize, ox: usize, mut f: impl FnMut(usize, usize, usize)) {
        let c = self.channels;
        let (first, last, start) = self.columns(ox);
        if last == first {
            return;
        }
        for ky in 0..self.kh {
            let y = oy * self.stride + ky;
            if y < self.padding || y >= self.height + self.padding {
                continue;
            }
            let image = ((y - self.padding) * self.width + start) * c;
            f((ky * self.kw + first) * c, image, (last - first) * c);
        }
    }

    /// Unfolds images into patch rows, `[images * out_rows, patch]`.
    fn unfold(&self, images: &[f32], rows: &mut [f32]) {
        vectorised(Unfold {
            geometry: self,
            images,
            rows,
        });
    }

    /// Adds patch rows back onto the images they came from.
    fn fold(&self, rows: &[f32], images: &mut [f32]) {
        vectorised(Fold {
            geometry: self,
            rows,
            images,
        });
    }
}

/// See [`Geometry::unfold`].
struct Unfold<'u> {
    geometry: &'u Geometry,
    images: &'u [f32],
    rows: &'u mut [f32],
}

impl Loop for Unfold<'_> {
    #[inline(always)]
    fn run(self) {
        let g = self.geometry;
        let (patch, positions) = (g.patch(), g.out_rows());
        let images = self.images.chunks_exact(g.image_len());
        for (image, rows) in images.zip(self.rows.chunks_exact_mut(positions * patch)) {
            let mut rows = rows.chunks_exact_mut(patch);
            for oy in 0..g.out_height {
                for (ox, row) in (0..g.out_width).zip(&mut rows) {
                    // The borders are few; inside, the runs fill the row.
                    if !g.is_inside(oy, ox) {
                        row.fill(0.0);
                    }
                    g.runs(oy, ox, |to, from, len| {
                        copy(&image[from..from + len], &mut row[to..to + len]);
                    });
                }
            }
        }
    }
}

/// See [`Geometry::fold`].
struct Fold<'f> {
    geometry: &'f Geometry,
    rows: &'f [f32],
    images: &'f mut [f32],
}

impl Loop for Fold<'_> {
    #[inline(always)]
    fn run(self) {
        let g = self.geometry;
        let (patch, positions) = (g.patch(), g.out_rows());
        let images = self.images.chunks_exact_mut(g.image_len());
        for (image, rows) in images.zip(self.rows.chunks_exact(positions * patch)) {
            let mut rows = rows.chunks_exact(patch);
            for oy in 0..g.out_height {
                for (ox, row) in (0..g.out_width).zip(&mut rows) {
                    g.runs(oy, ox, |from, to, len| {
                        add(&row[from..from + len], &mut image[to..to + len]);
                    });
                }
            }
        }
    }
}

/// Values moved at a time: what the widest registers hold.
const LANES: usize = 16;

/// Copies a run of some dozens of values, for which a call to the library costs as much as the
/// copying. What is no whole number of registers is copied as two parts that overlap.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    #[inline(always)]
    fn ends<const N: usize>(from: &[f32], to: &mut [f32]) -> bool {
        let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
            return false;
        };
        if let Some(to) = to.first_chunk_mut() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = *last;
        }
        true
    }
    let (whole, _) = from.as_chunks::<LANES>();
    let (whole_to, _) = to.as_chunks_mut::<LANES>();
    for (to, from) in whole_to.iter_mut().zip(whole) {
        *to = *from;
    }
    if from.len().is_multiple_of(LANES) {
        return;
    }
    if ends::<LANES>(from, to) || ends::<8>(from, to) || ends::<4>(from, to) {
        return;
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Adds a run to another.
#[inline(always)]
fn add(from: &[f32], to: &mut [f32]) {
    let (whole, rest) = from.as_chunks::<LANES>();
    let (whole_to, rest_to) = to.as_chunks_mut::<LANES>();
    for (to, from) in whole_to.iter_mut().zip(whole) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
    for (to, from) in rest_to.iter_mut().zip(rest) {
        *to += from;
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

thread_local! {
    /// The unfolded patches of a block, kept from one to the next.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `length` values of this thread's scratch memory, of which nothing may be expected.
fn with_scratch<R>(length: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < length {
            scratch.resize(length, 0.0);
        }
        f(&mut scratch[..length])
    })
}

/// `out = a · b`, all of it written; `a` is `m x k`, `b` is `k x n`, `out` row-major `m x n`. Zeros
/// where `k` is 0.
#[allow(unsafe_code)]
fn multiply(out: &mut [MaybeUninit<f32>], a: Matrix, b: Matrix, (m, k, n): (usize, usize, usize)) {
    let span = |x: &Matrix, rows: usize, columns: usize| {
        (rows - 1) * x.row_stride + (columns - 1) * x.column_stride + 1
    };
    if m == 0 || n == 0 || k == 0 {
        out.fill(MaybeUninit::new(0.0));
        return;
    }
    assert!(
        out.len() == m * n && a.values.len() >= span(&a, m, k) && b.values.len() >= span(&b, k, n)
    );
    // SAFETY: the assertion bounds every element that the strides reach, and `out` is borrowed
    // mutably, so it overlaps neither operand.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr().cast(),
            1,
            n as isize,
            // What `out` held is not read.
            false,
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
        let write = |index: usize, out: &mut [MaybeUninit<f32>]| {
            let images = &x[index * block * g.image_len()..];
            let images = &images[..out.len() / (g.out_rows() * g.out_channels) * g.image_len()];
            let rows = images.len() / g.image_len() * g.out_rows();
            let size = (rows, g.patch(), g.out_channels);
            let kernel = Matrix::new(w, g.patch()).transposed();
            if g.is_pointwise() {
                return multiply(out, Matrix::new(images, g.patch()), kernel, size);
            }
            with_scratch(rows * g.patch(), |unfolded| {
                g.unfold(images, unfolded);
                multiply(out, Matrix::new(unfolded, g.patch()), kernel, size);
            });
        };
        // SAFETY: a matrix product writes all of its result.
        #[allow(unsafe_code)]
        let (out, _) = unsafe {
            let length = g.batch * g.out_rows() * g.out_channels;
            made_in_blocks(length, block * g.out_rows() * g.out_channels, write)
        };
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

/// As memory to be written; what it holds is lost.
#[allow(unsafe_code)]
fn as_uninit(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the layout is the same, and the matrix products that this is for only put numbers in.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>]) }
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
        .map(|((dx, x), dy)| {
            let rows = x.len() / g.image_len() * g.out_rows();
            let mut dw = vec![0f32; g.out_channels * g.patch()];
            let dy = Matrix::new(dy, g.out_channels);
            let (dw_size, dx_size) = (
                (g.out_channels, rows, g.patch()),
                (rows, g.out_channels, g.patch()),
            );
            let kernel = Matrix::new(w, g.patch());
            if g.is_pointwise() {
                let x = Matrix::new(x, g.patch());
                multiply(as_uninit(&mut dw), dy.transposed(), x, dw_size);
                if want_dx {
                    multiply(as_uninit(dx), dy, kernel, dx_size);
                }
                return dw;
            }
            with_scratch(rows * g.patch(), |unfolded| {
                g.unfold(x, unfolded);
                let patches = Matrix::new(unfolded, g.patch());
                multiply(as_uninit(&mut dw), dy.transposed(), patches, dw_size);
                if want_dx {
                    multiply(as_uninit(unfolded), dy, kernel, dx_size);
                    g.fold(unfolded, dx);
                }
            });
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
