//! The loops and instructions that stable Rust has no names for.
#![allow(unsafe_code)]

use crate::nn::GATHERED_PIXELS;
#[cfg(not(arm_mve))]
use crate::nn::arch::linear::ROWS;
use core::arch::asm;
use core::mem::offset_of;

/// Two values each, in one round of the inner loop.
const ROUND: usize = 16;

/// Bytes of machine code that two values take in the inner loop: 12 instructions.
const TWO_VALUES: usize = 12 * 4;

/// Rounds after which the sums of a pair are parted. A sum of products of up to 511 values with 127
/// and -128 keeps within 24 bits; 15 rounds and a part of one are at most 510 values.
const SEGMENT: usize = 15;

/// Gathered values that weights of a pair of channels meet.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Run {
    values: *const u32,
    /// Where in the first round to begin, so that all rounds after it are whole: bytes of machine
    /// code, with the Thumb bit.
    entry: usize,
    first_segment_end: *const u32,
    end: *const u32,
}

impl Run {
    /// All of `values`, two for each of four positions in four words, after `summed` steps of two
    /// values whose sums have not been parted; and the number of such steps after it.
    pub(super) fn new(values: &[u32], summed: usize) -> (Self, usize) {
        let steps = values.len() / GATHERED_PIXELS;
        let missing = steps.next_multiple_of(ROUND) - steps;
        let room = SEGMENT.saturating_sub((summed + ROUND - missing).div_ceil(ROUND));
        let first_segment = steps.min(ROUND - missing + room * ROUND);
        let rest = steps - first_segment;
        let summed = if rest == 0 {
            summed + first_segment
        } else {
            (rest - 1) % (SEGMENT * ROUND) + 1
        };
        let values = values.as_ptr();
        let run = Self {
            values,
            entry: missing * TWO_VALUES + 1,
            first_segment_end: values.wrapping_add(first_segment * GATHERED_PIXELS),
            end: values.wrapping_add(steps * GATHERED_PIXELS),
        };
        (run, summed)
    }
}

/// What [`outputs`] works on. Pointers to what belongs to a pair of channels move on with each pair.
#[repr(C)]
pub(super) struct Outputs {
    /// What the weights meet, at least one step.
    pub column: Run,
    /// What the adapter meets.
    pub centre: Run,
    pub weights: *const i8,
    /// Null for none.
    pub adapter: *const i8,
    pub bias: *const i32,
    pub multipliers: *const i32,
    pub out: *mut i8,
    /// Pairs of channels, at least one.
    pub pairs: usize,
    pub pre: u32,
    pub zero_point: i32,
    /// From one position to the next in `out`.
    pub stride: usize,
    /// Of the residual: first and second multiplier and the constant, or a first multiplier of zero
    /// for none.
    pub residual: [i32; 3],
}

/// All pairs of channels at four output positions.
///
/// A value is `q = ssat8(zero_point + (((bias + sum) << pre) * multiplier + 2^31 >> 32))`; with a
/// residual, `ssat8((q * residual[0] + out * residual[1] + residual[2]) >> 20)`.
///
/// A word of weights is `256 * second + first` twice. With it as it is, `SMLAD` sums for both channels
/// at once: `both = first + 256 * second`, in 32 bits that wrap around. With what `SXTB16` leaves of
/// it, it sums `first`. From time to time, before `second` leaves 24 bits, and in the end, the sums are
/// parted: `second = (both - first) >> 8` is added up in memory, and `both = first` goes on.
///
/// Registers in the inner loop: r4 to r7 `first` of each position, r8 to r11 `both`; r1 weights, r2
/// values; r12 and r3 weights of the first and both channels, r0 and lr values of two positions. On
/// the stack: the end of the segment, the end of the run, `call`, and `second` of each position.
///
/// # Safety
/// The pointers reach as far as the fields say.
#[inline(never)]
pub(super) unsafe fn outputs(call: &mut Outputs) {
    /// All values of a run: r2, r3, r12 and lr are its fields. A turn of the repetition is a step of
    /// two values of four positions times weights of two channels.
    macro_rules! run {
        ($rounds:literal, $done:literal) => {
            concat!(
                "
                strd    r12, lr, [sp]
                adr.w   r12, ",
                $rounds,
                "f
                add     r12, r3
                bx      r12
                .p2align 2
            ",
                $rounds,
                ":
                .rept   {round}
                ldr.w   r3, [r1], #4
                sxtb16  r12, r3
                ldrd    r0, lr, [r2], #8
                smlad   r4, r0, r12, r4
                smlad   r8, r0, r3, r8
                smlad   r5, lr, r12, r5
                smlad   r9, lr, r3, r9
                ldrd    r0, lr, [r2], #8
                smlad   r6, r0, r12, r6
                smlad   r10, r0, r3, r10
                smlad   r7, lr, r12, r7
                smlad   r11, lr, r3, r11
                .endr
                ldrd    r0, r12, [sp]
                cmp     r2, r0
                bne.w   ",
                $rounds,
                "b
                cmp     r2, r12
                beq     ",
                $done,
                "f
                add     r0, r2, #{segment}
                cmp     r0, r12
                it      hi
                movhi   r0, r12
                str     r0, [sp]
                ",
                part!(),
                "
                add     r0, sp, #12
                stm     r0, {{r8-r11}}
                mov     r8, r4
                mov     r9, r5
                mov     r10, r6
                mov     r11, r7
                b       ",
                $rounds,
                "b
            ",
                $done,
                ":
                "
            )
        };
    }
    /// r8 to r11 become all of `second` so far.
    macro_rules! part {
        () => {
            "
                add     lr, sp, #12
                sub     r8, r4
                sub     r9, r5
                sub     r10, r6
                sub     r11, r7
                ldrd    r0, r3, [lr]
                add     r8, r0, r8, asr #8
                add     r9, r3, r9, asr #8
                ldrd    r0, r3, [lr, #8]
                add     r10, r0, r10, asr #8
                add     r11, r3, r11, asr #8
            "
        };
    }
    /// Sums of one channel to int8 values: $by is the multiplier, r1 `pre`, r2 the zero point.
    macro_rules! requantise {
        ($shifted:literal, $by:literal: $($sum:literal)*) => {
            concat!(
                "
                cbz     r1, ", $shifted, "f
                ",
                $(
                "
                lsl     ", $sum, ", r1
                ",
                )*
                $shifted, ":",
                $(
                "
                smmlar  ", $sum, ", ", $sum, ", ", $by, ", r2
                ssat    ", $sum, ", #8, ", $sum, "
                "
                ),*
            )
        };
    }
    /// Adds what is at `place`, and stores: r0, r1, r2 are the residual's numbers.
    macro_rules! add_and_store {
        ($q:literal, $place:literal) => {
            concat!(
                "
                ldrsb   lr, ",
                $place,
                "
                mla     lr, lr, r1, r2
                mla     ",
                $q,
                ", ",
                $q,
                ", r0, lr
                ssat    ",
                $q,
                ", #8, ",
                $q,
                ", asr #20
                strb    ",
                $q,
                ", ",
                $place,
                "
                "
            )
        };
    }
    // SAFETY: what is read and written is the caller's promise; registers that the compiler cannot
    // lend are saved and restored on the stack.
    unsafe {
        asm!(
            "
        push    {{r4-r11, lr}}
        sub     sp, #28
        str     r0, [sp, #8]
    2:
        ldr     r1, [r0, #{bias}]
        ldrd    r4, r8, [r1], #8
        str     r1, [r0, #{bias}]
        strd    r8, r8, [sp, #12]
        strd    r8, r8, [sp, #20]
        mov     r5, r4
        mov     r6, r4
        mov     r7, r4
        mov     r8, r4
        mov     r9, r4
        mov     r10, r4
        mov     r11, r4
        ldr     r1, [r0, #{weights}]
        ldm     r0, {{r2, r3, r12, lr}}
        ",
            run!("3", "30"),
            "
        ldr     r0, [sp, #8]
        str     r1, [r0, #{weights}]
        ldr     r1, [r0, #{adapter}]
        cmp     r1, #0
        beq.w   5f
        add     r0, #{centre}
        ldm     r0, {{r2, r3, r12, lr}}
        ",
            run!("4", "40"),
            "
        ldr     r0, [sp, #8]
        str     r1, [r0, #{adapter}]
    5:
        ",
            part!(),
            "
        ldr     lr, [sp, #8]
        ldr     r3, [lr, #{multipliers}]
        ldrd    r1, r2, [lr, #{pre}]
        ldrd    r0, r12, [r3], #8
        str     r3, [lr, #{multipliers}]
        ",
            requantise!("8", "r0": "r4" "r5" "r6" "r7"),
            requantise!("9", "r12": "r8" "r9" "r10" "r11"),
            "
        ldr     r3, [lr, #{out}]
        add     r12, r3, #2
        str     r12, [lr, #{out}]
        ldrd    r12, r0, [lr, #{stride_then_residual}]
        cbnz    r0, 6f
        strb    r4, [r3]
        strb    r5, [r3, r12]
        strb    r6, [r3, r12, lsl #1]
        add     r3, r12
        strb    r7, [r3, r12, lsl #1]
        add     r3, #1
        strb    r9, [r3]
        strb    r10, [r3, r12]
        strb    r11, [r3, r12, lsl #1]
        sub     r3, r12
        strb    r8, [r3]
        b       7f
    6:
        ldrd    r1, r2, [lr, #{stride_then_residual} + 8]
        ",
            add_and_store!("r4", "[r3]"),
            add_and_store!("r5", "[r3, r12]"),
            add_and_store!("r6", "[r3, r12, lsl #1]"),
            "add    r3, r12",
            add_and_store!("r7", "[r3, r12, lsl #1]"),
            "add    r3, #1",
            add_and_store!("r9", "[r3]"),
            add_and_store!("r10", "[r3, r12]"),
            add_and_store!("r11", "[r3, r12, lsl #1]"),
            "sub    r3, r12",
            add_and_store!("r8", "[r3]"),
            "
    7:
        ldr     r0, [sp, #8]
        ldr     r1, [r0, #{pairs}]
        subs    r1, #1
        str     r1, [r0, #{pairs}]
        bne.w   2b
        add     sp, #28
        pop     {{r4-r11, lr}}
        ",
            round = const ROUND,
            segment = const SEGMENT * ROUND * GATHERED_PIXELS * size_of::<u32>(),
            centre = const offset_of!(Outputs, centre),
            weights = const offset_of!(Outputs, weights),
            adapter = const offset_of!(Outputs, adapter),
            bias = const offset_of!(Outputs, bias),
            multipliers = const offset_of!(Outputs, multipliers),
            out = const offset_of!(Outputs, out),
            pairs = const offset_of!(Outputs, pairs),
            pre = const offset_of!(Outputs, pre),
            stride_then_residual = const offset_of!(Outputs, stride),
            inout("r0") call => _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r12") _,
        )
    }
}

/// Values of a step of [`add_rows`].
#[cfg(not(arm_mve))]
pub(in crate::nn::arch) const LANES: usize = 4;

/// Adds to `sums` the products of `steps` times four values at `x` with as many at each of four
/// places.
///
/// `SXTB16` widens the bytes of a word two by two, those of the weights as those of the input, so that
/// it does not matter which two a `SMLAD` takes: 25 instructions for 16 products.
///
/// Registers: r4 to r7 the sums; r0 the input, lr its end; r1, r2, r3 and r12 the rows; r8 and r9 four
/// values of the input, r10 and r11 four weights.
///
/// # Safety
/// There are `4 * steps` bytes at `x` and at each place, and at least one step.
#[cfg(not(arm_mve))]
#[inline(never)]
pub(in crate::nn::arch) unsafe fn add_rows(
    x: *const i8,
    places: &[*const i8; ROWS],
    steps: usize,
    sums: &mut [i32; ROWS],
) {
    macro_rules! row {
        ($sum:literal, $place:literal) => {
            concat!(
                "
                ldr     r11, [",
                $place,
                "], #4
                sxtb16  r10, r11
                sxtb16  r11, r11, ror #8
                smlad   ",
                $sum,
                ", r8, r10, ",
                $sum,
                "
                smlad   ",
                $sum,
                ", r9, r11, ",
                $sum,
                "
                "
            )
        };
    }
    // SAFETY: what is read is the caller's promise; registers that the compiler cannot lend are saved
    // and restored on the stack.
    unsafe {
        asm!(
            "
        push    {{r3-r11, lr}}
        add     lr, r0, r2, lsl #2
        ldm     r3, {{r4-r7}}
        ldm     r1, {{r1, r2, r3, r12}}
    2:
        ldr     r9, [r0], #4
        sxtb16  r8, r9
        sxtb16  r9, r9, ror #8
        ",
            row!("r4", "r1"),
            row!("r5", "r2"),
            row!("r6", "r3"),
            row!("r7", "r12"),
            "
        cmp     r0, lr
        bne     2b
        ldr     r3, [sp]
        stm     r3, {{r4-r7}}
        pop     {{r3-r11, lr}}
        ",
            inout("r0") x => _,
            inout("r1") places.as_ptr() => _,
            inout("r2") steps => _,
            inout("r3") sums.as_mut_ptr() => _,
            out("r12") _,
        )
    }
}

/// Widens `quads` times four bytes from each of four places to 16 bits and lays them side by side:
/// `out[k/2][place][2]`.
///
/// Registers: r1 to r4 the first two values of each place, r5 to r8 the other two; r9 for a moment;
/// r10, r11, r12 and lr the places. On the stack: where `out` ends.
///
/// # Safety
/// Each of `places` has `4 * quads` bytes, `out` eight words for each of the `quads`, of which there
/// is at least one.
#[inline(never)]
pub(super) unsafe fn widen(out: *mut u32, places: &[*const i8; GATHERED_PIXELS], quads: usize) {
    macro_rules! place {
        ($from:literal, $low:literal, $high:literal) => {
            concat!(
                "
                ldr     ",
                $high,
                ", [",
                $from,
                "], #4
                sxtb16  r9, ",
                $high,
                "
                sxtb16  ",
                $high,
                ", ",
                $high,
                ", ror #8
                pkhbt   ",
                $low,
                ", r9, ",
                $high,
                ", lsl #16
                pkhtb   ",
                $high,
                ", ",
                $high,
                ", r9, asr #16
                "
            )
        };
    }
    macro_rules! quad {
        () => {
            concat!(
                place!("r10", "r1", "r5"),
                place!("r11", "r2", "r6"),
                place!("r12", "r3", "r7"),
                place!("lr", "r4", "r8"),
                "
                stm     r0!, {{r1-r8}}
                "
            )
        };
    }
    // SAFETY: as above.
    unsafe {
        asm!(
            "
        push    {{r4-r11, lr}}
        add     r3, r0, r2, lsl #5
        push    {{r3}}
        ldm     r1, {{r10, r11, r12, lr}}
        tst     r2, #1
        bne     2f
    1:
        ",
            quad!(),
            "
    2:
        ",
            quad!(),
            "
        ldr     r9, [sp]
        cmp     r0, r9
        bne     1b
        add     sp, #4
        pop     {{r4-r11, lr}}
        ",
            inout("r0") out => _,
            inout("r1") places => _,
            inout("r2") quads => _,
            out("r3") _,
            out("r12") _,
        )
    }
}

/// Clamps all of `values`, four at a time: `SEL` takes bytes by the signs of a difference.
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
        *value = (*value).clamp(lo, hi);
    }
}

/// Values under four positions of a stem's widest kernel, in whole words.
pub(super) const STEM_SPAN: usize = 16;

/// Widens `span` to 16 bits and lays it out for four positions, two values apart, and a kernel row of
/// `out.len()` pairs (1 to 4): pair `k` of position `i` is word `k + i`.
///
/// Registers: r4 to r11 the widened words; r3 for a moment.
#[inline(always)]
pub(super) fn widen_stem(span: &[i8; STEM_SPAN], out: &mut [[u32; GATHERED_PIXELS]]) {
    macro_rules! word {
        ($at:literal, $low:literal, $high:literal) => {
            concat!(
                "
                ldr     ",
                $low,
                ", [r1, ",
                $at,
                "]
                sxtb16  r3, ",
                $low,
                "
                sxtb16  ",
                $high,
                ", ",
                $low,
                ", ror #8
                pkhbt   ",
                $low,
                ", r3, ",
                $high,
                ", lsl #16
                pkhtb   ",
                $high,
                ", ",
                $high,
                ", r3, asr #16
                "
            )
        };
    }
    debug_assert!((1..=4).contains(&out.len()));
    // SAFETY: reads the four words of `span`, which may lie at any address; writes as many groups of
    // four words as `out` has, at most four.
    unsafe {
        asm!(
            "
            push    {{r4-r11}}
            ",
            word!("#0", "r4", "r5"),
            word!("#4", "r6", "r7"),
            word!("#8", "r8", "r9"),
            word!("#12", "r10", "r11"),
            "
            stm     r0!, {{r4-r7}}
            subs    r2, #1
            ble     2f
            stm     r0!, {{r5-r8}}
            subs    r2, #1
            ble     2f
            stm     r0!, {{r6-r9}}
            subs    r2, #1
            ble     2f
            stm     r0!, {{r7-r10}}
        2:
            pop     {{r4-r11}}
            ",
            inout("r0") out.as_mut_ptr() => _,
            in("r1") span.as_ptr(),
            inout("r2") out.len() => _,
            out("r3") _,
        );
    }
}
