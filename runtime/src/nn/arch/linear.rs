//! Linear layers on Cortex-M: four rows of weights at a time against one input.
#![allow(unsafe_code)]

#[cfg(not(arm_mve))]
use super::dsp::{LANES, add_rows};
#[cfg(arm_mve)]
use super::helium::{LANES, add_rows};
use crate::nn::{Convolution, Layout, portable};

/// Rows of weights that share each load of the input.
pub(super) const ROWS: usize = 4;

/// A linear layer.
pub(super) fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    let len = input.len();
    // Of the values, as many as make whole steps of `add_rows`.
    let steps = len / LANES;
    if conv.layout != Layout::Rows || steps == 0 {
        return portable::linear(conv, input, output);
    }
    let weights = conv.weights.chunks(ROWS * len);
    let blocks = output.chunks_mut(ROWS).zip(weights);
    for (block, ((out, weights), bias)) in blocks.zip(conv.bias.chunks(ROWS)).enumerate() {
        let mut sums = [0; ROWS];
        sums[..bias.len()].copy_from_slice(bias);
        let mut summed = 0;
        if weights.len() == ROWS * len {
            // SAFETY: four whole rows, each as long as the input.
            unsafe { add_rows(input.as_ptr(), weights.as_ptr(), len, steps, &mut sums) };
            summed = steps * LANES;
        }
        for (i, (out, row)) in out.iter_mut().zip(weights.chunks_exact(len)).enumerate() {
            let products = input[summed..].iter().zip(&row[summed..]);
            let rest: i32 = products.map(|(&x, &w)| i32::from(x) * i32::from(w)).sum();
            *out = conv.finish(ROWS * block + i, sums[i] + rest, *out);
        }
    }
}
