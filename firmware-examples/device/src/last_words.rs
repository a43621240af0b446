//! Keeps the reason of a fault over the restart that it causes, in memory that no start-up code clears.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use heapless::String;

/// Bytes of text that are kept of a reason.
pub const REASON_BYTES: usize = 128;

/// Why the device was restarted, cut to [`REASON_BYTES`].
pub type Reason = String<REASON_BYTES>;

/// Marks memory that holds a reason.
const MAGIC: u32 = 0x4c57_5244;

/// A reason in memory. Any content is valid: after power-on it is noise, which holds no reason.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LastWords {
    magic: u32,
    len: u32,
    text: [u8; REASON_BYTES],
    checksum: u32,
}

impl LastWords {
    /// Holds no reason.
    pub const NONE: Self = Self {
        magic: 0,
        len: 0,
        text: [0; REASON_BYTES],
        checksum: 0,
    };

    /// Makes one that holds `reason`, as much of it as there is room for.
    pub fn of(reason: impl fmt::Display) -> Self {
        let mut words = Self {
            magic: MAGIC,
            ..Self::NONE
        };
        // What does not fit is left out, and no error.
        let _ = write!(Cut(&mut words), "{reason}");
        words.checksum = words.computed();
        words
    }

    /// Returns the reason; `None` if the memory holds anything else.
    pub fn reason(&self) -> Option<Reason> {
        if self.magic != MAGIC || self.checksum != self.computed() {
            return None;
        }
        let text = self.text.get(..self.len as usize)?;
        let mut reason = Reason::new();
        reason.push_str(core::str::from_utf8(text).ok()?).ok()?;
        Some(reason)
    }

    /// FNV-1a hash of all but the checksum: small enough for a fault handler.
    fn computed(&self) -> u32 {
        let words = [self.magic, self.len]
            .into_iter()
            .flat_map(u32::to_le_bytes);
        words.chain(self.text).fold(0x811c_9dc5, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    }
}

/// The reason of a panic: its message before its line, because there may be room for no more.
#[derive(Clone, Copy, Debug)]
pub struct PanicReason<'a>(pub &'a PanicInfo<'a>);

impl fmt::Display for PanicReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message())?;
        match self.0.location() {
            Some(at) => write!(f, ", line {}", at.line()),
            None => Ok(()),
        }
    }
}

/// Writes the front of a text.
struct Cut<'w>(&'w mut LastWords);

impl fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut utf8 = [0; 4];
        for character in text.chars() {
            let bytes = character.encode_utf8(&mut utf8).as_bytes();
            let start = self.0.len as usize;
            let room = self.0.text.get_mut(start..start + bytes.len());
            // A character that is cut would make the text unreadable.
            room.ok_or(fmt::Error)?.copy_from_slice(bytes);
            self.0.len += bytes.len() as u32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn a_reason_comes_back_and_a_long_one_is_cut_at_a_character() {
        let reason = |text: &str| LastWords::of(text).reason().unwrap().to_string();
        assert_eq!(
            reason("the model in flash: damaged"),
            "the model in flash: damaged"
        );
        assert_eq!(reason(""), "");
        let long = "ä".repeat(100);
        assert_eq!(reason(&long), "ä".repeat(REASON_BYTES / 2));
        let odd = std::format!("a{long}");
        assert_eq!(reason(&odd).len(), REASON_BYTES - 1);
    }

    #[test]
    fn noise_and_damaged_memory_hold_no_reason() {
        assert_eq!(LastWords::NONE.reason(), None);
        let words = LastWords::of("a fault");
        let damages: [fn(&mut LastWords); 4] = [
            |words| words.magic ^= 1,
            |words| words.len += 1,
            |words| words.text[100] ^= 0x80,
            |words| words.checksum ^= 1 << 31,
        ];
        for damage in damages {
            let mut damaged = words;
            damage(&mut damaged);
            assert_eq!(damaged.reason(), None);
        }
        let noise = LastWords {
            magic: MAGIC,
            len: u32::MAX,
            text: [0xa5; REASON_BYTES],
            checksum: 0,
        };
        let noise = LastWords {
            checksum: noise.computed(),
            ..noise
        };
        assert_eq!(noise.reason(), None);
    }
}
