//! Convolution as im2col over blocks of images and one matrix product per block: for channels that
//! are no whole number of vectors.

use super::geometry::Geometry;
use crate::net::ops::loops::{Loop, made_in_blocks, vectorised};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;
use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Rows of the unfolded input that a block aims at: its unfolded patch matrix then stays in the
/// second-level cache for the channel counts used here.
const BLOCK_VALUES: usize = 96 * 1024;

impl Geometry {
    /// Images per block: whole ones, enough to feed the matrix product.
    fn block_images(&self) -> usize {
        (BLOCK_VALUES / (self.out_rows() * self.patch())).clamp(1, self.batch.max(1))
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

/// `out = left · right`, all of it written; `left` is `rows x inner`, `right` is `inner x columns`, `out`
/// row-major `rows x columns`. Zeros where `inner` is 0.
#[allow(unsafe_code)]
fn multiply(
    out: &mut [MaybeUninit<f32>],
    left: Matrix,
    right: Matrix,
    (rows, inner, columns): (usize, usize, usize),
) {
    let span = |x: &Matrix, rows: usize, columns: usize| {
        (rows - 1) * x.row_stride + (columns - 1) * x.column_stride + 1
    };
    if rows == 0 || columns == 0 || inner == 0 {
        out.fill(MaybeUninit::new(0.0));
        return;
    }
    assert!(
        out.len() == rows * columns
            && left.values.len() >= span(&left, rows, inner)
            && right.values.len() >= span(&right, inner, columns)
    );
    // SAFETY: the assertion bounds every element that the strides reach, and `out` is borrowed
    // mutably, so it overlaps neither operand.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr().cast(),
            1,
            columns as isize,
            // What `out` held is not read.
            false,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `[batch, out height, out width, out]`.
pub(super) fn forward(g: &Geometry, x: &[f32], w: &[f32]) -> Vec<f32> {
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
    out
}

/// Views values as memory to be written; their contents are lost.
#[allow(unsafe_code)]
fn as_uninit(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the layout is the same, and the matrix products that this is for only put numbers in.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>]) }
}

/// The gradient of the input from that of the output.
pub(super) fn input_gradient(g: &Geometry, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let block = g.block_images();
    let mut dx = vec![0f32; g.batch * g.image_len()];
    dx.par_chunks_mut(block * g.image_len())
        .zip(dy.par_chunks(block * g.out_rows() * g.out_channels))
        .for_each(|(dx, dy)| {
            let rows = dx.len() / g.image_len() * g.out_rows();
            let size = (rows, g.out_channels, g.patch());
            let (dy, kernel) = (Matrix::new(dy, g.out_channels), Matrix::new(w, g.patch()));
            if g.is_pointwise() {
                return multiply(as_uninit(dx), dy, kernel, size);
            }
            with_scratch(rows * g.patch(), |unfolded| {
                multiply(as_uninit(unfolded), dy, kernel, size);
                g.fold(unfolded, dx);
            });
        });
    dx
}

/// The gradient of the kernel. Partial gradients of blocks are summed in block order, and the blocks
/// do not depend on the number of threads: the same bits on every run.
pub(super) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let block = g.block_images();
    let partial: Vec<Vec<f32>> = x
        .par_chunks(block * g.image_len())
        .zip(dy.par_chunks(block * g.out_rows() * g.out_channels))
        .map(|(x, dy)| {
            let rows = x.len() / g.image_len() * g.out_rows();
            let size = (g.out_channels, rows, g.patch());
            let dy = Matrix::new(dy, g.out_channels).transposed();
            let mut dw = vec![0f32; g.out_channels * g.patch()];
            if g.is_pointwise() {
                multiply(as_uninit(&mut dw), dy, Matrix::new(x, g.patch()), size);
                return dw;
            }
            with_scratch(rows * g.patch(), |unfolded| {
                g.unfold(x, unfolded);
                let patches = Matrix::new(unfolded, g.patch());
                multiply(as_uninit(&mut dw), dy, patches, size);
            });
            dw
        })
        .collect();
    let mut dw = vec![0f32; g.out_channels * g.patch()];
    for part in partial {
        for (sum, value) in dw.iter_mut().zip(part) {
            *sum += value;
        }
    }
    dw
}
