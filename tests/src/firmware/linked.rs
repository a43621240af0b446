//! The example firmware in QEMU with its UART at the end of a line.

use super::Firmware;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Longest wait for a line on the firmware's console.
const WAIT: Duration = Duration::from_secs(30);

/// A firmware that runs until this is dropped: as if its power were cut.
#[derive(Debug)]
pub struct Linked {
    qemu: Child,
    console: Receiver<String>,
    /// The port for the program.
    port: String,
}

impl Linked {
    /// Starts the firmware with its UART at a pseudo-terminal.
    ///
    /// # Errors
    /// If QEMU cannot be started, or the firmware does not come to serve the link.
    pub fn on_terminal(firmware: &Firmware, arguments: &[String]) -> Result<Self> {
        let mut linked = Self::start(firmware, arguments, "pty")?;
        let told = linked.told("char device redirected to ")?;
        let path = told.split(' ').nth(4).context("a path")?;
        path.clone_into(&mut linked.port);
        linked.told("link")?;
        Ok(linked)
    }

    /// Starts the firmware with its UART behind a bridge, whose line has `faults`.
    ///
    /// # Errors
    /// If QEMU cannot be started, or the firmware does not come to serve the link.
    pub fn behind_bridge(
        firmware: &Firmware,
        arguments: &[String],
        faults: Arc<Mutex<Faults>>,
    ) -> Result<Self> {
        let for_qemu = TcpListener::bind("127.0.0.1:0")?;
        let for_program = TcpListener::bind("127.0.0.1:0")?;
        let serial = format!("tcp:{}", for_qemu.local_addr()?);
        let mut linked = Self::start(firmware, arguments, &serial)?;
        linked.port = format!("tcp:{}", for_program.local_addr()?);
        let (uart, _) = for_qemu.accept()?;
        uart.set_nodelay(true)?;
        thread::spawn(move || bridge(&uart, &for_program, &faults));
        linked.told("link")?;
        Ok(linked)
    }

    fn start(firmware: &Firmware, arguments: &[String], serial: &str) -> Result<Self> {
        let mut command = firmware.command(arguments);
        xtask::qemu::connect_serial(&mut command, serial);
        let mut qemu = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start QEMU")?;
        let console = BufReader::new(qemu.stdout.take().context("its output")?);
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in console.lines().map_while(Result::ok) {
                eprintln!("{line}");
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            qemu,
            console: told,
            port: String::new(),
        })
    }

    /// Waits for a line on the console that begins with `start`.
    ///
    /// # Errors
    /// If none comes, or the firmware tells of an error.
    pub fn told(&self, start: &str) -> Result<String> {
        loop {
            let line = self.console.recv_timeout(WAIT);
            let line = line.with_context(|| format!("no line that begins with {start:?}"))?;
            if line.starts_with(start) {
                return Ok(line);
            }
            ensure!(!line.starts_with("error"), "the firmware says {line}");
        }
    }

    /// Returns the name of the port, for the program's `--port`.
    pub fn port(&self) -> &str {
        &self.port
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Faults of a line, in each direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// One byte of so many is lost; none if it is zero.
    pub lost: u64,
    /// One byte of so many is flipped; none if it is zero.
    pub flipped: u64,
    /// Bytes from the program to the device after which the line breaks, once.
    pub breaks_after: Option<u64>,
}

impl Faults {
    /// Returns what becomes of `bytes`, before which `count` others were carried.
    fn carried(self, bytes: &[u8], count: u64) -> Vec<u8> {
        let meets = |at: u64, every: u64| every > 0 && at % every == every - 1;
        let numbered = (count..).zip(bytes);
        let there = numbered.filter(|(at, _)| !meets(*at, self.lost));
        let carried = there.map(|(at, byte)| byte ^ u8::from(meets(at, self.flipped)) << (at % 8));
        carried.collect()
    }
}

/// Carries bytes between the UART and one program after the other, until the UART closes.
fn bridge(uart: &TcpStream, programs: &TcpListener, faults: &Mutex<Faults>) {
    let program: Mutex<Option<TcpStream>> = Mutex::new(None);
    thread::scope(|scope| {
        scope.spawn(|| {
            let carried = carry(uart, faults, false, |bytes| {
                // Nobody listens, or not any more: the bytes are lost.
                if let Some(program) = &mut *program.lock().expect("no panic while locked") {
                    let _ = program.write_all(bytes);
                }
                Ok(())
            });
            drop(carried);
            // The listener below waits for a program that does not come: the process ends it.
        });
        for connection in programs.incoming().flatten() {
            let _ = connection.set_nodelay(true);
            *program.lock().expect("no panic while locked") = connection.try_clone().ok();
            let mut to_uart = uart;
            let _ = carry(&connection, faults, true, |bytes| {
                to_uart.write_all(bytes)?;
                Ok(())
            });
            let _ = connection.shutdown(std::net::Shutdown::Both);
            *program.lock().expect("no panic while locked") = None;
        }
    });
}

/// Carries bytes from `from` until it closes, or breaks.
fn carry(
    mut from: &TcpStream,
    faults: &Mutex<Faults>,
    may_break: bool,
    mut to: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut count = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let now = *faults.lock().expect("no panic while locked");
        let bytes = &buffer[..read];
        if let Some(end) = now.breaks_after.filter(|_| may_break)
            && count + read as u64 > end
        {
            to(&bytes[..end.saturating_sub(count) as usize])?;
            faults.lock().expect("no panic while locked").breaks_after = None;
            bail!("the line broke");
        }
        to(&now.carried(bytes, count))?;
        count += read as u64;
    }
}
