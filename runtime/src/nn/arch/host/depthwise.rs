//! Convolutions of each channel by itself: the portable loop, compiled for each instruction set. Its inner
//! loop runs over neighbouring channels, which compilers turn into vectors.
#![allow(unsafe_code)]

use crate::nn::arch::instruction_set::InstructionSet;
use crate::nn::operators::Depthwise;
use crate::nn::portable;

/// Convolves, as [`portable::depthwise`] without scratch, with `instruction_set` where it is available.
pub fn depthwise(
    instruction_set: InstructionSet,
    conv: &Depthwise<'_>,
    input: &[i8],
    output: &mut [i8],
) {
    if !conv.fits_maps(input, output) {
        return;
    }
    let range = 0..conv.input.channels;
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Vnni if instruction_set.is_available() => {
            // SAFETY: the machine has this instruction set, and so what it begins with.
            unsafe { avx512(conv, input, output) }
        }
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 if instruction_set.is_available() => {
            // SAFETY: the machine has AVX2.
            unsafe { avx2(conv, input, output) }
        }
        // Advanced SIMD is part of every aarch64.
        // Whatever fits has all values that are asked for.
        _ => {
            let _ = portable::channels(conv, input, output, range);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(conv: &Depthwise<'_>, input: &[i8], output: &mut [i8]) {
    let _ = portable::channels(conv, input, output, 0..conv.input.channels);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512(conv: &Depthwise<'_>, input: &[i8], output: &mut [i8]) {
    let _ = portable::channels(conv, input, output, 0..conv.input.channels);
}
