//! The operators without their activations: what a kernel needs to know, and whether it fits.

use super::geometry::{Shape, Window};
use super::layout::Layout;
use super::rules::{AddRule, Requantisation};

/// Channels of a depthwise convolution that a kernel prepares at a time.
pub(super) const DEPTHWISE_BLOCK: usize = 64;

/// Places of a depthwise kernel that are taken at a time.
pub(super) const DEPTHWISE_TAPS: usize = 3;

/// Most values under a kernel: 1/32 of what can be counted leaves room for filling up its rows and
/// for gathering it four times, 16 bits a value.
const MOST_VALUES: usize = usize::MAX / 32;

/// A convolution, or a linear layer, of one path.
///
/// `acc[o] = bias[o] + sum(x * weights[o]) + sum(centre * adapter[o])`, then
/// [`Requantisation::apply`] with `multipliers[o]`, then [`AddRule::apply`] if there is a residual.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// Shape of the input map.
    pub input: Shape,
    /// Shape of the output map.
    pub output: Shape,
    /// Kernel, stride, padding and dilation.
    pub window: Window,
    /// Value of the input at positions outside the map.
    pub input_zero_point: i8,
    /// Order of `weights` and `adapter` in memory.
    pub layout: Layout,
    /// Kernels, `[output channels][kernel height][kernel width][input channels]` in `layout`'s
    /// order.
    pub weights: &'a [i8],
    /// One more tap at the kernel's centre, `[output channels][input channels]` in `layout`'s
    /// order; empty for none.
    pub adapter: &'a [i8],
    /// Start of each accumulator, `[output channels]`. It includes
    /// `-zero_point * sum(weights + adapter)`.
    pub bias: &'a [i32],
    /// Multiplier of each output channel, `[output channels]`.
    pub multipliers: &'a [i32],
    /// Turns an accumulator into int8.
    pub requantisation: Requantisation,
    /// Adds the result to what the output map holds.
    pub residual: Option<AddRule>,
}

impl Convolution<'_> {
    /// Checks that shapes and tables fit each other, and that the maps and the scratch memory have
    /// the lengths that a convolution needs.
    #[inline(never)]
    pub fn fits(&self, input: &[i8], output: &[i8], scratch: &[i8]) -> bool {
        self.tables_fit()
            && self.input.checked_len() == Some(input.len())
            && self.output.checked_len() == Some(output.len())
            && scratch.len() >= self.layout.scratch_len(&self.window, self.input.channels)
    }

    /// Checks that shapes and tables fit each other, for a convolution.
    pub(super) fn tables_fit(&self) -> bool {
        let (input, output) = (self.input.channels, self.output.channels);
        let [height, width] = self.window.kernel;
        let kernel = Shape::new(height, width, input).checked_len();
        let bytes = |len| self.layout.bytes(output, len);
        kernel.is_some_and(|values| values <= MOST_VALUES)
            && input > 0
            && output > 0
            && self.channels_fit(output)
            && walks(&self.window, self.input, self.output)
            && self.weights.len() == bytes(self.layout.column_len(&self.window, input))
            && (self.adapter.is_empty()
                || self.adapter.len() == bytes(self.layout.adapter_len(input))
                    && self.window.dilation == [1, 1]
                    && self.centres_are_inside())
    }

    /// Checks that the tables fit a linear layer, whose kernel is all of `input` and which has a
    /// channel for each value of `output`. The shapes and the window do not matter.
    #[inline(never)]
    pub fn fits_linear(&self, input: &[i8], output: &[i8]) -> bool {
        let len = self.layout.adapter_len(input.len());
        self.weights.len() == self.layout.bytes(output.len(), len)
            && self.channels_fit(output.len())
    }

    /// Checks the tables that have one value for each output channel, and what is done with a sum.
    fn channels_fit(&self, channels: usize) -> bool {
        self.bias.len() == channels
            && self.multipliers.len() == channels
            && self.requantisation.fits()
            && self.residual.is_none_or(|rule| rule.lo <= rule.hi)
    }

    /// Checks that the tap at the centre lies inside the map at every output position. The window
    /// walks over the input.
    fn centres_are_inside(&self) -> bool {
        let [stride_y, stride_x] = self.window.stride;
        (self.output.height - 1) * stride_y < self.input.height
            && (self.output.width - 1) * stride_x < self.input.width
    }

    /// Returns the output value of a channel with this multiplier and accumulator, where the output holds
    /// `before`.
    #[inline(always)]
    pub(super) fn finish(&self, multiplier: i32, acc: i32, before: i8) -> i8 {
        let q = self.requantisation.apply(acc, multiplier);
        self.residual.map_or(q, |rule| rule.apply(q, before))
    }
}

/// A convolution of each channel by itself: as many output channels as input channels.
///
/// `acc[c] = bias[c] + sum(x[c] * weights[c])`, then [`Requantisation::apply`] with `multipliers[c]`.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a> {
    /// Shape of the input map.
    pub input: Shape,
    /// Shape of the output map.
    pub output: Shape,
    /// Kernel, stride, padding and dilation.
    pub window: Window,
    /// Value of the input at positions outside the map.
    pub input_zero_point: i8,
    /// Kernels, `[kernel height][kernel width][channels]`.
    pub weights: &'a [i8],
    /// Start of each accumulator, `[channels]`. It includes `-zero_point * sum(weights)`.
    pub bias: &'a [i32],
    /// Multiplier of each channel, `[channels]`.
    pub multipliers: &'a [i32],
    /// Turns an accumulator into int8.
    pub requantisation: Requantisation,
}

impl Depthwise<'_> {
    /// Checks that shapes and tables fit each other, and that the maps and the scratch memory have the
    /// lengths that the operator needs.
    pub fn fits(&self, input: &[i8], output: &[i8], scratch: &[i8]) -> bool {
        self.fits_maps(input, output)
            && scratch.len() >= Self::scratch_len(&self.window, self.input.channels)
    }

    /// Checks what [`Self::fits`] does, but for the scratch memory.
    #[inline(never)]
    pub(super) fn fits_maps(&self, input: &[i8], output: &[i8]) -> bool {
        let channels = self.input.channels;
        let [height, width] = self.window.kernel;
        let kernel = Shape::new(height, width, channels).checked_len();
        kernel.is_some_and(|values| values <= MOST_VALUES && self.weights.len() == values)
            && channels > 0
            && self.bias.len() == channels
            && self.multipliers.len() == channels
            && self.requantisation.fits()
            && pool_fits(&self.window, self.input, self.output, input, output)
    }

    /// Returns the bytes of scratch memory that it may use: for up to 64 channels at a time their weights
    /// at 16 bits, biases, multipliers and one position of padding, and a place for each weight of a
    /// kernel.
    pub const fn scratch_len(window: &Window, channels: usize) -> usize {
        let filled = channels.next_multiple_of(4);
        let block = if filled < DEPTHWISE_BLOCK {
            filled
        } else {
            DEPTHWISE_BLOCK
        };
        let taps = window.area().next_multiple_of(DEPTHWISE_TAPS);
        block * (2 * taps + 9) + 4 * taps
    }
}

/// Factors for values above and below zero: a PReLU with a slope for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Slopes<'a> {
    /// Subtracted from every value.
    pub input_zero_point: i8,
    /// Multiplier of each channel's values below zero, then the one of all other values.
    pub multipliers: &'a [i32],
    /// Turns a value less the zero point into int8.
    pub requantisation: Requantisation,
}

impl Slopes<'_> {
    /// Checks that the rule can be applied, and that `values` are whole positions.
    pub fn fits(&self, values: &[i8]) -> bool {
        let channels = self.multipliers.len().saturating_sub(1);
        channels > 0 && values.len().is_multiple_of(channels) && self.requantisation.fits()
    }
}

/// A maximum over windows; positions outside the input do not take part.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool {
    /// Shape of the input map.
    pub input: Shape,
    /// Shape of the output map.
    pub output: Shape,
    /// Kernel, stride and padding.
    pub window: Window,
    /// Least and greatest output.
    pub clamp: [i8; 2],
}

impl MaxPool {
    /// Checks that the shapes fit each other and the maps, and that the bounds are in order.
    pub fn fits(&self, input: &[i8], output: &[i8]) -> bool {
        let [lo, hi] = self.clamp;
        self.window.dilation == [1, 1]
            && pool_fits(&self.window, self.input, self.output, input, output)
            && lo <= hi
    }
}

/// A mean over windows. Its divisor is always the kernel's area: positions outside the input count
/// as zero (the input's zero point). Global average pooling has a kernel as large as the map.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool {
    /// Shape of the input map.
    pub input: Shape,
    /// Shape of the output map.
    pub output: Shape,
    /// Kernel, stride and padding.
    pub window: Window,
    /// Subtracted from every input value.
    pub input_zero_point: i8,
    /// Multiplier of the sum, for all channels.
    pub multiplier: i32,
    /// Turns a sum into int8.
    pub requantisation: Requantisation,
}

impl AveragePool {
    /// Checks that the shapes fit each other and the maps, and that a sum can be requantised.
    pub fn fits(&self, input: &[i8], output: &[i8]) -> bool {
        self.window.dilation == [1, 1]
            && pool_fits(&self.window, self.input, self.output, input, output)
            && self.requantisation.fits()
    }
}

/// Checks that a pool walks over its input channel by channel, and that the maps have its shapes.
#[inline(never)]
fn pool_fits(
    window: &Window,
    input: Shape,
    output: Shape,
    input_map: &[i8],
    output_map: &[i8],
) -> bool {
    input.channels == output.channels
        && walks(window, input, output)
        && input.checked_len() == Some(input_map.len())
        && output.checked_len() == Some(output_map.len())
}

/// Checks that `output` has a position for each step of the window over `input`.
fn walks(window: &Window, input: Shape, output: Shape) -> bool {
    window.output_size(input.height, input.width) == Some([output.height, output.width])
}
