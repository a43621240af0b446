//! Why slots could not be read or written.

/// Explains why a slot could not be read, written or taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SlotsError<E> {
    /// The flash failed.
    #[error("the flash failed: {0:?}")]
    Flash(E),
    /// A range does not begin and end at pages, is empty, leaves the flash or overlaps another; or there are
    /// fewer than two pages for records; or the flash's pages or words have a size that is not supported.
    #[error(
        "the ranges of the slots and of their records must be whole pages of the flash, two or more for \
         the records, and lie apart"
    )]
    Ranges,
    /// The model in use is on trial, and the other slot is what would be gone back to.
    #[error("the model in use is on trial: confirm it, or start again until it is given up")]
    OnTrial,
    /// The model does not fit into a slot.
    #[error("a model of {len} bytes, and a slot has {room}")]
    TooLong {
        /// Bytes of the model.
        len: u32,
        /// Bytes of the slot.
        room: u32,
    },
    /// No model is arriving.
    #[error("no model is arriving: call `receive` first")]
    NotReceiving,
    /// A piece is no whole number of words, though it is not the last, or goes on behind the model's end.
    #[error(
        "a piece of {len} bytes, where {left} are missing: send whole words, up to the model's end"
    )]
    Piece {
        /// Bytes of the piece.
        len: usize,
        /// Bytes that are missing.
        left: u32,
    },
    /// Not all of the model is there.
    #[error("{received} bytes of {len} are there: send the rest")]
    Incomplete {
        /// Bytes that are there.
        received: u32,
        /// Bytes of the model.
        len: u32,
    },
    /// The bytes in flash are not those that were announced.
    #[error("CRC-32 {found:08x} of the model's bytes, {expected:08x} was announced: send it again")]
    Checksum {
        /// CRC-32 that was announced.
        expected: u32,
        /// CRC-32 of the bytes in flash.
        found: u32,
    },
    /// The model that was opened is not the one that has arrived.
    #[error("the model that was opened is not the one that has arrived")]
    OtherModel,
    /// No model waits to be taken into use.
    #[error("no model waits to be taken into use")]
    NothingWaiting,
    /// Neither slot holds a model that opens.
    #[error("neither slot holds a model that opens: write one by a programmer")]
    NoModel,
}
