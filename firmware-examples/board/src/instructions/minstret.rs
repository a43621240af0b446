//! RISC-V: the core's own counter of retired instructions.

use riscv::register::minstret;

/// The running counter.
#[derive(Debug)]
pub struct Instructions {
    start: u64,
}

impl Instructions {
    /// Begins to count.
    pub fn start() -> Option<Self> {
        crate::memory::paint_stack();
        Some(Self {
            start: minstret::read64(),
        })
    }

    /// Instructions since the start.
    pub fn now(&self) -> u64 {
        minstret::read64() - self.start
    }
}
