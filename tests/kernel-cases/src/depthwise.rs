//! Depthwise convolutions.

use crate::Random;
use crate::convolution::{extent, random_window, with_scratch};
use alloc::vec;
use alloc::vec::Vec;
use mtslvr_runtime::nn::{Depthwise, Requantisation, Shape, Window, portable};

/// A depthwise convolution and what it is applied to; small enough for its 32-bit accumulators.
#[derive(Clone, Debug)]
pub struct DepthwiseCase {
    input: Shape,
    output: Shape,
    window: Window,
    zero_point: i8,
    /// The input map, in words so that it is aligned as an arena is.
    data: Vec<[i8; 4]>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    requantisation: Requantisation,
}

impl DepthwiseCase {
    /// A random depthwise convolution, with the windows of [`ConvolutionCase`](crate::ConvolutionCase)
    /// and channels that fit no block and such that do.
    pub fn random(random: &mut Random) -> Self {
        let window = random_window(random);
        let [height, width] = extent(&window);
        let channels = match random.below(2) {
            0 => 1 + random.below(19),
            _ => random.one_of(&[4, 8, 16, 24, 64, 68, 72]),
        };
        let input = Shape::new(height + random.below(5), width + random.below(8), channels);
        let [height, width] = window
            .output_size(input.height, input.width)
            .expect("a window that fits the input");
        let [lo, hi] = random.bounds();
        let words = input.len().div_ceil(4);
        Self {
            input,
            output: Shape::new(height, width, channels),
            window,
            zero_point: random.byte(),
            data: (0..words)
                .map(|_| random.bits().to_le_bytes().map(|b| b as i8))
                .collect(),
            weights: (0..window.area() * channels)
                .map(|_| random.byte())
                .collect(),
            bias: (0..channels).map(|_| random.wide(20)).collect(),
            multipliers: (0..channels).map(|_| random.wide(26)).collect(),
            requantisation: Requantisation {
                pre: random.one_of(&[0, 0, 1, 2, 3]),
                zero_point: random.byte(),
                lo,
                hi,
            },
        }
    }

    /// The operator.
    pub fn depthwise(&self) -> Depthwise<'_> {
        Depthwise {
            input: self.input,
            output: self.output,
            window: self.window,
            input_zero_point: self.zero_point,
            weights: &self.weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            requantisation: self.requantisation,
        }
    }

    /// The input map.
    pub fn data(&self) -> &[i8] {
        &self.data.as_flattened()[..self.input.len()]
    }

    /// Contents of the output map beforehand.
    pub fn before(&self) -> Vec<i8> {
        vec![77; self.output.len()]
    }

    /// Returns the output of `kernel`, in scratch of exactly the length that it may use.
    pub fn run(
        &self,
        mut kernel: impl FnMut(&Depthwise<'_>, &[i8], &mut [i8], &mut [i8]),
    ) -> Vec<i8> {
        let mut output = self.before();
        let len = Depthwise::scratch_len(&self.window, self.input.channels);
        with_scratch(len, |scratch| {
            kernel(&self.depthwise(), self.data(), &mut output, scratch);
        });
        output
    }

    /// Returns the output of the portable kernel.
    pub fn portable(&self) -> Vec<i8> {
        self.run(portable::depthwise)
    }

    /// Returns the output by the definition, one index at a time, in 64 bits.
    pub fn reference(&self) -> Vec<i8> {
        let channels = self.input.channels;
        let value = |at: usize| -> i8 {
            let (pixel, c) = (at / channels, at % channels);
            let acc = self.accumulator(pixel / self.output.width, pixel % self.output.width, c);
            let r = &self.requantisation;
            let product = i128::from(acc << r.pre) * i128::from(self.multipliers[c]);
            let rounded = (product + (1 << 31)).div_euclid(1 << 32);
            (i128::from(r.zero_point) + rounded).clamp(r.lo.into(), r.hi.into()) as i8
        };
        (0..self.output.len()).map(value).collect()
    }

    fn accumulator(&self, oy: usize, ox: usize, c: usize) -> i64 {
        let Shape {
            height,
            width,
            channels,
        } = self.input;
        let Window {
            kernel,
            stride,
            padding,
            dilation,
        } = self.window;
        let mut acc = i64::from(self.bias[c]);
        for ky in 0..kernel[0] {
            for kx in 0..kernel[1] {
                // Above and left of the map this wraps to what is surely outside.
                let y = (oy * stride[0] + ky * dilation[0]).wrapping_sub(padding.top);
                let x = (ox * stride[1] + kx * dilation[1]).wrapping_sub(padding.left);
                let value = if y < height && x < width {
                    self.data()[(y * width + x) * channels + c]
                } else {
                    self.zero_point
                };
                let weight = self.weights[(ky * kernel[1] + kx) * channels + c];
                acc += i64::from(value) * i64::from(weight);
            }
        }
        acc
    }
}
