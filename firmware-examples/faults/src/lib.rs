//! Restarts a Cortex-M when something is wrong: a panic, a fault or a stack that is too deep is noted in memory that
//! outlives the restart, and the device tells the reason then.
//!
//! [`guard_stack`] makes a stack that grows over its end a fault, before it changes a static. On Armv8-M the core's
//! stack limit does that. On Armv7-M a region of the MPU does, at the end of the stack, that nobody may read or write;
//! a function whose variables take more than that region can step over it.
#![no_std]
// Handles faults: registers of the core, and memory that no variable owns.
#![allow(unsafe_code)]

use core::fmt;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr::addr_of;
use cortex_m::peripheral::SCB;
use mtslvr_device::{LastWords, PanicReason, Reason};

/// Outlives a restart: the start-up code leaves it as it is.
#[unsafe(link_section = ".uninit.LAST_WORDS")]
static mut LAST_WORDS: MaybeUninit<LastWords> = MaybeUninit::uninit();

/// Resets the part, where the core's own reset leaves too much as it is.
static mut RESET: Option<fn()> = None;

/// Has the part reset by `reset` instead of the core's own reset. Called before anything can go wrong.
pub fn reset_by(reset: fn()) {
    // SAFETY: nothing else runs yet, and only fault handlers read it.
    unsafe { RESET = Some(reset) };
}

unsafe extern "C" {
    /// The lowest address of the stack, which the linker script of `cortex-m-rt` puts behind all statics.
    static _stack_end: u32;
}

/// Returns the reason of the last restart, once. `None` if nothing was wrong.
pub fn last_words() -> Option<Reason> {
    let place = (&raw mut LAST_WORDS).cast::<LastWords>();
    // SAFETY: any content is a valid `LastWords`. Only this function and fault handlers, which never return, use it.
    let reason = unsafe { place.read_volatile() }.reason();
    // SAFETY: as above.
    unsafe { place.write_volatile(LastWords::NONE) };
    reason
}

/// Notes `reason` and starts the device again.
pub fn restart(reason: impl fmt::Display) -> ! {
    cortex_m::interrupt::disable();
    let place = (&raw mut LAST_WORDS).cast::<LastWords>();
    // SAFETY: interrupts are off, and nothing is done after it.
    let reset = unsafe {
        place.write_volatile(LastWords::of(reason));
        RESET
    };
    if let Some(reset) = reset {
        reset();
    }
    SCB::sys_reset()
}

#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    panicked(info)
}

/// Does what a panic handler has to: keeps the reason over a restart, which tells it.
pub fn panicked(info: &PanicInfo) -> ! {
    restart(PanicReason(info))
}

/// Bytes at the end of the stack that nobody may read or write, on Armv7-M.
#[cfg(not(armv8m))]
const GUARD_BYTES: u32 = 256;

/// Makes a stack that grows over its end a fault from now on. Called once, first of all.
#[cfg(not(armv8m))]
pub fn guard_stack() {
    // The first whole region behind the statics: the stack is so much shorter.
    let region = (addr_of!(_stack_end) as u32).next_multiple_of(GUARD_BYTES);
    /// Region 0.
    const VALID: u32 = 1 << 4;
    /// No instructions; and no access, which is no bit at all.
    const EXECUTE_NEVER: u32 = 1 << 28;
    const ENABLE: u32 = 1;
    /// All other memory is as it is without the MPU.
    const BACKGROUND: u32 = 1 << 2;
    // SAFETY: nobody else uses the MPU, and the region is memory that only the stack may reach.
    unsafe {
        let mpu = &*cortex_m::peripheral::MPU::PTR;
        mpu.rbar.write(region | VALID);
        mpu.rasr
            .write(EXECUTE_NEVER | (GUARD_BYTES.ilog2() - 1) << 1 | ENABLE);
        // Not while a hard fault is handled, which needs a stack itself.
        mpu.ctrl.write(BACKGROUND | ENABLE);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Makes a stack that grows over its end a fault from now on. Called once, first of all.
#[cfg(armv8m)]
pub fn guard_stack() {
    /// The limit does not count while a hard fault is handled, which needs a stack itself.
    const STKOFHFNMIGN: u32 = 1 << 10;
    // SAFETY: the stack ends where the linker script says; nobody else changes the register.
    unsafe {
        let scb = &*SCB::PTR;
        scb.ccr.modify(|ccr| ccr | STKOFHFNMIGN);
        cortex_m::register::msplim::write(addr_of!(_stack_end) as u32);
    }
}

/// Every fault ends here. The stack may be what is wrong: another begins at its top.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn HardFault() -> ! {
    core::arch::naked_asm!(
        "mrs r0, msp",
        "ldr r1, =_stack_start",
        "msr msp, r1",
        "b {fault}",
        fault = sym fault,
    )
}

/// Says what kind of fault it is. `stack` is where the stack was.
extern "C" fn fault(stack: u32) -> ! {
    /// How far above its end a stack is too deep: an exception pushes up to so many bytes.
    const FRAME: u32 = 1024;
    let end = addr_of!(_stack_end) as u32;
    // SAFETY: reads a register.
    let cause = unsafe { (*SCB::PTR).cfsr.read() };
    if stack < end + FRAME {
        restart(format_args!("the stack is too small (fault {cause:08x})"))
    }
    restart(format_args!("a fault of the processor, {cause:08x}"))
}
