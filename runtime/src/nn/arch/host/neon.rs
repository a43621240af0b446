//! Advanced SIMD of aarch64: with the dot product instructions, one of which multiplies four input
//! values with four weights each of four channels, or without, on 16-bit integers.

#![allow(unsafe_code)]

use super::tile::{BLOCK, Tile, Walk};
use crate::nn::rules::ADD_FRACTION_BITS;
use core::arch::aarch64::*;
use core::arch::asm;
use core::hint::black_box;

/// Positions of a tile.
const P: usize = 4;

/// Vectors of four channels in a block.
const QUARTERS: usize = BLOCK / 4;

/// The sums of a tile: `[position][quarter]`.
type Sums = [[int32x4_t; QUARTERS]; P];

/// Sums that are added to at the same time, so that no addition waits for the one before: as many as the registers
/// hold beside the operands.
const SUMS: usize = 24;

/// Multiply-accumulates of a round of [`sum_products`].
pub(super) const PRODUCTS_A_ROUND: usize = 16 * SUMS;

/// Adds products to [`SUMS`] registers in each round; see [`super::sum_products`].
#[target_feature(enable = "neon,dotprod")]
pub(super) fn sum_products(rounds: u64) {
    let (values, weights) = (vdupq_n_s8(black_box(3)), vdupq_n_s8(black_box(5)));
    let mut sums = [vdupq_n_s32(0); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = dot(*sum, weights, values);
        }
    }
    black_box(sums);
}

/// Computes a tile of four positions by one block, operands as signed bytes.
///
/// # Safety
/// As [`super::dispatch::compute`]; Advanced SIMD with dot products is available.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn compute_dot(tile: &Tile) {
    // SAFETY: this function has the same conditions.
    unsafe {
        let mut sums = biases(tile);
        add_dot_products(tile, &tile.kernel, &mut sums);
        add_dot_products(tile, &tile.adapter, &mut sums);
        store_all(tile, &sums);
    }
}

/// Computes a tile of four positions by one block, operands as 16-bit integers.
///
/// # Safety
/// As [`super::dispatch::compute`]; Advanced SIMD is available.
#[target_feature(enable = "neon")]
pub(super) unsafe fn compute_wide(tile: &Tile) {
    // SAFETY: this function has the same conditions.
    unsafe {
        let mut sums = biases(tile);
        add_wide_products(tile, &tile.kernel, &mut sums);
        add_wide_products(tile, &tile.adapter, &mut sums);
        store_all(tile, &sums);
    }
}

/// Starts the sums from the biases.
///
/// # Safety
/// There are biases for a whole block.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn biases(tile: &Tile) -> Sums {
    let mut sums = [[vdupq_n_s32(0); QUARTERS]; P];
    for quarter in 0..QUARTERS {
        // SAFETY: this function has the same conditions.
        let bias = unsafe { vld1q_s32(tile.bias.add(4 * quarter)) };
        for sums in &mut sums {
            sums[quarter] = bias;
        }
    }
    sums
}

/// Adds the products of one table of weights with the input values under it.
///
/// # Safety
/// As [`compute_dot`]; `walk` is one of the tile's.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add_dot_products(tile: &Tile, walk: &Walk, sums: &mut Sums) {
    let mut lines = walk.lines;
    let mut row = walk.from;
    for _ in 0..walk.rows {
        for group in 0..walk.groups {
            // SAFETY: the block has a line for each row and group, and each position a group of four
            // bytes.
            unsafe {
                let weights = vld1q_s8_x4(lines.cast());
                let weights = [weights.0, weights.1, weights.2, weights.3];
                for (p, sums) in sums.iter_mut().enumerate() {
                    let at = tile.positions[p].add(row + 4 * group);
                    let values = vdupq_n_s32(at.cast::<i32>().read_unaligned());
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = dot(*sum, weights, vreinterpretq_s8_s32(values));
                    }
                }
                lines = lines.add(1);
            }
        }
        row += tile.row_step;
    }
}

/// Adds to each sum four products of weights and values: `SDOT`, for which the compiler has no stable
/// function.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sums: int32x4_t, weights: int8x16_t, values: int8x16_t) -> int32x4_t {
    // SAFETY: works on registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {values:v}.16b",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            values = in(vreg) values,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Adds the products of one table of weights with the input values under it.
///
/// # Safety
/// As [`compute_wide`]; `walk` is one of the tile's.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_wide_products(tile: &Tile, walk: &Walk, sums: &mut Sums) {
    let mut lines = walk.lines;
    let mut row = walk.from;
    for _ in 0..walk.rows {
        for group in 0..walk.groups {
            // SAFETY: the block has a line for each row and group, and each position a group of two
            // values of two bytes.
            unsafe {
                let weights = vld1q_s16_x4(lines.cast());
                for (p, sums) in sums.iter_mut().enumerate() {
                    let at = tile.positions[p].add(row + 4 * group);
                    let values = vdup_n_s32(at.cast::<i32>().read_unaligned());
                    let values = vreinterpret_s16_s32(values);
                    let [a, b, c, d] = sums;
                    *a = vmlal_lane_s16::<0>(*a, vget_low_s16(weights.0), values);
                    *b = vmlal_high_lane_s16::<0>(*b, weights.0, values);
                    *c = vmlal_lane_s16::<0>(*c, vget_low_s16(weights.1), values);
                    *d = vmlal_high_lane_s16::<0>(*d, weights.1, values);
                    *a = vmlal_lane_s16::<1>(*a, vget_low_s16(weights.2), values);
                    *b = vmlal_high_lane_s16::<1>(*b, weights.2, values);
                    *c = vmlal_lane_s16::<1>(*c, vget_low_s16(weights.3), values);
                    *d = vmlal_high_lane_s16::<1>(*d, weights.3, values);
                }
                lines = lines.add(1);
            }
        }
        row += tile.row_step;
    }
}

/// Finishes and stores the positions that are kept.
///
/// # Safety
/// As [`compute_wide`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_all(tile: &Tile, sums: &Sums) {
    let mut multipliers = [vdupq_n_s32(0); QUARTERS];
    for (quarter, multipliers) in multipliers.iter_mut().enumerate() {
        // SAFETY: there are multipliers for a whole block.
        *multipliers = unsafe { vld1q_s32(tile.multipliers.add(4 * quarter)) };
    }
    // SAFETY: the caller promises the channels of the positions that are kept; `store` gets a block.
    unsafe { tile.store_kept(sums, |sums, out| store(tile, sums, multipliers, out)) };
}

/// Requantises the sums of a block, adds what `out` holds if there is a residual, and stores them.
///
/// # Safety
/// [`BLOCK`] values are valid at `out` for reads and writes.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store(
    tile: &Tile,
    sums: [int32x4_t; QUARTERS],
    multipliers: [int32x4_t; QUARTERS],
    out: *mut i8,
) {
    let rule = &tile.requantisation;
    let pre = vdupq_n_s32(rule.pre.into());
    let mut q = sums;
    for (q, multipliers) in q.iter_mut().zip(multipliers) {
        let shifted = vshlq_s32(*q, pre);
        let low = vmull_s32(vget_low_s32(shifted), vget_low_s32(multipliers));
        let high = vmull_high_s32(shifted, multipliers);
        // The rounding narrowing shift adds 2^31 first.
        let rounded = vcombine_s32(vrshrn_n_s64::<32>(low), vrshrn_n_s64::<32>(high));
        *q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
    }
    if let Some(rule) = &tile.residual {
        // SAFETY: sixteen values can be read here.
        let addends = unsafe { vld1q_s8(out) };
        let (low, high) = (vmovl_s8(vget_low_s8(addends)), vmovl_high_s8(addends));
        let addends = [
            vmovl_s16(vget_low_s16(low)),
            vmovl_high_s16(low),
            vmovl_s16(vget_low_s16(high)),
            vmovl_high_s16(high),
        ];
        for (q, addend) in q.iter_mut().zip(addends) {
            let scaled = |x: int32x4_t, zero_point: i8, multiplier: i32| {
                vmulq_n_s32(vsubq_s32(x, vdupq_n_s32(zero_point.into())), multiplier)
            };
            let sum = vaddq_s32(
                scaled(*q, rule.a_zero_point, rule.a_multiplier),
                scaled(addend, rule.b_zero_point, rule.b_multiplier),
            );
            let half = vdupq_n_s32(1 << (ADD_FRACTION_BITS - 1));
            let rounded = vshrq_n_s32::<{ ADD_FRACTION_BITS as i32 }>(vaddq_s32(sum, half));
            *q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
        }
    }
    // The values are within 8 bits, so narrowing loses nothing.
    let low = vcombine_s16(vmovn_s32(q[0]), vmovn_s32(q[1]));
    let high = vcombine_s16(vmovn_s32(q[2]), vmovn_s32(q[3]));
    // SAFETY: sixteen values can be written here.
    unsafe { vst1q_s8(out, vcombine_s8(vmovn_s16(low), vmovn_s16(high))) };
}

/// Adds the zero point and keeps the result within the bounds.
#[inline]
#[target_feature(enable = "neon")]
fn clamp(x: int32x4_t, zero_point: i8, lo: i8, hi: i8) -> int32x4_t {
    let x = vaddq_s32(x, vdupq_n_s32(zero_point.into()));
    let x = vmaxq_s32(x, vdupq_n_s32(lo.into()));
    vminq_s32(x, vdupq_n_s32(hi.into()))
}
