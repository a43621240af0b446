//! WebAssembly's vectors: inputs and weights as 16-bit integers, of which one instruction multiplies
//! two each of four channels and adds the two products.
//!
//! A block is computed in two halves: the eight sums of a half and what they are made of fit the
//! sixteen registers that browsers have on x86-64.

#![allow(unsafe_code)]

use super::tile::{BLOCK, Tile, Walk};
use crate::nn::rules::ADD_FRACTION_BITS;
use core::arch::wasm32::*;

/// Positions of a tile.
const P: usize = 4;

/// Vectors of four channels in a block.
const QUARTERS: usize = BLOCK / 4;

/// Vectors of four channels in half a block.
const OF_HALF: usize = QUARTERS / 2;

/// The sums of a tile: `[position][quarter]`.
type Sums = [[v128; QUARTERS]; P];

/// Computes a tile of four positions by one block.
///
/// # Safety
/// As [`super::dispatch::compute`].
pub(super) unsafe fn compute(tile: &Tile) {
    let zero = i32x4_splat(0);
    let (mut sums, mut multipliers): (Sums, _) = ([[zero; QUARTERS]; P], [zero; QUARTERS]);
    for (quarter, multipliers) in multipliers.iter_mut().enumerate() {
        // SAFETY: there are multipliers for a whole block.
        *multipliers = unsafe { v128_load(tile.multipliers.add(4 * quarter).cast()) };
    }
    for half in 0..2 {
        // SAFETY: the caller promises all that both walk over, and the biases of a whole block.
        let of_half = unsafe {
            let mut of_half = biases(tile, half);
            add_products(tile, &tile.kernel, half, &mut of_half);
            add_products(tile, &tile.adapter, half, &mut of_half);
            of_half
        };
        for (sums, of_half) in sums.iter_mut().zip(of_half) {
            sums[half * OF_HALF..][..OF_HALF].copy_from_slice(&of_half);
        }
    }
    // SAFETY: the caller promises the channels of the positions that are kept; `store` gets a block.
    unsafe { tile.store_kept(&sums, |sums, out| store(tile, sums, multipliers, out)) };
}

/// Starts the sums of half a block from the biases.
///
/// # Safety
/// There are biases for a whole block.
#[inline(always)]
unsafe fn biases(tile: &Tile, half: usize) -> [[v128; OF_HALF]; P] {
    let mut bias = [i32x4_splat(0); OF_HALF];
    for (quarter, bias) in bias.iter_mut().enumerate() {
        let channel = 4 * (half * OF_HALF + quarter);
        // SAFETY: this function has the same conditions.
        *bias = unsafe { v128_load(tile.bias.add(channel).cast()) };
    }
    [bias; P]
}

/// Adds the products of half a block of one table of weights with the input values under it.
///
/// # Safety
/// As [`compute`]; `walk` is one of the tile's.
#[inline(always)]
unsafe fn add_products(tile: &Tile, walk: &Walk, half: usize, sums: &mut [[v128; OF_HALF]; P]) {
    let mut lines = walk.lines;
    let mut row = walk.from;
    for _ in 0..walk.rows {
        for group in 0..walk.groups {
            // SAFETY: the block has a line for each row and group, and each position a group of two
            // values of two bytes.
            unsafe {
                let weights = lines.cast::<v128>().add(half * OF_HALF);
                let weights = [v128_load(weights), v128_load(weights.add(1))];
                for (p, sums) in sums.iter_mut().enumerate() {
                    let at = tile.positions[p].add(row + 4 * group);
                    let values = v128_load32_splat(at.cast());
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = i32x4_add(*sum, i32x4_dot_i16x8(values, weights));
                    }
                }
                lines = lines.add(1);
            }
        }
        row += tile.row_step;
    }
}

/// Requantises the sums of a block, adds what `out` holds if there is a residual, and stores them.
///
/// # Safety
/// [`BLOCK`] values are valid at `out` for reads and writes.
#[inline(always)]
unsafe fn store(tile: &Tile, sums: [v128; QUARTERS], multipliers: [v128; QUARTERS], out: *mut i8) {
    let rule = &tile.requantisation;
    let half = i64x2_splat(1 << 31);
    let mut q = sums;
    for (q, multipliers) in q.iter_mut().zip(multipliers) {
        let shifted = i32x4_shl(*q, rule.pre.into());
        let low = i64x2_add(i64x2_extmul_low_i32x4(shifted, multipliers), half);
        let high = i64x2_add(i64x2_extmul_high_i32x4(shifted, multipliers), half);
        // The upper half of each product of 64 bits.
        let rounded = i32x4_shuffle::<1, 3, 5, 7>(low, high);
        *q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
    }
    if let Some(rule) = &tile.residual {
        // SAFETY: sixteen values can be read here.
        let addends = unsafe { v128_load(out.cast()) };
        let (low, high) = (
            i16x8_extend_low_i8x16(addends),
            i16x8_extend_high_i8x16(addends),
        );
        let addends = [
            i32x4_extend_low_i16x8(low),
            i32x4_extend_high_i16x8(low),
            i32x4_extend_low_i16x8(high),
            i32x4_extend_high_i16x8(high),
        ];
        let scaled = |x: v128, zero_point: i8, multiplier: i32| {
            let centred = i32x4_sub(x, i32x4_splat(zero_point.into()));
            i32x4_mul(centred, i32x4_splat(multiplier))
        };
        let half = i32x4_splat(1 << (ADD_FRACTION_BITS - 1));
        for (q, addend) in q.iter_mut().zip(addends) {
            let sum = i32x4_add(
                scaled(*q, rule.a_zero_point, rule.a_multiplier),
                scaled(addend, rule.b_zero_point, rule.b_multiplier),
            );
            let rounded = i32x4_shr(i32x4_add(sum, half), ADD_FRACTION_BITS);
            *q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
        }
    }
    // The values are within 8 bits, so narrowing does not saturate.
    let low = i16x8_narrow_i32x4(q[0], q[1]);
    let high = i16x8_narrow_i32x4(q[2], q[3]);
    // SAFETY: sixteen values can be written here.
    unsafe { v128_store(out.cast(), i8x16_narrow_i16x8(low, high)) };
}

/// Adds the zero point and keeps the result within the bounds.
#[inline(always)]
fn clamp(x: v128, zero_point: i8, lo: i8, hi: i8) -> v128 {
    let x = i32x4_add(x, i32x4_splat(zero_point.into()));
    let x = i32x4_max(x, i32x4_splat(lo.into()));
    i32x4_min(x, i32x4_splat(hi.into()))
}
