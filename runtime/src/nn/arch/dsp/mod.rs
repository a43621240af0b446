//! Cortex-M cores with the DSP instructions: Armv7E-M, Armv8-M Mainline with its DSP extension.
//!
//! Two 16-bit products are added to a sum by one `SMLAD`. A word of weights in
//! [pairs](crate::nn::Layout::Pairs) holds `256 * second channel + first channel` for two values: as it
//! is, it sums for both channels, and with one `SXTB16` for the first alone. Activations are widened
//! to 16 bits while they are gathered, for four output positions side by side:
//!
//! ```text
//! gathered:  [k/2][position 0..4][2]  i16
//! weights:   [k/2][2]                 i16, of a pair of channels
//! ```
//!
//! so that the inner loop reads both from front to back: 12 instructions for 16 products.
#![allow(unsafe_code)]

mod assembly;
mod gather;

use crate::nn::{ADD_FRACTION_BITS, Convolution, GATHERED_PIXELS, Layout};
use assembly::{Outputs, Run, clamp, outputs};
use core::ptr::null;
use gather::Gather;

#[cfg(not(arm_mve))]
pub(super) use assembly::{LANES, add_rows};

/// Convolves, or gives back `false` where the operands are not laid out for it.
pub(super) fn convolve(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    if conv.layout != Layout::Pairs {
        return false;
    }
    let channels = conv.input.channels;
    let column_len = conv.layout.column_len(&conv.window, channels);
    let row_len = conv.layout.row_len(&conv.window, channels);
    let adapter_len = conv.layout.adapter_len(channels);
    // What the pointers of `Block::call` rely on.
    let bytes = |len| conv.layout.bytes(conv.output.channels, len);
    assert!(conv.weights.len() == bytes(column_len));
    assert!(conv.adapter.is_empty() || conv.adapter.len() == bytes(adapter_len));
    let (gathered, padding) = scratch.split_at_mut(2 * GATHERED_PIXELS * column_len);
    let Ok(gathered) = bytemuck::try_cast_slice_mut::<i8, u32>(gathered) else {
        return false;
    };
    let words = |values: usize| values / 2 * GATHERED_PIXELS;
    let centre = if conv.adapter.is_empty() {
        0..0
    } else {
        let pad = conv.window.padding;
        let from = pad.top * row_len + pad.left * channels;
        // The values under the centre must begin, and end, at an even place.
        if !from.is_multiple_of(2) || !channels.is_multiple_of(2) {
            return false;
        }
        words(from)..words(from + channels)
    };

    padding.fill(conv.input_zero_point);
    let mut gather = Gather::new(conv, input, padding);
    let finish = Finish::of(conv);
    for out in output.chunks_mut(GATHERED_PIXELS * conv.output.channels) {
        gather.next(gathered);
        let (column, summed) = Run::new(gathered, 0);
        let (centre, _) = Run::new(&gathered[centre.clone()], summed);
        let block = Block {
            conv,
            column,
            centre,
        };
        let whole = out.len() == GATHERED_PIXELS * conv.output.channels;
        let direct = finish.as_ref().filter(|_| whole);
        let direct_pairs = direct.map_or(0, |finish| block.direct(finish.residual, out));
        for pair in direct_pairs..conv.output.channels.div_ceil(2) {
            block.one_by_one(pair, out);
        }
        if let Some(finish) = direct
            && finish.clamp != WHOLE_RANGE
        {
            clamp(out, finish.clamp);
        }
    }
    true
}

/// What follows a requantisation to the whole range of an `i8`.
struct Finish {
    /// The residual as [`Outputs`] computes it, zeros for none.
    residual: [i32; 3],
    /// Bounds of the result.
    clamp: [i8; 2],
}

impl Finish {
    /// That of `conv`; `None` if only [`Block::one_by_one`] can do what it asks for.
    fn of(conv: &Convolution<'_>) -> Option<Self> {
        let inner = [conv.requantisation.lo, conv.requantisation.hi];
        let Some(rule) = &conv.residual else {
            return Some(Self {
                residual: [0; 3],
                clamp: inner,
            });
        };
        // The sum's zero point goes into the constant, if there is room.
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

const WHOLE_RANGE: [i8; 2] = [i8::MIN, i8::MAX];

/// Up to four output positions, their values gathered.
struct Block<'a> {
    conv: &'a Convolution<'a>,
    column: Run,
    /// Empty where there is no adapter.
    centre: Run,
}

impl Block<'_> {
    /// All pairs of channels of four positions, straight into `out`; gives their number.
    fn direct(&self, residual: [i32; 3], out: &mut [i8]) -> usize {
        let conv = self.conv;
        let channels = conv.output.channels;
        let pairs = channels / 2;
        assert!(out.len() == GATHERED_PIXELS * channels);
        assert!(conv.bias.len() == channels && conv.multipliers.len() == channels);
        if pairs > 0 {
            let mut call = self.call(0, pairs, conv.bias, conv.multipliers, out, residual);
            // SAFETY: `convolve` checked the lengths of weights and adapter; those of bias,
            // multipliers and `out` were checked above.
            unsafe { outputs(&mut call) };
        }
        pairs
    }

    /// Pair `pair` of channels of the positions in `out`, whatever their number and their rules.
    fn one_by_one(&self, pair: usize, out: &mut [i8]) {
        let conv = self.conv;
        let channels = conv.output.channels;
        let first = 2 * pair;
        let (mut bias, mut multipliers) = ([0; 2], [0; 2]);
        let count = bias.len().min(channels - first);
        bias[..count].copy_from_slice(&conv.bias[first..][..count]);
        multipliers[..count].copy_from_slice(&conv.multipliers[first..][..count]);

        let mut made = [[0; 2]; GATHERED_PIXELS];
        let flat = made.as_flattened_mut();
        let mut call = self.call(pair, 1, &bias, &multipliers, flat, [0; 3]);
        // SAFETY: `convolve` checked the lengths of weights and adapter, whose layout has a channel of
        // zeros where `count` is one; everything else is local and long enough for one pair.
        unsafe { outputs(&mut call) };
        let (lo, hi) = (conv.requantisation.lo, conv.requantisation.hi);
        for (made, out) in made.iter().zip(out.chunks_exact_mut(channels)) {
            for (&q, out) in made.iter().zip(&mut out[first..]) {
                // The whole range clamped further.
                let q = q.clamp(lo, hi);
                *out = conv.residual.map_or(q, |rule| rule.apply(q, *out));
            }
        }
    }

    /// The call for `pairs` pairs of channels from `pair` on, into `out` with room for four positions.
    #[inline(always)]
    fn call(
        &self,
        pair: usize,
        pairs: usize,
        bias: &[i32],
        multipliers: &[i32],
        out: &mut [i8],
        residual: [i32; 3],
    ) -> Outputs {
        let conv = self.conv;
        let column_len = conv.layout.column_len(&conv.window, conv.input.channels);
        let adapter_len = conv.layout.adapter_len(conv.input.channels);
        let adapter = conv.adapter.get(2 * pair * adapter_len..);
        Outputs {
            weights: conv.weights[2 * pair * column_len..].as_ptr(),
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
        }
    }
}
