//! Why a description cannot be packed.

use mtslvr_runtime::model::OpenError;

/// Why [`build`](super::build) refused a description. Operators are named by their index in
/// [`ModelSpec::ops`](super::ModelSpec::ops).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// Not one or two paths.
    Paths {
        /// Entries of the input's quantisation.
        found: usize,
    },
    /// No operators, or more than [`MAX_OPS`](mtslvr_runtime::model::MAX_OPS).
    OpCount {
        /// Operators found.
        found: usize,
    },
    /// A list has not as many entries as it needs.
    Length {
        /// The operator; `None` for the model itself.
        op: Option<usize>,
        /// Which list.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// An operator reads a tensor that no operator before it writes.
    Operand {
        /// The operator.
        op: usize,
        /// The tensor it reads.
        tensor: usize,
    },
    /// A tensor's scale is not a positive number from 1e-30 to 1e30.
    Scale {
        /// The tensor.
        tensor: usize,
        /// Its scale.
        found: f32,
    },
    /// A size does not fit the file's field.
    Size {
        /// The operator; `None` for the input.
        op: Option<usize>,
        /// Which size.
        what: &'static str,
        /// Its value.
        found: usize,
        /// The greatest possible.
        limit: usize,
    },
    /// A gain, shift or ratio of scales is not finite or too large for the multipliers: the output's
    /// scale is far too small for what the operator makes.
    Multiplier {
        /// The operator.
        op: usize,
        /// The path.
        path: usize,
        /// The ratio.
        found: f64,
    },
    /// The greatest result of a clipping activation is below its least.
    Activation {
        /// The operator.
        op: usize,
    },
    /// The whole file would be larger than 4 GiB.
    FileTooLarge,
    /// The packed model did not pass its own check, which says what does not fit together. Operators
    /// are named by their index after fusion.
    Check(OpenError),
}

impl core::fmt::Display for BuildError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let place = |op: &Option<usize>| match op {
            Some(op) => format!("operator {op}"),
            None => "model".into(),
        };
        match self {
            Self::Paths { found } => write!(f, "{found} paths found, 1 or 2 expected"),
            Self::OpCount { found } => write!(
                f,
                "{found} operators found, 1 to {} expected",
                mtslvr_runtime::model::MAX_OPS
            ),
            Self::Length {
                op,
                what,
                found,
                expected,
            } => write!(
                f,
                "{}: {what} has {found} entries, {expected} expected",
                place(op)
            ),
            Self::Operand { op, tensor } => write!(
                f,
                "operator {op}: reads tensor {tensor}, which is not there yet"
            ),
            Self::Scale { tensor, found } => write!(
                f,
                "tensor {tensor}: scale {found} found, 1e-30 to 1e30 expected"
            ),
            Self::Size {
                op,
                what,
                found,
                limit,
            } => write!(
                f,
                "{}: {what} is {found}, at most {limit} possible",
                place(op)
            ),
            Self::Multiplier { op, path, found } => write!(
                f,
                "operator {op}, path {path}: a ratio of {found} cannot be represented; calibrate \
                 its output with a larger scale"
            ),
            Self::Activation { op } => {
                write!(
                    f,
                    "operator {op}: greatest result of the clip below the least"
                )
            }
            Self::FileTooLarge => f.write_str("the packed model would be larger than 4 GiB"),
            Self::Check(error) => write!(f, "the packed model does not fit together: {error}"),
        }
    }
}

impl core::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Check(error) => Some(error),
            _ => None,
        }
    }
}
