//! The debugger's side of the machine, which QEMU plays: the command line, files to read, a console.

mod disk;

pub use disk::Disk;

use ::semihosting::fs::{self, OpenOptions};
use ::semihosting::io::{self, Read, Write};
use ::semihosting::sys::arm_compat::sys_get_cmdline_uninit;
use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;

/// Ends the program; the emulator's exit status tells whether it `passed`.
pub fn exit(passed: bool) -> ! {
    ::semihosting::process::exit(if passed { 0 } else { 1 })
}

/// Names the semihosting request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// The command line does not fit into the buffer, or there is none.
    CommandLine,
    /// The command line is not UTF-8.
    NotText,
    /// The file cannot be opened.
    Open,
    /// The path does not fit into the buffer for it.
    PathTooLong,
    /// Reading failed.
    Read,
    /// Writing failed.
    Write,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommandLine => "no command line, or one that is longer than 8191 bytes",
            Self::NotText => "the command line is not UTF-8",
            Self::Open => "cannot open the file",
            Self::PathTooLong => "the path is longer than 1023 bytes",
            Self::Read => "cannot read the file",
            Self::Write => "cannot write the file",
        })
    }
}

/// Fetches the command line into `buffer`, which has room for it and a closing zero.
///
/// # Errors
/// [`HostError::CommandLine`], [`HostError::NotText`].
pub fn command_line(buffer: &mut [MaybeUninit<u8>]) -> Result<&str, HostError> {
    let bytes = sys_get_cmdline_uninit(buffer).map_err(|_| HostError::CommandLine)?;
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    core::str::from_utf8(text).map_err(|_| HostError::NotText)
}

/// Prints a line on the host's console.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::semihosting::print_line(format_args!($($argument)*))
    };
}

/// Prints a line, for [`say!`]. A console that takes no more, such as a pipe that nobody reads, is no
/// reason to stop working: what it does not take is lost.
pub fn print_line(line: fmt::Arguments) {
    if let Ok(mut console) = io::stdout() {
        let _ = writeln!(console, "{line}");
    }
}

/// Opens the file at `path` in the way that `options` say.
fn open(path: &str, options: &OpenOptions) -> Result<fs::File, HostError> {
    let mut zero_ended = [0; 1024];
    let len = path.len();
    if len >= zero_ended.len() {
        return Err(HostError::PathTooLong);
    }
    zero_ended[..len].copy_from_slice(path.as_bytes());
    let path = CStr::from_bytes_until_nul(&zero_ended).map_err(|_| HostError::PathTooLong)?;
    options.open(path).map_err(|_| HostError::Open)
}

/// A file on the host, read from start to end through a small buffer (a request to the host costs
/// far more than copying its bytes).
#[derive(Debug)]
pub struct File {
    file: fs::File,
    buffer: [u8; 512],
    filled: usize,
    read: usize,
}

impl File {
    /// Opens `path` for reading.
    ///
    /// # Errors
    /// [`HostError::Open`], [`HostError::PathTooLong`].
    pub fn open(path: &str) -> Result<Self, HostError> {
        Ok(Self {
            file: open(path, OpenOptions::new().read(true))?,
            buffer: [0; 512],
            filled: 0,
            read: 0,
        })
    }

    fn refill(&mut self) -> Result<(), HostError> {
        self.filled = self
            .file
            .read(&mut self.buffer)
            .map_err(|_| HostError::Read)?;
        self.read = 0;
        Ok(())
    }
}

impl mtslvr_wav::Source for File {
    type Error = HostError;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, HostError> {
        if self.read == self.filled {
            self.refill()?;
        }
        let ready = &self.buffer[self.read..self.filled];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.read += count;
        Ok(count)
    }
}
