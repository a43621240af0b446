//! The flash that holds the profile, which can be read whatever a power cut has left in it.

use core::arch::asm;
use core::sync::atomic::{Ordering, compiler_fence};
use cortex_m::peripheral::SCB;
use embassy_stm32::flash::{Blocking, Error, Flash};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// The whole flash. Words that were being written as the power went read as anything, as in other flash: the
/// chip alone would stop the program with a bus fault, because their check bits do not match.
pub struct StoreFlash(pub Flash<'static, Blocking>);

impl ErrorType for StoreFlash {
    type Error = Error;
}

impl ReadNorFlash for StoreFlash {
    const READ_SIZE: usize = <Flash<'static, Blocking> as ReadNorFlash>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        ignoring_bus_faults(|| self.0.blocking_read(offset, bytes))
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

// Without critical sections: the program is in the other bank.
impl NorFlash for StoreFlash {
    const WRITE_SIZE: usize = <Flash<'static, Blocking> as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <Flash<'static, Blocking> as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        self.0.blocking_erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.0.blocking_write(offset, bytes)
    }
}

/// BFHFNMIGN of the register CCR: loads that the bus refuses are ignored at the priority of FAULTMASK.
const IGNORE_BUS_FAULTS: u32 = 1 << 8;

/// Runs `read`, during which a refused load gives any value and no fault; interrupts wait.
#[allow(unsafe_code)]
fn ignoring_bus_faults<R>(read: impl FnOnce() -> R) -> R {
    // SAFETY: this is the only code that changes the register after start-up.
    let ccr = unsafe { &(*SCB::PTR).ccr };
    // SAFETY: raises the priority, which is lowered below; the bit only matters there.
    unsafe {
        asm!("cpsid f", options(nostack, preserves_flags));
        ccr.modify(|bits| bits | IGNORE_BUS_FAULTS);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    compiler_fence(Ordering::SeqCst);
    let result = read();
    compiler_fence(Ordering::SeqCst);
    // Until the last load has been answered.
    cortex_m::asm::dsb();
    // SAFETY: undoes what was done above.
    unsafe {
        ccr.modify(|bits| bits & !IGNORE_BUS_FAULTS);
        asm!("cpsie f", options(nostack, preserves_flags));
    }
    cortex_m::asm::isb();
    result
}
