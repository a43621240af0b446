//! Goes wrong in one way after another, and tells after each restart why it was: `tests/tests/firmware_crash.rs`
//! reads it.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};
use mtslvr_board::{entry, say, semihosting};

/// A static right below the stack, whose bytes a stack that is too deep would change.
static WITNESS: [AtomicU32; 64] = [const { AtomicU32::new(0x5a5a_5a5a) }; 64];

#[entry]
fn main() -> ! {
    mtslvr_faults::guard_stack();
    let reason = mtslvr_faults::last_words();
    match reason.as_deref() {
        None => {
            say!("started");
            let numbers = black_box([1, 2, 3]);
            say!("{}", numbers[black_box(3)]);
        }
        Some(reason) if reason.contains("index out of bounds") => {
            say!("told: {}", reason);
            say!("depth {}", dig(black_box(1)));
        }
        Some(reason) if reason.contains("stack") => {
            say!("told: {}", reason);
            invalid_instruction();
        }
        Some(reason) => {
            say!("told: {}", reason);
            let whole = WITNESS
                .iter()
                .all(|word| word.load(Ordering::Relaxed) == 0x5a5a_5a5a);
            // Told once.
            let once = mtslvr_faults::last_words().is_none();
            semihosting::exit(whole && once);
        }
    }
    semihosting::exit(false)
}

/// Calls itself until there is no stack left.
#[inline(never)]
fn dig(depth: u32) -> u32 {
    let room = black_box([depth; 16]);
    if black_box(depth) == 0 {
        return 0;
    }
    let deeper = dig(depth.saturating_add(1));
    deeper.wrapping_add(room.iter().sum::<u32>())
}

fn invalid_instruction() {
    cortex_m::asm::udf();
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    mtslvr_faults::panicked(info)
}
