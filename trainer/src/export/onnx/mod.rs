//! ONNX, the interchange: written from trained weights, read back (also from other exporters).

mod adapter;
mod attributes;
mod path;
mod quantised;
mod read;
mod tensor;
#[cfg(test)]
mod tests;
mod write;

pub use quantised::write_quantised;
pub use read::{ImportError, SUPPORTED, read, read_metadata, with_metadata};
pub use write::{KEY_PARTS, WriteError, write};

/// Operator set that the writer declares.
pub const OPSET: i64 = 17;
