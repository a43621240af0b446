//! Cortex-M cores with the vector extension MVE, Helium: M52, M55, M85.
//!
//! One instruction adds sixteen products to a sum. Sums of two channels at four output positions stay
//! in the eight even registers; outputs.S has a drawing.
#![allow(unsafe_code)]

pub(super) mod depthwise;
mod gather;
mod lookup;
mod outputs;
pub(super) mod rows;

use crate::nn::layout::{GATHERED_PIXELS, Layout};
use crate::nn::operators::Convolution;
use crate::parts::part;
use gather::Gather;
pub(super) use lookup::lookup;
use outputs::{Outputs, Residual, Run, Tables};
use rows::LANES;

/// Convolves what [fits](Convolution::fits); returns `false` and does nothing where the weights are
/// not in pairs, or less than a vector for a channel.
pub(super) fn convolve(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let channels = conv.input.channels;
    let adapter_suits = conv.adapter.is_empty() || channels >= LANES && channels.is_multiple_of(2);
    if conv.layout != Layout::Pairs
        || conv.layout.column_len(&conv.window, channels) < LANES
        || !adapter_suits
    {
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
    let column_len = conv.layout.column_len(&conv.window, input_channels);
    let row_len = conv.layout.row_len(&conv.window, input_channels);
    let pad = conv.window.padding;
    let centre = pad.top * row_len + pad.left * input_channels;

    let channels = conv.output.channels.max(1);
    let last_channel = channels / 2 * 2;
    let residual = conv.residual.as_ref().map(Residual::of);
    let outputs = |tables: &Tables<'_>| {
        let [column, centre] = [column_len, input_channels.max(LANES)].map(Run::new);
        Outputs::new(
            tables,
            &conv.requantisation,
            residual.as_ref(),
            column,
            centre,
        )
    };
    let mut pairs = outputs(&Tables {
        bias: conv.bias,
        multipliers: conv.multipliers,
        weights: conv.weights.get(..last_channel * column_len)?,
        adapter: conv.adapter,
    });
    let mut gather = Gather::new(conv, input);
    let columns = scratch.get_mut(..GATHERED_PIXELS * column_len)?;
    for out in output.chunks_mut((GATHERED_PIXELS * channels).max(1)) {
        let columns = gather.next(columns)?;
        let centres = columns.map(|column| column.wrapping_add(centre));
        // Beyond the last position, the last one is computed again.
        let last = (out.len() / channels).checked_sub(1)?;
        let offsets: [usize; GATHERED_PIXELS] = core::array::from_fn(|i| i.min(last) * channels);
        if last_channel > 0 {
            let offsets = offsets.map(|offset| offset as u32);
            // SAFETY: tables that fit have so many pairs of channels and values for each, and so has each
            // position of `out`.
            unsafe { pairs.run(columns, centres, out.as_mut_ptr(), offsets) };
        }
        if last_channel < channels {
            // A pair of which one channel is zeros.
            let adapter_len = conv.layout.adapter_len(input_channels);
            let bias = [*conv.bias.get(last_channel)?, 0];
            let multipliers = [*conv.multipliers.get(last_channel)?, 0];
            let mut pair = outputs(&Tables {
                bias: &bias,
                multipliers: &multipliers,
                weights: part(conv.weights, last_channel * column_len, 2 * column_len)?,
                adapter: match conv.adapter {
                    [] => &[],
                    adapter => part(adapter, last_channel * adapter_len, 2 * adapter_len)?,
                },
            });
            let mut made = [[0; 2]; GATHERED_PIXELS];
            for (made, offset) in made.iter_mut().zip(offsets) {
                made[0] = *out.get(offset + last_channel)?;
            }
            // SAFETY: one pair with all its tables, and room for it at four positions.
            unsafe {
                pair.run(
                    columns,
                    centres,
                    made.as_flattened_mut().as_mut_ptr(),
                    [0, 2, 4, 6],
                )
            };
            for (made, offset) in made.iter().zip(offsets) {
                *out.get_mut(offset + last_channel)? = made[0];
            }
        }
    }
    Some(())
}
