//! Where the program's bytes lie, and how much of the stack was ever used.

use core::ptr::addr_of;
use cortex_m_rt::STACK_PAINT_VALUE;

// Put into place by the linker script of cortex-m-rt; only their addresses mean something.
unsafe extern "C" {
    static __vector_table: u8;
    static __stext: u8;
    static __etext: u8;
    static __sdata: u8;
    static __edata: u8;
    static __sidata: u8;
    static __sbss: u8;
    static __ebss: u8;
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes of flash in use: vectors, code, constants (the model among them), start values of statics.
pub fn flash_len() -> usize {
    // The vectors stand at the beginning of flash.
    addr_of!(__sidata) as usize + data_len() - addr_of!(__vector_table) as usize
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

/// Most bytes of stack that were in use at any time: the part that no longer shows the paint that
/// the start-up code put there.
pub fn stack_high_water() -> usize {
    let end = addr_of!(_stack_end);
    let words = (addr_of!(_stack_start) as usize - end as usize) / size_of::<u32>();
    let untouched = (0..words)
        // SAFETY: the words from `_stack_end` up to `_stack_start` are RAM that nothing but the
        // stack uses; volatile, because the compiler knows of no object there.
        .take_while(|&word| unsafe { end.add(word).read_volatile() } == STACK_PAINT_VALUE)
        .count();
    (words - untouched) * size_of::<u32>()
}
