//! The program: the records of tensors and operators, and the constants that operators refer to.

use super::error::OpenError;
use super::op::{Op, OpKind, Scratch, Tables};
use super::tensor::Tensor;
use super::wire::{
    NO_OPERAND, NO_TABLE, NetworkHeader, OpRecord, SECTION_ALIGN, TensorRecord, field,
};
use crate::nn::{AddRule, Layout, Requantisation};

/// Values of a table: one for each int8 value.
const TABLE_LEN: usize = 256;

/// Largest kernel of a convolution, in either direction.
const MAX_KERNEL: usize = 15;

/// A view of the network and the constants.
#[derive(Clone, Copy)]
pub(super) struct Network<'a> {
    pub header: NetworkHeader,
    pub tensors: &'a [[u8; TensorRecord::LEN]],
    pub ops: &'a [[u8; OpRecord::LEN]],
    pub constants: &'a [u8],
}

impl<'a> Network<'a> {
    /// Returns tensor `index`.
    pub fn tensor(&self, index: usize) -> Option<Tensor> {
        self.tensors
            .get(index)
            .map(|record| Tensor::read(index, record))
    }

    /// Returns the tensors.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> + use<'a> {
        let records = self.tensors.iter().enumerate();
        records.map(|(index, record)| Tensor::read(index, record))
    }

    /// Returns the tensors that operator `index` reads, whatever they are, without a look at the rest
    /// of its record.
    pub fn operands(&self, index: usize) -> Option<[Option<usize>; 2]> {
        let record = self.ops.get(index)?;
        let second = field::op::SECOND.get(record);
        Some([
            Some(field::op::INPUT.get(record).into()),
            (second != NO_OPERAND).then_some(second.into()),
        ])
    }

    /// Returns the bytes of the arena that operator `index` may use while it runs.
    pub fn scratch(&self, index: usize) -> Option<Scratch> {
        let record = self.ops.get(index)?;
        Some(Scratch {
            offset: field::op::SCRATCH_AT.get(record) as usize,
            len: field::op::SCRATCH_LEN.get(record) as usize,
        })
    }

    /// Finds everything that operator `index` refers to. Checks that it is there, not that it makes
    /// sense.
    pub fn op(&self, index: usize) -> Result<Op<'a>, OpenError> {
        let op = index as u16;
        let missing = OpenError::Operand { op };
        let record = OpRecord::read(self.ops.get(index).ok_or(missing)?);
        let kind = OpKind::from_number(record.kind).ok_or(OpenError::Kind {
            op,
            kind: record.kind,
        })?;
        let layout = Layout::from_number(record.layout)
            // Only a convolution has kernel rows that could be paired.
            .filter(|&layout| layout == Layout::Rows || kind == OpKind::Convolution)
            .ok_or(OpenError::Layout {
                op,
                layout: record.layout,
            })?;
        // Only what was written before can be read: operator `i` writes tensor `i + 1`.
        let operand = |tensor: u16| {
            let written = usize::from(tensor) <= index;
            written
                .then(|| self.tensor(tensor.into()))
                .flatten()
                .ok_or(missing)
        };
        let input = operand(record.input)?;
        let second = match (record.second, kind) {
            (NO_OPERAND, OpKind::Add | OpKind::Multiply | OpKind::Concatenate) => {
                return Err(missing);
            }
            (NO_OPERAND, _) => None,
            (
                tensor,
                OpKind::Add | OpKind::Multiply | OpKind::Concatenate | OpKind::Convolution,
            ) => Some(operand(tensor)?),
            _ => return Err(missing),
        };
        // A product has no scales of its operands: its multiplier has both.
        let scaled = second.filter(|_| kind != OpKind::Multiply);
        let output = self.tensor(index + 1).ok_or(missing)?;
        let mut found = Op {
            index,
            kind,
            layout,
            input,
            second,
            output,
            window: record.window,
            first_channel: record.first_channel.into(),
            scratch: Scratch {
                offset: record.scratch_at as usize,
                len: record.scratch_len as usize,
            },
            tables: Tables {
                weights: &[],
                adapter: &[],
                bias: &[],
                multipliers: &[],
                requantisation: requantisation(kind, &record, second.is_some(), &output),
                add: scaled.map(|second| add_rule(kind, &record, &input, &second, &output)),
            },
        };
        self.find_tables(&mut found, &record)?;
        Ok(found)
    }

    /// Finds the tables of the constants that an operator of this kind has.
    fn find_tables(&self, op: &mut Op<'a>, record: &OpRecord) -> Result<(), OpenError> {
        let index = op.index as u16;
        let (from, channels) = (op.input.shape, op.output.shape.channels);
        // Also keeps the sizes below from overflowing.
        let convolves = matches!(op.kind, OpKind::Convolution | OpKind::Depthwise);
        if convolves && op.window.kernel.iter().any(|&size| size > MAX_KERNEL) {
            return Err(OpenError::Window { op: index });
        }
        let column = match op.kind {
            OpKind::Convolution => op.layout.column_len(&op.window, from.channels),
            OpKind::Depthwise => op.window.area(),
            OpKind::Linear => from.len(),
            OpKind::AveragePool | OpKind::Multiply => {
                op.tables.multipliers = self.table(index, record.multipliers, 1)?;
                return Ok(());
            }
            OpKind::Slopes => {
                op.tables.multipliers = self.table(index, record.multipliers, channels + 1)?;
                return Ok(());
            }
            OpKind::Lookup => {
                op.tables.weights = self.table(index, record.weights, TABLE_LEN)?;
                return Ok(());
            }
            OpKind::Add
            | OpKind::MaxPool
            | OpKind::Concatenate
            | OpKind::Slice
            | OpKind::Reshape => return Ok(()),
        };
        let bytes = op.layout.bytes(channels, column);
        op.tables.weights = self.table(index, record.weights, bytes)?;
        op.tables.bias = self.table(index, record.bias, channels)?;
        op.tables.multipliers = self.table(index, record.multipliers, channels)?;
        if op.kind == OpKind::Convolution && record.adapter != NO_TABLE {
            let row = op.layout.adapter_len(from.channels);
            let bytes = op.layout.bytes(channels, row);
            op.tables.adapter = self.table(index, record.adapter, bytes)?;
        }
        Ok(())
    }

    /// Finds `len` values at offset `at` of the constants.
    fn table<T: bytemuck::AnyBitPattern>(
        &self,
        op: u16,
        at: u32,
        len: usize,
    ) -> Result<&'a [T], OpenError> {
        let start = at as usize;
        let bytes = len
            .checked_mul(size_of::<T>())
            .and_then(|len| start.checked_add(len))
            .and_then(|end| self.constants.get(start..end))
            .filter(|_| start.is_multiple_of(SECTION_ALIGN));
        bytes
            .and_then(|bytes| bytemuck::try_cast_slice(bytes).ok())
            .ok_or(OpenError::Table { op })
    }
}

/// Takes an operator's rule from accumulator to int8 from its record: to the sum's first addend where
/// a convolution has a second operand.
fn requantisation(kind: OpKind, record: &OpRecord, adds: bool, output: &Tensor) -> Requantisation {
    let inner = kind == OpKind::Convolution && adds;
    let (zero_point, [lo, hi]) = if inner {
        (record.inner_zero_point, record.inner_clamp)
    } else {
        (output.quantisation.zero_point, record.clamp)
    };
    Requantisation {
        pre: record.pre,
        zero_point,
        lo,
        hi,
    }
}

/// Takes the rule of an operator's sum from its record.
fn add_rule(
    kind: OpKind,
    record: &OpRecord,
    input: &Tensor,
    second: &Tensor,
    output: &Tensor,
) -> AddRule {
    let [a_multiplier, b_multiplier] = record.add_multipliers;
    let [lo, hi] = record.clamp;
    AddRule {
        a_zero_point: match kind {
            OpKind::Convolution => record.inner_zero_point,
            _ => input.quantisation.zero_point,
        },
        a_multiplier,
        b_zero_point: second.quantisation.zero_point,
        b_multiplier,
        zero_point: output.quantisation.zero_point,
        lo,
        hi,
    }
}
