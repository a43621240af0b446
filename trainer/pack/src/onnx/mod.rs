//! Reads ONNX files of any exporter, and writes packed models as ONNX.

mod adapter;
mod attributes;
mod cut;
mod error;
mod external;
mod file;
mod limits;
mod message;
mod normalise;
mod path;
pub mod proto;
mod quantised;
mod read;
mod tensor;
#[cfg(all(test, feature = "tract"))]
mod tests;

pub use cut::{cut, outputs};
pub use error::{ImportError, SUPPORTED};
pub use external::load;
pub use file::{file, int, ints, value_info};
pub use limits::Limits;
pub use normalise::{Checked, checked};
/// The messages that an ONNX file is made of.
pub use proto as pb;
pub use quantised::write_quantised;
pub use read::{read, read_metadata, with_metadata};

/// Operator set that the writer declares.
pub const OPSET: i64 = 17;
