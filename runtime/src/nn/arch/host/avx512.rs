//! AVX-512 with VNNI: one instruction multiplies four unsigned input values with four weights each of
//! the sixteen channels of a block, and adds them to the sixteen sums.

#![allow(unsafe_code)]

use super::tile::{BLOCK, Tile, TileShape, Walk};
use crate::nn::rules::ADD_FRACTION_BITS;
use core::arch::x86_64::*;
use core::hint::black_box;

/// Computes a tile of 4 or 8 positions by 1, 2 or 4 blocks.
///
/// # Safety
/// As [`super::dispatch::compute`]; AVX-512 F, BW, VL and VNNI are available.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn compute(shape: TileShape, tile: &Tile) {
    // SAFETY: this function has the same conditions, and `shape` is one of these.
    unsafe {
        match (shape.positions, shape.blocks) {
            (8, 2) => positions_by_blocks::<8, 2>(tile),
            (8, _) => positions_by_blocks::<8, 1>(tile),
            (_, 4) => positions_by_blocks::<4, 4>(tile),
            (_, 2) => positions_by_blocks::<4, 2>(tile),
            _ => positions_by_blocks::<4, 1>(tile),
        }
    }
}

/// Computes a tile of `P` positions by `N` blocks.
///
/// # Safety
/// As [`compute`], for this shape.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn positions_by_blocks<const P: usize, const N: usize>(tile: &Tile) {
    let mut sums = [[_mm512_setzero_si512(); N]; P];
    for n in 0..N {
        // SAFETY: there are biases for N whole blocks.
        let bias = unsafe { _mm512_loadu_si512(tile.bias.add(n * BLOCK).cast()) };
        for sums in &mut sums {
            sums[n] = bias;
        }
    }
    // SAFETY: the caller promises all that both walk over.
    unsafe {
        add_products::<P, N>(tile, &tile.kernel, &mut sums);
        add_products::<P, N>(tile, &tile.adapter, &mut sums);
    }
    for n in 0..N {
        let channels = tile.channels.saturating_sub(n * BLOCK).min(BLOCK);
        let mask = ((1u32 << channels) - 1) as __mmask16;
        // SAFETY: there are multipliers for N whole blocks.
        let multipliers = unsafe { _mm512_loadu_si512(tile.multipliers.add(n * BLOCK).cast()) };
        for (p, sums) in sums.iter().enumerate() {
            if p < tile.kept {
                // SAFETY: the channels of the mask are there at each position that is kept.
                unsafe {
                    let out = tile.output.add(p * tile.output_step + n * BLOCK);
                    store(tile, sums[n], multipliers, out, mask);
                }
            }
        }
    }
}

/// Adds the products of one table of weights with the input values under it.
///
/// # Safety
/// As [`positions_by_blocks`]; `walk` is one of the tile's.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn add_products<const P: usize, const N: usize>(
    tile: &Tile,
    walk: &Walk,
    sums: &mut [[__m512i; N]; P],
) {
    let mut lines = walk.lines;
    let mut row = walk.from;
    for _ in 0..walk.rows {
        for group in 0..walk.groups {
            // SAFETY: each block has a line for each row and group, and each position a group of
            // four bytes.
            unsafe {
                let mut weights = [_mm512_setzero_si512(); N];
                for (n, weights) in weights.iter_mut().enumerate() {
                    *weights = _mm512_load_si512(lines.add(n * walk.block_step).cast());
                }
                for (p, sums) in sums.iter_mut().enumerate() {
                    let at = tile.positions[p].add(row + 4 * group);
                    let values = _mm512_set1_epi32(at.cast::<i32>().read_unaligned());
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = _mm512_dpbusd_epi32(*sum, values, weights);
                    }
                }
                lines = lines.add(1);
            }
        }
        row += tile.row_step;
    }
}

/// Sums that are added to at the same time, so that no addition waits for the one before: as many as the registers
/// hold beside the operands.
const SUMS: usize = 24;

/// Multiply-accumulates of a round of [`sum_products`].
pub(super) const PRODUCTS_A_ROUND: usize = 64 * SUMS;

/// Adds products to [`SUMS`] registers in each round; see [`super::sum_products`].
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn sum_products(rounds: u64) {
    let (values, weights) = (
        _mm512_set1_epi32(black_box(3)),
        _mm512_set1_epi32(black_box(5)),
    );
    let mut sums = [_mm512_setzero_si512(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, values, weights);
        }
    }
    black_box(sums);
}

/// Requantises sixteen sums, adds what `out` holds if there is a residual, and stores the channels of
/// `mask`.
///
/// # Safety
/// The channels of `mask` are valid at `out` for reads and writes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn store(tile: &Tile, sums: __m512i, multipliers: __m512i, out: *mut i8, mask: __mmask16) {
    let rule = &tile.requantisation;
    let shifted = _mm512_sll_epi32(sums, _mm_cvtsi32_si128(rule.pre.into()));
    // Products of even and of odd lanes, 64 bits each. Only their upper halves are needed.
    let half = _mm512_set1_epi64(1 << 31);
    let even = _mm512_mul_epi32(shifted, multipliers);
    let odd = _mm512_mul_epi32(
        _mm512_srli_epi64::<32>(shifted),
        _mm512_srli_epi64::<32>(multipliers),
    );
    let even = _mm512_srli_epi64::<32>(_mm512_add_epi64(even, half));
    let odd = _mm512_add_epi64(odd, half);
    let rounded = _mm512_mask_blend_epi32(0xAAAA, even, odd);
    let mut q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
    if let Some(rule) = &tile.residual {
        // SAFETY: the channels of the mask can be read.
        let addend = _mm512_cvtepi8_epi32(unsafe { _mm_maskz_loadu_epi8(mask, out) });
        let scaled = |x: __m512i, zero_point: i8, multiplier: i32| {
            let centred = _mm512_sub_epi32(x, _mm512_set1_epi32(zero_point.into()));
            _mm512_mullo_epi32(centred, _mm512_set1_epi32(multiplier))
        };
        let sum = _mm512_add_epi32(
            scaled(q, rule.a_zero_point, rule.a_multiplier),
            scaled(addend, rule.b_zero_point, rule.b_multiplier),
        );
        let half = _mm512_set1_epi32(1 << (ADD_FRACTION_BITS - 1));
        let rounded = _mm512_srai_epi32::<ADD_FRACTION_BITS>(_mm512_add_epi32(sum, half));
        q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
    }
    // SAFETY: the channels of the mask can be written.
    unsafe { _mm512_mask_cvtepi32_storeu_epi8(out, mask, q) };
}

/// Adds the zero point and keeps the result within the bounds.
#[inline]
#[target_feature(enable = "avx512f")]
fn clamp(x: __m512i, zero_point: i8, lo: i8, hi: i8) -> __m512i {
    let x = _mm512_add_epi32(x, _mm512_set1_epi32(zero_point.into()));
    let x = _mm512_max_epi32(x, _mm512_set1_epi32(lo.into()));
    _mm512_min_epi32(x, _mm512_set1_epi32(hi.into()))
}
