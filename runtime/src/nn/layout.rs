//! How the weights of a convolution lie in memory.

use super::Window;

/// The order of a convolution's weights in memory; `FORMAT.md` has it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Layout {
    /// One output channel after another: kernels `[output channel][kh][kw][input channel]`, adapter
    /// `[output channel][input channel]`.
    Rows = 0,
    /// Output channels two by two, byte by byte in turn: kernels `[pair][kh][row][2]`, adapter
    /// `[pair][input channel][2]`, where a row is `kw * input channels` values. A row, and the
    /// adapter's, is filled up with a zero to an even number of values, an odd number of output
    /// channels with a channel of zeros.
    ///
    /// A 32-bit load then holds two values of two channels, which a Cortex-M widens to two operands
    /// of `SMLAD` with one `SXTB16` each.
    Pairs = 1,
}

/// Output positions that the widened gather of [`Layout::Pairs`] holds side by side.
pub(crate) const GATHERED_PIXELS: usize = 4;

impl Layout {
    pub(crate) const ALL: [Self; 2] = [Self::Rows, Self::Pairs];

    /// Values from one row of a kernel to the next, of one output channel.
    pub const fn row_len(self, window: &Window, input_channels: usize) -> usize {
        self.filled(window.kernel[1] * input_channels)
    }

    /// Values of a whole kernel of one output channel.
    pub const fn column_len(self, window: &Window, input_channels: usize) -> usize {
        window.kernel[0] * self.row_len(window, input_channels)
    }

    /// Values of the adapter of one output channel.
    pub const fn adapter_len(self, input_channels: usize) -> usize {
        self.filled(input_channels)
    }

    /// Output channels that are stored.
    pub const fn stored_channels(self, channels: usize) -> usize {
        self.filled(channels)
    }

    /// Bytes of scratch that a convolution may use. Kernels in rows gather the values under the
    /// kernel for one output position, unless it is 1x1. Those in pairs gather them as 16-bit
    /// values for four positions, and one more position's input channels for the padding.
    pub const fn scratch_len(self, window: &Window, input_channels: usize) -> usize {
        let column = self.column_len(window, input_channels);
        match self {
            Self::Rows if window.area() == 1 => 0,
            Self::Rows => column,
            Self::Pairs => 2 * GATHERED_PIXELS * column + input_channels.next_multiple_of(4),
        }
    }

    /// Where value `k` of output channel `o` lies among kernels or adapters of which a channel has
    /// `len` values.
    pub const fn index(self, len: usize, o: usize, k: usize) -> usize {
        match self {
            Self::Rows => o * len + k,
            Self::Pairs => o / 2 * 2 * len + 2 * k + o % 2,
        }
    }

    /// The values of output channel `o` among `table`'s, `len` of them.
    pub(crate) fn channel(self, table: &[i8], len: usize, o: usize) -> impl Iterator<Item = &i8> {
        let step = match self {
            Self::Rows => 1,
            Self::Pairs => 2,
        };
        let from = self.index(len, o, 0);
        let values = table.get(from..).unwrap_or_default();
        values.iter().step_by(step).take(len)
    }

    /// Brings `rows` (`[output channel][group][row]`) into this order; `row` values become one row
    /// of it. An adapter is one group.
    #[cfg(any(feature = "std", test))]
    pub(crate) fn arrange(self, rows: &[i8], channels: usize, row: usize) -> Vec<i8> {
        if self == Self::Rows {
            return rows.to_vec();
        }
        let groups = rows.len() / (channels * row);
        let len = groups * self.filled(row);
        let mut out = vec![0; self.stored_channels(channels) * len];
        for (o, kernel) in rows.chunks_exact(groups * row).enumerate() {
            for (group, values) in kernel.chunks_exact(row).enumerate() {
                for (k, &value) in values.iter().enumerate() {
                    out[self.index(len, o, group * self.filled(row) + k)] = value;
                }
            }
        }
        out
    }

    const fn filled(self, len: usize) -> usize {
        match self {
            Self::Rows => len,
            Self::Pairs => len.next_multiple_of(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_interleave_channels_and_fill_rows() {
        // Three channels, two kernel rows of three values.
        let rows: Vec<i8> = (0..18).collect();
        let pairs = Layout::Pairs.arrange(&rows, 3, 3);
        let first = [0, 6, 1, 7, 2, 8, 0, 0, 3, 9, 4, 10, 5, 11, 0, 0];
        let second = [12, 0, 13, 0, 14, 0, 0, 0, 15, 0, 16, 0, 17, 0, 0, 0];
        assert_eq!(pairs, [first, second].concat());
        let channel: Vec<i8> = Layout::Pairs.channel(&pairs, 8, 1).copied().collect();
        assert_eq!(channel, [6, 7, 8, 0, 9, 10, 11, 0]);
        assert_eq!(Layout::Rows.arrange(&rows, 3, 3), rows);
    }
}
