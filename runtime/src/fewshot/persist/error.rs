//! Why what was saved cannot be used.

use crate::space::BackboneId;

/// Why a saved support set was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes do not begin as they should: they are something else.
    NotASnapshot,
    /// Written by a later version of this software.
    Version {
        /// The version found.
        found: u16,
        /// The last one that is understood.
        known: u16,
    },
    /// The length is not what the content says.
    Length {
        /// Bytes that the content says.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The bytes were damaged.
    Checksum {
        /// CRC-32 of the bytes.
        computed: u32,
        /// CRC-32 that they state.
        stated: u32,
    },
    /// The checksum is right and the content is not: not written by this software.
    Malformed,
    /// The record of an example is lost or damaged.
    ExampleLost {
        /// The example, counted over all classes.
        example: usize,
    },
    /// Enrolled under another backbone, whose embeddings mean something else. Where the recordings
    /// are kept, enrol them again.
    OtherBackbone {
        /// The backbone that it was enrolled under.
        enrolled_under: BackboneId,
        /// The backbone in use.
        in_use: BackboneId,
    },
    /// There is not enough room for its classes.
    TooManyClasses {
        /// Classes in it.
        found: usize,
        /// Most classes that there is room for.
        capacity: usize,
    },
    /// There is not enough room for its examples.
    TooManyExamples {
        /// Examples in it.
        found: usize,
        /// Most examples that there is room for.
        capacity: usize,
    },
}

impl core::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotASnapshot => f.write_str("these bytes are no snapshot of taught sounds"),
            Self::Version { found, known } => write!(
                f,
                "version {found} of the snapshot format, expected {known} or less: update this \
                 software"
            ),
            Self::Length { expected, found } => write!(
                f,
                "{found} bytes, expected {expected}: the snapshot was cut or something follows it"
            ),
            Self::Checksum { computed, stated } => write!(
                f,
                "the snapshot's checksum is {computed:08x}, expected {stated:08x}: it was damaged"
            ),
            Self::Malformed => f.write_str(
                "the snapshot contradicts itself although its checksum is right: make it again",
            ),
            Self::ExampleLost { example } => write!(
                f,
                "the record of example {example} is lost: erase the store and enrol again"
            ),
            Self::OtherBackbone {
                enrolled_under,
                in_use,
            } => write!(
                f,
                "enrolled under the backbone {enrolled_under}, but {in_use} is in use: \
                 enrol the recordings again, or go back to that backbone"
            ),
            Self::TooManyClasses { found, capacity } => {
                write!(f, "{found} classes, and there is room for {capacity}")
            }
            Self::TooManyExamples { found, capacity } => {
                write!(f, "{found} examples, and there is room for {capacity}")
            }
        }
    }
}

impl core::error::Error for RestoreError {}
