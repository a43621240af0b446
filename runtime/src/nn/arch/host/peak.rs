//! The most products that an instruction set can add up: what a machine's kernels are measured against.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use super::avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512;
#[cfg(target_arch = "aarch64")]
use super::neon;
use crate::nn::arch::instruction_set::InstructionSet;

/// Multiplies and adds by the instructions that the kernels of a set sum with, on registers alone, round after
/// round. Returns the number of multiply-accumulates; `None` if this machine lacks the set, or nothing is known of its
/// peak (the portable kernels, [`InstructionSet::Neon`] and [`InstructionSet::Simd128`]).
///
/// ```
/// use mtslvr_runtime::nn::arch::InstructionSet;
/// use mtslvr_runtime::nn::arch::host::sum_products;
/// use std::time::Instant;
///
/// let begin = Instant::now();
/// if let Some(products) = sum_products(InstructionSet::best(), 1_000) {
///     let rate = products as f64 / begin.elapsed().as_secs_f64();
///     println!("{rate:.2e} multiply-accumulates a second on this core");
/// }
/// ```
pub fn sum_products(set: InstructionSet, rounds: u64) -> Option<u64> {
    let (sum, products) = summing(set).filter(|_| set.is_available())?;
    // SAFETY: the machine has the instruction set.
    unsafe { sum(rounds) };
    Some(rounds.saturating_mul(products as u64))
}

/// Returns the function that sums by the instructions of a set, safe where the machine has it, and its
/// multiply-accumulates a round.
fn summing(set: InstructionSet) -> Option<(unsafe fn(u64), usize)> {
    match set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Vnni => Some((avx512::sum_products, avx512::PRODUCTS_A_ROUND)),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => Some((avx2::sum_products, avx2::PRODUCTS_A_ROUND)),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::NeonDotProd => Some((neon::sum_products, neon::PRODUCTS_A_ROUND)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_counted_by_the_round() {
        for set in InstructionSet::ALL {
            let [one, five] = [1, 5].map(|rounds| sum_products(set, rounds));
            assert_eq!(five, one.map(|one| 5 * one), "{}", set.name());
            assert!(one.is_none() || set.is_available());
            // As many sums as registers hold, several products each.
            assert!(one.is_none_or(|one| (100..10_000).contains(&one)));
        }
        assert_eq!(sum_products(InstructionSet::Portable, 1), None);
    }
}
