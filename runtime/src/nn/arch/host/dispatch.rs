//! The kernel for an instruction set that is chosen while the program runs.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use super::avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512;
#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::simd128;
use super::tile::{Tile, TileShape};
use crate::nn::arch::instruction_set::InstructionSet;
use crate::nn::portable;
use crate::nn::rules::{AddRule, ProductRule, Quantisation};

/// Computes a tile.
///
/// # Safety
/// The instruction set is available and not the portable one. `tile` fits `shape`, and its pointers are
/// valid for its counts:
/// - for reads: at each position, all rows, of which each is a whole number of groups;
/// - for reads: lines, biases and multipliers of as many blocks as `shape` has;
/// - for reads and writes: the channels that there are, at `kept` positions of the output.
pub(super) unsafe fn compute(instruction_set: InstructionSet, shape: TileShape, tile: &Tile) {
    match instruction_set {
        // SAFETY: this function has the same conditions.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Vnni => unsafe { avx512::compute(shape, tile) },
        // SAFETY: this function has the same conditions.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2::compute(tile) },
        // SAFETY: this function has the same conditions.
        #[cfg(target_arch = "aarch64")]
        InstructionSet::NeonDotProd => unsafe { neon::compute_dot(tile) },
        // SAFETY: this function has the same conditions.
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => unsafe { neon::compute_wide(tile) },
        // SAFETY: this function has the same conditions.
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        InstructionSet::Simd128 => unsafe { simd128::compute(tile) },
        other => unreachable!(
            "{} has no tiles on this machine: {shape:?}, {tile:?}",
            other.name()
        ),
    }
}

/// Quantises `values` into `out`, as [`Quantisation::quantise_all`], with `instruction_set` where it is
/// available.
pub fn quantise_all(
    instruction_set: InstructionSet,
    quantisation: &Quantisation,
    values: &[f32],
    out: &mut [i8],
) {
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni if instruction_set.is_available() => {
            // SAFETY: both instruction sets include AVX2, and the machine has this one.
            unsafe { avx2::quantise_all(quantisation, values, out) }
        }
        _ => quantisation.quantise_all(values, out),
    }
}

/// Adds two maps, as [`portable::add`], with `instruction_set` where it is available.
pub fn add(instruction_set: InstructionSet, rule: &AddRule, a: &[i8], sum: &mut [i8]) {
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni if instruction_set.is_available() => {
            // SAFETY: both instruction sets include AVX2, and the machine has this one.
            unsafe { avx2::add(rule, a, sum) }
        }
        _ => portable::add(rule, a, sum),
    }
}

/// Multiplies two maps, as [`portable::multiply`], with `instruction_set` where it is available.
pub fn multiply(instruction_set: InstructionSet, rule: &ProductRule, a: &[i8], product: &mut [i8]) {
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni if instruction_set.is_available() => {
            // SAFETY: both instruction sets include AVX2, and the machine has this one.
            unsafe { avx2::multiply(rule, a, product) }
        }
        _ => portable::multiply(rule, a, product),
    }
}
