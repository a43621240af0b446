//! Flash behind callbacks.

use core::ffi::{c_int, c_void};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// Bytes that are erased at once, at least, and at multiples of which that begins. Flash with smaller
/// pages erases several of them.
pub const MTSLVR_FLASH_PAGE: usize = 4096;

/// Bytes that are read and written at multiples of themselves, many at a time: whole words of any flash
/// with words of 32 bytes or fewer.
pub const MTSLVR_FLASH_WORD: usize = 32;

/// Flash in which taught sounds are kept: your functions, and what they need to know. Offsets are
/// counted from the beginning of what is lent. Each function returns zero if it succeeded.
///
/// Erased bytes are 0xff. No byte that was written is written again before it is erased. A write that a
/// power cut ended may leave any bytes where it wrote.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Flash {
    /// Passed to each function.
    pub context: *mut c_void,
    /// Reads `len` bytes from `offset` on.
    pub read: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            offset: u32,
            bytes: *mut u8,
            len: usize,
        ) -> c_int,
    >,
    /// Writes `len` bytes, a multiple of MTSLVR_FLASH_WORD, from `offset` on, which is one too.
    pub write: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            offset: u32,
            bytes: *const u8,
            len: usize,
        ) -> c_int,
    >,
    /// Erases `len` bytes, a multiple of MTSLVR_FLASH_PAGE, from `offset` on, which is one too.
    pub erase: Option<unsafe extern "C" fn(context: *mut c_void, offset: u32, len: usize) -> c_int>,
    /// Bytes that are lent: whole pages of MTSLVR_FLASH_PAGE.
    pub size: u32,
}

/// Explains why flash failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// A callback is missing, or returned another number than zero.
    Callback,
    /// The bytes lie beyond the end, or are no whole words or pages.
    Range(NorFlashErrorKind),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Callback => NorFlashErrorKind::Other,
            Self::Range(kind) => *kind,
        }
    }
}

impl From<NorFlashErrorKind> for FlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        Self::Range(kind)
    }
}

impl Flash {
    /// Tells whether all functions are there.
    pub(crate) fn is_whole(&self) -> bool {
        self.read.is_some() && self.write.is_some() && self.erase.is_some()
    }
}

/// Takes what a callback returned.
fn check(returned: c_int) -> Result<(), FlashError> {
    match returned {
        0 => Ok(()),
        _ => Err(FlashError::Callback),
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len())?;
        let read = self.read.ok_or(FlashError::Callback)?;
        // SAFETY: whoever opened the store promised that the function may be called so; the bytes are
        // there to be written.
        check(unsafe { read(self.context, offset, bytes.as_mut_ptr(), bytes.len()) })
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = MTSLVR_FLASH_WORD;
    const ERASE_SIZE: usize = MTSLVR_FLASH_PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        let erase = self.erase.ok_or(FlashError::Callback)?;
        // SAFETY: whoever opened the store promised that the function may be called so.
        check(unsafe { erase(self.context, from, (to - from) as usize) })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len())?;
        let write = self.write.ok_or(FlashError::Callback)?;
        // SAFETY: whoever opened the store promised that the function may be called so; the bytes are
        // there to be read.
        check(unsafe { write(self.context, offset, bytes.as_ptr(), bytes.len()) })
    }
}
