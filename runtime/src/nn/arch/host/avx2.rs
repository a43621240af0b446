//! AVX2: inputs and weights as 16-bit integers, of which one instruction multiplies two each of
//! eight channels and adds the two products: exact, where the instruction for bytes saturates.

#![allow(unsafe_code)]

use super::tile::{BLOCK, Tile, Walk};
use crate::nn::portable;
use crate::nn::rules::{ADD_FRACTION_BITS, AddRule, ProductRule, Quantisation};
use core::arch::asm;
use core::arch::x86_64::*;
use core::hint::black_box;

/// Positions of a tile.
const P: usize = 4;

/// Vectors of eight channels in a block.
const HALVES: usize = BLOCK / 8;

/// Sums that are added to at the same time, so that no addition waits for the one before: as many as the registers
/// hold beside the operands and a product.
const SUMS: usize = 12;

/// Multiply-accumulates of a round of [`sum_products`].
pub(super) const PRODUCTS_A_ROUND: usize = 16 * SUMS;

/// Adds products to [`SUMS`] registers in each round; see [`super::sum_products`].
#[target_feature(enable = "avx2")]
pub(super) fn sum_products(rounds: u64) {
    let (values, weights) = (
        _mm256_set1_epi16(black_box(3)),
        _mm256_set1_epi16(black_box(5)),
    );
    let mut sums = [_mm256_setzero_si256(); SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // The product is the same in each round, which the compiler must not see.
            let values = black_box_register(values);
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, weights));
        }
    }
    black_box(sums);
}

/// Hides from the compiler what a register holds, without a way through memory.
#[inline]
#[target_feature(enable = "avx2")]
fn black_box_register(mut value: __m256i) -> __m256i {
    // SAFETY: does nothing.
    unsafe {
        // Not `pure`: what it leaves must differ from one time to the next.
        asm!("/* {0} */", inout(ymm_reg) value, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Computes a tile of four positions by one block.
///
/// # Safety
/// As [`super::dispatch::compute`]; AVX2 is available.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn compute(tile: &Tile) {
    let (mut sums, mut multipliers) = (
        [[_mm256_setzero_si256(); HALVES]; P],
        [_mm256_setzero_si256(); HALVES],
    );
    for half in 0..HALVES {
        // SAFETY: there are a bias and a multiplier for each channel of a whole block.
        let bias = unsafe {
            multipliers[half] = _mm256_loadu_si256(tile.multipliers.add(8 * half).cast());
            _mm256_loadu_si256(tile.bias.add(8 * half).cast())
        };
        for sums in &mut sums {
            sums[half] = bias;
        }
    }
    // SAFETY: the caller promises all that both walk over.
    unsafe {
        add_products(tile, &tile.kernel, &mut sums);
        add_products(tile, &tile.adapter, &mut sums);
    }
    // SAFETY: the caller promises the channels of the positions that are kept; `store` gets a block.
    unsafe { tile.store_kept(&sums, |sums, out| store(tile, sums, multipliers, out)) };
}

/// Adds the products of one table of weights with the input values under it.
///
/// # Safety
/// As [`compute`]; `walk` is one of the tile's.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_products(tile: &Tile, walk: &Walk, sums: &mut [[__m256i; HALVES]; P]) {
    let mut lines = walk.lines;
    let mut row = walk.from;
    for _ in 0..walk.rows {
        for group in 0..walk.groups {
            // SAFETY: the block has a line for each row and group, and each position a group of two
            // values of two bytes.
            unsafe {
                let mut weights = [_mm256_setzero_si256(); HALVES];
                for (half, weights) in weights.iter_mut().enumerate() {
                    *weights = _mm256_load_si256(lines.cast::<__m256i>().add(half));
                }
                for (p, sums) in sums.iter_mut().enumerate() {
                    let at = tile.positions[p].add(row + 4 * group);
                    let values = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, weights));
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
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(
    tile: &Tile,
    sums: [__m256i; HALVES],
    multipliers: [__m256i; HALVES],
    out: *mut i8,
) {
    let rule = &tile.requantisation;
    let pre = _mm_cvtsi32_si128(rule.pre.into());
    let half = _mm256_set1_epi64x(1 << 31);
    let mut q = sums;
    for (q, multipliers) in q.iter_mut().zip(multipliers) {
        let shifted = _mm256_sll_epi32(*q, pre);
        // Products of even and of odd lanes, 64 bits each. Only their upper halves are needed.
        let even = _mm256_mul_epi32(shifted, multipliers);
        let odd = _mm256_mul_epi32(
            _mm256_srli_epi64::<32>(shifted),
            _mm256_srli_epi64::<32>(multipliers),
        );
        let even = _mm256_srli_epi64::<32>(_mm256_add_epi64(even, half));
        let odd = _mm256_add_epi64(odd, half);
        let rounded = _mm256_blend_epi32::<0b1010_1010>(even, odd);
        *q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
    }
    if let Some(rule) = &tile.residual {
        let half = _mm256_set1_epi32(1 << (ADD_FRACTION_BITS - 1));
        let scaled = |x: __m256i, zero_point: i8, multiplier: i32| {
            let centred = _mm256_sub_epi32(x, _mm256_set1_epi32(zero_point.into()));
            _mm256_mullo_epi32(centred, _mm256_set1_epi32(multiplier))
        };
        for (i, q) in q.iter_mut().enumerate() {
            // SAFETY: eight values can be read here.
            let addend = unsafe { _mm_loadl_epi64(out.add(8 * i).cast()) };
            let sum = _mm256_add_epi32(
                scaled(*q, rule.a_zero_point, rule.a_multiplier),
                scaled(
                    _mm256_cvtepi8_epi32(addend),
                    rule.b_zero_point,
                    rule.b_multiplier,
                ),
            );
            let rounded =
                _mm256_srai_epi32::<{ ADD_FRACTION_BITS as i32 }>(_mm256_add_epi32(sum, half));
            *q = clamp(rounded, rule.zero_point, rule.lo, rule.hi);
        }
    }
    // The values are within 8 bits, so packing does not saturate. It works on halves of a vector; the
    // permutation puts them in order.
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(q[0], q[1]));
    let bytes = _mm_packs_epi16(
        _mm256_castsi256_si128(words),
        _mm256_extracti128_si256::<1>(words),
    );
    // SAFETY: sixteen values can be written here.
    unsafe { _mm_storeu_si128(out.cast(), bytes) };
}

/// Adds the zero point and keeps the result within the bounds.
#[inline]
#[target_feature(enable = "avx2")]
fn clamp(x: __m256i, zero_point: i8, lo: i8, hi: i8) -> __m256i {
    let x = _mm256_add_epi32(x, _mm256_set1_epi32(zero_point.into()));
    let x = _mm256_max_epi32(x, _mm256_set1_epi32(lo.into()));
    _mm256_min_epi32(x, _mm256_set1_epi32(hi.into()))
}

/// Quantises eight values at a time, as [`Quantisation::quantise_all`]. The portable one, compiled for
/// AVX2, turns floats into integers value by value, because its cast is defined for every float.
#[target_feature(enable = "avx2")]
pub(super) fn quantise_all(quantisation: &Quantisation, values: &[f32], out: &mut [i8]) {
    let inverse = _mm256_set1_ps(1.0 / quantisation.scale);
    let zero_point = quantisation.zero_point;
    let eights = values.as_chunks::<8>().0;
    for (x, out) in eights.iter().zip(out.chunks_exact_mut(8)) {
        // SAFETY: eight values can be read.
        let x = unsafe { _mm256_loadu_ps(x.as_ptr()) };
        let shifted = _mm256_add_ps(_mm256_mul_ps(x, inverse), _mm256_set1_ps(0.5));
        // NaN becomes 0.
        let ordered = _mm256_cmp_ps::<_CMP_ORD_Q>(shifted, shifted);
        let shifted = _mm256_and_ps(shifted, ordered);
        let within = _mm256_min_ps(
            _mm256_max_ps(shifted, _mm256_set1_ps(-1024.0)),
            _mm256_set1_ps(1024.0),
        );
        let q = _mm256_cvttps_epi32(_mm256_floor_ps(within));
        let q = clamp(q, zero_point, i8::MIN, i8::MAX);
        let words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256::<1>(q));
        // SAFETY: eight values can be written.
        unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_packs_epi16(words, words)) };
    }
    let done = values.len().min(out.len()) / 8 * 8;
    quantisation.quantise_all(&values[done..], &mut out[done..]);
}

/// Adds two maps: the portable addition, compiled for AVX2.
#[target_feature(enable = "avx2")]
pub(super) fn add(rule: &AddRule, a: &[i8], sum: &mut [i8]) {
    portable::add(rule, a, sum);
}

/// Multiplies two maps: the portable loop, compiled for AVX2.
#[target_feature(enable = "avx2")]
pub(super) fn multiply(rule: &ProductRule, a: &[i8], product: &mut [i8]) {
    portable::multiply(rule, a, product);
}
