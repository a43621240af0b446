//! The kernels on random operators, for the tests.

use mtslvr_kernel_cases::{Kernels, Sweep, sweep};
use mtslvr_runtime::nn::arch::InstructionSet;
use mtslvr_runtime::nn::arch::host::{self, PaddedMap, Repacker};
use mtslvr_runtime::nn::{Convolution, Depthwise, Padding, Shape, Window, portable};

/// Runs the fastest kernels and the portable ones on the operators of the first `cases` seeds. Returns the
/// checksum over all outputs, which every target shares; none where the two differ.
///
/// # Panics
/// If this machine has no kernels but the portable ones.
pub fn checksum(cases: u64) -> Option<u32> {
    let kernels = Kernels {
        convolve,
        linear,
        depthwise,
        lookup: portable::lookup,
    };
    match sweep(cases, &kernels) {
        Sweep::Agrees { crc32 } => Some(crc32),
        Sweep::Differs { .. } => None,
    }
}

fn convolve(conv: &Convolution<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    // What does not fit changes nothing, and may name a shape that there is no memory for.
    if conv.fits(input, output, scratch) {
        repacked(conv, input, output);
    }
}

fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    if !conv.fits_linear(input, output) {
        return;
    }
    // A linear layer does not look at its shapes: those of the convolution that it is.
    let layer = Convolution {
        input: Shape::new(1, 1, input.len()),
        output: Shape::new(1, 1, output.len()),
        window: Window {
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
        },
        ..*conv
    };
    repacked(&layer, input, output);
}

fn repacked(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    let repacked = Repacker::new(InstructionSet::best()).convolution(conv);
    repacked.run(input, output, &mut PaddedMap::default());
}

fn depthwise(conv: &Depthwise<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    if conv.fits(input, output, scratch) {
        host::depthwise(InstructionSet::best(), conv, input, output);
    }
}
