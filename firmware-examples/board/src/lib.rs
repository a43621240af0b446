//! What the example firmwares share on QEMU's boards: memory map, console and files of the host, flash
//! that outlives the program, UART, instruction counter, account of memory and stack.
#![no_std]

pub mod flash;
pub mod inputs;
pub mod instructions;
pub mod memory;
pub mod semihosting;
pub mod uart;

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
// That of riscv-rt makes no mutable references of `static mut`s in `main`; this one fits its start-up
// code as well.
#[cfg(target_arch = "riscv32")]
pub use cortex_m_rt_macros::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt as _;

include!(concat!(env!("OUT_DIR"), "/board.rs"));
