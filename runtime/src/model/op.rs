//! One operator of the program, its tables found.

use core::ops::Range;

use super::tensor::Tensor;
use crate::nn::{AddRule, Layout, Requantisation, Window};

/// Kind of an operator: the computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum OpKind {
    /// Convolution with an optional adapter tap; adds its second operand if it has one.
    Convolution = 1,
    /// Linear layer over all values of its input.
    Linear = 2,
    /// Sum of two tensors.
    Add = 3,
    /// Maximum over windows.
    MaxPool = 4,
    /// Mean over windows.
    AveragePool = 5,
    /// Convolution of each channel by itself.
    Depthwise = 6,
    /// A table's value for each value.
    Lookup = 7,
    /// Factors for values above and below zero, those below of each channel.
    Slopes = 8,
    /// Product of two tensors.
    Multiply = 9,
    /// The channels of two tensors, one behind the other.
    Concatenate = 10,
    /// Some of the channels.
    Slice = 11,
    /// The same values in the same order, as a map of another shape.
    Reshape = 12,
}

impl OpKind {
    const ALL: [Self; 12] = [
        Self::Convolution,
        Self::Linear,
        Self::Add,
        Self::MaxPool,
        Self::AveragePool,
        Self::Depthwise,
        Self::Lookup,
        Self::Slopes,
        Self::Multiply,
        Self::Concatenate,
        Self::Slice,
        Self::Reshape,
    ];

    /// Returns the kind that a record names by this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == number)
    }

    /// Returns the field's term for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Convolution => "convolution",
            Self::Linear => "linear",
            Self::Add => "add",
            Self::MaxPool => "max pool",
            Self::AveragePool => "average pool",
            Self::Depthwise => "depthwise convolution",
            Self::Lookup => "lookup",
            Self::Slopes => "slopes",
            Self::Multiply => "multiply",
            Self::Concatenate => "concatenate",
            Self::Slice => "slice",
            Self::Reshape => "reshape",
        }
    }

    /// Tells whether its result may be written over its input: each value depends on that value alone.
    pub(super) fn changes_values(self) -> bool {
        matches!(self, Self::Lookup | Self::Slopes | Self::Reshape)
    }

    /// Tells whether it has a window that walks over its input.
    pub(super) fn has_window(self) -> bool {
        matches!(
            self,
            Self::Convolution | Self::Depthwise | Self::MaxPool | Self::AveragePool
        )
    }

    /// Tells whether its second operand lies under its result before it runs.
    pub(crate) fn takes_addend(self) -> bool {
        matches!(self, Self::Convolution | Self::Add | Self::Multiply)
    }
}

/// An operator: what it reads, writes and computes.
#[derive(Clone, Copy, Debug)]
pub struct Op<'a> {
    /// Its place in the program.
    pub index: usize,
    /// Its kind.
    pub kind: OpKind,
    /// The order of a convolution's weights; in rows for all other operators.
    pub layout: Layout,
    /// The tensor it reads.
    pub input: Tensor,
    /// The tensor that it adds, multiplies with or puts behind the first, if it does.
    pub second: Option<Tensor>,
    /// The tensor it writes, whose index is the operator's and one.
    pub output: Tensor,
    /// Kernel, stride, padding and dilation; 1x1 where it has none.
    pub window: Window,
    /// The first channel of a slice; 0 for all other operators.
    pub first_channel: usize,
    /// The bytes of the arena that it may use while it runs.
    pub scratch: Scratch,
    /// The numbers it computes with.
    pub tables: Tables<'a>,
}

impl Op<'_> {
    /// Counts the multiply-accumulates of one run, adapter included; the kernel counts in full where
    /// it covers padding. Operators that are neither convolution nor linear layer have none.
    /// A number beyond 64 bits is counted as the largest.
    pub fn macs(&self) -> u64 {
        let input = self.input.shape;
        let taps = match self.kind {
            OpKind::Depthwise => {
                return (self.window.area() as u64).saturating_mul(self.output.shape.len() as u64);
            }
            OpKind::Convolution => {
                self.window.area() as u64 + u64::from(!self.tables.adapter.is_empty())
            }
            OpKind::Linear => (input.height * input.width) as u64,
            _ => 0,
        };
        taps.saturating_mul(input.channels as u64)
            .saturating_mul(self.output.shape.len() as u64)
    }

    /// Counts the steps of one run: multiply-accumulates, the values that a pool compares or adds, and
    /// the values that are written. A number beyond 64 bits is counted as the largest.
    pub fn work(&self) -> u64 {
        let written = self.output.shape.len() as u64;
        let compared = match self.kind {
            OpKind::MaxPool => self.window.area() as u64,
            OpKind::AveragePool => (self.input.shape.height * self.input.shape.width) as u64,
            _ => 1,
        };
        self.macs().saturating_add(written.saturating_mul(compared))
    }

    /// Tells whether the result is written over the second operand, or over the input where each value
    /// depends on that value alone.
    pub fn runs_in_place(&self) -> bool {
        let under = if self.kind.changes_values() {
            Some(self.input)
        } else {
            self.second.filter(|_| self.kind.takes_addend())
        };
        under.is_some_and(|under| {
            under.offset == self.output.offset && under.shape.len() == self.output.shape.len()
        })
    }
}

/// The numbers that an operator computes with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables<'a> {
    /// Kernels, `[output channels][height][width][input channels]` in the order of the operator's
    /// layout; `[height][width][channels]` for a depthwise convolution, the 256 values of a table.
    pub weights: &'a [i8],
    /// Adapter, `[output channels][input channels]` in the same order; empty for none.
    pub adapter: &'a [i8],
    /// Start of each accumulator.
    pub bias: &'a [i32],
    /// Multiplier of each output channel; one for an average pool or a product; those of
    /// [`Slopes`](crate::nn::Slopes).
    pub multipliers: &'a [i32],
    /// Accumulator to int8; its clamp is also that of a maximum pool.
    pub requantisation: Requantisation,
    /// The addition of the second operand, or the scales of what is concatenated.
    pub add: Option<AddRule>,
}

/// A range of the arena (`Range` itself is not `Copy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scratch {
    pub(super) offset: usize,
    pub(super) len: usize,
}

impl Scratch {
    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether the operator has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes of the arena that it takes.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len
    }
}
