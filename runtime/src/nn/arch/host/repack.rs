//! Convolutions in the order in which the kernels of an instruction set read them.

use super::dispatch;
use super::padded::{PaddedMap, PaddedShape, Taps};
use super::tile::{BLOCK, Line, MOST_POSITIONS, Operands, Tile, TileShape, Walk, tile_shape};
use crate::nn::arch::instruction_set::InstructionSet;
use crate::nn::geometry::{Padding, Shape};
use crate::nn::layout::Layout;
use crate::nn::operators::Convolution;
use crate::nn::rules::{AddRule, Requantisation};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// Repacks convolutions for an instruction set. A table that several of them share is repacked once.
#[derive(Debug)]
pub struct Repacker<'a> {
    instruction_set: InstructionSet,
    done: HashMap<Table, Arc<[Line]>>,
    // Tables are told apart by their addresses, so they must all stay where they are.
    tables: PhantomData<&'a [i8]>,
}

/// A table of weights: its address and its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Table {
    address: usize,
    pairs: bool,
    channels: usize,
    rows: usize,
    /// Values of a row, without those that fill it up.
    row: usize,
}

/// A convolution or linear layer of one path, ready to run on one instruction set.
#[derive(Clone, Debug)]
pub struct RepackedConvolution {
    instruction_set: InstructionSet,
    padded: PaddedShape,
    /// Where the values under a kernel with gaps lie: the map is then one of these values.
    taps: Option<Taps>,
    zero_point: i8,
    channels: usize,
    /// Bytes from the start of the padded map to the first value under the kernel, of each position.
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
    /// Returns the walk over block `block` and those after it.
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
    /// Makes a repacker for `instruction_set`.
    ///
    /// # Panics
    /// If this machine lacks the instruction set, or if it is the portable one, which reads tables as
    /// they are.
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

    /// Repacks a convolution. A linear layer is given as one whose kernel is as large as the map.
    ///
    /// A convolution whose shapes and tables do not fit each other leaves every output as it is
    /// (see [wrong arguments](crate::nn#wrong-arguments)). Takes memory for the weights and for an index
    /// of each output position.
    pub fn convolution(&mut self, conv: &Convolution<'a>) -> RepackedConvolution {
        let [input, output] = [conv.input, conv.output].map(|map| map.checked_len());
        if !conv.tables_fit() || input.is_none() || output.is_none() {
            return self.nothing();
        }
        let operands = Operands::of(self.instruction_set);
        let (input, window) = (conv.input, &conv.window);
        let [kernel_height, kernel_width] = window.kernel;
        let places = conv.output.height * conv.output.width;
        let (padded, taps) = self.map_of(conv);
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
        // Each input value is `shift` too great. The amount that this adds to a sum is taken off its
        // start.
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
        let positions = (0..places).map(|place| {
            if taps.is_some() {
                return place * kernel_height * padded.row_step();
            }
            let [oy, ox] = [place / conv.output.width, place % conv.output.width];
            let y = oy * window.stride[0] * padded.row_step();
            y + ox * window.stride[1] * padded.position_bytes()
        });
        RepackedConvolution {
            instruction_set: self.instruction_set,
            padded,
            taps,
            zero_point: conv.input_zero_point,
            channels: conv.output.channels,
            positions: positions.collect(),
            kernel,
            adapter,
            bias: filled(bias.collect()),
            multipliers: filled(conv.multipliers.to_vec()),
            requantisation: conv.requantisation,
            residual: conv.residual,
        }
    }

    /// Returns the map that kernels read: the input with its padding, or, for a kernel with gaps, the values
    /// under it at each position.
    fn map_of(&self, conv: &Convolution<'a>) -> (PaddedShape, Option<Taps>) {
        let operands = Operands::of(self.instruction_set);
        let (input, window) = (conv.input, conv.window);
        if window.dilation == [1, 1] {
            let padded = PaddedShape {
                operands,
                input,
                padding: window.padding,
            };
            return (padded, None);
        }
        let [height, width] = window.kernel;
        let places = conv.output.height * conv.output.width;
        let gathered = PaddedShape {
            operands,
            input: Shape::new(places * height, width, input.channels),
            padding: Padding::default(),
        };
        let taps = Taps {
            input,
            output: conv.output,
            window,
        };
        (gathered, Some(taps))
    }

    /// Returns the convolution that does nothing, because it has no positions.
    fn nothing(&self) -> RepackedConvolution {
        let none = Lines {
            lines: Arc::new([]),
            rows: 0,
            groups: 0,
            from: 0,
        };
        RepackedConvolution {
            instruction_set: self.instruction_set,
            padded: PaddedShape {
                operands: Operands::of(self.instruction_set),
                input: Shape::new(0, 0, 0),
                padding: Padding::default(),
            },
            taps: None,
            zero_point: 0,
            channels: 0,
            positions: Vec::new(),
            kernel: none.clone(),
            adapter: none,
            bias: Vec::new(),
            multipliers: Vec::new(),
            requantisation: Requantisation {
                pre: 0,
                zero_point: 0,
                lo: 0,
                hi: 0,
            },
            residual: None,
        }
    }

    /// Repacks `table`, which is `rows` rows of `row` values for each channel, or finds it repacked.
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

impl RepackedConvolution {
    /// Convolves `input` into `output`, with the bytes of [`portable::convolve`].
    ///
    /// The maps have the shapes of the convolution that was repacked; see
    /// [wrong arguments](crate::nn#wrong-arguments). With a residual, `output` comes in holding the
    /// second addend. The contents of `memory` do not matter.
    ///
    /// [`portable::convolve`]: crate::nn::portable::convolve
    pub fn run(&self, input: &[i8], output: &mut [i8], memory: &mut PaddedMap) {
        let input_shape = self
            .taps
            .as_ref()
            .map_or(self.padded.input, |taps| taps.input);
        if self.positions.is_empty()
            || input.len() != input_shape.len()
            || output.len() != self.positions.len() * self.channels
        {
            return;
        }
        let padded = match &self.taps {
            None => memory.fill(&self.padded, input, self.zero_point),
            Some(taps) => memory.gather(&self.padded, taps, input, self.zero_point),
        };
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
                    TileShape { positions: 8, .. } if offsets.len() <= 4 => TileShape {
                        positions: 4,
                        ..shape
                    },
                    shape => shape,
                };
                for (p, pointer) in tile.positions[..shape.positions].iter_mut().enumerate() {
                    // Where there are fewer positions than a tile has, the last one is repeated.
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

    /// Computes a tile of this convolution.
    #[allow(unsafe_code)]
    fn compute(&self, shape: TileShape, tile: &Tile) {
        // SAFETY: the instruction set is available, as `Repacker::new` has checked. The window fits
        // the padded map, so from each offset on `rows` rows of `groups` groups can be read, the last
        // with the map's slack; the same holds of the adapter, whose position lies in the map. Lines,
        // biases and multipliers were made in whole blocks, of which `shape` takes no more than are
        // left. `output` is `kept` positions of `output_step` values each, less the channels before
        // the tile's first, and `channels` does not go beyond a position.
        unsafe { dispatch::compute(self.instruction_set, shape, tile) }
    }
}
