//! Linear layers on Cortex-M: several rows of weights at a time against one input.
#![allow(unsafe_code)]

#[cfg(not(arm_mve))]
use super::dsp::rows::{LANES, add_rows};
#[cfg(arm_mve)]
use super::helium::rows::{LANES, add_rows};
use super::rows::ROWS;
use crate::nn::layout::Layout;
use crate::nn::operators::Convolution;
use crate::nn::portable;
use crate::parts::part;

/// Computes a linear layer; see [`portable::linear`].
pub(super) fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    if conv.layout != Layout::Rows {
        return portable::linear(conv, input, output);
    }
    if conv.fits_linear(input, output) {
        // Whatever fits has all values that are asked for.
        let _ = blocks(conv, input, output);
    }
}

/// Computes what [fits](Convolution::fits_linear), a block of rows after another.
fn blocks(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) -> Option<()> {
    let len = input.len();
    for (block, out) in output.chunks_mut(ROWS).enumerate() {
        // Beyond the last row, the last one is read again.
        let last = out.len().saturating_sub(1);
        let (mut rows, mut sums) = ([&[][..]; ROWS], [0; ROWS]);
        for (i, (row, sum)) in rows.iter_mut().zip(&mut sums).enumerate() {
            let channel = ROWS * block + i.min(last);
            *row = part(conv.weights, channel * len, len)?;
            *sum = *conv.bias.get(channel)?;
        }
        add_products(input, rows, &mut sums);
        let multipliers = conv.multipliers.get(ROWS * block..)?;
        for ((out, sum), &multiplier) in out.iter_mut().zip(sums).zip(multipliers) {
            *out = conv.finish(multiplier, sum, *out);
        }
    }
    Some(())
}

/// Adds to `sums` the products of `x` with each of the rows, which are as long as it.
fn add_products(x: &[i8], rows: [&[i8]; ROWS], sums: &mut [i32; ROWS]) {
    let (steps, last) = x.as_chunks::<LANES>();
    if !steps.is_empty() {
        let places = rows.map(<[i8]>::as_ptr);
        // SAFETY: `x` and each of the rows have so many steps.
        unsafe { add_rows(x.as_ptr(), &places, steps.len(), sums) };
    }
    if !last.is_empty() {
        // One more step, filled up with zeros.
        let filled = |values: &[i8]| {
            let mut step = [0; LANES];
            let (_, rest) = values.as_chunks::<LANES>();
            for (to, from) in step.iter_mut().zip(rest) {
                *to = *from;
            }
            step
        };
        let (x, rows) = (filled(x), rows.map(filled));
        let places = rows.each_ref().map(|row| row.as_ptr());
        // SAFETY: one step of each.
        unsafe { add_rows(x.as_ptr(), &places, 1, sums) };
    }
}
