//! Reads ONNX files of any exporter, and writes packed models as ONNX.

mod adapter;
mod attributes;
mod error;
mod file;
mod path;
pub mod proto;
mod quantised;
mod read;
mod tensor;
#[cfg(test)]
mod tests;

pub use error::{ImportError, SUPPORTED};
pub use file::{file, int, ints, value_info};
/// The messages that an ONNX file is made of.
pub use proto as pb;
pub use quantised::write_quantised;
pub use read::{read, read_metadata, with_metadata};

/// Operator set that the writer declares.
pub const OPSET: i64 = 17;
