//! A tile: some output positions by some blocks of output channels, which a kernel computes at a time.
#![allow(unsafe_code)]

use crate::nn::arch::instruction_set::InstructionSet;
use crate::nn::rules::{AddRule, Requantisation};

/// Output channels of a block.
pub(super) const BLOCK: usize = 16;

/// Most output positions of a tile.
pub(super) const MOST_POSITIONS: usize = 8;

/// The weights of a block of channels for one group of input values, in the form and order that
/// [`Operands`] says.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub [u8; 64]);

/// The form of input values and weights that an instruction set multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operands {
    /// Input values plus 128, unsigned bytes, in groups of four; a line is `[channel][value]`.
    Unsigned,
    /// Input values as they are, signed bytes, in groups of four; a line is `[channel][value]`.
    Signed,
    /// Input values and weights as 16-bit integers, in groups of two; a line is `[channel][value]`.
    WidePairs,
    /// The same, but a line is `[value][channel]`.
    WidePlanes,
}

impl Operands {
    /// Returns the form for an instruction set.
    pub fn of(instruction_set: InstructionSet) -> Self {
        match instruction_set {
            InstructionSet::Avx512Vnni => Self::Unsigned,
            InstructionSet::NeonDotProd => Self::Signed,
            InstructionSet::Neon => Self::WidePlanes,
            _ => Self::WidePairs,
        }
    }

    /// Returns the number of input values in a group.
    pub fn group(self) -> usize {
        4 / self.bytes()
    }

    /// Returns the bytes of an input value, and of a weight in a line.
    pub fn bytes(self) -> usize {
        match self {
            Self::Unsigned | Self::Signed => 1,
            Self::WidePairs | Self::WidePlanes => 2,
        }
    }

    /// Returns channel and index in the group of the weight at place `at` of a line.
    pub fn place(self, at: usize) -> (usize, usize) {
        match self {
            Self::WidePlanes => (at % BLOCK, at / BLOCK),
            _ => (at / self.group(), at % self.group()),
        }
    }

    /// Returns the number that is added to every input value.
    pub fn shift(self) -> i32 {
        match self {
            Self::Unsigned => 128,
            _ => 0,
        }
    }
}

/// The weights of a tile, as a kernel walks over them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Lines of the first block.
    pub lines: *const Line,
    /// Lines from one block to the next.
    // Only x86-64 has tiles of several blocks.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub block_step: usize,
    /// Rows under the kernel.
    pub rows: usize,
    /// Groups in a row.
    pub groups: usize,
    /// Bytes from a position's first value to the first one of this walk.
    pub from: usize,
}

/// One call of a kernel: some output positions by some blocks of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// The first value under the kernel of each position, in the padded map.
    pub positions: [*const u8; MOST_POSITIONS],
    /// Bytes from one row of the padded map to the next.
    pub row_step: usize,
    /// The kernel.
    pub kernel: Walk,
    /// The adapter: one row; no groups where there is none.
    pub adapter: Walk,
    /// Starts of the accumulators, whole blocks.
    pub bias: *const i32,
    /// Multipliers, whole blocks.
    pub multipliers: *const i32,
    /// Turns sums into int8.
    pub requantisation: Requantisation,
    /// Adds what the output holds.
    pub residual: Option<AddRule>,
    /// The first channel of the first position.
    pub output: *mut i8,
    /// Channels from one position to the next.
    pub output_step: usize,
    /// Positions whose results are kept; the others repeat the last of these.
    pub kept: usize,
    /// Channels from the first one of the tile to the last one that there is.
    pub channels: usize,
}

impl Tile {
    /// Calls `store` with the sums of each position that is kept and the place of its output, for a
    /// tile of one block.
    ///
    /// `store` may read and write a whole block there. Where the output has fewer channels, that place
    /// is a copy, of which the channels that there are go back.
    ///
    /// # Safety
    /// At each position that is kept, the output's channels are valid for reads and writes.
    #[inline(always)]
    pub unsafe fn store_kept<S: Copy, const P: usize>(
        &self,
        sums: &[S; P],
        store: impl Fn(S, *mut i8),
    ) {
        let channels = self.channels.min(BLOCK);
        for (p, &sums) in sums.iter().enumerate().take(self.kept) {
            // SAFETY: so many channels are there at each position that is kept.
            unsafe {
                let out = self.output.add(p * self.output_step);
                if channels == BLOCK {
                    store(sums, out);
                } else {
                    let mut block = [0i8; BLOCK];
                    out.copy_to_nonoverlapping(block.as_mut_ptr(), channels);
                    store(sums, block.as_mut_ptr());
                    out.copy_from_nonoverlapping(block.as_ptr(), channels);
                }
            }
        }
    }
}

/// Size of a tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct TileShape {
    /// Output positions.
    pub positions: usize,
    /// Blocks of output channels.
    pub blocks: usize,
}

/// Returns the size of tile that is best for a map of `positions`, with `blocks` left to compute.
pub(super) fn tile_shape(
    instruction_set: InstructionSet,
    positions: usize,
    blocks: usize,
) -> TileShape {
    let (positions, most_blocks) = match instruction_set {
        InstructionSet::Avx512Vnni if positions > 4 => (8, 2),
        InstructionSet::Avx512Vnni => (4, 4),
        _ => (4, 1),
    };
    let blocks = match blocks.min(most_blocks) {
        3 => 2,
        blocks => blocks,
    };
    TileShape { positions, blocks }
}
