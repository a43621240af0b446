//! NOR flash in a file of the host, which outlives the program, and the power being cut while it is
//! written.

use crate::say;
use crate::semihosting::{self, Disk, HostError};
use core::fmt;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes of a word.
const WORD: usize = 4;
/// What erased flash holds.
const ERASED: u8 = 0xff;

/// Flash of pages of [`PAGE`] bytes and words of 4, which refuses what real parts forbid.
#[derive(Debug)]
pub struct HostFlash {
    disk: Disk,
    len: usize,
    /// Bytes written and erased so far.
    changed: u64,
    /// How many of them the power lasts for.
    power: Option<u64>,
}

/// Why the flash failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The host's file did.
    Host(HostError),
    /// The host's file has another length than the flash.
    Length {
        /// The file's.
        found: usize,
        /// The flash's.
        expected: usize,
    },
    /// The access is misaligned or outside the flash.
    Access(NorFlashErrorKind),
    /// A word was to be written for the second time since it was erased.
    WrittenTwice {
        /// Its address.
        address: u32,
    },
}

impl HostFlash {
    /// The `len` bytes of flash, whole pages of them, that the file at `path` holds; erased if there
    /// is no such file. After `power` bytes that it writes or erases, the program ends.
    pub fn open(path: &str, len: usize, power: Option<u64>) -> Result<Self, FlashError> {
        let mut disk = Disk::open(path).map_err(FlashError::Host)?;
        match disk.len().map_err(FlashError::Host)? {
            0 => {
                for page in (0..len).step_by(PAGE) {
                    let erased = [ERASED; PAGE];
                    disk.write(page, &erased).map_err(FlashError::Host)?;
                }
            }
            found if found != len => {
                let expected = len;
                return Err(FlashError::Length { found, expected });
            }
            _ => {}
        }
        Ok(Self {
            disk,
            len,
            changed: 0,
            power,
        })
    }

    /// Changes bytes, as far as the power lasts.
    fn change(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashError> {
        let left = self.power.map(|power| power - self.changed);
        let reached = left.map_or(bytes.len(), |left| {
            usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
        });
        self.disk
            .write(offset, &bytes[..reached])
            .map_err(FlashError::Host)?;
        self.changed += reached as u64;
        if reached < bytes.len() {
            say!("power lost_after={}", self.changed);
            semihosting::exit(false);
        }
        Ok(())
    }
}

impl ErrorType for HostFlash {
    type Error = FlashError;
}

impl ReadNorFlash for HostFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len()).map_err(FlashError::Access)?;
        self.disk
            .read(offset as usize, bytes)
            .map_err(FlashError::Host)
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl NorFlash for HostFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::Access)?;
        for page in (from as usize..to as usize).step_by(PAGE) {
            self.change(page, &[ERASED; PAGE])?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::Access)?;
        for (address, word) in (offset..).step_by(WORD).zip(bytes.chunks(WORD)) {
            let mut before = [0; WORD];
            self.read(address, &mut before)?;
            if before != [ERASED; WORD] {
                return Err(FlashError::WrittenTwice { address });
            }
            self.change(address as usize, word)?;
        }
        Ok(())
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Access(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(f),
            Self::Length { found, expected } => write!(
                f,
                "the file has {found} bytes, expected {expected}: remove it and it is made anew"
            ),
            Self::Access(kind) => write!(f, "{kind:?}"),
            Self::WrittenTwice { address } => {
                write!(f, "the word at {address:#x} was written already")
            }
        }
    }
}
