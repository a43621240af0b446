//! Bytes widened to 16 bits, for four output positions side by side.
#![allow(unsafe_code)]

use crate::nn::layout::GATHERED_PIXELS;
use core::arch::asm;

/// Widens the bytes of four places and lays them side by side: `out[k / 2][place][k % 2]`, 16 bits
/// each.
///
/// # Safety
/// There are `4 * quads` bytes at each place, `8 * quads` words at `out`, and at least one quad.
#[inline(never)]
pub(super) unsafe fn widen(out: *mut u32, places: &[*const i8; GATHERED_PIXELS], quads: usize) {
    // SAFETY: reads and writes what the caller promises. The registers that the compiler cannot lend
    // are saved and restored on the stack.
    unsafe {
        asm!(
            include_str!("halves.S"),
            include_str!("widen.S"),
            inout("r0") out => _,
            inout("r1") places.as_ptr() => _,
            inout("r2") quads => _,
            out("r3") _,
            out("r12") _,
            options(raw),
        );
    }
}

/// Values under four positions of a stem's widest kernel, in whole words.
pub(super) const STEM_SPAN: usize = 16;

/// Pairs of values in a row of a stem's widest kernel.
pub(super) const STEM_PAIRS: usize = 4;

/// Widens `span` to 16 bits and lays it out for four positions, two values apart, and a kernel row of
/// `pairs` pairs: pair `k` of position `i` is values `2 * (k + i)` and the one after it.
///
/// `span` may lie at any address.
///
/// # Safety
/// There are 1 to [`STEM_PAIRS`] pairs, and so many groups of four words at `out`.
#[inline(always)]
pub(super) unsafe fn widen_stem(
    out: *mut [u32; GATHERED_PIXELS],
    span: &[i8; STEM_SPAN],
    pairs: usize,
) {
    // SAFETY: reads the span, and writes what the caller promises. The registers that the compiler
    // cannot lend are saved and restored on the stack.
    unsafe {
        asm!(
            include_str!("halves.S"),
            include_str!("stem.S"),
            inout("r0") out => _,
            in("r1") span,
            inout("r2") pairs => _,
            out("r3") _,
            options(raw),
        );
    }
}
