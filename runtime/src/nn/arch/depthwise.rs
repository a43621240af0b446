//! Depthwise convolutions on Cortex-M: for each output position, a list of the places under the kernel, and
//! a kernel in assembly that walks over the channels of all of them.
#![allow(unsafe_code)]

#[cfg(not(arm_mve))]
use super::dsp::depthwise::{Kernel, STEP, TAPS};
#[cfg(arm_mve)]
use super::helium::depthwise::{Kernel, STEP, TAPS};
use crate::nn::operators::{DEPTHWISE_BLOCK, DEPTHWISE_TAPS, Depthwise};
use crate::nn::portable;
use crate::parts::{part, part_mut};

/// Convolves what [fits](Depthwise::fits). Returns `false` and does nothing if the scratch does not lie as
/// the kernels need it.
pub(super) fn depthwise(
    conv: &Depthwise<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let channels = conv.input.channels;
    let whole_words = scratch.len() / 4 * 4;
    let scratch = scratch.get_mut(..whole_words).unwrap_or_default();
    let Ok(scratch) = bytemuck::try_cast_slice_mut::<i8, u32>(scratch) else {
        return false;
    };
    let whole = channels / STEP * STEP;
    for first in (0..whole).step_by(DEPTHWISE_BLOCK) {
        let count = DEPTHWISE_BLOCK.min(whole - first);
        // Whatever fits has all values that are asked for.
        let _ = block(conv, input, output, scratch, first, count);
    }
    if whole < channels {
        portable::some_channels(conv, input, output, whole..channels);
    }
    true
}

/// Computes `count` channels from `first` on, a multiple of [`STEP`] and no more than a block. `None` if values
/// are missing.
fn block(
    conv: &Depthwise<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
    first: usize,
    count: usize,
) -> Option<()> {
    let channels = conv.input.channels;
    let area = conv.window.area();
    let (places, rest) = scratch.split_at_mut_checked(area.next_multiple_of(DEPTHWISE_TAPS))?;
    let (padding, rest) = rest.split_at_mut_checked(count / 4)?;
    padding.fill(u32::from(conv.input_zero_point as u8) * 0x0101_0101);
    let padding = padding.as_ptr() as u32;
    let places = places.get_mut(..area.next_multiple_of(TAPS))?;
    places.fill(padding);
    let kernel = Kernel::new(conv, first, count, places, rest)?;
    let [_, kernel_width] = conv.window.kernel;
    let kernel_width = kernel_width.max(1);
    let step = (conv.window.stride[1] * channels) as u32;
    let mut outputs = output.chunks_exact_mut(channels.max(1));
    for oy in 0..conv.output.height {
        // Whether all places of the position before lie inside the map.
        let mut inside = false;
        for ox in 0..conv.output.width {
            let out = outputs.next()?;
            if inside && conv.window.is_inside(conv.input, [oy, ox]) {
                for place in places.iter_mut().take(area) {
                    *place = place.wrapping_add(step);
                }
            } else {
                inside = true;
                for (tap, place) in places.iter_mut().enumerate().take(area) {
                    let tap = [tap / kernel_width, tap % kernel_width];
                    let source = conv.window.source(conv.input, [oy, ox], tap);
                    inside &= source.is_some();
                    *place = match source {
                        Some(at) => part(input, at * channels + first, count)?.as_ptr() as u32,
                        None => padding,
                    };
                }
            }
            // SAFETY: each place has `count` values: those of the input's channels from `first` on, or of
            // the padding. So has `out`. The places are those that the kernel was made with.
            unsafe { kernel.run(part_mut(out, first, count)?) };
        }
    }
    kernel.finish(output);
    Some(())
}
