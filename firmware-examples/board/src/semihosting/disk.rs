//! A file of the host's to read and write.

use super::{HostError, open};
use ::semihosting::fs::{File, OpenOptions};
use ::semihosting::io::{Read, Seek, SeekFrom, Write};

/// A file on the host that is read and written anywhere in it.
#[derive(Debug)]
pub struct Disk {
    file: File,
}

impl Disk {
    /// Opens `path`, or makes an empty file there.
    ///
    /// # Errors
    /// [`HostError::Open`], [`HostError::PathTooLong`].
    pub fn open(path: &str) -> Result<Self, HostError> {
        let mut update = OpenOptions::new();
        update.read(true).write(true);
        let file =
            open(path, &update).or_else(|_| open(path, update.create(true).truncate(true)))?;
        Ok(Self { file })
    }

    /// Returns the file's length in bytes.
    ///
    /// # Errors
    /// [`HostError::Read`].
    pub fn len(&self) -> Result<usize, HostError> {
        let metadata = self.file.metadata().map_err(|_| HostError::Read)?;
        usize::try_from(metadata.len()).map_err(|_| HostError::Read)
    }

    /// Fills `bytes` from the file, from `offset` on.
    ///
    /// # Errors
    /// [`HostError::Read`].
    pub fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), HostError> {
        self.file
            .seek(SeekFrom::Start(offset as u64))
            .and_then(|_| self.file.read_exact(bytes))
            .map_err(|_| HostError::Read)
    }

    /// Writes `bytes` to the file, from `offset` on.
    ///
    /// # Errors
    /// [`HostError::Write`].
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), HostError> {
        self.file
            .seek(SeekFrom::Start(offset as u64))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|_| HostError::Write)
    }
}
