//! Why saved sounds cannot be used.

use crate::space::BackboneId;

/// Explains why a saved support set was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes do not begin as they should: they are something else.
    #[error("these bytes are no snapshot of taught sounds")]
    NotASnapshot,
    /// The bytes are of a version that this software does not know.
    #[error(
        "version {found} of the snapshot format, expected {known}: use the software that wrote it, \
         or a newer one"
    )]
    Version {
        /// Version found.
        found: u16,
        /// Version that is understood.
        known: u16,
    },
    /// The length is not the one that the header says.
    #[error("{found} bytes, expected {expected}: the snapshot was cut or something follows it")]
    Length {
        /// Bytes that the header says.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The bytes were damaged.
    #[error("the snapshot's checksum is {computed:08x}, expected {stated:08x}: it was damaged")]
    Checksum {
        /// CRC-32 of the bytes.
        computed: u32,
        /// CRC-32 that they state.
        stated: u32,
    },
    /// There is a section that this software does not know and must not skip.
    #[error("the snapshot holds a section of kind {kind}, which a newer version understands")]
    UnknownSection {
        /// Kind of the section.
        kind: u16,
    },
    /// The checksum is right and the content is not: not written by this software.
    #[error("the snapshot contradicts itself although its checksum is right: make it again")]
    Malformed,
    /// The record of an example is lost or damaged.
    #[error("the record of example {example} is lost: erase the store and enrol again")]
    ExampleLost {
        /// The example, counted over all classes.
        example: usize,
    },
    /// The sounds were enrolled under another backbone, whose embeddings mean something else. Where the
    /// recordings are kept, enrol them again.
    #[error(
        "enrolled under the backbone {enrolled_under}, but {in_use} is in use: enrol the recordings \
         again, or go back to that backbone"
    )]
    OtherBackbone {
        /// The backbone that the sounds were enrolled under.
        enrolled_under: BackboneId,
        /// The backbone in use.
        in_use: BackboneId,
    },
    /// There is not enough room for the classes.
    #[error("{found} classes, and there is room for {capacity}")]
    TooManyClasses {
        /// Classes in the snapshot.
        found: usize,
        /// Most classes that there is room for.
        capacity: usize,
    },
    /// There is not enough room for the examples.
    #[error("{found} examples, and there is room for {capacity}")]
    TooManyExamples {
        /// Examples in the snapshot.
        found: usize,
        /// Most examples that there is room for.
        capacity: usize,
    },
}
