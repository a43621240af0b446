//! Why bytes are not a model.

use crate::frontend::FrontendConfigError;

/// Why [`Model::open`](crate::model::Model::open) refused a byte string. Operators are named by
/// their index in the program, tensors by theirs (0 is the input, `i + 1` what operator `i`
/// writes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The first byte is not at an address that is a multiple of 16.
    Misaligned,
    /// There are fewer bytes than the header, or than the header says.
    Truncated {
        /// Bytes that a model of this header has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// There are more bytes than the header says.
    Overlong {
        /// Bytes that a model of this header has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The bytes do not begin with `SLVR`.
    Magic,
    /// A version of the format that this reader does not know.
    Version(u16),
    /// The CRC-32 does not match: the file is damaged.
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// A field that must be zero is not.
    Reserved,
    /// Not one or two paths.
    Paths(u16),
    /// No operators or more than [`MAX_OPS`](crate::model::MAX_OPS), or more operators shared by
    /// the paths than there are.
    OpCount(u16),
    /// An offset is not a multiple of 16, or what begins there does not end inside the file.
    Section {
        /// The offset.
        offset: u32,
    },
    /// The name or the provenance is not UTF-8.
    Text,
    /// The frontend's parameters cannot be used.
    Frontend(FrontendConfigError),
    /// A base mean, the rejection similarity or the reference distribution is not made of finite
    /// numbers in their ranges and order.
    Statistics,
    /// The arena is larger than [`MAX_ARENA`](crate::model::MAX_ARENA).
    ArenaTooLarge {
        /// Bytes that the header asks for.
        found: u32,
    },
    /// A tensor has a zero dimension, or its shape is not what its operator makes of its inputs.
    Shape {
        /// The tensor.
        tensor: u16,
    },
    /// A tensor's scale is not finite, positive and of a usable size, or differs where it must be
    /// the same.
    Scale {
        /// The tensor.
        tensor: u16,
    },
    /// A tensor or an operator's scratch lies outside the arena or over something still needed.
    Placement {
        /// The tensor, or the tensor that the operator with the scratch writes.
        tensor: u16,
    },
    /// An operator of a kind that this reader does not know.
    Kind {
        /// The operator.
        op: u16,
        /// Its kind.
        kind: u8,
    },
    /// Weights in pairs of channels whose second is out of range, or that are not zero where there
    /// is no channel or value.
    Weights {
        /// The operator.
        op: u16,
    },
    /// Weights in an order that this reader does not know, or that the file's version or the
    /// operator does not have.
    Layout {
        /// The operator.
        op: u16,
        /// The order found.
        layout: u8,
    },
    /// An operator reads a tensor that does not exist yet, or lacks or has too many operands.
    Operand {
        /// The operator.
        op: u16,
    },
    /// Kernel, stride or padding out of range, or an adapter whose centre leaves the map.
    Window {
        /// The operator.
        op: u16,
    },
    /// A least value above the greatest.
    Clamp {
        /// The operator.
        op: u16,
    },
    /// Some input could overflow the 32-bit accumulator, or a shift is out of range.
    Overflow {
        /// The operator.
        op: u16,
    },
    /// An operator shared by both paths has tables that differ between them.
    Shared {
        /// The operator.
        op: u16,
    },
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the model must start at a multiple of 16 bytes"),
            Self::Truncated { expected, found } => {
                write!(f, "cut short: {found} bytes found, {expected} expected")
            }
            Self::Overlong { expected, found } => {
                write!(f, "too long: {found} bytes found, {expected} expected")
            }
            Self::Magic => f.write_str("not a .slvr model: it does not begin with `SLVR`"),
            Self::Version(found) => write!(
                f,
                "format version {found} found, 1 to {} expected",
                super::VERSION
            ),
            Self::Checksum { expected, found } => write!(
                f,
                "damaged: CRC-32 {found:08x} found, {expected:08x} expected"
            ),
            Self::Reserved => f.write_str("a reserved field is not zero"),
            Self::Paths(found) => write!(f, "{found} paths found, 1 or 2 expected"),
            Self::OpCount(found) => write!(
                f,
                "{found} operators found, 1 to {} expected",
                super::MAX_OPS
            ),
            Self::Section { offset } => write!(
                f,
                "the section at offset {offset} is not aligned to 16 bytes or leaves the file"
            ),
            Self::Text => f.write_str("name or provenance is not UTF-8"),
            Self::Frontend(error) => write!(f, "frontend: {error}"),
            Self::Statistics => {
                f.write_str(
                    "base mean, rejection similarity or reference distribution holds a number that is not \
                     finite, in range and in order",
                )
            }
            Self::ArenaTooLarge { found } => write!(
                f,
                "an arena of {found} bytes asked for, at most {} expected",
                super::MAX_ARENA
            ),
            Self::Shape { tensor } => {
                write!(
                    f,
                    "tensor {tensor}: its shape does not follow from its inputs'"
                )
            }
            Self::Scale { tensor } => write!(f, "tensor {tensor}: unusable scale or zero point"),
            Self::Placement { tensor } => write!(
                f,
                "tensor {tensor}: placed outside the arena or over a tensor still needed"
            ),
            Self::Kind { op, kind } => write!(f, "operator {op}: unknown kind {kind}"),
            Self::Weights { op } => write!(f, "operator {op}: weights that cannot be"),
            Self::Layout { op, layout } => {
                write!(f, "operator {op}: cannot have weights in order {layout}")
            }
            Self::Operand { op } => {
                write!(
                    f,
                    "operator {op}: reads what is not there, or wrong operands"
                )
            }
            Self::Window { op } => {
                write!(f, "operator {op}: kernel, stride or padding out of range")
            }
            Self::Clamp { op } => write!(f, "operator {op}: least output above the greatest"),
            Self::Overflow { op } => {
                write!(f, "operator {op}: its accumulator could overflow 32 bits")
            }
            Self::Shared { op } => {
                write!(
                    f,
                    "operator {op}: shared, but its tables differ between paths"
                )
            }
        }
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Frontend(error) => Some(error),
            _ => None,
        }
    }
}
