//! The link between a device and a program on a host: profiles and models over a serial line.
//!
//! The host asks and the device answers; both use the definitions here. `LINK.md` describes the bytes.
//!
//! - [`cobs`] and [`frame`]: frames on a line that may lose and flip bytes.
//! - [`Request`], [`Answer`], [`Refusal`]: the messages in them.
//! - [`Session`]: the device's side, which takes bytes from any driver and returns bytes for it. What it gives
//!   away and takes in is behind [`Served`] and [`ModelSlot`].
//!
//! Each request may come twice without harm, so a host that gets no answer asks again. A device keeps what it has
//! of an object until another one comes: after a broken connection a transfer goes on from there.

pub mod cobs;
mod description;
pub mod frame;
mod message;
mod refusal;
mod served;
mod session;
#[cfg(feature = "flash")]
mod slots;
mod taught;

pub use crate::model::Sum;
pub use description::Description;
pub use message::{Answer, Object, Request};
pub use refusal::Refusal;
pub use served::{ModelSlot, NoSlot, Served, Taught};
pub use session::{Session, SessionMemory};
#[cfg(feature = "flash")]
pub use slots::{LinkedSlots, SlotsOwner};
#[cfg(feature = "flash")]
pub use taught::replace_profile;
pub use taught::{describe, give_profile};

/// Version of the protocol. Host and device of different versions do nothing but greet each other.
pub const LINK_VERSION: u16 = 1;

/// Bytes that a block's length is a multiple of, unless it is the last of its object: a word of any flash.
pub const BLOCK_STEP: usize = 32;

/// Most bytes in a block.
pub const MAX_BLOCK: usize = 4096;

/// Most bytes of a message beside the bytes of a block.
const MOST_FIELDS: usize = description::MOST;

/// Returns the bytes of a buffer for the frames of a session with blocks of up to `block` bytes.
///
/// ```
/// use mtslvr_runtime::link::frame_buffer_len;
/// assert!(frame_buffer_len(1024) < 1024 + 128 + 16);
/// ```
pub const fn frame_buffer_len(block: usize) -> usize {
    frame::line_len(block.saturating_add(MOST_FIELDS))
}

/// Returns the largest block, at most [`MAX_BLOCK`], for which buffers of `len` bytes suffice.
const fn largest_block(len: usize) -> usize {
    let mut block = MAX_BLOCK;
    while block > 0 && frame_buffer_len(block) > len {
        block -= BLOCK_STEP;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_fill_the_buffers() {
        for block in (0..=MAX_BLOCK).step_by(BLOCK_STEP) {
            let len = frame_buffer_len(block);
            assert_eq!(largest_block(len), block);
            assert_eq!(largest_block(len - 1), block.saturating_sub(BLOCK_STEP));
        }
        assert_eq!(largest_block(usize::MAX), MAX_BLOCK);
    }
}
