//! ONNX, the interchange: read from any exporter's files, and written from a packed model.

mod adapter;
mod attributes;
mod file;
mod path;
mod quantised;
mod read;
mod tensor;
#[cfg(test)]
mod tests;

pub use file::{file, int, ints, value_info};
pub use quantised::write_quantised;
pub use read::{ImportError, SUPPORTED, read, read_metadata, with_metadata};
/// The messages that an ONNX file is made of.
pub use tract_onnx::pb;

/// Operator set that the writer declares.
pub const OPSET: i64 = 17;
