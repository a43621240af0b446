//! Sums of products for a tile of two output channels by four output positions, and the int8 values
//! that they become.
#![allow(unsafe_code)]

use crate::nn::layout::GATHERED_PIXELS;
use crate::nn::rules::ADD_FRACTION_BITS;
use core::arch::asm;
use core::mem::offset_of;

/// Steps in a round of the inner loop. A step is two values. The same is in outputs.S.
const ROUND: usize = 16;

/// Bytes of machine code of a step: 12 instructions.
const STEP_BYTES: usize = 12 * 4;

/// Rounds after which the sums of a pair are split. A sum of up to 511 products, each of at most 128
/// times 128, keeps within 24 bits; 15 rounds and a part of one are at most 510 values. The same is in
/// outputs.S.
const SEGMENT: usize = 15;

/// Gathered values that the weights of each pair of channels meet.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Run {
    values: *const u32,
    /// Where in the first round to begin, so that all rounds after it are whole: bytes of machine
    /// code, with the Thumb bit.
    entry: usize,
    /// Where the sums are split for the first time.
    first_segment_end: *const u32,
    end: *const u32,
}

impl Run {
    /// Makes a run over all of `values`: two values for each of four positions in four words.
    ///
    /// `summed` is the number of steps so far whose sums have not been split. Returns that number after
    /// the run, too.
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
            entry: missing * STEP_BYTES + 1,
            first_segment_end: values.wrapping_add(first_segment * GATHERED_PIXELS),
            end: values.wrapping_add(steps * GATHERED_PIXELS),
        };
        (run, summed)
    }
}

/// The arguments of [`outputs`], which moves the pointers on to the next pair of channels with each
/// pair. outputs.S has the offsets.
#[repr(C)]
pub(super) struct Outputs {
    /// Values that the weights meet, at least one step.
    pub column: Run,
    /// Values that the adapter meets, at least one step if there is one.
    pub centre: Run,
    /// Weights of the first pair of channels.
    pub weights: *const i8,
    /// Adapter of the first pair of channels; null for none.
    pub adapter: *const i8,
    /// Starts of the sums, two for each pair.
    pub bias: *const i32,
    /// Multipliers, two for each pair.
    pub multipliers: *const i32,
    /// The first channel at the first position.
    pub out: *mut i8,
    /// Number of pairs of channels, at least one.
    pub pairs: usize,
    /// Left shift of the sums.
    pub pre: u32,
    /// Zero point of the values.
    pub zero_point: i32,
    /// Bytes from one position to the next in `out`.
    pub stride: usize,
    /// First multiplier, second multiplier and constant of the residual; the first multiplier is zero
    /// where there is none.
    pub residual: [i32; 3],
}

/// Computes all pairs of channels at four output positions.
///
/// A value is `q = ssat8(zero_point + (((bias + sum) << pre) * multiplier + 2^31 >> 32))`; with a
/// residual, `ssat8((q * residual[0] + out * residual[1] + residual[2]) >> 20)`.
///
/// A word of weights is `256 * second + first` twice. With it as it is, `SMLAD` sums for both channels
/// at once: `both = first + 256 * second`, in 32 bits that wrap around. With the low bytes alone, which
/// `SXTB16` takes from it, it sums `first`. Before `second` could leave 24 bits, and at the end, the
/// sums are split: `second = (both - first) >> 8` is added up in memory, and `both` begins again from
/// `first`.
///
/// # Safety
/// The pointers reach as far as the fields say.
#[inline(never)]
pub(super) unsafe fn outputs(call: &mut Outputs) {
    // SAFETY: reads and writes what the caller promises. The registers that the compiler cannot lend
    // are saved and restored on the stack.
    unsafe {
        asm!(
            include_str!("outputs.S"),
            inout("r0") call => _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r12") _,
            options(raw),
        );
    }
}

// The offsets that outputs.S has, and the bits by which it shifts a sum with a residual.
const _: () = {
    assert!(ADD_FRACTION_BITS == 20);
    assert!(offset_of!(Outputs, column) == 0);
    assert!(offset_of!(Outputs, centre) == 16);
    assert!(offset_of!(Outputs, weights) == 32);
    assert!(offset_of!(Outputs, adapter) == 36);
    assert!(offset_of!(Outputs, bias) == 40);
    assert!(offset_of!(Outputs, multipliers) == 44);
    assert!(offset_of!(Outputs, out) == 48);
    assert!(offset_of!(Outputs, pairs) == 52);
    assert!(offset_of!(Outputs, pre) == 56);
    assert!(offset_of!(Outputs, zero_point) == 60);
    assert!(offset_of!(Outputs, stride) == 64);
    assert!(offset_of!(Outputs, residual) == 68);
    assert!(offset_of!(Run, values) == 0);
    assert!(offset_of!(Run, entry) == 4);
    assert!(offset_of!(Run, first_segment_end) == 8);
    assert!(offset_of!(Run, end) == 12);
};
