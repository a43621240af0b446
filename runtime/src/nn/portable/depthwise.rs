//! Convolutions of each channel by itself.

use core::ops::Range;

use crate::nn::operators::Depthwise;
use crate::parts::{part, part_mut};

/// Channels that are summed at a time.
const BLOCK: usize = 16;

/// Convolves each channel of `input` into that of `output`.
///
/// `input` has `conv.input`'s shape, `output` has `conv.output`'s, and `scratch` has at least
/// [`Depthwise::scratch_len`] bytes, whose contents do not matter and which other kernels need; see
/// [wrong arguments](crate::nn#wrong-arguments).
pub fn depthwise(conv: &Depthwise<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    if conv.fits(input, output, scratch) {
        some_channels(conv, input, output, 0..conv.input.channels);
    }
}

/// Computes `range` of the channels of a convolution that [fits](Depthwise::fits).
#[inline(never)]
pub(in crate::nn) fn some_channels(
    conv: &Depthwise<'_>,
    input: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    // Whatever fits has all values that are asked for.
    let _ = channels(conv, input, output, range);
}

/// Does the work of [`some_channels`], in the instructions of its caller. `None` if values are missing.
#[inline(always)]
pub(in crate::nn) fn channels(
    conv: &Depthwise<'_>,
    input: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) -> Option<()> {
    let mut pixels = output.chunks_exact_mut(conv.output.channels.max(1));
    for oy in 0..conv.output.height {
        for ox in 0..conv.output.width {
            let out = pixels.next()?;
            let mut first = range.start;
            while first < range.end {
                let block = BLOCK.min(range.end - first);
                let mut sums = [0; BLOCK];
                if block == BLOCK {
                    sum::<BLOCK>(conv, input, [oy, ox], first, &mut sums)?;
                } else {
                    for (i, sum_of) in sums.iter_mut().enumerate().take(block) {
                        let mut single = [0];
                        sum::<1>(conv, input, [oy, ox], first + i, &mut single)?;
                        [*sum_of] = single;
                    }
                }
                let multipliers = part(conv.multipliers, first, block)?;
                let made = part_mut(out, first, block)?.iter_mut().zip(sums);
                for ((out, acc), &multiplier) in made.zip(multipliers) {
                    *out = conv.requantisation.apply(acc, multiplier);
                }
                first += block;
            }
        }
    }
    Some(())
}

/// Sums the products of `N` channels from `first` on at one output position.
#[inline(always)]
fn sum<const N: usize>(
    conv: &Depthwise<'_>,
    input: &[i8],
    position: [usize; 2],
    first: usize,
    sums: &mut [i32; N],
) -> Option<()> {
    let channels = conv.input.channels;
    *sums = *conv.bias.get(first..)?.first_chunk()?;
    let padding = [conv.input_zero_point; N];
    let [kernel_height, kernel_width] = conv.window.kernel;
    let mut kernels = conv.weights.chunks_exact(channels.max(1));
    for ky in 0..kernel_height {
        for kx in 0..kernel_width {
            let weights = kernels.next()?;
            let values = match conv.window.source(conv.input, position, [ky, kx]) {
                Some(at) => input.get(at * channels + first..)?.first_chunk()?,
                None => &padding,
            };
            let weights: &[i8; N] = weights.get(first..)?.first_chunk()?;
            for ((sum, &value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                *sum = sum.wrapping_add(i32::from(value) * i32::from(weight));
            }
        }
    }
    Some(())
}
