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
use crate::parts::part;
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
    let column_len = conv.layout.column_len(&conv.window, input_channels);
    if conv.layout != Layout::Pairs || column_len < SHORTEST {
        return false;
    }
    // Whatever fits has all values that are asked for.
    let _ = blocks(conv, input, output, scratch);
    true
}

/// Convolves four positions after another. `None` if values are missing.
fn blocks(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let input_channels = conv.input.channels;
    let row_len = conv.layout.row_len(&conv.window, input_channels);
    let column_len = conv.layout.column_len(&conv.window, input_channels).max(1);
    let adapter_len = conv.layout.adapter_len(input_channels);
    let pad = conv.window.padding;
    let centre = pad.top * row_len + pad.left * input_channels;

    let channels = conv.output.channels.max(1);
    let width = conv.output.width.max(1);
    let positions = conv.output.height * width;
    let columns = scratch.get_mut(..GATHERED_PIXELS * column_len)?;
    for (block, out) in output
        .chunks_mut((GATHERED_PIXELS * channels).max(1))
        .enumerate()
    {
        for (i, column) in columns.chunks_exact_mut(column_len).enumerate() {
            // Beyond the last position, the last one is gathered again.
            let position = (GATHERED_PIXELS * block + i).min(positions.saturating_sub(1));
            portable::gather(conv, input, position / width, position % width, column)?;
        }
        for pair in 0..channels.div_ceil(2) {
            let bias = [2 * pair, 2 * pair + 1].map(|o| conv.bias.get(o).copied().unwrap_or(0));
            let mut sums = [bias; GATHERED_PIXELS];
            let weights = part(conv.weights, 2 * pair * column_len, 2 * column_len)?;
            add_products(weights, columns, column_len, 0..column_len, &mut sums)?;
            if !conv.adapter.is_empty() {
                let weights = part(conv.adapter, 2 * pair * adapter_len, 2 * input_channels)?;
                let values = centre..centre + input_channels;
                add_products(weights, columns, column_len, values, &mut sums)?;
            }
            let multipliers =
                [2 * pair, 2 * pair + 1].map(|o| conv.multipliers.get(o).copied().unwrap_or(0));
            for (sums, out) in sums.iter().zip(out.chunks_exact_mut(channels)) {
                let out = out.get_mut(2 * pair..)?;
                // The last pair may have one channel.
                let (first, others) = out.split_first_mut()?;
                *first = conv.finish(multipliers[0], sums[0], *first);
                if let Some(second) = others.first_mut() {
                    *second = conv.finish(multipliers[1], sums[1], *second);
                }
            }
        }
    }
    Some(())
}

/// Adds to `sums[position][channel]` the products of `weights`, those of a pair of channels, with the
/// values `values` of each position's column. `None` if some of them are missing.
fn add_products(
    weights: &[i8],
    columns: &[i8],
    column_len: usize,
    values: Range<usize>,
    sums: &mut [[i32; 2]; GATHERED_PIXELS],
) -> Option<()> {
    let len = values.len();
    let whole = len / LANES * LANES;
    let mut places = [columns.as_ptr(); GATHERED_PIXELS];
    let columns = columns.chunks_exact(column_len.max(1));
    for (place, column) in places.iter_mut().zip(columns.clone()) {
        *place = column.get(values.clone())?.as_ptr();
    }
    let weights = weights.get(..2 * len)?;
    if whole > 0 {
        // SAFETY: so many weights were just checked, and so many values of each position taken.
        unsafe { add_vectors(weights.as_ptr(), &places, whole / LANES, sums) };
    }
    if whole < len {
        // One more vector, filled up with zeros.
        let mut last_weights = [0; 2 * LANES];
        for (to, from) in last_weights.iter_mut().zip(weights.get(2 * whole..)?) {
            *to = *from;
        }
        let mut last_values = [[0; LANES]; GATHERED_PIXELS];
        for (last, column) in last_values.iter_mut().zip(columns) {
            let rest = column.get(values.clone())?.get(whole..)?;
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
        }
        let places = last_values.each_ref().map(|values| values.as_ptr());
        // SAFETY: one vector of each.
        unsafe { add_vectors(last_weights.as_ptr(), &places, 1, sums) };
    }
    Some(())
}
