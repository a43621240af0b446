//! The board's UART, which QEMU connects to what its option `-serial` names.

// Reads and writes registers at their addresses.
#![allow(unsafe_code)]

use crate::UART;
#[cfg(feature = "link")]
use mtslvr_runtime::link::{Served, Session};

/// The UART, polled.
#[derive(Debug)]
pub struct Uart(());

/// A CMSDK APB UART (Arm's Cortex-M System Design Kit): 32-bit registers.
#[cfg(target_arch = "arm")]
mod register {
    pub type Value = u32;
    pub const DATA: usize = 0x0;
    pub const STATE: usize = 0x4;
    pub const CONTROL: usize = 0x8;
    pub const DIVIDER: usize = 0x10;
    /// Bit of the state: a byte has come.
    pub const RECEIVED: u32 = 1 << 1;
    /// Bit of the state: no byte can be written.
    pub const FULL: u32 = 1;
    /// Bits of the control: send and receive.
    pub const ENABLED: u32 = 0b11;
    /// Least divider of the clock; QEMU's lines have no speed.
    pub const FASTEST: u32 = 16;
}

/// A 16550: 8-bit registers. QEMU's works without any set-up.
#[cfg(target_arch = "riscv32")]
mod register {
    pub type Value = u8;
    pub const DATA: usize = 0x0;
    pub const STATE: usize = 0x5;
    /// Bit of the line state: a byte has come.
    pub const RECEIVED: u8 = 1;
    /// Bit of the line state: a byte can be written.
    pub const EMPTY: u8 = 1 << 5;
}

impl Uart {
    /// Switches the UART on.
    pub fn start() -> Self {
        #[cfg(target_arch = "arm")]
        {
            write(register::DIVIDER, register::FASTEST);
            write(register::CONTROL, register::ENABLED);
        }
        Self(())
    }

    /// Returns the next byte, if one has come.
    pub fn read(&mut self) -> Option<u8> {
        let received = read(register::STATE) & register::RECEIVED != 0;
        received.then(|| read(register::DATA) as u8)
    }

    /// Writes a byte, as soon as there is room for it.
    pub fn write(&mut self, byte: u8) {
        #[cfg(target_arch = "arm")]
        while read(register::STATE) & register::FULL != 0 {}
        #[cfg(target_arch = "riscv32")]
        while read(register::STATE) & register::EMPTY == 0 {}
        write(register::DATA, byte.into());
    }
}

#[cfg(feature = "link")]
impl Uart {
    /// Serves whoever asks over the UART, for ever.
    pub fn serve(mut self, session: &mut Session<'_>, served: &mut impl Served) -> ! {
        loop {
            if let Some(byte) = self.read() {
                session.exchange(&[byte], served, |answer| {
                    answer.iter().for_each(|&byte| self.write(byte));
                });
            }
        }
    }
}

fn read(register: usize) -> register::Value {
    // SAFETY: a register of the UART, which is at this address on the board that this is built for.
    unsafe { ((UART + register) as *const register::Value).read_volatile() }
}

fn write(register: usize, value: register::Value) {
    // SAFETY: as in `read`.
    unsafe { ((UART + register) as *mut register::Value).write_volatile(value) }
}
