//! int8 operators with exactly specified arithmetic, over maps in NHWC order (height = time,
//! width = mel, channels innermost).
//!
//! [`portable`] is the definition: every other implementation gives the same bytes. An
//! implementation for one architecture stands beside it and takes the same parameter types. The
//! callers here have validated shapes, table lengths and accumulator ranges when the model was
//! opened ([`crate::model::Model::open`]); the operators rely on it.

pub mod arch;
mod geometry;
mod layout;
pub mod portable;
mod rules;

pub use geometry::{Padding, Shape, Window};
#[cfg(arm_dsp)]
pub(crate) use layout::GATHERED_PIXELS;
pub use layout::Layout;
pub use rules::{ADD_FRACTION_BITS, AddRule, MAX_PRE_SHIFT, Quantisation, Requantisation};

/// A convolution, or a linear layer, of one path: everything but the activations.
///
/// `acc[o] = bias[o] + sum(x * weights[o]) + sum(centre * adapter[o])`, then
/// [`Requantisation::apply`] with `multipliers[o]`, then the residual if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// Shape of the input map.
    pub input: Shape,
    /// Shape of the output map.
    pub output: Shape,
    /// Kernel, stride and padding.
    pub window: Window,
    /// What positions outside the input read as.
    pub input_zero_point: i8,
    /// The order of `weights` and `adapter`.
    pub layout: Layout,
    /// Kernels, `[output channels][kernel height][kernel width][input channels]` in `layout`'s
    /// order.
    pub weights: &'a [i8],
    /// One more tap at the kernel's centre, `[output channels][input channels]` in `layout`'s
    /// order; empty for none.
    pub adapter: &'a [i8],
    /// Start of each accumulator; holds `-zero_point * sum(weights + adapter)` as well.
    pub bias: &'a [i32],
    /// Multiplier of each output channel.
    pub multipliers: &'a [i32],
    /// Accumulator to int8.
    pub requantisation: Requantisation,
    /// Adds the result to what the output map already holds.
    pub residual: Option<AddRule>,
}

impl Convolution<'_> {
    /// What becomes of the accumulator of output channel `o`, where the output holds `before`.
    #[inline(always)]
    pub(crate) fn finish(&self, o: usize, acc: i32, before: i8) -> i8 {
        let q = self.requantisation.apply(acc, self.multipliers[o]);
        self.residual.map_or(q, |rule| rule.apply(q, before))
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

/// A mean over windows, the divisor always the kernel's area; positions outside the input count as
/// zero (the input's zero point). Global average pooling has a kernel as large as the map.
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
    /// Sum to int8.
    pub requantisation: Requantisation,
}
