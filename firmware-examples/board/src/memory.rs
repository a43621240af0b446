//! Where the program's bytes lie, and how much of the stack was ever used.

// Reads addresses of the linker's symbols, and words of the stack that no variable owns.
#![allow(unsafe_code)]

use core::ptr::addr_of;

#[cfg(target_arch = "arm")]
use cortex_m_rt::STACK_PAINT_VALUE;
/// What untouched words of the stack hold.
#[cfg(target_arch = "riscv32")]
const STACK_PAINT_VALUE: u32 = 0xCCCC_CCCC;

// Put into place by the linker script of the start-up code; only their addresses mean something.
unsafe extern "C" {
    /// Where flash begins to be used.
    #[cfg_attr(target_arch = "arm", link_name = "__vector_table")]
    #[cfg_attr(target_arch = "riscv32", link_name = "__stext")]
    static FLASH: u8;
    static __stext: u8;
    static __etext: u8;
    static __sdata: u8;
    static __edata: u8;
    static __sidata: u8;
    static __sbss: u8;
    static __ebss: u8;
    static _stack_start: u32;
    #[cfg_attr(target_arch = "arm", link_name = "_stack_end")]
    #[cfg_attr(target_arch = "riscv32", link_name = "__estack")]
    static STACK_END: u32;
}

/// Bytes of flash in use: vectors, code, constants (the model among them), start values of statics.
pub fn flash_len() -> usize {
    addr_of!(__sidata) as usize + data_len() - addr_of!(FLASH) as usize
}

/// Bytes of code.
pub fn code_len() -> usize {
    addr_of!(__etext) as usize - addr_of!(__stext) as usize
}

/// Bytes of RAM in use by statics, all buffers included; the stack comes on top.
pub fn ram_len() -> usize {
    data_len() + addr_of!(__ebss) as usize - addr_of!(__sbss) as usize
}

fn data_len() -> usize {
    addr_of!(__edata) as usize - addr_of!(__sdata) as usize
}

/// Paints the part of the stack that is not in use. On Cortex-M the start-up code has done it.
#[cfg(target_arch = "riscv32")]
pub fn paint_stack() {
    /// Bytes below this function's variables that its own calls may use.
    const MARGIN: usize = 256;
    let here = 0_u32;
    let mut word = addr_of!(STACK_END).cast_mut();
    while (word as usize) < addr_of!(here) as usize - MARGIN {
        // SAFETY: the words from the stack's end up to what is in use are RAM that nothing uses.
        unsafe {
            word.write_volatile(STACK_PAINT_VALUE);
            word = word.add(1);
        }
    }
}

/// Most bytes of stack that were in use at any time: the part that no longer shows the paint that
/// the start-up code put there.
pub fn stack_high_water() -> usize {
    let end = addr_of!(STACK_END);
    let words = (addr_of!(_stack_start) as usize - end as usize) / size_of::<u32>();
    let untouched = (0..words)
        // SAFETY: the words from its end up to `_stack_start` are RAM that nothing but the
        // stack uses; volatile, because the compiler knows of no object there.
        .take_while(|&word| unsafe { end.add(word).read_volatile() } == STACK_PAINT_VALUE)
        .count();
    (words - untouched) * size_of::<u32>()
}
