//! Errors of writing a backbone as ONNX.

use mtslvr_runtime::space::PartsError;

/// Reason that weights cannot be written as the backbone they are said to be.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WriteError {
    /// A tensor that the backbone needs is not among the weights.
    #[error("the weights lack `{0}`, which this backbone needs; are they from another preset?")]
    Missing(String),
    /// A tensor has another shape than the backbone gives it.
    #[error("`{name}` has shape {found:?}, but this backbone needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// Shape that the backbone needs.
        expected: Vec<usize>,
    },
    /// A tensor holds a value that is not finite.
    #[error("`{0}` holds a value that is not finite; the training has diverged")]
    NotFinite(String),
    /// The backbone's parts cannot make up an embedding.
    #[error("the backbone's parts cannot be written: {0}")]
    Parts(PartsError),
}

impl From<PartsError> for WriteError {
    fn from(error: PartsError) -> Self {
        Self::Parts(error)
    }
}
