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
use core::array::from_fn;

/// Computes a linear layer; see [`portable::linear`].
pub(super) fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    if conv.layout != Layout::Rows {
        return portable::linear(conv, input, output);
    }
    if !conv.fits_linear(input, output) {
        return;
    }
    let len = input.len();
    for (block, out) in output.chunks_mut(ROWS).enumerate() {
        // Beyond the last row, the last one is read again.
        let channel = |i: usize| ROWS * block + i.min(out.len() - 1);
        let rows = from_fn(|i| &conv.weights[channel(i) * len..][..len]);
        let mut sums = from_fn(|i| conv.bias[channel(i)]);
        add_products(input, rows, &mut sums);
        for (i, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            *out = conv.finish(ROWS * block + i, sum, *out);
        }
    }
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
            step[..last.len()].copy_from_slice(&values[values.len() - last.len()..]);
            step
        };
        let (x, rows) = (filled(x), rows.map(filled));
        let places = rows.each_ref().map(|row| row.as_ptr());
        // SAFETY: one step of each.
        unsafe { add_rows(x.as_ptr(), &places, 1, sums) };
    }
}
