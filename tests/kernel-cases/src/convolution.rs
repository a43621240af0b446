//! Convolutions.

use crate::Random;
use alloc::vec;
use alloc::vec::Vec;
use mtslvr_runtime::nn::{
    AddRule, Convolution, Layout, Padding, Requantisation, Shape, Window, portable,
};

/// A convolution and what it is applied to; small enough for its 32-bit accumulators.
#[derive(Clone, Debug)]
pub struct ConvolutionCase {
    layout: Layout,
    input: Shape,
    output: Shape,
    window: Window,
    zero_point: i8,
    /// The input map, in words so that it is aligned as an arena is.
    data: Vec<[i8; 4]>,
    weights: Vec<i8>,
    adapter: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    requantisation: Requantisation,
    residual: Option<AddRule>,
    /// Contents of the output map beforehand.
    before: Vec<i8>,
}

impl ConvolutionCase {
    /// A random convolution in `layout`: kernels of 1x1 to 7x7 and of up to 15 in one direction, strides
    /// and dilations of 1 to 3, any padding, channel counts that fit no block and such that do, with and
    /// without adapter and residual.
    pub fn random(layout: Layout, random: &mut Random) -> Self {
        let window = random_window(random);
        let extent = extent(&window);
        let channels = match random.below(2) {
            0 => 1 + random.below(9),
            _ => random.one_of(&[1, 4, 8, 12, 16, 20, 32]),
        };
        let input = Shape::new(
            extent[0] + random.below(7),
            extent[1] + random.below(14),
            channels,
        );
        let output_channels = match random.below(2) {
            0 => 1 + random.below(11),
            _ => random.one_of(&[4, 8, 16, 24, 32]),
        };
        Self::of_shape(layout, input, output_channels, window, random)
    }

    /// A convolution of this shape, everything else random.
    ///
    /// # Panics
    /// If the window does not fit the input.
    pub fn of_shape(
        layout: Layout,
        input: Shape,
        channels: usize,
        window: Window,
        random: &mut Random,
    ) -> Self {
        let [height, width] = window
            .output_size(input.height, input.width)
            .expect("a window that fits the input");
        let output = Shape::new(height, width, channels);
        let centre_inside = (height - 1) * window.stride[0] < input.height
            && (width - 1) * window.stride[1] < input.width;
        let with_adapter = centre_inside && window.dilation == [1, 1] && random.below(2) == 1;
        let mut adapter = Vec::new();
        if with_adapter {
            adapter = arranged(layout, channels, 1, input.channels, random);
        }
        let inner_zero_point = random.byte();
        let [lo, hi] = random.bounds();
        let requantisation = Requantisation {
            pre: random.one_of(&[0, 0, 1, 2, 3]),
            zero_point: inner_zero_point,
            lo,
            hi,
        };
        let [lo, hi] = random.bounds();
        let rule = AddRule {
            a_zero_point: inner_zero_point,
            a_multiplier: random.wide(22),
            b_zero_point: random.byte(),
            b_multiplier: random.wide(22),
            zero_point: random.byte(),
            lo,
            hi,
        };
        let residual = (random.below(2) == 1).then_some(rule);
        let words = input.len().div_ceil(4);
        Self {
            layout,
            input,
            output,
            window,
            zero_point: random.byte(),
            data: (0..words)
                .map(|_| random.bits().to_le_bytes().map(|b| b as i8))
                .collect(),
            weights: arranged(
                layout,
                channels,
                window.kernel[0],
                window.kernel[1] * input.channels,
                random,
            ),
            adapter,
            bias: (0..channels).map(|_| random.wide(20)).collect(),
            multipliers: (0..channels).map(|_| random.wide(26)).collect(),
            requantisation,
            residual,
            before: (0..output.len()).map(|_| random.byte()).collect(),
        }
    }

    /// A linear layer over a random map, as the convolution that it is: its kernel covers the map.
    pub fn linear(random: &mut Random) -> Self {
        let input = Shape::new(
            1 + random.below(4),
            1 + random.below(4),
            1 + random.below(40),
        );
        let window = Window {
            kernel: [input.height, input.width],
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
        };
        let channels = 1 + random.below(11);
        Self {
            adapter: Vec::new(),
            residual: None,
            ..Self::of_shape(Layout::Rows, input, channels, window, random)
        }
    }

    /// The operator.
    pub fn convolution(&self) -> Convolution<'_> {
        Convolution {
            input: self.input,
            output: self.output,
            window: self.window,
            input_zero_point: self.zero_point,
            layout: self.layout,
            weights: &self.weights,
            adapter: &self.adapter,
            bias: &self.bias,
            multipliers: &self.multipliers,
            requantisation: self.requantisation,
            residual: self.residual,
        }
    }

    /// The input map.
    pub fn data(&self) -> &[i8] {
        &self.data.as_flattened()[..self.input.len()]
    }

    /// Contents of the output map beforehand: the second addend of a residual.
    pub fn before(&self) -> Vec<i8> {
        self.before.clone()
    }

    /// Returns the output of `kernel`, in scratch of exactly the length that it may use.
    pub fn run(
        &self,
        mut kernel: impl FnMut(&Convolution<'_>, &[i8], &mut [i8], &mut [i8]),
    ) -> Vec<i8> {
        let mut output = self.before();
        let len = self.layout.scratch_len(&self.window, self.input.channels);
        with_scratch(len, |scratch| {
            kernel(&self.convolution(), self.data(), &mut output, scratch);
        });
        output
    }

    /// Returns the output of the portable kernel.
    pub fn portable(&self) -> Vec<i8> {
        self.run(portable::convolve)
    }

    /// Returns the output by the definition, one index at a time, in 64 bits.
    pub fn reference(&self) -> Vec<i8> {
        let mut output = self.before();
        for (at, out) in output.iter_mut().enumerate() {
            let (pixel, o) = (at / self.output.channels, at % self.output.channels);
            let acc = self.accumulator(pixel / self.output.width, pixel % self.output.width, o);
            let r = &self.requantisation;
            let product = i128::from(acc << r.pre) * i128::from(self.multipliers[o]);
            let rounded = (product + (1 << 31)).div_euclid(1 << 32);
            let q = (i128::from(r.zero_point) + rounded).clamp(r.lo.into(), r.hi.into());
            *out = match &self.residual {
                None => q as i8,
                Some(rule) => rule.apply(q as i8, *out),
            };
        }
        output
    }

    fn accumulator(&self, oy: usize, ox: usize, o: usize) -> i64 {
        let Shape {
            height,
            width,
            channels,
        } = self.input;
        let [kernel_height, kernel_width] = self.window.kernel;
        let value = |y: usize, x: usize, c: usize| -> i64 {
            if y < height && x < width {
                self.data()[(y * width + x) * channels + c].into()
            } else {
                self.zero_point.into()
            }
        };
        let (y0, x0) = (oy * self.window.stride[0], ox * self.window.stride[1]);
        let pad = self.window.padding;
        let row = self.layout.row_len(&self.window, channels);
        let kernel: Vec<i32> = (self.layout)
            .channel(&self.weights, kernel_height * row, o)
            .collect();
        let mut acc = i64::from(self.bias[o]);
        for ky in 0..kernel_height {
            for kx in 0..kernel_width {
                for c in 0..channels {
                    // Above and left of the map this wraps to what is surely outside.
                    let [down, right] = self.window.dilation;
                    let y = (y0 + ky * down).wrapping_sub(pad.top);
                    let x = (x0 + kx * right).wrapping_sub(pad.left);
                    let k = ky * row + kx * channels + c;
                    acc += value(y, x, c) * i64::from(kernel[k]);
                }
            }
        }
        if !self.adapter.is_empty() {
            let len = self.layout.adapter_len(channels);
            for (c, w) in self
                .layout
                .channel(&self.adapter, len, o)
                .enumerate()
                .take(channels)
            {
                acc += value(y0, x0, c) * i64::from(w);
            }
        }
        acc
    }
}

/// A random window: most often a usual one, sometimes with gaps or long in one direction.
pub(crate) fn random_window(random: &mut Random) -> Window {
    let kernel = match random.below(8) {
        0 | 1 => [1 + random.below(7), 1 + random.below(7)],
        2 => [1, 1 + random.below(15)],
        3 => [1 + random.below(15), 1],
        _ => random.one_of(&[[1, 1], [3, 3], [3, 3], [5, 5]]),
    };
    let stride = match random.below(3) {
        0 => [1 + random.below(3), 1 + random.below(3)],
        _ => random.one_of(&[[1, 1], [2, 2]]),
    };
    let dilation = match random.below(4) {
        0 => [1 + random.below(3), 1 + random.below(3)],
        _ => [1, 1],
    };
    let padded = |[top, bottom, left, right]: [usize; 4]| Window {
        kernel,
        stride,
        padding: Padding {
            top,
            bottom,
            left,
            right,
        },
        dilation,
    };
    let [height, width] = extent(&padded([0; 4]));
    if random.below(2) == 0 {
        return padded([height, height, width, width].map(|extent| random.below(extent)));
    }
    padded([height, height, width, width].map(|extent| extent / 2))
}

/// Height and width from the first place of the kernel to its last.
pub(crate) fn extent(window: &Window) -> [usize; 2] {
    core::array::from_fn(|axis| (window.kernel[axis] - 1) * window.dilation[axis] + 1)
}

/// Random weights in `layout`, of `groups` rows of `row` values for each channel.
fn arranged(
    layout: Layout,
    channels: usize,
    groups: usize,
    row: usize,
    random: &mut Random,
) -> Vec<i8> {
    // Never -128: weights are symmetric. The greatest ones often: sums must not overflow.
    let extreme = random.below(4) == 0;
    let rows: Vec<i8> = (0..channels * groups * row)
        .map(|_| match random.byte().max(-127) {
            value if extreme => value.signum() * 127,
            value => value,
        })
        .collect();
    let mut out = vec![0; layout.bytes(channels, groups * layout.adapter_len(row))];
    layout.arrange(&rows, channels, row, &mut out);
    out
}

/// Calls `kernel` with scratch of exactly `len` values, aligned as an arena is.
pub(crate) fn with_scratch(len: usize, kernel: impl FnOnce(&mut [i8])) {
    let mut words = vec![[99i8; 4]; len.div_ceil(4)];
    kernel(&mut words.as_flattened_mut()[..len]);
}
