//! Cortex-M cores with the vector extension MVE, Helium: M52, M55, M85.
//!
//! `VLD20` and `VLD21` part the bytes of sixteen numbers of [pairs](Layout::Pairs) as they load them:
//! the first channel's weights, and the second's less one where the first's is negative. One
//! `VMLADAVA` then adds sixteen products to a sum. Sums of two channels at four output positions stay
//! in the eight even registers.
#![allow(unsafe_code)]

use super::linear::ROWS;
use crate::nn::{Convolution, GATHERED_PIXELS, Layout, portable};
use core::arch::asm;

/// Values in a vector.
pub(super) const LANES: usize = 16;

/// Shorter kernels are better summed two values at a time, by the DSP instructions.
const SHORTEST: usize = 4 * LANES;

/// Convolves, or gives back `false` where the weights are not in pairs, or few.
pub(super) fn convolve(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let input_channels = conv.input.channels;
    let row_len = conv.layout.row_len(&conv.window, input_channels);
    let column_len = conv.layout.column_len(&conv.window, input_channels);
    if conv.layout != Layout::Pairs || column_len < SHORTEST {
        return false;
    }
    let adapter_len = conv.layout.adapter_len(input_channels);
    let pad = conv.window.padding;
    let centre = pad.top * row_len + pad.left * input_channels;

    let channels = conv.output.channels;
    let positions = conv.output.height * conv.output.width;
    let columns = &mut scratch[..GATHERED_PIXELS * column_len];
    for (block, out) in output.chunks_mut(GATHERED_PIXELS * channels).enumerate() {
        for (i, column) in columns.chunks_exact_mut(column_len).enumerate() {
            // Beyond the last position it is gathered again.
            let position = (GATHERED_PIXELS * block + i).min(positions - 1);
            let (y, x) = (position / conv.output.width, position % conv.output.width);
            portable::gather(conv, input, y, x, column);
        }
        for pair in 0..channels.div_ceil(2) {
            let bias = [2 * pair, 2 * pair + 1].map(|o| conv.bias.get(o).copied().unwrap_or(0));
            let mut sums = [bias; GATHERED_PIXELS];
            let weights = &conv.weights[2 * pair * column_len..][..2 * column_len];
            add_products(weights, columns, column_len, 0..column_len, &mut sums);
            if !conv.adapter.is_empty() {
                let weights = &conv.adapter[2 * pair * adapter_len..][..2 * input_channels];
                let values = centre..centre + input_channels;
                add_products(weights, columns, column_len, values, &mut sums);
            }
            for (sums, out) in sums.iter().zip(out.chunks_exact_mut(channels)) {
                for (channel, &sum) in sums.iter().enumerate().take(channels - 2 * pair) {
                    let o = 2 * pair + channel;
                    out[o] = conv.finish(o, sum, out[o]);
                }
            }
        }
    }
    true
}

/// Adds to `sums[position][channel]` the products of `weights`, pairs of two channels, with `values`
/// of the column of each position.
fn add_products(
    weights: &[i8],
    columns: &[i8],
    column_len: usize,
    values: core::ops::Range<usize>,
    sums: &mut [[i32; 2]; GATHERED_PIXELS],
) {
    let len = values.len();
    let whole = len / LANES * LANES;
    let mut places = [columns.as_ptr(); GATHERED_PIXELS];
    for (place, column) in places.iter_mut().zip(columns.chunks_exact(column_len)) {
        *place = column[values.clone()].as_ptr();
    }
    assert!(weights.len() >= 2 * len);
    if whole > 0 {
        // SAFETY: as many weights and values of each position as were just checked.
        unsafe { add_vectors(weights.as_ptr(), &mut places, whole / LANES, sums) };
    }
    if whole < len {
        // What is left, filled up with zeros.
        let mut last_weights = [0; 2 * LANES];
        last_weights[..2 * (len - whole)].copy_from_slice(&weights[2 * whole..2 * len]);
        let mut last_values = [[0; LANES]; GATHERED_PIXELS];
        for (last, column) in last_values.iter_mut().zip(columns.chunks_exact(column_len)) {
            let rest = &column[values.clone()][whole..];
            last[..rest.len()].copy_from_slice(rest);
        }
        let mut places = last_values.each_ref().map(|values| values.as_ptr());
        // SAFETY: one vector of each.
        unsafe { add_vectors(last_weights.as_ptr(), &mut places, 1, sums) };
    }
}

/// `vectors` times sixteen values of four positions with weights of two channels; `places` move on.
///
/// Registers: even ones the sums, position by position; r1 weights, r3, r5, r7 and r9 the positions'
/// values, r11 the vectors left. q0 and q1 the weights of the two channels, q2 and q3 values.
///
/// # Safety
/// There are `32 * vectors` bytes of weights and `16 * vectors` at each place, and at least one vector.
#[inline(never)]
unsafe fn add_vectors(
    weights: *const i8,
    places: &mut [*const i8; GATHERED_PIXELS],
    vectors: usize,
    sums: &mut [[i32; 2]; GATHERED_PIXELS],
) {
    // SAFETY: what is read is the caller's promise; registers that the compiler cannot lend are saved
    // and restored on the stack.
    unsafe {
        asm!(
            "
            push    {{r4-r11, lr}}
            push    {{r3}}
            mov     r11, r2
            ldrd    r5, r7, [r1, #4]
            ldr     r9, [r1, #12]
            mov     lr, r3
            ldr     r3, [r1]
            mov     r1, r0
            ldr     r0, [lr]
            ldr     r2, [lr, #4]
            ldr     r4, [lr, #8]
            ldr     r6, [lr, #12]
            ldr     r8, [lr, #16]
            ldr     r10, [lr, #20]
            ldr     r12, [lr, #24]
            ldr     lr, [lr, #28]
        2:
            vld20.8 {{q0, q1}}, [r1]
            vld21.8 {{q0, q1}}, [r1]!
            vldrb.u8 q2, [r3], #16
            vshr.s8 q3, q0, #7
            vmladava.s8 r0, q2, q0
            vsub.i8 q1, q1, q3
            vldrb.u8 q3, [r5], #16
            vmladava.s8 r2, q2, q1
            vmladava.s8 r4, q3, q0
            vldrb.u8 q2, [r7], #16
            vmladava.s8 r6, q3, q1
            vmladava.s8 r8, q2, q0
            vldrb.u8 q3, [r9], #16
            vmladava.s8 r10, q2, q1
            vmladava.s8 r12, q3, q0
            vmladava.s8 lr, q3, q1
            subs    r11, #1
            bne     2b
            pop     {{r3}}
            str     r0, [r3]
            str     r2, [r3, #4]
            str     r4, [r3, #8]
            str     r6, [r3, #12]
            str     r8, [r3, #16]
            str     r10, [r3, #20]
            str     r12, [r3, #24]
            str     lr, [r3, #28]
            pop     {{r4-r11, lr}}
            ",
            inout("r0") weights => _,
            inout("r1") places.as_mut_ptr() => _,
            inout("r2") vectors => _,
            inout("r3") sums.as_mut_ptr() => _,
            out("r12") _,
            clobber_abi("aapcs"),
        );
    }
}

/// Adds to `sums` the products of `steps` vectors at `x` with as many at each of four places.
///
/// Registers: r4, r6, r8 and r10 the sums; r0 the input; r1, r5, r7 and r9 the rows; r2 the vectors
/// left. q0 values of the input, q1 to q3 weights.
///
/// # Safety
/// There are `16 * steps` bytes at `x` and at each place, and at least one step.
#[inline(never)]
pub(super) unsafe fn add_rows(
    x: *const i8,
    places: &[*const i8; ROWS],
    steps: usize,
    sums: &mut [i32; ROWS],
) {
    // SAFETY: what is read is the caller's promise; registers that the compiler cannot lend are saved
    // and restored on the stack.
    unsafe {
        asm!(
            "
            push    {{r3-r11, lr}}
            ldrd    r4, r6, [r3]
            ldrd    r8, r10, [r3, #8]
            ldrd    r7, r9, [r1, #8]
            ldrd    r1, r5, [r1]
        2:
            vldrb.u8 q0, [r0], #16
            vldrb.u8 q1, [r1], #16
            vmladava.s8 r4, q0, q1
            vldrb.u8 q2, [r5], #16
            vmladava.s8 r6, q0, q2
            vldrb.u8 q3, [r7], #16
            vmladava.s8 r8, q0, q3
            vldrb.u8 q1, [r9], #16
            vmladava.s8 r10, q0, q1
            subs    r2, #1
            bne     2b
            ldr     r3, [sp]
            strd    r4, r6, [r3]
            strd    r8, r10, [r3, #8]
            pop     {{r3-r11, lr}}
            ",
            inout("r0") x => _,
            inout("r1") places.as_ptr() => _,
            inout("r2") steps => _,
            inout("r3") sums.as_mut_ptr() => _,
            clobber_abi("aapcs"),
        );
    }
}
