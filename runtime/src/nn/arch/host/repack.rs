//! Convolutions in the order in which the kernels of an instruction set read them.

use super::padded::PaddedShape;
use super::{
    BLOCK, InstructionSet, Line, MOST_POSITIONS, Operands, PaddedMap, Shape, Tile, Walk, compute,
    tile_shape,
};
use crate::nn::{AddRule, Convolution, Layout, Requantisation};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// Repacks convolutions for an instruction set; tables that several of them share are repacked once.
#[derive(Debug)]
pub struct Repacker<'a> {
    instruction_set: InstructionSet,
    done: HashMap<Table, Arc<[Line]>>,
    // Tables are told apart by their addresses, so they must all stay where they are.
    tables: PhantomData<&'a [i8]>,
}

/// A table of weights: where it lies and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Table {
    address: usize,
    pairs: bool,
    channels: usize,
    rows: usize,
    /// Values of a row without what fills it up.
    row: usize,
}

/// A convolution or linear layer of one path, ready to run on one instruction set.
#[derive(Clone, Debug)]
pub struct RepackedConvolution {
    instruction_set: InstructionSet,
    padded: PaddedShape,
    zero_point: i8,
    channels: usize,
    /// Bytes from the padded map's begin to the first value under the kernel of each position.
    positions: Vec<usize>,
    kernel: Lines,
    /// Without lines where there is no adapter.
    adapter: Lines,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    requantisation: Requantisation,
    residual: Option<AddRule>,
}

/// Repacked weights, `[block][row][group]`.
#[derive(Clone, Debug)]
struct Lines {
    lines: Arc<[Line]>,
    rows: usize,
    groups: usize,
    /// Bytes from a position's first value to the first one of these weights.
    from: usize,
}

impl Lines {
    fn walk(&self, block: usize) -> Walk {
        let block_step = self.rows * self.groups;
        Walk {
            lines: self.lines[block * block_step..].as_ptr(),
            block_step,
            rows: self.rows,
            groups: self.groups,
            from: self.from,
        }
    }
}

impl<'a> Repacker<'a> {
    /// Repacks for `instruction_set`.
    ///
    /// # Panics
    /// If this machine lacks it, or it is the portable one, which reads tables as they are.
    pub fn new(instruction_set: InstructionSet) -> Self {
        assert!(
            instruction_set.is_available() && instruction_set != InstructionSet::Portable,
            "{} has no kernels on this machine",
            instruction_set.name()
        );
        Self {
            instruction_set,
            done: HashMap::new(),
            tables: PhantomData,
        }
    }

    /// Repacks a convolution; a linear layer is given as one whose kernel is as large as the map.
    ///
    /// # Panics
    /// If its shapes and tables do not fit each other.
    pub fn convolution(&mut self, conv: &Convolution<'a>) -> RepackedConvolution {
        let operands = Operands::of(self.instruction_set);
        let (input, window) = (conv.input, &conv.window);
        check(conv);
        let padded = PaddedShape {
            operands,
            input,
            padding: window.padding,
        };
        let [kernel_height, kernel_width] = window.kernel;
        let row = kernel_width * input.channels;
        let kernel = Lines {
            lines: self.table(
                conv.layout,
                conv.weights,
                conv.output.channels,
                kernel_height,
                row,
            ),
            rows: kernel_height,
            groups: row.div_ceil(operands.group()),
            from: 0,
        };
        let mut adapter = Lines {
            lines: Arc::new([]),
            rows: 0,
            groups: 0,
            from: window.padding.top * padded.row_step()
                + window.padding.left * padded.position_bytes(),
        };
        if !conv.adapter.is_empty() {
            let channels = conv.output.channels;
            adapter.lines = self.table(conv.layout, conv.adapter, channels, 1, input.channels);
            adapter.rows = 1;
            adapter.groups = input.channels.div_ceil(operands.group());
        }
        let sums = |o: usize| -> i32 {
            let stored = conv.layout.stored_channels(conv.output.channels);
            let sum = |table: &[i8]| {
                let values = conv.layout.channel(table, table.len() / stored, o);
                values.sum::<i32>()
            };
            sum(conv.weights) + sum(conv.adapter)
        };
        // An input value is `shift` too great: what that adds to a sum is taken off its start.
        let bias = conv
            .bias
            .iter()
            .enumerate()
            .map(|(o, bias)| bias.wrapping_sub(operands.shift().wrapping_mul(sums(o))));
        let whole_blocks = conv.output.channels.next_multiple_of(BLOCK);
        let filled = |mut values: Vec<i32>| {
            values.resize(whole_blocks, 0);
            values
        };
        let mut positions = Vec::with_capacity(conv.output.height * conv.output.width);
        for oy in 0..conv.output.height {
            for ox in 0..conv.output.width {
                let y = oy * window.stride[0] * padded.row_step();
                positions.push(y + ox * window.stride[1] * padded.position_bytes());
            }
        }
        RepackedConvolution {
            instruction_set: self.instruction_set,
            padded,
            zero_point: conv.input_zero_point,
            channels: conv.output.channels,
            positions,
            kernel,
            adapter,
            bias: filled(bias.collect()),
            multipliers: filled(conv.multipliers.to_vec()),
            requantisation: conv.requantisation,
            residual: conv.residual,
        }
    }

    /// Repacks `table`, `rows` rows of `row` values for each channel, or finds it repacked.
    fn table(
        &mut self,
        layout: Layout,
        table: &'a [i8],
        channels: usize,
        rows: usize,
        row: usize,
    ) -> Arc<[Line]> {
        let key = Table {
            address: table.as_ptr().addr(),
            pairs: layout == Layout::Pairs,
            channels,
            rows,
            row,
        };
        let operands = Operands::of(self.instruction_set);
        let repack = || {
            let group = operands.group();
            let groups = row.div_ceil(group);
            let stored_row = layout.adapter_len(row);
            let value = |o: usize, y: usize, k: usize| {
                if o < channels && k < row {
                    layout.value(table, rows * stored_row, o, y * stored_row + k)
                } else {
                    0
                }
            };
            let line = |block: usize, y: usize, g: usize| {
                let mut line = Line([0; 64]);
                for (i, bytes) in line.0.chunks_exact_mut(operands.bytes()).enumerate() {
                    let (o, k) = operands.place(i);
                    let weight = value(block * BLOCK + o, y, g * group + k);
                    bytes.copy_from_slice(&(weight as i16).to_le_bytes()[..bytes.len()]);
                }
                line
            };
            let blocks = 0..channels.div_ceil(BLOCK);
            blocks
                .flat_map(|block| {
                    (0..rows).flat_map(move |y| (0..groups).map(move |g| (block, y, g)))
                })
                .map(|(block, y, g)| line(block, y, g))
                .collect()
        };
        self.done.entry(key).or_insert_with(repack).clone()
    }
}

/// Panics unless the kernels may rely on the shapes and tables of `conv`.
fn check(conv: &Convolution<'_>) {
    let Convolution {
        input,
        output,
        window,
        layout,
        ..
    } = conv;
    let [height, width] = [output.height, output.width];
    assert_eq!(
        window.output_size(input.height, input.width),
        Some([height, width]),
        "the window's steps over the input"
    );
    let channels = layout.stored_channels(output.channels);
    let kernels = channels * layout.column_len(window, input.channels);
    assert_eq!(conv.weights.len(), kernels, "weights");
    assert_eq!(conv.bias.len(), output.channels, "biases");
    assert_eq!(conv.multipliers.len(), output.channels, "multipliers");
    if !conv.adapter.is_empty() {
        let adapters = channels * layout.adapter_len(input.channels);
        assert_eq!(conv.adapter.len(), adapters, "weights of the adapter");
        assert!(
            (height - 1) * window.stride[0] < input.height
                && (width - 1) * window.stride[1] < input.width,
            "the adapter's tap lies outside the input"
        );
    }
}

impl RepackedConvolution {
    /// Convolves `input` into `output`; with a residual, `output` comes in holding the second addend.
    ///
    /// # Panics
    /// If a map does not have the shape that the convolution was given with.
    pub fn run(&self, input: &[i8], output: &mut [i8], memory: &mut PaddedMap) {
        assert_eq!(input.len(), self.padded.input.len(), "values of the input");
        assert_eq!(
            output.len(),
            self.positions.len() * self.channels,
            "values of the output"
        );
        let padded = memory.fill(&self.padded, input, self.zero_point);
        let blocks = self.channels.div_ceil(BLOCK);
        let mut block = 0;
        while block < blocks {
            let first = block * BLOCK;
            let shape = tile_shape(self.instruction_set, self.positions.len(), blocks - block);
            let mut tile = Tile {
                positions: [padded.as_ptr(); MOST_POSITIONS],
                row_step: self.padded.row_step(),
                kernel: self.kernel.walk(block),
                adapter: self.adapter.walk(block),
                bias: self.bias[first..].as_ptr(),
                multipliers: self.multipliers[first..].as_ptr(),
                requantisation: self.requantisation,
                residual: self.residual,
                output: std::ptr::null_mut(),
                output_step: self.channels,
                kept: 0,
                channels: (self.channels - first).min(shape.blocks * BLOCK),
            };
            let tiles = self.positions.chunks(shape.positions);
            for (offsets, out) in tiles.zip(output.chunks_mut(shape.positions * self.channels)) {
                let shape = match shape {
                    Shape { positions: 8, .. } if offsets.len() <= 4 => Shape {
                        positions: 4,
                        ..shape
                    },
                    shape => shape,
                };
                for (p, pointer) in tile.positions[..shape.positions].iter_mut().enumerate() {
                    // Fewer positions than a tile has: the rest repeats the last.
                    let offset = offsets[p.min(offsets.len() - 1)];
                    *pointer = padded[offset..].as_ptr();
                }
                tile.output = out[first..].as_mut_ptr();
                tile.kept = offsets.len();
                self.compute(shape, &tile);
            }
            block += shape.blocks;
        }
    }

    #[allow(unsafe_code)]
    fn compute(&self, shape: Shape, tile: &Tile) {
        // SAFETY: the instruction set is available, as `Repacker::new` has checked. The window fits
        // the padded map, so from each offset on `rows` rows of `groups` groups can be read, the last
        // with the map's slack; the same holds of the adapter, whose position lies in the map. Lines,
        // bias and multipliers were made in whole blocks, of which `shape` takes no more than are
        // left. `output` begins `kept` positions of `output_step` values each, less the channels
        // before the tile's first, and `channels` does not go beyond a position.
        unsafe { compute(self.instruction_set, shape, tile) }
    }
}
