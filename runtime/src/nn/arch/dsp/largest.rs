//! The largest of many 16-bit values, two at a time.
#![allow(unsafe_code)]

use core::arch::asm;

/// Words of a round of the inner loop.
const ROUND: usize = 8;

/// Returns the largest value of each half of `words`, as halves of a word.
///
/// `SSUB16` subtracts two values and notes for each whether the result is at least zero; `SEL` then takes each half from
/// its first operand where that is so, else from its second.
pub(crate) fn largest_halves(words: &[[i8; 4]]) -> u32 {
    let mut largest = 0x8000_8000;
    let (rounds, rest) = words.as_chunks::<ROUND>();
    for round in rounds {
        for word in round {
            largest = larger_halves(largest, *word);
        }
    }
    for word in rest {
        largest = larger_halves(largest, *word);
    }
    largest
}

#[inline(always)]
fn larger_halves(mut largest: u32, word: [i8; 4]) -> u32 {
    let word = u32::from_le_bytes(word.map(|byte| byte as u8));
    // SAFETY: works on registers and the flags GE alone.
    unsafe {
        asm!(
            "ssub16 {t}, {word}, {largest}",
            "sel {largest}, {word}, {largest}",
            word = in(reg) word,
            largest = inout(reg) largest,
            t = out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    largest
}
