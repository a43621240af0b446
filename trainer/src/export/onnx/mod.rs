//! ONNX, the interchange: written from trained weights, read back (also from other exporters).

mod write;

pub use write::{WriteError, write};

/// Operator set that the writer declares.
pub const OPSET: i64 = 17;
