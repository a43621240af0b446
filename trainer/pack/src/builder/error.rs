//! Errors of packing a description.

use mtslvr_runtime::model::{MAX_OPS, OpenError};
use mtslvr_runtime::space::PartsError;

/// Explains why [`build`](super::build) refused a description. Operators are named by their index in
/// [`ModelSpec::ops`](super::ModelSpec::ops).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No operators, or more than [`MAX_OPS`].
    #[error("{found} operators found, 1 to {MAX_OPS} expected")]
    OpCount {
        /// Operators found.
        found: usize,
    },
    /// A list has not as many entries as it needs.
    #[error("{}: {what} has {found} entries, {expected} expected", place(*op))]
    Length {
        /// The operator; `None` for the model itself.
        op: Option<usize>,
        /// Name of the list.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// An operator reads a tensor that no operator before it writes.
    #[error("operator {op}: reads tensor {tensor}, which is not there yet")]
    Operand {
        /// The operator.
        op: usize,
        /// The tensor it reads.
        tensor: usize,
    },
    /// A part names a tensor that does not exist.
    #[error("part `{part}`: tensor {tensor} is not there")]
    PartTensor {
        /// The part's name.
        part: String,
        /// The tensor it names.
        tensor: usize,
    },
    /// The parts do not describe an embedding.
    #[error("parts: {0}")]
    Parts(PartsError),
    /// A tensor's scale is not a positive number from 1e-30 to 1e30.
    #[error("tensor {tensor}: scale {found} found, 1e-30 to 1e30 expected")]
    Scale {
        /// The tensor.
        tensor: usize,
        /// Its scale.
        found: f32,
    },
    /// A size does not fit the file's field.
    #[error("{}: {what} is {found}, at most {limit} possible", place(*op))]
    Size {
        /// The operator; `None` for the model itself.
        op: Option<usize>,
        /// Name of the size.
        what: &'static str,
        /// Its value.
        found: usize,
        /// The greatest possible.
        limit: usize,
    },
    /// A gain, shift or ratio of scales is not finite or too large for the multipliers: the output's
    /// scale is far too small for what the operator makes.
    #[error(
        "operator {op}: a ratio of {found} cannot be represented; calibrate its output with a larger \
         scale"
    )]
    Multiplier {
        /// The operator.
        op: usize,
        /// The ratio.
        found: f64,
    },
    /// The greatest result of a clipping activation is below its least.
    #[error("operator {op}: greatest result of the clip below the least")]
    Activation {
        /// The operator.
        op: usize,
    },
    /// The whole file would be larger than 4 GiB.
    #[error("the packed model would be larger than 4 GiB")]
    FileTooLarge,
    /// The packed model did not pass its own check, which says what does not fit together. Operators
    /// are named by their index after fusion.
    #[error("the packed model does not fit together: {0}")]
    Check(OpenError),
}

fn place(op: Option<usize>) -> String {
    match op {
        Some(op) => format!("operator {op}"),
        None => "model".into(),
    }
}
