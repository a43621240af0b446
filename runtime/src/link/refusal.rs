//! Why a device does not do what it is asked.

use super::frame::FrameWriter;
use super::message::number;
use crate::bytes::Reader;
use crate::fewshot::persist::{ExportError, RestoreError};

/// Explains why a device does not do what it is asked. What it had before, it has still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// The request is none that the device knows, or its fields are out of range.
    #[error("the device does not understand the request")]
    UnknownRequest,
    /// Nothing was announced or offered, or another transfer came between.
    #[error("the device has no such transfer under way")]
    NotBegun,
    /// The object is longer than the room for it.
    #[error("{found} bytes, and the device has room for {room}")]
    TooLong {
        /// Bytes of the object.
        found: u32,
        /// Bytes of room.
        room: u32,
    },
    /// Not all bytes of the object were given.
    #[error("the device has {found} bytes, expected {expected}")]
    Incomplete {
        /// Bytes that the device has.
        found: u32,
        /// Bytes of the object.
        expected: u32,
    },
    /// The object's checksum is another than announced.
    #[error("the checksum of all bytes is {computed:08x}, expected {stated:08x}")]
    Checksum {
        /// CRC-32 of the bytes that came.
        computed: u32,
        /// CRC-32 that was announced.
        stated: u32,
    },
    /// The bytes are no profile, or no model, that the device's software can read.
    #[error("the device cannot read these bytes: damaged, or of another version")]
    Unreadable,
    /// The profile was enrolled under another backbone than the device's.
    #[error("the profile belongs to another backbone than the device's")]
    OtherBackbone,
    /// The profile has more classes than there is room for.
    #[error("{found} classes, and the device has room for {room}")]
    TooManyClasses {
        /// Classes of the profile.
        found: u32,
        /// Most classes.
        room: u32,
    },
    /// The profile has more examples than there is room for.
    #[error("{found} examples, and the device has room for {room}")]
    TooManyExamples {
        /// Examples of the profile.
        found: u32,
        /// Most examples.
        room: u32,
    },
    /// No head can be fitted to the profile.
    #[error("the device cannot fit a head to the profile")]
    NotFitted,
    /// The flash failed, or has no room.
    #[error("the device's flash failed")]
    Flash,
    /// The contents of the device's own store cannot be used, and must not be overwritten.
    #[error("the taught sounds in the device's flash cannot be used, and it keeps them")]
    Locked,
    /// The device takes no models.
    #[error("the device takes no models")]
    NoSlot,
    /// The device takes only what a key has signed, and this is not.
    #[error(
        "the device takes only what its maker has signed, with a version counter that is no lower"
    )]
    Untrusted,
    /// The model in use is on trial, and the other slot is what the device would go back to.
    #[error("the device's model is on trial, and it takes another one when that is confirmed")]
    OnTrial,
    /// A reason that this version does not know.
    #[error("the device says {code}, which a newer version of this software understands")]
    Other {
        /// Its code.
        code: u8,
    },
}

impl Refusal {
    /// Returns the code of the reason, and its two numbers.
    const fn fields(self) -> (u8, u32, u32) {
        match self {
            Self::UnknownRequest => (1, 0, 0),
            Self::NotBegun => (2, 0, 0),
            Self::TooLong { found, room } => (3, found, room),
            Self::Incomplete { found, expected } => (4, found, expected),
            Self::Checksum { computed, stated } => (5, computed, stated),
            Self::Unreadable => (6, 0, 0),
            Self::OtherBackbone => (7, 0, 0),
            Self::TooManyClasses { found, room } => (8, found, room),
            Self::TooManyExamples { found, room } => (9, found, room),
            Self::NotFitted => (10, 0, 0),
            Self::Flash => (11, 0, 0),
            Self::Locked => (12, 0, 0),
            Self::NoSlot => (13, 0, 0),
            Self::Untrusted => (14, 0, 0),
            Self::OnTrial => (15, 0, 0),
            Self::Other { code } => (code, 0, 0),
        }
    }

    const fn from_fields(code: u8, a: u32, b: u32) -> Self {
        match code {
            1 => Self::UnknownRequest,
            2 => Self::NotBegun,
            3 => Self::TooLong { found: a, room: b },
            4 => Self::Incomplete {
                found: a,
                expected: b,
            },
            5 => Self::Checksum {
                computed: a,
                stated: b,
            },
            6 => Self::Unreadable,
            7 => Self::OtherBackbone,
            8 => Self::TooManyClasses { found: a, room: b },
            9 => Self::TooManyExamples { found: a, room: b },
            10 => Self::NotFitted,
            11 => Self::Flash,
            12 => Self::Locked,
            13 => Self::NoSlot,
            14 => Self::Untrusted,
            15 => Self::OnTrial,
            code => Self::Other { code },
        }
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let [code] = *reader.record::<1>()?;
        Some(Self::from_fields(code, number(reader)?, number(reader)?))
    }

    pub(super) fn emit(self, out: &mut FrameWriter<'_>) {
        let (code, a, b) = self.fields();
        out.put(&[code]);
        out.put(&a.to_le_bytes());
        out.put(&b.to_le_bytes());
    }
}

/// A count for a message: one that no device comes near stops at the end.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl From<ExportError> for Refusal {
    fn from(ExportError::BufferTooShort { needed, found }: ExportError) -> Self {
        Self::TooLong {
            found: count(needed),
            room: count(found),
        }
    }
}

impl From<RestoreError> for Refusal {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::OtherBackbone { .. } => Self::OtherBackbone,
            RestoreError::TooManyClasses { found, capacity } => Self::TooManyClasses {
                found: count(found),
                room: count(capacity),
            },
            RestoreError::TooManyExamples { found, capacity } => Self::TooManyExamples {
                found: count(found),
                room: count(capacity),
            },
            _ => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_reason() {
        for code in 0..=255 {
            let refusal = Refusal::from_fields(code, 5, 6);
            assert_eq!(refusal.fields().0, code);
            let known = (1..=15).contains(&code);
            assert_eq!(refusal != Refusal::Other { code }, known, "{code}");
            let (_, a, b) = refusal.fields();
            assert_eq!(Refusal::from_fields(code, a, b), refusal);
        }
    }
}
