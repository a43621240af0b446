//! Cortex-M cores with the vector extension MVE, Helium: M52, M55, M85.
//!
//! One instruction adds sixteen products to a sum. Sums of two channels at four output positions stay
//! in the eight even registers; vectors.S has a drawing.
#![allow(unsafe_code)]

pub(super) mod depthwise;
mod lookup;
pub(super) mod rows;
mod vectors;

use crate::nn::layout::{GATHERED_PIXELS, Layout};
use crate::nn::operators::Convolution;
use crate::nn::portable;
use core::ops::Range;
pub(super) use lookup::lookup;
use rows::LANES;
use vectors::add_vectors;

/// Fewest values of a kernel that are worth vectors. Fewer are better summed two at a time, by the DSP
/// instructions.
const SHORTEST: usize = 4 * LANES;

/// Convolves what [fits](Convolution::fits); returns `false` and does nothing where the weights are
/// not in pairs, or few.
pub(super) fn convolve(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let input_channels = conv.input.channels;
    let row_len = conv.layout.row_len(&conv.window, input_channels);
    let column_len = conv.layout.column_len(&conv.window, input_channels);
    if conv.layout != Layout::Pairs || column_len < SHORTEST {
        return false;
    }
    let adapter_len = conv.layout.adapter_len(input_channels);
    let pad = conv.window.padding;
    let centre = pad.top * row_len + pad.left * input_channels;

    let channels = conv.output.channels;
    let positions = conv.output.height * conv.output.width;
    let columns = &mut scratch[..GATHERED_PIXELS * column_len];
    for (block, out) in output.chunks_mut(GATHERED_PIXELS * channels).enumerate() {
        for (i, column) in columns.chunks_exact_mut(column_len).enumerate() {
            // Beyond the last position, the last one is gathered again.
            let position = (GATHERED_PIXELS * block + i).min(positions - 1);
            let (y, x) = (position / conv.output.width, position % conv.output.width);
            portable::gather(conv, input, y, x, column);
        }
        for pair in 0..channels.div_ceil(2) {
            let bias = [2 * pair, 2 * pair + 1].map(|o| conv.bias.get(o).copied().unwrap_or(0));
            let mut sums = [bias; GATHERED_PIXELS];
            let weights = &conv.weights[2 * pair * column_len..][..2 * column_len];
            add_products(weights, columns, column_len, 0..column_len, &mut sums);
            if !conv.adapter.is_empty() {
                let weights = &conv.adapter[2 * pair * adapter_len..][..2 * input_channels];
                let values = centre..centre + input_channels;
                add_products(weights, columns, column_len, values, &mut sums);
            }
            for (sums, out) in sums.iter().zip(out.chunks_exact_mut(channels)) {
                for (channel, &sum) in sums.iter().enumerate().take(channels - 2 * pair) {
                    let o = 2 * pair + channel;
                    out[o] = conv.finish(o, sum, out[o]);
                }
            }
        }
    }
    true
}

/// Adds to `sums[position][channel]` the products of `weights`, those of a pair of channels, with the
/// values `values` of each position's column.
fn add_products(
    weights: &[i8],
    columns: &[i8],
    column_len: usize,
    values: Range<usize>,
    sums: &mut [[i32; 2]; GATHERED_PIXELS],
) {
    let len = values.len();
    let whole = len / LANES * LANES;
    let mut places = [columns.as_ptr(); GATHERED_PIXELS];
    for (place, column) in places.iter_mut().zip(columns.chunks_exact(column_len)) {
        *place = column[values.clone()].as_ptr();
    }
    assert!(weights.len() >= 2 * len);
    if whole > 0 {
        // SAFETY: so many weights were just checked, and so many values of each position taken.
        unsafe { add_vectors(weights.as_ptr(), &places, whole / LANES, sums) };
    }
    if whole < len {
        // One more vector, filled up with zeros.
        let mut last_weights = [0; 2 * LANES];
        last_weights[..2 * (len - whole)].copy_from_slice(&weights[2 * whole..2 * len]);
        let mut last_values = [[0; LANES]; GATHERED_PIXELS];
        for (last, column) in last_values.iter_mut().zip(columns.chunks_exact(column_len)) {
            let rest = &column[values.clone()][whole..];
            last[..rest.len()].copy_from_slice(rest);
        }
        let places = last_values.each_ref().map(|values| values.as_ptr());
        // SAFETY: one vector of each.
        unsafe { add_vectors(last_weights.as_ptr(), &places, 1, sums) };
    }
}
