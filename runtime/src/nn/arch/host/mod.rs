//! Convolutions on machines with `std`: weights are brought into another order once, when a backbone
//! is made, and kernels for the machine's instruction set compute tiles of several output positions
//! by blocks of sixteen output channels.
//!
//! The input is copied into a map with its padding around it, so that what lies under a kernel's row
//! is contiguous and padding costs no branch. A kernel then takes a *group* of input values, the same
//! for all channels of a block, and multiplies it with a *line* of weights: a group for each channel of
//! the block.
//!
//! 32-bit accumulators wrap around. That loses nothing: [`crate::model::Model::open`] has proved that
//! the sums fit, and sums of integers modulo 2^32 do not depend on the way to them.

// Elsewhere the portable kernels are all there is.
#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code)
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod padded;
mod repack;

pub use padded::PaddedMap;
pub use repack::{RepackedConvolution, Repacker};

use super::InstructionSet;
use crate::nn::{AddRule, Quantisation, Requantisation, portable};

/// Output channels of a block.
const BLOCK: usize = 16;

/// Most output positions of a tile.
const MOST_POSITIONS: usize = 8;

/// The weights of a block of channels for one group of input values, in the form and order that
/// [`Operands`] says.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// The form in which an instruction set multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operands {
    /// Input values plus 128, unsigned bytes, in groups of four; a line is `[channel][value]`.
    Unsigned,
    /// Input values as they are, in groups of four; a line is `[channel][value]`.
    Signed,
    /// Input values and weights as 16-bit integers, in groups of two; a line is `[channel][value]`.
    WidePairs,
    /// The same, but a line is `[value][channel]`.
    WidePlanes,
}

impl Operands {
    fn of(instruction_set: InstructionSet) -> Self {
        match instruction_set {
            InstructionSet::Avx512Vnni => Self::Unsigned,
            InstructionSet::NeonDotProd => Self::Signed,
            InstructionSet::Neon => Self::WidePlanes,
            _ => Self::WidePairs,
        }
    }

    /// Input values of a group.
    fn group(self) -> usize {
        4 / self.bytes()
    }

    /// Bytes of an input value, and of a weight in a line.
    fn bytes(self) -> usize {
        match self {
            Self::Unsigned | Self::Signed => 1,
            Self::WidePairs | Self::WidePlanes => 2,
        }
    }

    /// Channel, and value of the group, of the weight at place `at` of a line.
    fn place(self, at: usize) -> (usize, usize) {
        match self {
            Self::WidePlanes => (at % BLOCK, at / BLOCK),
            _ => (at / self.group(), at % self.group()),
        }
    }

    /// What is added to every input value.
    fn shift(self) -> i32 {
        match self {
            Self::Unsigned => 128,
            _ => 0,
        }
    }
}

/// Tables of weights as a kernel walks over them.
#[derive(Clone, Copy, Debug)]
struct Walk {
    /// Lines of the first block.
    lines: *const Line,
    /// Lines from one block to the next.
    // Only x86-64 has tiles of several blocks.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    block_step: usize,
    /// Rows under the kernel.
    rows: usize,
    /// Groups in a row.
    groups: usize,
    /// Bytes from a position's first value to the first one of this walk.
    from: usize,
}

/// One call of a kernel: some output positions by some blocks of channels.
#[derive(Clone, Copy, Debug)]
struct Tile {
    /// The first value under the kernel of each position, in the padded map.
    positions: [*const u8; MOST_POSITIONS],
    /// Bytes from one row of the padded map to the next.
    row_step: usize,
    /// The kernel.
    kernel: Walk,
    /// The adapter: one row; no groups where there is none.
    adapter: Walk,
    /// Starts of the accumulators, whole blocks.
    bias: *const i32,
    /// Multipliers, whole blocks.
    multipliers: *const i32,
    requantisation: Requantisation,
    residual: Option<AddRule>,
    /// The first channel of the first position.
    output: *mut i8,
    /// Channels from one position to the next.
    output_step: usize,
    /// Positions whose results are kept; the others repeat the last of these.
    kept: usize,
    /// Channels from the first one of the tile to the last one that there is.
    channels: usize,
}

/// Tiles of one instruction set.
#[derive(Clone, Copy, Debug)]
struct Shape {
    positions: usize,
    blocks: usize,
}

/// The tile with which a map of `positions` and `blocks` that are left is best computed.
fn tile_shape(instruction_set: InstructionSet, positions: usize, blocks: usize) -> Shape {
    let (positions, most_blocks) = match instruction_set {
        InstructionSet::Avx512Vnni if positions > 4 => (8, 2),
        InstructionSet::Avx512Vnni => (4, 4),
        _ => (4, 1),
    };
    let blocks = match blocks.min(most_blocks) {
        3 => 2,
        blocks => blocks,
    };
    Shape { positions, blocks }
}

/// Computes a tile.
///
/// # Safety
/// The instruction set is available and not the portable one. The pointers of `tile` are valid for
/// what its counts say: positions and rows (a whole number of groups each) for reads, lines, bias and
/// multipliers of as many blocks as `shape` has for reads, and `kept` positions of the output for
/// reads and writes, of each the channels that there are.
#[allow(unsafe_code)]
unsafe fn compute(instruction_set: InstructionSet, shape: Shape, tile: &Tile) {
    match instruction_set {
        // SAFETY: as of this function.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Vnni => unsafe { avx512::compute(shape, tile) },
        // SAFETY: as of this function.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2::compute(tile) },
        // SAFETY: as of this function.
        #[cfg(target_arch = "aarch64")]
        InstructionSet::NeonDotProd => unsafe { neon::compute_dot(tile) },
        // SAFETY: as of this function.
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => unsafe { neon::compute_wide(tile) },
        other => unreachable!(
            "{} has no tiles on this machine: {shape:?}, {tile:?}",
            other.name()
        ),
    }
}

/// [`Quantisation::quantise_all`] with `instruction_set`, which must be available.
#[allow(unsafe_code)]
pub fn quantise_all(
    instruction_set: InstructionSet,
    quantisation: &Quantisation,
    values: &[f32],
    out: &mut [i8],
) {
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
            assert!(instruction_set.is_available());
            // SAFETY: both sets have AVX2, and the machine has the set.
            unsafe { avx2::quantise_all(quantisation, values, out) }
        }
        _ => quantisation.quantise_all(values, out),
    }
}

/// [`portable::add`] with `instruction_set`, which must be available.
#[allow(unsafe_code)]
pub fn add(instruction_set: InstructionSet, rule: &AddRule, a: &[i8], sum: &mut [i8]) {
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
            assert!(instruction_set.is_available());
            // SAFETY: both sets have AVX2, and the machine has the set.
            unsafe { avx2::add(rule, a, sum) }
        }
        _ => portable::add(rule, a, sum),
    }
}
