//! Errors of reading ONNX files.

use crate::engine::{KEY_FRONTEND, MetadataError};

/// Operators that can be read, for error messages.
pub const SUPPORTED: &str = "Conv, BatchNormalization, Relu, Clip, Add, Sub, Mul, Div (by constants), \
     Gemm, MatMul, GlobalAveragePool, ReduceMean, AveragePool, MaxPool, Flatten, Reshape, Squeeze, \
     Identity, Dropout, Constant";

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
