//! Many cases at once.

use crate::{ConvolutionCase, Random};
use alloc::boxed::Box;
use mtslvr_runtime::model::Crc32;
use mtslvr_runtime::nn::{Convolution, Layout};

/// What came of comparing a kernel with the portable one.
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
/// their linear layers.
pub fn sweep(
    cases: u64,
    mut convolve: impl FnMut(&Convolution<'_>, &[i8], &mut [i8], &mut [i8]),
    mut linear: impl FnMut(&Convolution<'_>, &[i8], &mut [i8]),
) -> Sweep {
    let mut crc = Crc32::new();
    for seed in 0..cases {
        let random = &mut Random::new(seed);
        let layer = ConvolutionCase::linear(random);
        let found = layer.run(|layer, input, output, _| linear(layer, input, output));
        let mut made = alloc::vec![(layer, found)];
        for layout in [Layout::Rows, Layout::Pairs] {
            let case = ConvolutionCase::random(layout, random);
            let found = case.run(&mut convolve);
            made.push((case, found));
        }
        for (case, found) in made {
            let expected = case.portable();
            if let Some(at) = found.iter().zip(&expected).position(|(a, b)| a != b) {
                return Sweep::Differs {
                    case: Box::new(case),
                    at,
                };
            }
            for &value in &expected {
                crc = crc.update(&[value as u8]);
            }
        }
    }
    Sweep::Agrees {
        crc32: crc.finish(),
    }
}
