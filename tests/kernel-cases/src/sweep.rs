//! Many cases at once.

use crate::{ConvolutionCase, DepthwiseCase, Random, spoiled, spoiled_depthwise};
use alloc::vec::Vec;
use mtslvr_runtime::model::Crc32;
use mtslvr_runtime::nn::{Convolution, Depthwise, Layout, portable};

/// Outcome of comparing kernels with the portable ones.
#[derive(Clone, Debug)]
pub enum Sweep {
    /// The same bytes in all cases.
    Agrees {
        /// Checksum over all outputs: the same on every target.
        crc32: u32,
    },
    /// The first case with another value.
    Differs {
        /// Its seed.
        seed: u64,
        /// The kind of operator.
        kind: &'static str,
        /// The index of the first value that differs.
        at: usize,
    },
}

/// The kernels of a target.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    /// Convolves.
    pub convolve: fn(&Convolution<'_>, &[i8], &mut [i8], &mut [i8]),
    /// Computes a linear layer.
    pub linear: fn(&Convolution<'_>, &[i8], &mut [i8]),
    /// Convolves each channel by itself.
    pub depthwise: fn(&Depthwise<'_>, &[i8], &mut [i8], &mut [i8]),
    /// Replaces values by those of a table.
    pub lookup: fn(&[i8], &mut [i8]),
}

impl Kernels {
    /// The definition of all others.
    pub const PORTABLE: Self = Self {
        convolve: portable::convolve,
        linear: portable::linear,
        depthwise: portable::depthwise,
        lookup: portable::lookup,
    };

    /// Returns the outputs for the case of `seed` in each kind of operator, with right arguments and with
    /// [wrong ones](spoiled), with which no kernel may panic either; and the kind of each.
    fn outputs(&self, seed: u64) -> Vec<(&'static str, Vec<i8>)> {
        let random = &mut Random::new(seed);
        let mut made = Vec::new();
        let mut add = |kind, output| made.push((kind, output));

        let layer = ConvolutionCase::linear(random);
        add(
            "linear",
            layer.run(|layer, x, y, _| (self.linear)(layer, x, y)),
        );
        let wrong = |conv: &Convolution<'_>, x: &[i8], y: &mut [i8]| {
            (self.linear)(&spoiled(conv, &mut Random::new(seed)), x, y);
        };
        add(
            "wrong linear",
            layer.run(|layer, x, y, _| wrong(layer, x, y)),
        );

        for layout in [Layout::Rows, Layout::Pairs] {
            let case = ConvolutionCase::random(layout, random);
            add("convolution", case.run(self.convolve));
            let wrong = |conv: &Convolution<'_>, x: &[i8], y: &mut [i8], scratch: &mut [i8]| {
                (self.convolve)(&spoiled(conv, &mut Random::new(seed)), x, y, scratch);
            };
            add("wrong convolution", case.run(wrong));
        }

        let case = DepthwiseCase::random(random);
        add("depthwise", case.run(self.depthwise));
        let wrong = |conv: &Depthwise<'_>, x: &[i8], y: &mut [i8], scratch: &mut [i8]| {
            (self.depthwise)(
                &spoiled_depthwise(conv, &mut Random::new(seed)),
                x,
                y,
                scratch,
            );
        };
        add("wrong depthwise", case.run(wrong));

        let table_len = random.one_of(&[256, 256, 256, 255, 0]);
        let table: Vec<i8> = (0..table_len).map(|_| random.byte()).collect();
        let mut values: Vec<i8> = (0..random.below(100)).map(|_| random.byte()).collect();
        (self.lookup)(&table, &mut values);
        add("lookup", values);
        made
    }
}

/// Runs `kernels` and the portable ones on the operators of the first `cases` seeds.
pub fn sweep(cases: u64, kernels: &Kernels) -> Sweep {
    let mut crc = Crc32::new();
    for seed in 0..cases {
        let (found, expected) = (kernels.outputs(seed), Kernels::PORTABLE.outputs(seed));
        for ((kind, found), (_, expected)) in found.into_iter().zip(&expected) {
            if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
                return Sweep::Differs { seed, kind, at };
            }
            for &value in expected {
                crc = crc.update(&[value as u8]);
            }
        }
    }
    Sweep::Agrees {
        crc32: crc.finish(),
    }
}
