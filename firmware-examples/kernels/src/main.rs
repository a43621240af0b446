//! Runs the kernels of this target and the portable ones on the same random operators. Its argument
//! is the number of operators; it prints a checksum over all outputs, which every target shares, or
//! the first operator on which the two differ.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use embedded_alloc::LlffHeap;
use mtslvr_board::{entry, say, semihosting};
use mtslvr_kernel_cases::{Kernels, Sweep, sweep};
use mtslvr_runtime::nn::arch;

/// Bytes for one case's operands at a time.
const HEAP_LEN: usize = 1 << 20;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

#[entry]
fn main() -> ! {
    static mut MEMORY: [MaybeUninit<u8>; HEAP_LEN] = [MaybeUninit::uninit(); HEAP_LEN];
    // SAFETY: called once, before any allocation, with memory that nothing else uses.
    #[allow(unsafe_code)]
    unsafe {
        HEAP.init(MEMORY.as_ptr() as usize, HEAP_LEN);
    }

    let mut line = [const { core::mem::MaybeUninit::uninit() }; 64];
    let line = semihosting::command_line(&mut line).unwrap_or_default();
    let last = line.split_whitespace().last().unwrap_or_default();
    let Ok(cases) = last.parse() else {
        say!("error: expected the number of cases");
        semihosting::exit(false);
    };
    let kernels = Kernels {
        convolve: arch::convolve,
        linear: arch::linear,
        depthwise: arch::depthwise,
        lookup: arch::lookup,
    };
    match sweep(cases, &kernels) {
        Sweep::Agrees { crc32 } => {
            say!("kernels cases={} crc32={:08x}", cases, crc32);
            semihosting::exit(true)
        }
        Sweep::Differs { seed, kind, at } => {
            say!("error: value {} of {} differs in case {}", at, kind, seed);
            semihosting::exit(false)
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    say!("error: {}", info);
    semihosting::exit(false)
}
