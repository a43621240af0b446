//! A serial device of Unix: a terminal in raw mode.

use super::line::{Line, is_waiting};
use super::port::{PortError, ports};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr,
};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// Longest that a line may take no bytes.
const STALLED: Duration = Duration::from_secs(5);

/// A serial device in raw mode, for this program alone.
#[derive(Debug)]
pub(super) struct Serial {
    file: File,
}

impl Serial {
    /// Opens the device at `path`, sets its speed, and forgets what came before.
    pub(super) fn open(path: &Path, baud: u32) -> Result<Self, PortError> {
        let io = |error: Errno| PortError::Io(error.into());
        // Without waiting for a modem, and without becoming this process's terminal.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT | Errno::NXIO | Errno::NODEV => PortError::Missing { present: ports() },
            Errno::ISDIR => PortError::NotSerial { present: ports() },
            Errno::ACCESS | Errno::PERM => PortError::Permission,
            Errno::BUSY => PortError::Busy,
            other => io(other),
        })?;
        let mut settings = tcgetattr(&fd).map_err(|error| match error {
            Errno::NOTTY | Errno::INVAL => PortError::NotSerial { present: ports() },
            other => io(other),
        })?;
        ioctl_tiocexcl(&fd).map_err(io)?;
        settings.make_raw();
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        settings.control_modes -= ControlModes::CSTOPB;
        // POSIX leaves flow control by wires to each system.
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        {
            settings.control_modes -= ControlModes::CRTSCTS;
        }
        settings
            .set_speed(baud)
            .and_then(|()| tcsetattr(&fd, OptionalActions::Now, &settings))
            .map_err(|error| PortError::Speed {
                baud,
                error: error.into(),
            })?;
        tcflush(&fd, QueueSelector::IOFlush).map_err(io)?;
        Ok(Self { file: fd.into() })
    }

    /// Waits until the device is ready for `what`; false if it is not in time.
    fn wait(&self, what: PollFlags, wait: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.file, what)];
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&wait)) {
            Err(Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }
}

impl Line for Serial {
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_waiting(&error) => {
                    if !self.wait(PollFlags::OUT, STALLED)? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        if !self.wait(PollFlags::IN, wait)? {
            return Ok(0);
        }
        match self.file.read(buffer) {
            // Ready without a byte: whoever was at the other end has gone.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_waiting(&error) => Ok(0),
            result => result,
        }
    }
}
