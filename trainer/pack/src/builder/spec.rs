//! What there is to say of a model before it is packed.

use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::nn::{Quantisation, Shape, Window};

/// A quantised network with one or two paths that run the same operators.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// What it is called.
    pub name: String,
    /// Where it comes from: free text.
    pub provenance: String,
    /// Parameters of its features.
    pub frontend: FrontendConfig,
    /// What the int8 patch stands for, one entry for each path (1 or 2). Its shape is
    /// `frames x mels x 1`.
    pub input: Vec<Quantisation>,
    /// The operators in an order that can run. Operator `i` writes tensor `i + 1`; tensor 0 is the
    /// input; the last operator writes the features of a path.
    pub ops: Vec<OpSpec>,
    /// Mean embedding over base audio: the features of path 0, then those of path 1.
    pub base_mean: Vec<f32>,
    /// Cosine similarity below which two clips of base audio are taken to be unrelated, -1 to 1.
    pub rejection_similarity: f32,
    /// Share of the first of two paths in a similarity, 0 to 1; written where there is a reference.
    pub invariant_share: f32,
    /// How alike unrelated sounds are, if that was measured.
    pub reference: Option<Reference>,
    /// Runs the leading operators that are the same for both paths only once for an embedding. What
    /// they leave stays in the arena meanwhile, which may make the arena larger.
    pub share_prefix: bool,
}

/// One operator and the tensor it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct OpSpec {
    /// What it computes, and from which tensors.
    pub kind: OpKindSpec,
    /// Applied to its result.
    pub activation: Activation,
    /// The tensor it writes.
    pub output: TensorSpec,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Height (time), width (mel), channels; the same for all paths.
    pub shape: Shape,
    /// What its int8 values stand for, one entry for each path.
    pub quantisation: Vec<Quantisation>,
}

/// What an operator computes. `input`, `a` and `b` are tensors: 0 is the model's input, `i + 1` what
/// operator `i` writes.
#[derive(Clone, Debug, PartialEq)]
pub enum OpKindSpec {
    /// A convolution. The kernels in [`ChannelRules`] are
    /// `[output channels][kernel height][kernel width][input channels]`, 1 to 7 in height and width.
    Convolution {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding; positions outside the map read as real zero.
        window: Window,
        /// Weights and channel rules, one entry for each path.
        paths: Vec<ChannelRules>,
    },
    /// A linear layer over all values of its input in NHWC order, to a 1 x 1 map. The kernels in
    /// [`ChannelRules`] are `[outputs][inputs]`; there is no adapter.
    Linear {
        /// The tensor it reads.
        input: usize,
        /// Weights and channel rules, one entry for each path.
        paths: Vec<ChannelRules>,
    },
    /// A sum of two tensors of one shape.
    Add {
        /// One addend.
        a: usize,
        /// The other.
        b: usize,
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

/// Weights of one path and what becomes of each output channel:
/// `y[o] = gain[o] * (sum(x * w[o]) + sum(centre * adapter[o])) + shift[o]` in real numbers, where `w = weights * scale[o]`, `adapter = adapter * scale[o]`. Batch norm makes `gain`
/// and `shift`; a plain bias makes `shift` with a gain of one. Kernels that are equal in both paths
/// are stored once.
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
    /// Added to each output channel.
    pub shift: Vec<f32>,
}

/// What bounds an operator's results.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// Nothing but the range of int8.
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
