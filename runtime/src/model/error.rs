//! Errors of opening a model.

use super::wire::{MAX_ARENA, MAX_OPS, SectionKind, VERSION};
use crate::frontend::FrontendConfigError;
use crate::space::PartsError;

/// Explains why [`Model::open`](crate::model::Model::open) refused a byte string. Operators are named
/// by their index in the program, tensors by theirs (0 is the patch, `i + 1` what operator `i`
/// writes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError {
    /// The first byte is not at an address that is a multiple of 16.
    #[error("the model must start at a multiple of 16 bytes")]
    Misaligned,
    /// There are fewer bytes than the header, or than the header says.
    #[error("cut short: {found} bytes found, {expected} expected")]
    Truncated {
        /// Bytes that a model of this header has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// There are more bytes than the header says.
    #[error("too long: {found} bytes found, {expected} expected")]
    Overlong {
        /// Bytes that a model of this header has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The bytes do not begin with `SLVR`.
    #[error("not a .slvr model: it does not begin with `SLVR`")]
    Magic,
    /// A version of the format that this reader does not know.
    #[error("format version {0} found, {VERSION} expected")]
    Version(u16),
    /// The CRC-32 does not match: the file is damaged.
    #[error("damaged: CRC-32 {found:08x} found, {expected:08x} expected")]
    Checksum {
        /// CRC-32 that the header states.
        expected: u32,
        /// CRC-32 of the bytes.
        found: u32,
    },
    /// A field that must be zero, or that an operator does not use, is set.
    #[error("a reserved field is not zero")]
    Reserved,
    /// The section table leaves the file, or has too many records.
    #[error("the section table leaves the file or has too many records")]
    SectionTable,
    /// A section does not begin at a multiple of 16, overlaps the one before it, or leaves the file.
    #[error("section {index} is not aligned to 16 bytes, overlaps another or leaves the file")]
    Section {
        /// Its place in the section table.
        index: u16,
    },
    /// This reader does not know a section that it must understand.
    #[error("section kind {kind} is needed to read this model and unknown here: update the reader")]
    UnknownSection {
        /// Number of its kind.
        kind: u16,
    },
    /// A section that every model has is not there.
    #[error("the section `{0}` is missing")]
    MissingSection(SectionKind),
    /// A section is there twice.
    #[error("the section `{0}` is there twice")]
    RepeatedSection(SectionKind),
    /// A section does not have the length that its contents need.
    #[error("the section `{0}` has a wrong length")]
    SectionLen(SectionKind),
    /// Name or provenance are not UTF-8.
    #[error("name or provenance is not UTF-8")]
    Text,
    /// The frontend's parameters cannot be used.
    #[error("frontend: {0}")]
    Frontend(#[source] FrontendConfigError),
    /// The norm of a patch has an unknown mean, not a mean and a scale for each band, or one out of range.
    #[error(
        "the norm of a patch is unknown, or has not a mean and a scale for each band, within 1e4, the \
         scale not 0"
    )]
    PatchNorm,
    /// The parts do not describe an embedding.
    #[error("parts: {0}")]
    Parts(#[source] PartsError),
    /// A part names a tensor that is not there or is not as long as the part.
    #[error("part {part}: its tensor is not there or not as long as the part")]
    PartTensor {
        /// Its place among the parts.
        part: u16,
    },
    /// Base mean or reference are not made of finite numbers in their ranges and order, or the cohort not
    /// of directions, or no part has a weight at one of them.
    #[error(
        "base mean or reference holds a number that is not finite, in range and in order, or the cohort \
         a direction whose parts do not peak at 127 or have no weight"
    )]
    Statistics,
    /// No operators, or more than [`MAX_OPS`].
    #[error("{0} operators found, 1 to {MAX_OPS} expected")]
    OpCount(u16),
    /// The arena is larger than [`MAX_ARENA`].
    #[error("an arena of {found} bytes asked for, at most {MAX_ARENA} expected")]
    ArenaTooLarge {
        /// Bytes that the network asks for.
        found: u32,
    },
    /// A tensor has a zero dimension, or its shape is not what its operator makes of its inputs.
    #[error("tensor {tensor}: its shape does not follow from its inputs'")]
    Shape {
        /// The tensor.
        tensor: u16,
    },
    /// A tensor's scale is not finite, positive and of a usable size, or differs where it must be
    /// the same.
    #[error("tensor {tensor}: unusable scale or zero point")]
    Scale {
        /// The tensor.
        tensor: u16,
    },
    /// A tensor or an operator's scratch lies outside the arena or over something still needed.
    #[error("tensor {tensor}: placed outside the arena or over a tensor still needed")]
    Placement {
        /// The tensor, or the tensor that the operator with the scratch writes.
        tensor: u16,
    },
    /// An operator of a kind that this reader does not know.
    #[error("operator {op}: unknown kind {kind}")]
    Kind {
        /// The operator.
        op: u16,
        /// Number of its kind.
        kind: u8,
    },
    /// Weights in pairs of channels whose second is out of range, or that are not zero where there
    /// is no channel or value.
    #[error("operator {op}: weights that cannot be")]
    Weights {
        /// The operator.
        op: u16,
    },
    /// Weights in an order that this reader does not know or the operator does not have.
    #[error("operator {op}: cannot have weights in order {layout}")]
    Layout {
        /// The operator.
        op: u16,
        /// Number of the order.
        layout: u8,
    },
    /// A table does not begin at a multiple of 16 of the constants, or leaves them.
    #[error("operator {op}: a table is not aligned to 16 bytes or leaves the constants")]
    Table {
        /// The operator.
        op: u16,
    },
    /// An operator reads a tensor that does not exist yet, or lacks or has too many operands.
    #[error("operator {op}: reads what is not there, or wrong operands")]
    Operand {
        /// The operator.
        op: u16,
    },
    /// Kernel, stride or padding out of range, or an adapter whose centre leaves the map.
    #[error("operator {op}: kernel, stride or padding out of range")]
    Window {
        /// The operator.
        op: u16,
    },
    /// The least value of a clamp is above its greatest.
    #[error("operator {op}: least output above the greatest")]
    Clamp {
        /// The operator.
        op: u16,
    },
    /// Some input could overflow the 32-bit accumulator, or a shift is out of range.
    #[error("operator {op}: its accumulator could overflow 32 bits")]
    Overflow {
        /// The operator.
        op: u16,
    },
}
