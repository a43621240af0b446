//! What the example firmwares share on QEMU's boards: memory map, console and files of the host,
//! instruction counter, account of memory and stack.
#![no_std]

pub mod instructions;
pub mod memory;
pub mod semihosting;

pub use cortex_m_rt::entry;

include!(concat!(env!("OUT_DIR"), "/board.rs"));
