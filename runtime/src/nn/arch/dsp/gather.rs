//! Gathers the values under the kernel, for four output positions at a time.
#![allow(unsafe_code)]

use super::widen::{STEM_PAIRS, STEM_SPAN, widen, widen_stem};
use crate::nn::layout::GATHERED_PIXELS;
use crate::nn::operators::Convolution;
use crate::parts::part;

/// Walks over the output positions, four at a time.
pub(super) struct Gather<'a> {
    conv: &'a Convolution<'a>,
    input: &'a [i8],
    /// One position of padding: the zero point for each channel.
    padding: &'a [i8],
    /// How the values are read.
    way: Way,
    /// The next position to gather.
    next: Position,
}

/// How values are read and widened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The channels of a position are whole words at aligned addresses.
    Words,
    /// One channel, every other column: a word of the input is two neighbouring positions.
    Stem,
    /// Value by value.
    Values,
}

/// An output position.
#[derive(Clone, Copy, Default)]
struct Position {
    /// Its column in the output.
    column: usize,
    /// Row where its kernel begins in the input, counted from the first row of padding.
    top: usize,
    /// Column where its kernel begins in the input, counted from the first column of padding.
    left: usize,
}

impl<'a> Gather<'a> {
    /// Begins at the first output position. `conv` fits `input`, and `padding` has its zero point for
    /// each channel of a position.
    pub(super) fn new(conv: &'a Convolution<'a>, input: &'a [i8], padding: &'a [i8]) -> Self {
        let channels = conv.input.channels;
        let aligned = |bytes: &[i8]| bytes.as_ptr().align_offset(4) == 0;
        let way = if channels.is_multiple_of(4) && aligned(input) && aligned(padding) {
            Way::Words
        } else if channels == 1
            && conv.window.dilation == [1, 1]
            && conv.window.stride[1] == 2
            && conv.window.kernel[1] <= 2 * STEM_PAIRS
        {
            Way::Stem
        } else {
            Way::Values
        };
        Self {
            conv,
            input,
            padding,
            way,
            next: Position::default(),
        }
    }

    /// Gathers the next four positions into `out`, `[k / 2][position][k % 2]`, 16 bits each. Beyond
    /// the last position it is gathered again. `None` if values are missing.
    pub(super) fn next(&mut self, out: &mut [u32]) -> Option<()> {
        let first = self.next;
        if first.column + GATHERED_PIXELS <= self.conv.output.width {
            self.advance(GATHERED_PIXELS);
            match self.way {
                Way::Words if self.conv.window.dilation == [1, 1] => {
                    return self.words_of_row(&first, out);
                }
                Way::Stem => return self.stem(&first, out),
                Way::Words | Way::Values => self.next = first,
            }
        }
        let positions = core::array::from_fn(|_| {
            let now = self.next;
            self.advance(1);
            if self.next.top == self.conv.output.height * self.conv.window.stride[0] {
                self.next = now;
            }
            now
        });
        match self.way {
            Way::Words => {
                let row_len = self.conv.window.kernel[1] * self.conv.input.channels;
                let rows = out.chunks_exact_mut((row_len / 2 * GATHERED_PIXELS).max(1));
                for (ky, out) in rows.enumerate() {
                    self.tap_by_tap(&positions, ky, out)?;
                }
                Some(())
            }
            Way::Stem | Way::Values => self.values(&positions, out),
        }
    }

    /// Goes on by `count` positions, which are in the same row.
    #[inline(always)]
    fn advance(&mut self, count: usize) {
        let [stride_y, stride_x] = self.conv.window.stride;
        self.next.column += count;
        self.next.left += count * stride_x;
        if self.next.column == self.conv.output.width {
            self.next = Position {
                column: 0,
                top: self.next.top + stride_y,
                left: 0,
            };
        }
    }

    /// Returns the input's row under kernel row `ky`, if it is inside.
    #[inline(always)]
    fn row(&self, position: &Position, ky: usize) -> Option<usize> {
        (position.top + ky * self.conv.window.dilation[0])
            .checked_sub(self.conv.window.padding.top)
            .filter(|&y| y < self.conv.input.height)
    }

    /// Gathers four neighbouring positions of a row, from `first` on, one kernel row after another.
    ///
    /// Rows are gathered as if the input were wider than it is. Values that come from a neighbouring
    /// row are then overwritten with padding.
    #[inline(always)]
    fn words_of_row(&self, first: &Position, out: &mut [u32]) -> Option<()> {
        let conv = self.conv;
        let (width, channels) = (conv.input.width, conv.input.channels);
        let [_, kernel_width] = conv.window.kernel;
        let pad = conv.window.padding;
        let step = conv.window.stride[1] * channels;
        let row_len = kernel_width * channels;
        let span = (GATHERED_PIXELS - 1) * step + row_len;
        let last_left = first.left + (GATHERED_PIXELS - 1) * conv.window.stride[1];
        let at_an_edge = first.left < pad.left || last_left + kernel_width > width + pad.left;
        let rows = out.chunks_exact_mut((row_len / 2 * GATHERED_PIXELS).max(1));
        for (ky, out) in rows.enumerate() {
            let Some(row) = self.row(first, ky) else {
                out.fill(self.padding_word());
                continue;
            };
            // Before the input's first value this wraps around, to a place that `get` does not find.
            let start = (row * width + first.left).wrapping_sub(pad.left);
            let from = start.wrapping_mul(channels);
            if let Some(values) = self.input.get(from..from.wrapping_add(span)) {
                let place = values.as_ptr();
                let places = core::array::from_fn(|i| place.wrapping_add(i * step));
                // SAFETY: `values` reaches to the end of the last position's row, and `out` is one
                // row of the kernel.
                unsafe { widen(out.as_mut_ptr(), &places, row_len / 4) };
                if at_an_edge {
                    self.pad(first, out)?;
                }
            } else {
                self.tap_by_tap(&self.neighbours(first), ky, out)?;
            }
        }
        Some(())
    }

    /// Returns `first` and the three positions after it in its row.
    fn neighbours(&self, first: &Position) -> [Position; GATHERED_PIXELS] {
        core::array::from_fn(|i| Position {
            column: first.column + i,
            top: first.top,
            left: first.left + i * self.conv.window.stride[1],
        })
    }

    /// Writes padding over the columns outside the input in a kernel row of four neighbours.
    #[inline(never)]
    fn pad(&self, first: &Position, out: &mut [u32]) -> Option<()> {
        let conv = self.conv;
        let [_, kernel_width] = conv.window.kernel;
        let tap = conv.input.channels / 2 * GATHERED_PIXELS;
        let left = conv.window.padding.left;
        let right = conv.input.width + left;
        for (i, position) in self.neighbours(first).iter().enumerate() {
            if position.left < left {
                self.pad_words(i, out.get_mut(..(left - position.left) * tap)?);
            }
            if position.left + kernel_width > right {
                self.pad_words(i, out.get_mut((right - position.left) * tap..)?);
            }
        }
        Some(())
    }

    /// Writes padding over the values of position `i` in `out`.
    fn pad_words(&self, i: usize, out: &mut [u32]) {
        let padding = self.padding_word();
        for words in out.as_chunks_mut::<GATHERED_PIXELS>().0 {
            if let Some(word) = words.get_mut(i) {
                *word = padding;
            }
        }
    }

    /// Gathers one kernel row of all positions, one tap of the kernel after another.
    #[inline(never)]
    fn tap_by_tap(
        &self,
        positions: &[Position; GATHERED_PIXELS],
        ky: usize,
        out: &mut [u32],
    ) -> Option<()> {
        let conv = self.conv;
        let (width, channels) = (conv.input.width, conv.input.channels);
        let rows = positions.each_ref().map(|p| self.row(p, ky));
        let padding = self.padding.get(..channels)?;
        let taps = out.chunks_exact_mut((channels / 2 * GATHERED_PIXELS).max(1));
        for (kx, out) in taps.enumerate() {
            let mut places = [padding.as_ptr(); GATHERED_PIXELS];
            for ((place, position), row) in places.iter_mut().zip(positions).zip(rows) {
                let column = (position.left + kx * conv.window.dilation[1])
                    .wrapping_sub(conv.window.padding.left);
                if let Some(row) = row.filter(|_| column < width) {
                    let from = (row * width + column) * channels;
                    *place = part(self.input, from, channels)?.as_ptr();
                }
            }
            // SAFETY: each of the slices above has `channels` values, and this part of `out` has room
            // for four times as many.
            unsafe { widen(out.as_mut_ptr(), &places, channels / 4) };
        }
        Some(())
    }

    /// Returns two values of padding.
    fn padding_word(&self) -> u32 {
        let value = u32::from(i16::from(self.conv.input_zero_point) as u16);
        value | value << 16
    }

    /// Gathers four neighbouring positions of a row, two columns apart, from one span of a row of the
    /// input for each row of the kernel.
    fn stem(&self, first: &Position, out: &mut [u32]) -> Option<()> {
        let conv = self.conv;
        let width = conv.input.width;
        let left = first.left.wrapping_sub(conv.window.padding.left);
        let (out, _) = out.as_chunks_mut::<GATHERED_PIXELS>();
        let pairs = conv.window.kernel[1].div_ceil(2).min(STEM_PAIRS);
        for (ky, out) in out.chunks_exact_mut(pairs.max(1)).enumerate() {
            let Some(row) = self.row(first, ky) else {
                out.fill([self.padding_word(); GATHERED_PIXELS]);
                continue;
            };
            let row = part(self.input, row * width, width)?;
            // SAFETY: `out` is `pairs` groups, of which there are at least one and at most as many as
            // a stem has.
            let mut widen = |span| unsafe { widen_stem(out.as_mut_ptr(), span, out.len()) };
            match row.get(left..).and_then(|from| from.first_chunk()) {
                Some(span) => widen(span),
                None => widen(&self.padded_span(first, row)?),
            }
        }
        Some(())
    }

    /// Returns the values of `row` from the kernel of `first` on, padding included.
    #[inline(never)]
    fn padded_span(&self, first: &Position, row: &[i8]) -> Option<[i8; STEM_SPAN]> {
        let mut span = [self.conv.input_zero_point; STEM_SPAN];
        let outside = self.conv.window.padding.left.saturating_sub(first.left);
        let from = (first.left + outside - self.conv.window.padding.left).min(row.len());
        let inside = span.get_mut(outside..)?.iter_mut();
        for (to, from) in inside.zip(row.get(from..)?) {
            *to = *from;
        }
        Some(span)
    }

    /// Gathers all positions value by value.
    fn values(&self, positions: &[Position; GATHERED_PIXELS], out: &mut [u32]) -> Option<()> {
        let conv = self.conv;
        let (width, channels) = (conv.input.width, conv.input.channels);
        let [_, kernel_width] = conv.window.kernel;
        let row_len = conv.layout.row_len(&conv.window, channels).max(1);
        let channels = channels.max(1);
        let value = |position: &Position, k: usize| -> Option<i8> {
            let (ky, k) = (k / row_len, k % row_len);
            let column = (position.left + k / channels * conv.window.dilation[1])
                .wrapping_sub(conv.window.padding.left);
            match self.row(position, ky) {
                Some(row) if column < width && k < kernel_width * channels => {
                    let at = (row * width + column) * channels + k % channels;
                    self.input.get(at).copied()
                }
                _ => Some(conv.input_zero_point),
            }
        };
        for (pair, out) in out.chunks_exact_mut(GATHERED_PIXELS).enumerate() {
            for (out, position) in out.iter_mut().zip(positions) {
                let low = value(position, 2 * pair)? as u16;
                let high = value(position, 2 * pair + 1)? as u16;
                *out = u32::from(low) | u32::from(high) << 16;
            }
        }
        Some(())
    }
}
