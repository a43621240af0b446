//! Many cases at once.

use crate::{ConvolutionCase, Random, spoiled};
use alloc::boxed::Box;
use alloc::vec::Vec;
use mtslvr_runtime::model::Crc32;
use mtslvr_runtime::nn::{Convolution, Layout, portable};

/// Outcome of comparing a kernel with the portable one.
#[derive(Clone, Debug)]
pub enum Sweep {
    /// The same bytes in all cases.
    Agrees {
        /// Checksum over all outputs: the same on every target.
        crc32: u32,
    },
    /// The first case with another value.
    Differs {
        /// The case.
        case: Box<ConvolutionCase>,
        /// The index of the first value that differs.
        at: usize,
    },
}

/// Runs `convolve` on the convolutions of the first `cases` seeds, in both layouts, and `linear` on
/// their linear layers; then both on the same with [wrong arguments](spoiled), with which they must
/// not panic either.
pub fn sweep(
    cases: u64,
    mut convolve: impl FnMut(&Convolution<'_>, &[i8], &mut [i8], &mut [i8]),
    mut linear: impl FnMut(&Convolution<'_>, &[i8], &mut [i8]),
) -> Sweep {
    let mut crc = Crc32::new();
    for seed in 0..cases {
        let random = &mut Random::new(seed);
        let mut made = Vec::new();

        let layer = ConvolutionCase::linear(random);
        let found = layer.run(|layer, input, output, _| linear(layer, input, output));
        let found_wrong =
            layer.run(|layer, input, output, _| linear(&wrong(layer, seed), input, output));
        let expected_wrong = layer
            .run(|layer, input, output, _| portable::linear(&wrong(layer, seed), input, output));
        made.push((layer, [found, found_wrong], expected_wrong));

        for layout in [Layout::Rows, Layout::Pairs] {
            let case = ConvolutionCase::random(layout, random);
            let found = case.run(&mut convolve);
            let found_wrong = case.run(|conv, input, output, scratch| {
                convolve(&wrong(conv, seed), input, output, scratch);
            });
            let expected_wrong = case.run(|conv, input, output, scratch| {
                portable::convolve(&wrong(conv, seed), input, output, scratch);
            });
            made.push((case, [found, found_wrong], expected_wrong));
        }

        for (case, found, expected_wrong) in made {
            let expected = [case.portable(), expected_wrong];
            for (found, expected) in found.iter().zip(&expected) {
                if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
                    return Sweep::Differs {
                        case: Box::new(case),
                        at,
                    };
                }
                for &value in expected {
                    crc = crc.update(&[value as u8]);
                }
            }
        }
    }
    Sweep::Agrees {
        crc32: crc.finish(),
    }
}

/// Returns the convolution with the wrong arguments of a seed.
fn wrong<'a>(conv: &Convolution<'a>, seed: u64) -> Convolution<'a> {
    spoiled(conv, &mut Random::new(!seed))
}
