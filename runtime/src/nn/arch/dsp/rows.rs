//! Products of one input with several rows of weights.
#![allow(unsafe_code)]

use crate::nn::arch::rows::ROWS;
use core::arch::asm;

/// Values of a step.
pub(in crate::nn::arch) const LANES: usize = 4;

/// Adds to `sums` the products of the values at `x` with those at each of four places; all have
/// `steps` times four.
///
/// # Safety
/// There are `4 * steps` bytes at `x` and at each place, and at least one step.
#[inline(never)]
pub(in crate::nn::arch) unsafe fn add_rows(
    x: *const i8,
    places: &[*const i8; ROWS],
    steps: usize,
    sums: &mut [i32; ROWS],
) {
    // SAFETY: reads what the caller promises. The registers that the compiler cannot lend are saved and
    // restored on the stack.
    unsafe {
        asm!(
            include_str!("rows.S"),
            inout("r0") x => _,
            inout("r1") places.as_ptr() => _,
            inout("r2") steps => _,
            inout("r3") sums.as_mut_ptr() => _,
            out("r12") _,
            options(raw),
        );
    }
}
