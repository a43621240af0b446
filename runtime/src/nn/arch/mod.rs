//! Kernels for instruction sets. Each takes the arguments of its portable counterpart and gives the
//! same bytes; the functions here choose the best one for the target.
//!
//! Longer assembly is in files of its own, `*.S`: at the top of each are a drawing of the tile and a
//! table of the registers. They are included into `asm!` within a function that is never inlined, not
//! as naked functions or by `global_asm!`: for link-time optimisation the compiler parses these once
//! without the target's processor, and then knows no instruction that is an option of Armv8-M.
#![cfg_attr(arm_dsp, allow(unsafe_code))]

#[cfg(arm_dsp)]
mod depthwise;
#[cfg(arm_dsp)]
mod dsp;
#[cfg(arm_mve)]
mod helium;
#[cfg(feature = "std")]
pub mod host;
#[cfg(feature = "std")]
mod instruction_set;
#[cfg(arm_dsp)]
mod linear;
#[cfg(arm_dsp)]
mod rows;

#[cfg(feature = "std")]
pub use instruction_set::InstructionSet;

use super::operators::{Convolution, Depthwise};
use super::portable;

/// Convolves `input` into `output`; see [`portable::convolve`].
///
/// Where `input` or `scratch` does not begin at a multiple of four bytes, a slower kernel may have to
/// do.
pub fn convolve(conv: &Convolution<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    #[cfg(arm_dsp)]
    if conv.fits(input, output, scratch) {
        #[cfg(arm_mve)]
        if helium::convolve(conv, input, output, scratch) {
            return;
        }
        // SAFETY: it fits.
        if unsafe { dsp::convolve(conv, input, output, scratch) } {
            return;
        }
    }
    portable::convolve(conv, input, output, scratch);
}

/// Convolves each channel of `input` into that of `output`; see [`portable::depthwise`].
///
/// Where `scratch` does not begin at a multiple of four bytes, a slower kernel may have to do.
pub fn depthwise(conv: &Depthwise<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    #[cfg(arm_dsp)]
    if conv.fits(input, output, scratch) && depthwise::depthwise(conv, input, output, scratch) {
        return;
    }
    portable::depthwise(conv, input, output, scratch);
}

/// Replaces each value by that of a table; see [`portable::lookup`].
pub fn lookup(table: &[i8], values: &mut [i8]) {
    #[cfg(arm_mve)]
    helium::lookup(table, values);
    #[cfg(not(arm_mve))]
    portable::lookup(table, values);
}

#[cfg(arm_dsp)]
pub(crate) use dsp::largest::largest_halves;

/// Computes a linear layer; see [`portable::linear`].
pub fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    #[cfg(arm_dsp)]
    linear::linear(conv, input, output);
    #[cfg(not(arm_dsp))]
    portable::linear(conv, input, output);
}
