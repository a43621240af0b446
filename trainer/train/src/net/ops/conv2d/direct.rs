//! Direct convolution: register tiles of output positions by vectors of output channels, without
//! unfolding. Inputs are copied with their padding, a block of images at a time, so that no kernel
//! meets a border; an input position's `kernel width * channels` values then lie in one run.
//!
//! Each sum is taken by one accumulator in one order, fused or not as the instruction set has it.
//! Blocks depend on the sizes alone, so results are the same bits whatever the number of threads.

use super::frame::Frame;
use super::geometry::Geometry;
use super::vectors::{Vectors, channel_tiles};
use crate::net::ops::loops::made_in_blocks;
use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// Positions of one axis of an output and what they read: position `n` is at `first + n * step` of
/// the output and reads `taps` input positions from `input + n * input_step` on.
#[derive(Clone, Copy, Debug)]
struct Axis {
    count: usize,
    first: usize,
    step: usize,
    input: usize,
    input_step: usize,
    taps: usize,
}

/// A correlation of padded images `[images, .., padded width, channels]` with a packed kernel, and
/// where in images `[.., .., width, out channels]` its results belong.
struct Correlate<'c> {
    padded: &'c [f32],
    padded_image: usize,
    padded_width: usize,
    channels: usize,
    out: &'c mut [MaybeUninit<f32>],
    out_image: usize,
    out_width: usize,
    out_channels: usize,
    rows: Axis,
    columns: Axis,
    /// See [`pack`].
    kernel: &'c [f32],
}

impl Correlate<'_> {
    /// Whether nothing is read or written outside of the slices.
    fn is_within(&self) -> bool {
        let images = self.out.len() / self.out_image;
        let last = |axis: &Axis| axis.first + (axis.count - 1) * axis.step;
        let read = |axis: &Axis| axis.input + (axis.count - 1) * axis.input_step + axis.taps;
        let (rows, columns) = (&self.rows, &self.columns);
        rows.count > 0
            && columns.count > 0
            && images > 0
            && images * self.padded_image <= self.padded.len()
            && images * self.out_image == self.out.len()
            && last(columns) < self.out_width
            && (last(rows) + 1) * self.out_width * self.out_channels <= self.out_image
            && read(columns) <= self.padded_width
            && read(rows) * self.padded_width * self.channels <= self.padded_image
            && rows.taps * columns.taps * self.channels * self.out_channels == self.kernel.len()
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn tiles<S: Simd, const P: usize, const V: usize>(&mut self, simd: S, first: usize) {
        let lanes = S::F32_LANES;
        let (rows, columns) = (self.rows, self.columns);
        let run = columns.taps * self.channels;
        let row = self.padded_width * self.channels;
        let images = self.out.len() / self.out_image;
        let mut left = images * rows.count * columns.count;
        let from = self.padded.as_ptr();
        let to = self.out.as_mut_ptr().cast::<f32>();
        let kernel = &self.kernel[first * lanes * rows.taps * run..];
        let start_row = rows.input * row + columns.input * self.channels;
        let start_out = (rows.first * self.out_width + columns.first) * self.out_channels;
        let (mut image, mut y, mut x) = (0, 0, 0);
        while left > 0 {
            let mut inputs = [from; P];
            let mut outputs = [to; P];
            let (mut input, mut output) = (0, 0);
            for p in 0..P {
                // Past the end the last position is computed again.
                if p < left {
                    input = image * self.padded_image
                        + start_row
                        + y * rows.input_step * row
                        + x * columns.input_step * self.channels;
                    output = image * self.out_image
                        + start_out
                        + (y * rows.step * self.out_width + x * columns.step) * self.out_channels
                        + first * lanes;
                    x += 1;
                    if x == columns.count {
                        (x, y) = (0, y + 1);
                        if y == rows.count {
                            (y, image) = (0, image + 1);
                        }
                    }
                }
                // SAFETY: `is_within` has been asserted.
                (inputs[p], outputs[p]) = unsafe { (from.add(input), to.add(output)) };
            }
            left -= left.min(P);
            // SAFETY: as above; the kernel's tile has `rows.taps * run * V` vectors.
            unsafe {
                correlate_tile::<S, P, V>(
                    simd,
                    inputs,
                    outputs,
                    kernel.as_ptr(),
                    (rows.taps, row, run),
                );
            }
        }
    }
}

/// `outputs[p] = Σ inputs[p][row * row_step + k] * kernel[row][k]`, `V` vectors of each.
#[inline(always)]
#[allow(unsafe_code)]
// Loops of constant length over registers.
#[allow(clippy::needless_range_loop)]
unsafe fn correlate_tile<S: Simd, const P: usize, const V: usize>(
    simd: S,
    inputs: [*const f32; P],
    outputs: [*mut f32; P],
    mut kernel: *const f32,
    (rows, row_step, run): (usize, usize, usize),
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; P];
    // SAFETY: the caller's.
    unsafe {
        for row in 0..rows {
            for k in row * row_step..row * row_step + run {
                let mut weights = [simd.splat_f32s(0.0); V];
                for v in 0..V {
                    weights[v] = kernel
                        .add(v * S::F32_LANES)
                        .cast::<S::f32s>()
                        .read_unaligned();
                }
                kernel = kernel.add(V * S::F32_LANES);
                for p in 0..P {
                    let input = simd.splat_f32s(*inputs[p].add(k));
                    for v in 0..V {
                        sums[p][v] = simd.mul_add_f32s(input, weights[v], sums[p][v]);
                    }
                }
            }
        }
        for p in 0..P {
            for v in 0..V {
                outputs[p]
                    .add(v * S::F32_LANES)
                    .cast::<S::f32s>()
                    .write_unaligned(sums[p][v]);
            }
        }
    }
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (first, vectors) in channel_tiles(self.out_channels / S::F32_LANES) {
            // As many accumulators as the registers hold beside a kernel's vectors.
            if S::REGISTER_COUNT >= 32 {
                match vectors {
                    1 => self.tiles::<S, 8, 1>(simd, first),
                    2 => self.tiles::<S, 8, 2>(simd, first),
                    3 => self.tiles::<S, 8, 3>(simd, first),
                    _ => self.tiles::<S, 6, 4>(simd, first),
                }
            } else {
                match vectors {
                    1 => self.tiles::<S, 8, 1>(simd, first),
                    2 => self.tiles::<S, 6, 2>(simd, first),
                    3 => self.tiles::<S, 4, 3>(simd, first),
                    _ => self.tiles::<S, 2, 4>(simd, first),
                }
            }
        }
    }
}

/// A kernel as [`Correlate`] reads it: for each tile of output channels `[taps, channels, tile]`;
/// `at(out channel, tap, channel)` are its values.
fn pack(
    lanes: usize,
    out_channels: usize,
    taps: usize,
    channels: usize,
    at: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f32> {
    let mut packed = Vec::with_capacity(taps * channels * out_channels);
    for (first, vectors) in channel_tiles(out_channels / lanes) {
        for tap in 0..taps {
            for channel in 0..channels {
                let tile = first * lanes..(first + vectors) * lanes;
                packed.extend(tile.map(|out| at(out, tap, channel)));
            }
        }
    }
    packed
}

/// `[batch, out height, out width, out]`.
pub(super) fn forward(g: &Geometry, vectors: Vectors, x: &[f32], w: &[f32]) -> Vec<f32> {
    let frame = g.frame();
    let (block, out_image) = (frame.block(g.batch), g.out_rows() * g.out_channels);
    let taps = g.kh * g.kw;
    let kernel = pack(
        vectors.lanes(),
        g.out_channels,
        taps,
        g.channels,
        |o, tap, i| w[(o * taps + tap) * g.channels + i],
    );
    let axis = |count, taps| Axis {
        count,
        first: 0,
        step: 1,
        input: 0,
        input_step: g.stride,
        taps,
    };
    let write = |index: usize, out: &mut [MaybeUninit<f32>]| {
        let count = out.len() / out_image;
        let images = &x[index * block * frame.image()..][..count * frame.image()];
        frame.with_padded(images, |padded| {
            let correlate = Correlate {
                padded,
                padded_image: frame.padded_image(),
                padded_width: frame.padded_width,
                channels: g.channels,
                out,
                out_image,
                out_width: g.out_width,
                out_channels: g.out_channels,
                rows: axis(g.out_height, g.kh),
                columns: axis(g.out_width, g.kw),
                kernel: &kernel,
            };
            assert!(correlate.is_within());
            vectors.run(correlate);
        });
    };
    // SAFETY: the output positions are all of the output's.
    #[allow(unsafe_code)]
    let (out, _) = unsafe { made_in_blocks(g.batch * out_image, block * out_image, write) };
    out
}

/// The positions of an input's axis that see the same taps of a strided kernel: those at
/// `offset + stride * q - padding`, which got `output[q - j] * kernel[offset + stride * j]`.
fn phase(offset: usize, size: usize, kernel: usize, g: &Geometry) -> Option<(Axis, usize)> {
    let first_q = g.padding.saturating_sub(offset).div_ceil(g.stride);
    let first = first_q * g.stride + offset - g.padding;
    let count = size.checked_sub(first)?.div_ceil(g.stride);
    let taps = kernel.saturating_sub(offset).div_ceil(g.stride);
    let axis = Axis {
        count,
        first,
        step: g.stride,
        // Not yet in the frame: from `first_q - (taps - 1)`.
        input: first_q,
        input_step: 1,
        taps,
    };
    (count > 0).then_some((axis, offset))
}

/// All phases of an axis, their inputs counted from the frame's edge, and the frame: positions
/// before and in all.
fn phases(
    size: usize,
    out_size: usize,
    kernel: usize,
    g: &Geometry,
) -> (Vec<(Axis, usize)>, usize, usize) {
    let mut found: Vec<_> = (0..g.stride)
        .filter_map(|offset| phase(offset, size, kernel, g))
        .collect();
    let behind = |axis: &Axis| axis.taps.saturating_sub(1);
    let before = found
        .iter()
        .map(|(axis, _)| behind(axis).saturating_sub(axis.input))
        .max()
        .unwrap_or(0);
    for (axis, _) in &mut found {
        axis.input = (before + axis.input) - behind(axis);
    }
    let end = found
        .iter()
        .map(|(axis, _)| axis.input + axis.count - 1 + axis.taps.max(1))
        .max();
    (found, before, end.unwrap_or(0).max(before + out_size))
}

/// The gradient of the input from that of the output: a correlation with the kernel turned around,
/// one for each phase of the stride.
pub(super) fn input_gradient(g: &Geometry, vectors: Vectors, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let (rows, top, padded_height) = phases(g.height, g.out_height, g.kh, g);
    let (columns, left, padded_width) = phases(g.width, g.out_width, g.kw, g);
    let frame = Frame {
        height: g.out_height,
        width: g.out_width,
        channels: g.out_channels,
        top,
        left,
        padded_height,
        padded_width,
    };
    let mut parts = Vec::new();
    for &(rows, row_offset) in &rows {
        for &(columns, column_offset) in &columns {
            let at = |i: usize, tap: usize, o: usize| {
                let back =
                    |tap: usize, axis: &Axis, offset| offset + g.stride * (axis.taps - 1 - tap);
                let ky = back(tap / columns.taps, &rows, row_offset);
                let kx = back(tap % columns.taps, &columns, column_offset);
                w[((o * g.kh + ky) * g.kw + kx) * g.channels + i]
            };
            let taps = rows.taps * columns.taps;
            let kernel = pack(vectors.lanes(), g.channels, taps, g.out_channels, at);
            parts.push((rows, columns, kernel));
        }
    }
    let block = frame.block(g.batch);
    let write = |index: usize, dx: &mut [MaybeUninit<f32>]| {
        let count = dx.len() / g.image_len();
        let images = &dy[index * block * frame.image()..][..count * frame.image()];
        frame.with_padded(images, |padded| {
            for (rows, columns, kernel) in &parts {
                let correlate = Correlate {
                    padded,
                    padded_image: frame.padded_image(),
                    padded_width: frame.padded_width,
                    channels: g.out_channels,
                    out: &mut *dx,
                    out_image: g.image_len(),
                    out_width: g.width,
                    out_channels: g.channels,
                    rows: *rows,
                    columns: *columns,
                    kernel,
                };
                assert!(correlate.is_within());
                vectors.run(correlate);
            }
        });
    };
    // SAFETY: the phases together are all positions of the input.
    #[allow(unsafe_code)]
    let (dx, _) = unsafe { made_in_blocks(g.batch * g.image_len(), block * g.image_len(), write) };
    dx
}
