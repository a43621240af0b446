//! Bounds of int8 values, four at a time.
#![allow(unsafe_code)]

use core::arch::asm;

/// Clamps all of `values` to `lo..=hi`.
///
/// `SSUB8` subtracts four bytes and notes for each whether the result is at least zero; `SEL` then
/// takes each byte from its first operand where that is so, else from its second.
pub(super) fn clamp(values: &mut [i8], [lo, hi]: [i8; 2]) {
    let all_four = |bound: i8| u32::from(bound as u8) * 0x0101_0101;
    let [lows, highs] = [lo, hi].map(all_four);
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        let mut word = u32::from_le_bytes(four.map(|value| value as u8));
        // SAFETY: works on registers and the flags GE alone.
        unsafe {
            asm!(
                "ssub8 {t}, {word}, {lows}",
                "sel {word}, {word}, {lows}",
                "ssub8 {t}, {highs}, {word}",
                "sel {word}, {word}, {highs}",
                word = inout(reg) word,
                lows = in(reg) lows,
                highs = in(reg) highs,
                t = out(reg) _,
                options(pure, nomem, nostack),
            );
        }
        *four = word.to_le_bytes().map(|byte| byte as i8);
    }
    for value in rest {
        *value = (*value).max(lo).min(hi);
    }
}
