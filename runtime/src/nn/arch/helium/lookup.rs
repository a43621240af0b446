//! Tables: sixteen values at a time.
#![allow(unsafe_code)]

use super::rows::LANES;
use crate::nn::portable;
use core::arch::asm;

/// Values of a table.
const TABLE_LEN: usize = 256;

/// Replaces each value by that of a table; see [`portable::lookup`].
pub(in crate::nn::arch) fn lookup(table: &[i8], values: &mut [i8]) {
    if table.len() != TABLE_LEN {
        return;
    }
    let (vectors, rest) = values.as_chunks_mut::<LANES>();
    if !vectors.is_empty() {
        // SAFETY: reads a table of 256 values by offsets of 8 bits, and reads and writes so many vectors.
        unsafe {
            asm!(
                "2:",
                "vldrb.u8 q0, [r0]",
                "vldrb.u8 q1, [r1, q0]",
                "vstrb.8 q1, [r0], #16",
                "subs r2, #1",
                "bne 2b",
                inout("r0") vectors.as_mut_ptr() => _,
                inout("r1") table.as_ptr() => _,
                inout("r2") vectors.len() => _,
                clobber_abi("aapcs"),
            );
        }
    }
    portable::lookup(table, rest);
}
