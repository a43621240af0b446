//! Carries bytes to a device and back.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A line to a device: bytes in their order. It may lose, flip and add some.
pub trait Line {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// If the line is closed, or takes no more bytes.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Receives bytes into `buffer` and returns their number: zero if none came within `wait`.
    ///
    /// # Errors
    /// If the line is closed.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize>;
}

impl Line for TcpStream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        // No time at all would mean to wait for ever.
        self.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match self.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_waiting(&error) => Ok(0),
            result => result,
        }
    }
}

/// Tells whether nothing is wrong but that nothing came.
pub(super) fn is_waiting(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
