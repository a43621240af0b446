//! Kernels for instruction sets. Each takes what its portable counterpart takes and gives the same
//! bytes; the functions here choose the best one for the target.

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

#[cfg(feature = "std")]
pub use instruction_set::InstructionSet;

use super::{Convolution, portable};

/// Convolves `input` into `output`; see [`portable::convolve`].
///
/// `scratch` has at least [`Layout::scratch_len`](super::Layout::scratch_len) bytes. Where it or the
/// input does not begin at a multiple of four bytes, the portable kernel may have to do.
pub fn convolve(conv: &Convolution<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    #[cfg(arm_mve)]
    if helium::convolve(conv, input, output, scratch) {
        return;
    }
    #[cfg(arm_dsp)]
    if dsp::convolve(conv, input, output, scratch) {
        return;
    }
    portable::convolve(conv, input, output, scratch);
}

/// A linear layer; see [`portable::linear`].
pub fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    #[cfg(arm_dsp)]
    linear::linear(conv, input, output);
    #[cfg(not(arm_dsp))]
    portable::linear(conv, input, output);
}
