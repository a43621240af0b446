//! Announces bytes that are about to come.

use super::Crc32;

/// Number and checksum of the bytes of a file: identifies what is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sum {
    /// Number of bytes.
    pub len: u32,
    /// Their CRC-32, as [`Crc32`] computes it.
    pub crc32: u32,
}

impl Sum {
    /// Computes the sum of `bytes`; `None` if there are 4 GiB or more.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            len: u32::try_from(bytes.len()).ok()?,
            crc32: Crc32::new().update(bytes).finish(),
        })
    }
}
