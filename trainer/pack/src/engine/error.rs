//! Errors of the float engines.

use crate::metadata::MetadataError;
use mtslvr_runtime::backbone::EmbedError;

/// Explains why an ONNX model cannot be opened or run. Each variant names the model it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The file cannot be read.
    #[error("{model}: cannot be read: {error}")]
    Read {
        /// The model.
        model: String,
        /// Message of the operating system.
        error: std::io::Error,
    },
    /// The metadata lacks an entry, or an entry is not as expected.
    #[error("{model}: {error}")]
    Metadata {
        /// The model.
        model: String,
        /// Fault that was found.
        error: MetadataError,
    },
    /// The engine cannot take the graph.
    #[error("{model}: not a usable model: {reason}")]
    Graph {
        /// The model.
        model: String,
        /// Fault that was found.
        reason: String,
    },
    /// ONNX Runtime's shared library is absent, too old or another file.
    #[error("{reason}")]
    Library {
        /// Fault that was found, and the remedy.
        reason: String,
    },
    /// This program was built without the engine.
    #[error(
        "{model}: this program was built without the engine {engine}; it runs packed models (.slvr)"
    )]
    NotBuilt {
        /// The model.
        model: String,
        /// The engine.
        engine: &'static str,
    },
    /// A patch or the room for its embedding has the wrong length.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The engine failed on a patch.
    #[error("{model}: inference failed: {reason}")]
    Run {
        /// The model.
        model: String,
        /// Message of the engine.
        reason: String,
    },
}
