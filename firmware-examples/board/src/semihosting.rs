//! The debugger's side of the machine, which QEMU plays: the command line, files to read, a console.

mod disk;

pub use disk::Disk;

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Numbers of the requests (Arm IHI 0100, "Semihosting for AArch32 and AArch64").
mod request {
    pub const OPEN: usize = 0x01;
    pub const CLOSE: usize = 0x02;
    pub const WRITE: usize = 0x05;
    pub const READ: usize = 0x06;
    pub const SEEK: usize = 0x0a;
    pub const LENGTH: usize = 0x0c;
    pub const GET_COMMAND_LINE: usize = 0x15;
    pub const EXIT: usize = 0x18;
}

/// How a file is opened, as for C's `fopen`.
mod mode {
    pub const READ_BINARY: usize = 1;
    pub const UPDATE_BINARY: usize = 3;
    pub const WRITE: usize = 4;
    pub const CREATE_BINARY: usize = 7;
}

/// Why the program ends.
mod reason {
    pub const APPLICATION_EXIT: usize = 0x20026;
    pub const RUN_TIME_ERROR: usize = 0x20023;
}

/// Asks the host for `request`.
///
/// # Safety
/// `argument` must be what the request takes: most take the address of a block of words.
unsafe fn ask(request: usize, argument: usize) -> usize {
    let answer;
    // SAFETY: this breakpoint is the host's, which reads the block, writes where the block says,
    // and answers in the first register.
    #[cfg(target_arch = "arm")]
    unsafe {
        core::arch::asm!("bkpt #0xab", inout("r0") request => answer, in("r1") argument,
            options(nostack, preserves_flags));
    }
    // SAFETY: as above. The two instructions around the breakpoint, without effect themselves, tell
    // it from a debugger's; none of the three may be compressed or lie on another page.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        core::arch::asm!(
            ".option push",
            ".option norvc",
            ".balign 16",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inout("a0") request => answer, in("a1") argument, options(nostack));
    }
    answer
}

/// [`ask`] with a block of words.
///
/// # Safety
/// The block must be what the request takes.
unsafe fn ask_with(request: usize, block: &[usize]) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { ask(request, block.as_ptr() as usize) }
}

/// Ends the program; the emulator's exit status tells whether it `passed`.
pub fn exit(passed: bool) -> ! {
    let reason = if passed {
        reason::APPLICATION_EXIT
    } else {
        reason::RUN_TIME_ERROR
    };
    loop {
        // SAFETY: SYS_EXIT takes the reason itself where words have 32 bits.
        unsafe { ask(request::EXIT, reason) };
    }
}

/// A semihosting request failed.
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

/// Fetches the command line into `buffer`.
pub fn command_line(buffer: &mut [u8]) -> Result<&str, HostError> {
    #[repr(C)]
    struct Block {
        buffer: *mut u8,
        len: usize,
    }
    let mut block = Block {
        buffer: buffer.as_mut_ptr(),
        len: buffer.len(),
    };
    // The host writes into the block, too: the length without the closing zero.
    let block_pointer = &raw mut block;
    // SAFETY: SYS_GET_CMDLINE takes a block of a pointer and a length, writes at most that many
    // bytes there (the slice is borrowed mutably until this function returns), and updates the block.
    let status = unsafe { ask(request::GET_COMMAND_LINE, block_pointer as usize) };
    if status != 0 {
        return Err(HostError::CommandLine);
    }
    // SAFETY: the block lives on; the host may have written to it behind the compiler's back.
    let len = unsafe { block_pointer.read_volatile() }.len;
    let bytes = buffer.get(..len).ok_or(HostError::CommandLine)?;
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    core::str::from_utf8(bytes).map_err(|_| HostError::NotText)
}

/// Prints a line on the host's console.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::semihosting::print_line(format_args!($($argument)*))
    };
}

/// What [`say!`] does. A console that takes no more, such as a pipe that nobody reads, is no
/// reason to stop working: what it does not take is lost.
pub fn print_line(line: fmt::Arguments) {
    let _ = writeln!(Console, "{line}");
}

/// The host's standard output.
struct Console;

/// Its handle, once it has been opened.
static CONSOLE: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Console {
    fn handle() -> Result<usize, fmt::Error> {
        let known = CONSOLE.load(Ordering::Relaxed);
        if known != usize::MAX {
            return Ok(known);
        }
        // The name that semihosting gives to the console.
        let opened = open(c":tt", mode::WRITE).map_err(|_| fmt::Error)?;
        CONSOLE.store(opened, Ordering::Relaxed);
        Ok(opened)
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let handle = Self::handle()?;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let block = [handle, rest.as_ptr() as usize, rest.len()];
            // SAFETY: SYS_WRITE takes an open handle, a buffer and its length, and only reads it.
            // It returns how many bytes it did not write.
            let missing = unsafe { ask_with(request::WRITE, &block) };
            if missing >= rest.len() {
                return Err(fmt::Error);
            }
            rest = &rest[rest.len() - missing..];
        }
        Ok(())
    }
}

/// Opens a file, or the console, and gives its handle.
fn open(path: &CStr, mode: usize) -> Result<usize, HostError> {
    let block = [path.as_ptr() as usize, mode, path.count_bytes()];
    // SAFETY: SYS_OPEN takes a zero-ended path, a mode and the path's length.
    match unsafe { ask_with(request::OPEN, &block) } {
        usize::MAX => Err(HostError::Open),
        handle => Ok(handle),
    }
}

/// Opens the file at `path`, whatever way `mode` says.
fn open_path(path: &str, mode: usize) -> Result<usize, HostError> {
    let mut zero_ended = [0; 1024];
    let len = path.len();
    if len >= zero_ended.len() {
        return Err(HostError::PathTooLong);
    }
    zero_ended[..len].copy_from_slice(path.as_bytes());
    let path = CStr::from_bytes_until_nul(&zero_ended).map_err(|_| HostError::PathTooLong)?;
    open(path, mode)
}

/// Reads into the front of `buffer` from where the file stands; returns how many bytes.
fn read(handle: usize, buffer: &mut [u8]) -> Result<usize, HostError> {
    let len = buffer.len();
    let block = [handle, buffer.as_mut_ptr() as usize, len];
    // SAFETY: SYS_READ takes an open handle, a buffer and its length, and writes no further.
    // It returns how many bytes it did not fill.
    let missing = unsafe { ask_with(request::READ, &block) };
    len.checked_sub(missing).ok_or(HostError::Read)
}

/// A file on the host, read from start to end through a small buffer (a request to the host costs
/// far more than copying its bytes).
#[derive(Debug)]
pub struct File {
    handle: usize,
    buffer: [u8; 512],
    filled: usize,
    read: usize,
}

impl File {
    /// Opens `path` for reading.
    pub fn open(path: &str) -> Result<Self, HostError> {
        Ok(Self {
            handle: open_path(path, mode::READ_BINARY)?,
            buffer: [0; 512],
            filled: 0,
            read: 0,
        })
    }

    fn refill(&mut self) -> Result<(), HostError> {
        self.filled = read(self.handle, &mut self.buffer)?;
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

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: SYS_CLOSE takes a block with an open handle, which is not used again.
        unsafe { ask_with(request::CLOSE, &[self.handle]) };
    }
}
