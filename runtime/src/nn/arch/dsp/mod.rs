//! Cortex-M cores with the DSP instructions: Armv7E-M, Armv8-M Mainline with its DSP extension.
//!
//! One `SMLAD` adds two 16-bit products to a sum. A word of weights in
//! [pairs](crate::nn::Layout::Pairs) holds `256 * second channel + first channel` for two values: as it
//! is, it sums for both channels, and after one `SXTB16` for the first alone. Activations are widened
//! to 16 bits while they are gathered, for four output positions side by side:
//!
//! ```text
//! gathered:  [k/2][position 0..4][2]  i16
//! weights:   [k/2][2]                 i16, of a pair of channels
//! ```
//!
//! The inner loop (outputs.S) reads both from front to back: 12 instructions for 16 products.
#![allow(unsafe_code)]

mod clamp;
#[cfg(not(arm_mve))]
pub(super) mod depthwise;
mod gather;
pub(crate) mod largest;
mod outputs;
#[cfg(not(arm_mve))]
pub(super) mod rows;
mod widen;

use crate::nn::layout::{GATHERED_PIXELS, Layout};
use crate::nn::operators::Convolution;
use crate::nn::rules::ADD_FRACTION_BITS;
use crate::parts::part;
use clamp::clamp;
use core::ptr::null;
use gather::Gather;
use outputs::{Outputs, Run, outputs};

/// Convolves. Returns `false` and does nothing if the operands do not lie as this kernel needs them.
///
/// # Safety
/// [`Convolution::fits`].
pub(super) unsafe fn convolve(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    if conv.layout != Layout::Pairs {
        return false;
    }
    // SAFETY: this function has the same conditions.
    unsafe { blocks(conv, input, output, scratch) }.is_some()
}

/// Convolves what has its weights in pairs, four positions after another. `None` if the operands do not lie as
/// this kernel needs them.
///
/// # Safety
/// [`Convolution::fits`].
unsafe fn blocks(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let channels = conv.input.channels;
    let column_len = conv.layout.column_len(&conv.window, channels);
    let row_len = conv.layout.row_len(&conv.window, channels);
    let (gathered, padding) = scratch.split_at_mut_checked(2 * GATHERED_PIXELS * column_len)?;
    let gathered = bytemuck::try_cast_slice_mut::<i8, u32>(gathered).ok()?;
    let words = |values: usize| values / 2 * GATHERED_PIXELS;
    let centre = if conv.adapter.is_empty() {
        0..0
    } else {
        let pad = conv.window.padding;
        let from = pad.top * row_len + pad.left * channels;
        // Gathered values lie two by two: those under the centre must begin and end with a whole two.
        if !from.is_multiple_of(2) || !channels.is_multiple_of(2) {
            return None;
        }
        words(from)..words(from + channels)
    };

    padding.fill(conv.input_zero_point);
    let mut gather = Gather::new(conv, input, padding);
    let finish = Finish::of(conv);
    let block_len = GATHERED_PIXELS * conv.output.channels;
    for out in output.chunks_mut(block_len.max(1)) {
        gather.next(gathered)?;
        // The adapter goes on with the sums of the kernel.
        let (column, summed) = Run::new(gathered, 0);
        let (centre, _) = Run::new(gathered.get(centre.clone())?, summed);
        let block = Block {
            conv,
            column,
            centre,
        };
        let direct = finish.as_ref().filter(|_| out.len() == block_len);
        // SAFETY: the convolution fits, `gathered` and `centre` are all values under the kernel and
        // under its centre, and `out` is one block of the output.
        unsafe {
            let done = match direct {
                Some(finish) => block.direct(finish.residual, out)?,
                None => 0,
            };
            for pair in done..conv.output.channels.div_ceil(2) {
                block.one_by_one(pair, out)?;
            }
        }
        if let Some(finish) = direct
            && finish.clamp != WHOLE_RANGE
        {
            clamp(out, finish.clamp);
        }
    }
    Some(())
}

/// The steps after a requantisation to the whole range of an `i8`.
struct Finish {
    /// The residual as [`Outputs`] has it; zeros for none.
    residual: [i32; 3],
    /// Bounds of the result.
    clamp: [i8; 2],
}

impl Finish {
    /// Returns the steps for `conv`; `None` if only [`Block::one_by_one`] can do them.
    fn of(conv: &Convolution<'_>) -> Option<Self> {
        let inner = [conv.requantisation.lo, conv.requantisation.hi];
        let Some(rule) = &conv.residual else {
            return Some(Self {
                residual: [0; 3],
                clamp: inner,
            });
        };
        // The zero points go into the constant, if there is room in 32 bits.
        let one = 1i64 << ADD_FRACTION_BITS;
        let [a, b] = [rule.a_multiplier, rule.b_multiplier].map(i64::from);
        let reach = 255 * (a.abs() + b.abs()) + one / 2 + 128 * one;
        let constant = i64::from(rule.zero_point) * one + one / 2
            - i64::from(rule.a_zero_point) * a
            - i64::from(rule.b_zero_point) * b;
        let direct = inner == WHOLE_RANGE && a != 0 && reach <= i32::MAX.into();
        direct.then_some(Self {
            residual: [rule.a_multiplier, rule.b_multiplier, constant as i32],
            clamp: [rule.lo, rule.hi],
        })
    }
}

/// Bounds that change nothing.
const WHOLE_RANGE: [i8; 2] = [i8::MIN, i8::MAX];

/// Up to four output positions, their values gathered.
struct Block<'a> {
    conv: &'a Convolution<'a>,
    /// The values under the kernel.
    column: Run,
    /// The values under its centre; empty where there is no adapter.
    centre: Run,
}

impl Block<'_> {
    /// Computes all whole pairs of channels of four positions, straight into `out`; returns their
    /// number.
    ///
    /// # Safety
    /// The convolution fits, the runs are complete, and `out` is four positions of its output.
    unsafe fn direct(&self, residual: [i32; 3], out: &mut [i8]) -> Option<usize> {
        let conv = self.conv;
        let pairs = conv.output.channels / 2;
        if pairs > 0 {
            let mut call = self.call(0, pairs, conv.bias, conv.multipliers, out, residual)?;
            // SAFETY: tables that fit have so many pairs of channels, and so has each position of
            // `out`.
            unsafe { outputs(&mut call) };
        }
        Some(pairs)
    }

    /// Computes pair `pair` of channels of the positions in `out`, whatever their number and their
    /// rules.
    ///
    /// # Safety
    /// The convolution fits, the runs are complete, and there is such a pair.
    unsafe fn one_by_one(&self, pair: usize, out: &mut [i8]) -> Option<()> {
        let conv = self.conv;
        let channels = conv.output.channels;
        let first = 2 * pair;
        let (mut bias, mut multipliers) = ([0; 2], [0; 2]);
        let of_pair = |table| part(table, first, channels.checked_sub(first)?.min(2));
        for (to, from) in bias.iter_mut().zip(of_pair(conv.bias)?) {
            *to = *from;
        }
        for (to, from) in multipliers.iter_mut().zip(of_pair(conv.multipliers)?) {
            *to = *from;
        }

        let mut made = [[0; 2]; GATHERED_PIXELS];
        let flat = made.as_flattened_mut();
        let mut call = self.call(pair, 1, &bias, &multipliers, flat, [0; 3])?;
        // SAFETY: tables that fit have this pair of channels, the second one zeros where there is only
        // one; everything else is local and long enough for one pair.
        unsafe { outputs(&mut call) };
        let (lo, hi) = (conv.requantisation.lo, conv.requantisation.hi);
        for (made, out) in made.iter().zip(out.chunks_exact_mut(channels.max(1))) {
            for (&q, out) in made.iter().zip(out.get_mut(first..)?) {
                // `outputs` clamps to the whole range.
                let q = q.max(lo).min(hi);
                *out = conv.residual.map_or(q, |rule| rule.apply(q, *out));
            }
        }
        Some(())
    }

    /// Makes the call for `pairs` pairs of channels from `pair` on, into `out`, which is four
    /// positions. `None` if there are no weights for them.
    #[inline(always)]
    fn call(
        &self,
        pair: usize,
        pairs: usize,
        bias: &[i32],
        multipliers: &[i32],
        out: &mut [i8],
        residual: [i32; 3],
    ) -> Option<Outputs> {
        let conv = self.conv;
        let column_len = conv.layout.column_len(&conv.window, conv.input.channels);
        let adapter_len = conv.layout.adapter_len(conv.input.channels);
        let adapter = conv.adapter.get(2 * pair * adapter_len..);
        Some(Outputs {
            weights: conv.weights.get(2 * pair * column_len..)?.as_ptr(),
            adapter: match adapter {
                Some(adapter) if !adapter.is_empty() => adapter.as_ptr(),
                _ => null(),
            },
            bias: bias.as_ptr(),
            multipliers: multipliers.as_ptr(),
            out: out.as_mut_ptr(),
            pairs,
            column: self.column,
            centre: self.centre,
            pre: conv.requantisation.pre.into(),
            zero_point: conv.requantisation.zero_point.into(),
            stride: out.len() / GATHERED_PIXELS,
            residual,
        })
    }
}
