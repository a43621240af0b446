//! Errors of reading ONNX files.

use crate::metadata::{KEY_FRONTEND, MetadataError};
use crate::work::Grouped;
use std::path::PathBuf;

/// Operators that can be read, for error messages.
pub const SUPPORTED: &str = "Conv, BatchNormalization, Add, Mul, Sub, Div (by constants), Gemm, MatMul, \
     GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax, AveragePool, MaxPool, Concat, Slice, Split (of \
     channels), PRelu, functions of one value (Relu, Clip, HardSwish, HardSigmoid, Sigmoid, Tanh, Gelu, \
     LeakyRelu, Elu, Erf, ...), and all that only changes a shape, an order of axes or nothing";

/// Name of the variable of the environment that multiplies [`Limits::DEFAULT`].
pub const LIMITS_VARIABLE: &str = "MTSLVR_ONNX_LIMITS";

/// Explains why an ONNX file cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The bytes are no ONNX model.
    #[error("not an ONNX model: {0}")]
    NotOnnx(String),
    /// The packed engine has no such operator.
    #[error("node `{node}`: the operator {op} is not supported; supported are {SUPPORTED}")]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
    },
    /// A supported operator is used in a way that is not supported.
    #[error("node `{node}` ({op}): {reason}")]
    Node {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
        /// Obstacle.
        reason: String,
    },
    /// A constant cannot be read.
    #[error("constant `{name}` holds {reason}")]
    Constant {
        /// Its name.
        name: String,
        /// Contents found.
        reason: String,
    },
    /// Weights in another file cannot be read.
    #[error("`{tensor}` lies in another file, `{location}`: {reason}")]
    External {
        /// Name of the constant.
        tensor: String,
        /// Location of its values, as the model states it.
        location: String,
        /// Obstacle.
        reason: String,
    },
    /// A graph that should be cut at a value has none of its name.
    #[error("no node makes a value called `{name}`; there are {others}, ...")]
    NoValue {
        /// The name that was given.
        name: String,
        /// Names of values that it could be.
        others: String,
    },
    /// A value at which a graph should be cut off is not computed from the value at which it should begin.
    #[error("`{value}` is not computed from `{from}`")]
    NotBehind {
        /// The value at the end.
        value: String,
        /// The value at the beginning.
        from: String,
    },
    /// The part of a graph that should be cut out has another input.
    #[error(
        "`{of}` is computed from `{input}`, too, and not only from `{from}`: cut at a value behind both"
    )]
    OtherInput {
        /// The value at the end.
        of: String,
        /// The other input.
        input: String,
        /// The value at the beginning.
        from: String,
    },
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Message of the operating system.
        source: std::io::Error,
    },
    /// The model asks for more than [`Limits`](super::Limits) allow.
    #[error(
        "it has or needs {} {what}; at most {} are taken; set {LIMITS_VARIABLE}=N in the environment to raise all \
         limits N times",
        Grouped(*found),
        Grouped(*most)
    )]
    Limit {
        /// Quantity that is too large.
        what: &'static str,
        /// Its size.
        found: u64,
        /// Largest size that is taken.
        most: u64,
    },
    /// The limits in the environment are not a number.
    #[error(
        "{LIMITS_VARIABLE} is \"{0}\"; expected a whole number of at least 1, such as 2; correct it or unset it"
    )]
    Variable(String),
    /// An engine cannot be given a node whose results are not known beforehand.
    #[error("node `{node}`: the size of what the operator {op} makes cannot be checked")]
    Unchecked {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
    },
    /// The graph's inputs or outputs are not those of a backbone.
    #[error("{0}")]
    Interface(String),
    /// The metadata cannot be read, or lacks the frontend.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// No frontend is known.
    #[error(
        "the metadata has no `{KEY_FRONTEND}`: say how its input is made with --frontend FILE.toml \
         (keys sample_rate, window, hop, mels, frames, f_min, f_max, floor, mean, scale, layout)"
    )]
    NoFrontend,
}
