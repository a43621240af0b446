//! Orders in which the weights of a convolution lie in memory.

use super::geometry::Window;

/// The order of a convolution's weights in memory; `FORMAT.md` has it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Layout {
    /// One output channel after another: kernels `[output channel][kh][kw][input channel]`, adapter
    /// `[output channel][input channel]`.
    Rows = 0,
    /// Output channels two by two, each two values in one 16-bit number,
    /// `256 * second + first`: kernels `[pair][kh][row]`, adapter `[pair][input channel]`, where a row
    /// is `kw * input channels` values. A row, and the adapter's, is filled up with a zero to an even
    /// number of values, an odd number of output channels with a channel of zeros.
    ///
    /// A 32-bit load then holds two values of two channels. On a Cortex-M, `SMLAD` with the word as it
    /// is sums the products of both channels at once, the second's times 256; one `SXTB16` gives the
    /// first's alone.
    Pairs = 1,
}

/// Output positions that are gathered side by side for [`Layout::Pairs`].
pub(super) const GATHERED_PIXELS: usize = 4;

impl Layout {
    /// Returns the order that a record names by this number.
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Rows, Self::Pairs];
        all.into_iter().find(|&layout| layout as u8 == number)
    }

    /// Returns the number of values from one row of a kernel to the next, of one output channel.
    pub const fn row_len(self, window: &Window, input_channels: usize) -> usize {
        self.filled(window.kernel[1] * input_channels)
    }

    /// Returns the number of values of a whole kernel of one output channel.
    pub const fn column_len(self, window: &Window, input_channels: usize) -> usize {
        window.kernel[0] * self.row_len(window, input_channels)
    }

    /// Returns the number of values of the adapter of one output channel.
    pub const fn adapter_len(self, input_channels: usize) -> usize {
        self.filled(input_channels)
    }

    /// Returns the number of channels that are stored for `channels` output channels.
    pub const fn stored_channels(self, channels: usize) -> usize {
        self.filled(channels)
    }

    /// Returns the bytes of the kernels, or adapters, of `channels` output channels with `len` values each.
    pub const fn bytes(self, channels: usize, len: usize) -> usize {
        self.stored_channels(channels).saturating_mul(len)
    }

    /// Returns the bytes of scratch memory that a convolution may use.
    ///
    /// With [`Rows`](Self::Rows) these are the values under the kernel for one output position, none
    /// for a 1x1 kernel. With [`Pairs`](Self::Pairs) they are those values for four positions, 16 bits
    /// each, and one more position's input channels for the padding.
    pub const fn scratch_len(self, window: &Window, input_channels: usize) -> usize {
        let column = self.column_len(window, input_channels);
        match self {
            Self::Rows if window.area() == 1 => 0,
            Self::Rows => column,
            Self::Pairs => 2 * GATHERED_PIXELS * column + input_channels.next_multiple_of(4),
        }
    }

    /// Returns the index of value `k` of output channel `o` among kernels or adapters of which a channel has
    /// `len` values. With pairs, two bytes from there hold that of the pair's other channel too.
    pub(super) const fn index(self, len: usize, o: usize, k: usize) -> usize {
        match self {
            Self::Rows => o * len + k,
            Self::Pairs => (o / 2 * len + k) * 2,
        }
    }

    /// Returns value `k` of output channel `o` in `table`, of which a channel has `len`; zero beyond
    /// the table.
    pub fn value(self, table: &[i8], len: usize, o: usize, k: usize) -> i32 {
        let rest = table.get(self.index(len, o, k)..);
        match (self, rest) {
            (Self::Rows, Some(&[value, ..])) => value.into(),
            (Self::Pairs, Some(&[low, high, ..])) => unpair([low, high])[o % 2],
            _ => 0,
        }
    }

    /// Returns the `len` values of output channel `o` in `table`; none of an empty table.
    pub fn channel(self, table: &[i8], len: usize, o: usize) -> impl Iterator<Item = i32> {
        // An absent adapter's table is empty.
        let len_or_none = if table.is_empty() { 0 } else { len };
        (0..len_or_none).map(move |k| self.value(table, len, o, k))
    }

    /// Brings `rows` (`[output channel][group][row]`, `row` values each) into this order. A kernel's
    /// groups are its rows; an adapter is one group.
    ///
    /// `out` has room for all rows of all [stored channels](Self::stored_channels), filled up, and is
    /// zero.
    ///
    /// # Panics
    /// If a value is -128 (weights are symmetric), or if `out` is too short.
    pub fn arrange(self, rows: &[i8], channels: usize, row: usize, out: &mut [i8]) {
        if self == Self::Rows {
            out.copy_from_slice(rows);
            return;
        }
        let groups = rows.len() / (channels * row);
        let filled = self.filled(row);
        let (pairs, _) = out.as_chunks_mut::<2>();
        for (o, kernel) in rows.chunks_exact(groups * row).enumerate() {
            for (group, values) in kernel.chunks_exact(row).enumerate() {
                for (k, &value) in values.iter().enumerate() {
                    assert!(value != i8::MIN, "a weight of -128");
                    let at = self.index(groups * filled, o, group * filled + k);
                    let pair = &mut pairs[at / 2];
                    // The other channel of the pair stays as it is.
                    let [first, second] = unpair(*pair);
                    let both = match o % 2 {
                        0 => 256 * second + i32::from(value),
                        _ => 256 * i32::from(value) + first,
                    };
                    *pair = (both as i16).to_le_bytes().map(|byte| byte as i8);
                }
            }
        }
    }

    const fn filled(self, len: usize) -> usize {
        match self {
            Self::Rows => len,
            Self::Pairs => len.next_multiple_of(2),
        }
    }
}

/// Returns the values of both channels in two bytes of [`Layout::Pairs`].
#[inline(always)]
fn unpair(bytes: [i8; 2]) -> [i32; 2] {
    let first = i32::from(bytes[0]);
    let pair = i32::from(i16::from_le_bytes(bytes.map(|byte| byte as u8)));
    [first, (pair - first) >> 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_hold_two_channels_and_fill_rows() {
        // Three channels, two kernel rows of three values.
        let rows: Vec<i8> = (-9..9).map(|v| v * 14).collect();
        let mut pairs = vec![0; 32];
        Layout::Pairs.arrange(&rows, 3, 3, &mut pairs);
        let wide: Vec<i16> = pairs
            .chunks(2)
            .map(|b| i16::from_le_bytes([b[0] as u8, b[1] as u8]))
            .collect();
        let both = |a: i16, b: i16| 14 * a + 256 * 14 * b;
        let first = [both(-9, -3), both(-8, -2), both(-7, -1), 0];
        assert_eq!(wide[..4], first);
        assert_eq!(wide[8..12], [14 * 3, 14 * 4, 14 * 5, 0]);
        for (o, kernel) in rows.chunks(6).enumerate() {
            let channel: Vec<i32> = Layout::Pairs.channel(&pairs, 8, o).collect();
            let row = |values: &[i8]| [values[0], values[1], values[2], 0].map(i32::from);
            assert_eq!(channel, [row(&kernel[..3]), row(&kernel[3..])].concat());
        }
        assert_eq!(Layout::Pairs.channel(&pairs, 8, 3).sum::<i32>(), 0);
    }
}
