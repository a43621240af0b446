//! A file of the host's to read and write.

use super::{HostError, ask_with, mode, open_path, read, request};

/// A file on the host that is read and written anywhere in it.
#[derive(Debug)]
pub struct Disk {
    handle: usize,
}

impl Disk {
    /// Opens `path`, or makes an empty file there.
    pub fn open(path: &str) -> Result<Self, HostError> {
        let known = open_path(path, mode::UPDATE_BINARY);
        let handle = known.or_else(|_| open_path(path, mode::CREATE_BINARY))?;
        Ok(Self { handle })
    }

    /// Its length in bytes.
    pub fn len(&self) -> Result<usize, HostError> {
        // SAFETY: SYS_FLEN takes a block with an open handle.
        match unsafe { ask_with(request::LENGTH, &[self.handle]) } {
            usize::MAX => Err(HostError::Read),
            len => Ok(len),
        }
    }

    /// Fills `bytes` from the file, from `offset` on.
    pub fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), HostError> {
        self.seek(offset).ok_or(HostError::Read)?;
        let mut filled = 0;
        while filled < bytes.len() {
            match read(self.handle, &mut bytes[filled..])? {
                0 => return Err(HostError::Read),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Writes `bytes` to the file, from `offset` on.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), HostError> {
        self.seek(offset).ok_or(HostError::Write)?;
        let block = [self.handle, bytes.as_ptr() as usize, bytes.len()];
        // SAFETY: SYS_WRITE takes an open handle, a buffer and its length, and only reads it. It
        // returns how many bytes it did not write.
        match unsafe { ask_with(request::WRITE, &block) } {
            0 => Ok(()),
            _ => Err(HostError::Write),
        }
    }

    fn seek(&mut self, offset: usize) -> Option<()> {
        // SAFETY: SYS_SEEK takes a block with an open handle and an offset.
        (unsafe { ask_with(request::SEEK, &[self.handle, offset]) } == 0).then_some(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // SAFETY: SYS_CLOSE takes a block with an open handle, which is not used again.
        unsafe { ask_with(request::CLOSE, &[self.handle]) };
    }
}
