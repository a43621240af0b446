//! The place where a device is plugged in.

use super::line::Line;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Begins the name of a port that is a TCP connection.
const TCP: &str = "tcp:";
/// Time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A serial device, or a TCP connection to a bridge that has one.
#[derive(Debug)]
pub struct Port(Kind);

#[derive(Debug)]
enum Kind {
    #[cfg(unix)]
    Serial(super::serial::Serial),
    Tcp(TcpStream),
}

/// Explains why a port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is none of this name.
    #[error("no such port; {}", listed(.present))]
    Missing {
        /// The ports that there are.
        present: Vec<PathBuf>,
    },
    /// The user may not open it.
    #[error(
        "no permission; on Linux, add yourself to the group that owns it (`ls -l` shows it, often \
         dialout), then log in again"
    )]
    Permission,
    /// Another program uses it.
    #[error("another program uses it; close that one, such as a serial monitor")]
    Busy,
    /// It is something else than a serial port.
    #[error("this is no serial port; {}", listed(.present))]
    NotSerial {
        /// The ports that there are.
        present: Vec<PathBuf>,
    },
    /// It cannot be set to this speed.
    #[error("cannot be set to {baud} baud: {error}")]
    Speed {
        /// The speed that was asked for.
        baud: u32,
        /// Message of the operating system.
        error: io::Error,
    },
    /// It cannot be opened.
    #[error("cannot be opened: {0}")]
    Io(io::Error),
    /// Serial ports are not built in for this system.
    #[error(
        "this program opens no serial ports on this system; name a network bridge that has the port, as \
         tcp:HOST:PORT"
    )]
    NoSerial,
}

fn listed(present: &[PathBuf]) -> String {
    let names: Vec<String> = present
        .iter()
        .map(|port| port.display().to_string())
        .collect();
    match names.is_empty() {
        true => {
            "there is none here: check that the board is plugged in, with a cable that carries data"
                .to_owned()
        }
        false => format!("there are {}", names.join(", ")),
    }
}

impl Port {
    /// Opens the serial device `name` at `baud` bits a second, without parity and flow control, for this program
    /// alone; or connects to the bridge at `tcp:HOST:PORT`.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn open(name: &str, baud: u32) -> Result<Self, PortError> {
        if let Some(address) = name.strip_prefix(TCP) {
            return connect(address)
                .map(Kind::Tcp)
                .map(Self)
                .map_err(PortError::Io);
        }
        #[cfg(unix)]
        return super::serial::Serial::open(name.as_ref(), baud)
            .map(Kind::Serial)
            .map(Self);
        #[cfg(not(unix))]
        {
            let _ = baud;
            Err(PortError::NoSerial)
        }
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                // A request waits for its answer: nothing more comes to fill a packet.
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(CONNECT))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Lists the serial ports that a board may be behind: those of USB, and those of a small computer's pins.
pub fn ports() -> Vec<PathBuf> {
    const NAMES: [&str; 6] = [
        "ttyACM",
        "ttyUSB",
        "ttyAMA",
        "cu.usbmodem",
        "cu.usbserial",
        "cuaU",
    ];
    let Ok(folder) = std::fs::read_dir("/dev") else {
        return Vec::new();
    };
    let is_port = |name: &str| NAMES.iter().any(|start| name.starts_with(start));
    let mut found: Vec<PathBuf> = folder
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_port))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

impl Line for Port {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            #[cfg(unix)]
            Kind::Serial(serial) => serial.send(bytes),
            Kind::Tcp(stream) => stream.send(bytes),
        }
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        match &mut self.0 {
            #[cfg(unix)]
            Kind::Serial(serial) => serial.receive(buffer, wait),
            Kind::Tcp(stream) => stream.receive(buffer, wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_port_that_cannot_be_opened_is_named_with_what_to_do() {
        let said = |name: &str| Port::open(name, 115_200).unwrap_err().to_string();
        assert!(said("/dev/no-such-port").starts_with("no such port; there"));
        assert!(said("/dev/null").starts_with("this is no serial port"));
        assert!(said(env!("CARGO_MANIFEST_DIR")).contains("no serial port"));
        assert!(said("tcp:127.0.0.1:1").contains("refused"));
        assert!(said("tcp:nonsense").starts_with("cannot be opened"));
    }
}
