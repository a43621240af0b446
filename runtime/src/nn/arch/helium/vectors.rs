//! Products of whole vectors, for a tile of two output channels by four output positions.
#![allow(unsafe_code)]

use crate::nn::layout::GATHERED_PIXELS;
use core::arch::asm;

/// Adds to `sums[position][channel]` the products of `vectors` times sixteen values at the place of
/// each position with as many weights of two channels.
///
/// # Safety
/// There are `32 * vectors` bytes of weights and `16 * vectors` at each place, and at least one vector.
#[inline(never)]
pub(super) unsafe fn add_vectors(
    weights: *const i8,
    places: &[*const i8; GATHERED_PIXELS],
    vectors: usize,
    sums: &mut [[i32; 2]; GATHERED_PIXELS],
) {
    // SAFETY: reads what the caller promises. The registers that the compiler cannot lend are saved and
    // restored on the stack.
    unsafe {
        asm!(
            include_str!("vectors.S"),
            inout("r0") weights => _,
            inout("r1") places.as_ptr() => _,
            inout("r2") vectors => _,
            inout("r3") sums.as_mut_ptr() => _,
            out("r12") _,
            clobber_abi("aapcs"),
            options(raw),
        );
    }
}
