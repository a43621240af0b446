//! Counts executed instructions, under QEMU's `-icount shift=0`: the same number on every run.
//! (Instructions are not cycles: a real core takes one to a few cycles for each.)

#[cfg(target_arch = "riscv32")]
mod minstret;
#[cfg(target_arch = "arm")]
mod systick;

#[cfg(target_arch = "riscv32")]
pub use minstret::Instructions;
#[cfg(target_arch = "arm")]
pub use systick::Instructions;
