//! Describes a quantised network before it is packed.

use super::curve::Curve;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{FrontendConfig, PatchMean, PatchNorm};
use mtslvr_runtime::model::OpKind;
use mtslvr_runtime::nn::{Quantisation, Shape, Window};
use std::sync::Arc;

/// A quantised network: operators over tensors, and which of these are the parts of an embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Name of the model.
    pub name: String,
    /// Origin of the weights, as free text.
    pub provenance: String,
    /// Parameters of its features.
    pub frontend: FrontendConfig,
    /// Norm of a patch of these before it is quantised, if there is one.
    pub patch_norm: Option<OwnedPatchNorm>,
    /// Real values that the int8 patch stands for. Its shape is `frames x mels x 1`.
    pub input: Quantisation,
    /// The operators in an order that can run. Operator `i` writes tensor `i + 1`; tensor 0 is the
    /// patch.
    pub ops: Vec<OpSpec>,
    /// The parts of an embedding, 1 to 8, in their order.
    pub parts: Vec<PartSpec>,
    /// Mean embedding of ordinary audio: the values of all parts, one part after the other.
    pub base_mean: Vec<f32>,
    /// How alike the embeddings of unrelated sounds are, if that was measured.
    pub reference: Option<Reference>,
    /// Directions of ordinary sounds, int8, one after the other; empty for none.
    pub cohort: Vec<i8>,
    /// Weights of the parts near each of these directions, a row for each; empty for none.
    pub cohort_weights: Vec<u8>,
    /// A number that grows from one release of a model to the next, if that is counted.
    pub version_counter: Option<u64>,
}

/// A [`PatchNorm`] that owns its numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnedPatchNorm {
    /// The mean of the patch itself that is subtracted.
    pub mean: PatchMean,
    /// Mean and scale of each band; empty where they are 0 and 1.
    pub bands: Vec<[f32; 2]>,
}

impl OwnedPatchNorm {
    /// Returns it in the runtime's form.
    pub fn as_norm(&self) -> PatchNorm<'_> {
        PatchNorm {
            mean: self.mean,
            bands: &self.bands,
        }
    }
}

impl From<PatchNorm<'_>> for OwnedPatchNorm {
    fn from(norm: PatchNorm<'_>) -> Self {
        Self {
            mean: norm.mean,
            bands: norm.bands.to_vec(),
        }
    }
}

/// A part of an embedding, and the tensor that holds its values.
#[derive(Clone, Debug, PartialEq)]
pub struct PartSpec {
    /// Its name, 1 to 32 bytes.
    pub name: String,
    /// The tensor: 0 is the patch, `i + 1` what operator `i` writes.
    pub tensor: usize,
    /// Its share in the similarity, 0 to 1; the shares of all parts add up to 1.
    pub share: f32,
}

/// One operator and the tensor it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct OpSpec {
    /// The computation, and the tensors it reads.
    pub kind: OpKindSpec,
    /// Activation of its result.
    pub activation: Activation,
    /// The tensor it writes.
    pub output: TensorSpec,
}

/// A tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorSpec {
    /// Height (time), width (mel), channels.
    pub shape: Shape,
    /// Real values that its int8 values stand for.
    pub quantisation: Quantisation,
}

/// An operator over tensors: 0 is the patch, `i + 1` what operator `i` writes. `C` is the form that
/// its weights are in.
#[derive(Clone, Debug, PartialEq)]
pub enum OpKindSpec<C = ChannelRules> {
    /// A convolution. The kernels are
    /// `[output channels][kernel height][kernel width][input channels]`, 1 to 15 in height and width.
    Convolution {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding; positions outside the map read as real zero.
        window: Window,
        /// Weights and the rule of each output channel.
        channels: C,
    },
    /// A linear layer over all values of its input in NHWC order, to a 1 x 1 map. The kernels are
    /// `[outputs][inputs]`; there is no adapter.
    Linear {
        /// The tensor it reads.
        input: usize,
        /// Weights and the rule of each output channel.
        channels: C,
    },
    /// A convolution of each channel by itself: as many output channels as input channels. The kernels
    /// are `[channel][kernel height][kernel width]`, 1 to 15 in height and width; there is no adapter.
    Depthwise {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride, padding and dilation; positions outside the map read as real zero.
        window: Window,
        /// Weights and the rule of each channel.
        channels: C,
    },
    /// A sum of two tensors. The second has the first's shape, or is repeated along dimensions in which it
    /// has a single row, column or channel.
    Add {
        /// One addend.
        a: usize,
        /// The other.
        b: usize,
    },
    /// A product of two tensors, whose shapes are as for a sum.
    Multiply {
        /// One factor.
        a: usize,
        /// The other.
        b: usize,
    },
    /// A function of each value.
    Lookup {
        /// The tensor it reads.
        input: usize,
        /// The function.
        curve: Arc<Curve>,
    },
    /// `x` above zero, `slope * x` below, with a slope for each channel.
    Slopes {
        /// The tensor it reads.
        input: usize,
        /// The slopes.
        slopes: Arc<[f32]>,
    },
    /// The channels of two tensors of one height and width, one behind the other.
    Concatenate {
        /// The tensor whose channels come first.
        a: usize,
        /// The other.
        b: usize,
    },
    /// As many channels as the output has, from one on. Its output's quantisation is that of its input.
    Slice {
        /// The tensor it reads.
        input: usize,
        /// The first channel.
        first: usize,
    },
    /// The same values in the same order, in the shape of the output. Its output's quantisation is that of its
    /// input.
    Reshape {
        /// The tensor it reads.
        input: usize,
    },
    /// A maximum over windows; padding does not take part. Its output's quantisation is that of
    /// its input. A 1x1 kernel makes it an activation alone.
    MaxPool {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding.
        window: Window,
    },
    /// A mean over windows, padding counted as zero. A kernel as large as the map makes it global.
    AveragePool {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding.
        window: Window,
    },
}

impl<C> OpKindSpec<C> {
    /// Returns the packed engine's kind of operator.
    pub fn op_kind(&self) -> OpKind {
        match self {
            Self::Convolution { .. } => OpKind::Convolution,
            Self::Linear { .. } => OpKind::Linear,
            Self::Depthwise { .. } => OpKind::Depthwise,
            Self::Add { .. } => OpKind::Add,
            Self::Multiply { .. } => OpKind::Multiply,
            Self::Lookup { .. } => OpKind::Lookup,
            Self::Slopes { .. } => OpKind::Slopes,
            Self::Concatenate { .. } => OpKind::Concatenate,
            Self::Slice { .. } => OpKind::Slice,
            Self::Reshape { .. } => OpKind::Reshape,
            Self::MaxPool { .. } => OpKind::MaxPool,
            Self::AveragePool { .. } => OpKind::AveragePool,
        }
    }

    /// Returns the tensors that it reads.
    pub fn operands(&self) -> (usize, Option<usize>) {
        match *self {
            Self::Convolution { input, .. }
            | Self::Depthwise { input, .. }
            | Self::Linear { input, .. }
            | Self::Lookup { input, .. }
            | Self::Slopes { input, .. }
            | Self::Slice { input, .. }
            | Self::Reshape { input }
            | Self::MaxPool { input, .. }
            | Self::AveragePool { input, .. } => (input, None),
            Self::Add { a, b } | Self::Multiply { a, b } | Self::Concatenate { a, b } => {
                (a, Some(b))
            }
        }
    }

    /// Returns its kernel, stride and padding; those of a single position where it has none.
    pub fn window(&self) -> Window {
        match *self {
            Self::Convolution { window, .. }
            | Self::Depthwise { window, .. }
            | Self::MaxPool { window, .. }
            | Self::AveragePool { window, .. } => window,
            _ => Window::square(1, 1, 0),
        }
    }

    /// Returns its weights, if it has any.
    pub fn channels(&self) -> Option<&C> {
        match self {
            Self::Convolution { channels, .. }
            | Self::Depthwise { channels, .. }
            | Self::Linear { channels, .. } => Some(channels),
            _ => None,
        }
    }

    /// Returns its weights to change them, if it has any.
    pub fn channels_mut(&mut self) -> Option<&mut C> {
        match self {
            Self::Convolution { channels, .. }
            | Self::Depthwise { channels, .. }
            | Self::Linear { channels, .. } => Some(channels),
            _ => None,
        }
    }

    /// Returns the same operator with its weights in another form.
    pub fn map_channels<D>(&self, form: impl FnOnce(&C) -> D) -> OpKindSpec<D> {
        match *self {
            Self::Convolution {
                input,
                window,
                ref channels,
            } => OpKindSpec::Convolution {
                input,
                window,
                channels: form(channels),
            },
            Self::Linear {
                input,
                ref channels,
            } => OpKindSpec::Linear {
                input,
                channels: form(channels),
            },
            Self::Depthwise {
                input,
                window,
                ref channels,
            } => OpKindSpec::Depthwise {
                input,
                window,
                channels: form(channels),
            },
            Self::Add { a, b } => OpKindSpec::Add { a, b },
            Self::Multiply { a, b } => OpKindSpec::Multiply { a, b },
            Self::Lookup { input, ref curve } => OpKindSpec::Lookup {
                input,
                curve: curve.clone(),
            },
            Self::Slopes { input, ref slopes } => OpKindSpec::Slopes {
                input,
                slopes: slopes.clone(),
            },
            Self::Concatenate { a, b } => OpKindSpec::Concatenate { a, b },
            Self::Slice { input, first } => OpKindSpec::Slice { input, first },
            Self::Reshape { input } => OpKindSpec::Reshape { input },
            Self::MaxPool { input, window } => OpKindSpec::MaxPool { input, window },
            Self::AveragePool { input, window } => OpKindSpec::AveragePool { input, window },
        }
    }
}

/// Weights and the rule of each output channel:
/// `y[o] = gain[o] * (sum(x * w[o]) + sum(centre * adapter[o])) + shift[o]` in real numbers, where
/// `w = weights * scale[o]` and `adapter = adapter * scale[o]`. Batch norm gives `gain` and `shift`; a
/// plain bias gives `shift` with a gain of one. Equal tables are stored once, whichever operators they
/// belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelRules {
    /// Kernels, output channel outermost, input channel innermost.
    pub weights: Vec<i8>,
    /// A parallel 1x1 convolution with the same stride, `[output channels][input channels]`, in
    /// the kernels' scale.
    pub adapter: Option<Vec<i8>>,
    /// Real value of one step of the weights, of each output channel.
    pub scale: Vec<f32>,
    /// Factor of each output channel; may be negative or zero.
    pub gain: Vec<f32>,
    /// Constant added to each output channel.
    pub shift: Vec<f32>,
}

/// Bounds of an operator's results.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// No bounds but the range of int8.
    #[default]
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, lo), hi)`, in real numbers.
    Clip {
        /// Least result.
        lo: f32,
        /// Greatest result.
        hi: f32,
    },
}
