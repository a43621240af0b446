//! NOR flash in a host's memory, whose power can be cut in the middle of a byte.
//!
//! It stands in for a real part in tests of whatever keeps data in flash: it implements
//! `embedded_storage::nor_flash::NorFlash`, and refuses what real parts forbid.
//!
//! ```
//! use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
//! use mtslvr_simulated_flash::{FlashFault, SimulatedFlash};
//!
//! let mut flash: SimulatedFlash<4096, 4> = SimulatedFlash::new(2);
//! flash.cut_after(2, 0);
//! assert_eq!(flash.write(0, &[1, 2, 3, 4]), Err(FlashFault::NoPower));
//!
//! flash.restore_power();
//! let mut found = [0; 4];
//! flash.read(0, &mut found).unwrap();
//! assert_eq!(found, [1, 2, 0xff, 0xff]);
//! ```

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// A NOR flash of pages of `PAGE` bytes, written in words of `WORD` bytes.
///
/// It refuses what real parts forbid: writing a word twice without erasing it.
/// [`Self::cut_after`] takes its power away after so many bytes; [`Self::restore_power`] gives it
/// back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedFlash<const PAGE: usize = 4096, const WORD: usize = 4> {
    bytes: Vec<u8>,
    /// Words that were written since they were erased.
    written: Vec<bool>,
    bytes_changed: u64,
    pages_erased: u64,
    cut_at: Option<u64>,
    torn: u8,
    powered: bool,
}

/// Error of a [`SimulatedFlash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashFault {
    /// It has no power.
    NoPower,
    /// The access is misaligned or outside the flash.
    Access(NorFlashErrorKind),
    /// A word was to be written for the second time since it was erased.
    WrittenTwice {
        /// Its address.
        address: usize,
    },
}

impl NorFlashError for FlashFault {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Access(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl<const PAGE: usize, const WORD: usize> SimulatedFlash<PAGE, WORD> {
    /// Erased flash.
    pub fn new(pages: usize) -> Self {
        Self::with_content(vec![0xff; pages * PAGE])
    }

    /// Flash that holds `bytes`, whole pages of them.
    ///
    /// # Panics
    /// If the last page is not whole.
    pub fn with_content(bytes: Vec<u8>) -> Self {
        assert!(bytes.len().is_multiple_of(PAGE), "whole pages");
        let blank = |word: &[u8]| word.iter().all(|byte| *byte == 0xff);
        Self {
            written: bytes.chunks(WORD).map(|word| !blank(word)).collect(),
            bytes,
            bytes_changed: 0,
            pages_erased: 0,
            cut_at: None,
            torn: 0,
            powered: true,
        }
    }

    /// Returns its contents.
    pub fn content(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes written and erased so far.
    pub fn bytes_changed(&self) -> u64 {
        self.bytes_changed
    }

    /// Pages erased so far.
    pub fn pages_erased(&self) -> u64 {
        self.pages_erased
    }

    /// Takes the power away after `bytes` more bytes were written or erased. In the byte that comes
    /// then, the bits of `torn` that had to change have changed.
    pub fn cut_after(&mut self, bytes: u64, torn: u8) {
        self.cut_at = Some(self.bytes_changed + bytes);
        self.torn = torn;
    }

    /// Whether it has power.
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Gives the power back, for good.
    pub fn restore_power(&mut self) {
        self.powered = true;
        self.cut_at = None;
    }

    fn check_power(&self) -> Result<(), FlashFault> {
        self.powered.then_some(()).ok_or(FlashFault::NoPower)
    }

    fn change(&mut self, at: usize, to: u8) -> Result<(), FlashFault> {
        if self.cut_at == Some(self.bytes_changed) {
            self.powered = false;
            self.bytes[at] = (self.bytes[at] & !self.torn) | (to & self.torn);
            return Err(FlashFault::NoPower);
        }
        self.bytes[at] = to;
        self.bytes_changed += 1;
        Ok(())
    }
}

impl<const PAGE: usize, const WORD: usize> ErrorType for SimulatedFlash<PAGE, WORD> {
    type Error = FlashFault;
}

impl<const PAGE: usize, const WORD: usize> ReadNorFlash for SimulatedFlash<PAGE, WORD> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashFault> {
        self.check_power()?;
        check_read(self, offset, bytes.len()).map_err(FlashFault::Access)?;
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const PAGE: usize, const WORD: usize> NorFlash for SimulatedFlash<PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFault> {
        self.check_power()?;
        check_erase(self, from, to).map_err(FlashFault::Access)?;
        for at in from as usize..to as usize {
            self.change(at, 0xff)?;
            self.written[at / WORD] = false;
        }
        self.pages_erased += u64::from((to - from) / PAGE as u32);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        self.check_power()?;
        check_write(self, offset, bytes.len()).map_err(FlashFault::Access)?;
        for (address, word) in (offset as usize..).step_by(WORD).zip(bytes.chunks(WORD)) {
            if self.written[address / WORD] {
                return Err(FlashFault::WrittenTwice { address });
            }
            for (at, &to) in (address..).zip(word) {
                // Only an erase sets bits. A word in which a cut left all bits set is as erased.
                let changed = self.change(at, self.bytes[at] & to);
                self.written[address / WORD] |= changed.is_ok() || self.bytes[at] != 0xff;
                changed?;
            }
        }
        Ok(())
    }
}
