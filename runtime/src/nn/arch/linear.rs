//! Linear layers on Cortex-M: four rows of weights at a time against one input.
#![allow(unsafe_code)]

#[cfg(not(arm_mve))]
use super::dsp::{LANES, add_rows};
#[cfg(arm_mve)]
use super::helium::{LANES, add_rows};
use crate::nn::{Convolution, Layout, portable};
use core::array::from_fn;

/// Rows of weights that share each load of the input.
pub(super) const ROWS: usize = 4;

/// A linear layer.
pub(super) fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    if conv.layout != Layout::Rows {
        return portable::linear(conv, input, output);
    }
    let len = input.len();
    for (block, out) in output.chunks_mut(ROWS).enumerate() {
        // Beyond the last row it is read again.
        let channel = |i: usize| ROWS * block + i.min(out.len() - 1);
        let rows = from_fn(|i| &conv.weights[channel(i) * len..][..len]);
        let mut sums = from_fn(|i| conv.bias[channel(i)]);
        add_products(input, rows, &mut sums);
        for (i, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            *out = conv.finish(ROWS * block + i, sum, *out);
        }
    }
}

/// Adds to `sums` the products of `x` with each of the rows, which are as long.
fn add_products(x: &[i8], rows: [&[i8]; ROWS], sums: &mut [i32; ROWS]) {
    let (steps, last) = x.as_chunks::<LANES>();
    if !steps.is_empty() {
        let places = rows.map(<[i8]>::as_ptr);
        // SAFETY: the rows are as long as `x`, which has so many steps.
        unsafe { add_rows(x.as_ptr(), &places, steps.len(), sums) };
    }
    if !last.is_empty() {
        // Filled up with zeros.
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
