//! Where tensors lie in the arena and how long each is needed.
//!
//! Time runs from 0, when the input is written, over `i + 1`, when operator `i` runs, to one more
//! than the number of operators, when the output is read. Tensor `t` is written at time `t`.

use core::ops::{Range, RangeInclusive};

use super::{Model, OpenError, wire};
use crate::nn::{Quantisation, Shape};

/// A tensor of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Its index: 0 is the input, `i + 1` what operator `i` writes.
    pub index: usize,
    /// Its shape.
    pub shape: Shape,
    /// Its place: bytes from the start of the arena.
    pub offset: usize,
    pub(super) quantisation: [Quantisation; wire::PATHS],
}

impl Tensor {
    /// What its values stand for in path `path` (0 or 1).
    pub fn quantisation(&self, path: usize) -> Quantisation {
        self.quantisation[path]
    }

    /// The bytes of the arena that it takes.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

impl Model<'_> {
    /// Tensor `index`; validated when the model was opened.
    pub(crate) fn tensor(&self, index: usize) -> Tensor {
        self.read_tensor(index)
            .unwrap_or_else(|_| unreachable!("validated by Model::open"))
    }

    pub(super) fn read_tensor(&self, index: usize) -> Result<Tensor, OpenError> {
        let len = (self.op_count() + 1) * wire::TENSOR_LEN;
        let records = self.section(self.header.tensors_at, len)?;
        let record =
            wire::TensorRecord::read(&records[index * wire::TENSOR_LEN..][..wire::TENSOR_LEN])
                .ok_or(OpenError::Reserved)?;
        Ok(Tensor {
            index,
            shape: record.shape,
            offset: record.offset as usize,
            quantisation: record.quantisation,
        })
    }

    /// The times from writing tensor `index` to its last use. Time 0 is when the input is written,
    /// `i + 1` when operator `i` runs, one more than the number of operators when the output is
    /// read.
    pub fn lifetime(&self, index: usize) -> RangeInclusive<usize> {
        let reads = self.ops().map(|op| [Some(op.input), op.second]);
        index..=last_use(index, reads, self.op_count(), self.shared_ops())
    }

    /// The largest sum of bytes that are needed at one time: no placement can do with a smaller
    /// arena. A tensor that takes over the place of an addend counts once.
    pub fn arena_lower_bound(&self) -> usize {
        let live = |time: usize| -> usize {
            let tensors = self
                .tensors()
                .filter(|t| self.lifetime(t.index).contains(&time));
            let mut bytes: usize = tensors.map(|t| t.shape.len()).sum();
            if let Some(op) = time.checked_sub(1).and_then(|i| self.ops().nth(i)) {
                bytes += op.scratch.len();
                if self.runs_in_place(&op) {
                    bytes -= op.output_shape.len();
                }
            }
            bytes
        };
        (0..=self.op_count()).map(live).max().unwrap_or(0)
    }

    /// Whether `op` writes its result over its second operand.
    pub fn runs_in_place(&self, op: &super::Op<'_>) -> bool {
        op.second
            .is_some_and(|second| self.tensor(second).offset == self.tensor(op.index + 1).offset)
    }
}

/// The time of the last use of tensor `tensor`, where `reads` gives the operands of each operator.
/// What the shared operators leave for the others is needed to the very end, because the second
/// path begins there.
pub fn last_use(
    tensor: usize,
    reads: impl Iterator<Item = [Option<usize>; 2]>,
    ops: usize,
    shared_ops: usize,
) -> usize {
    let mut last = tensor;
    if tensor == ops {
        last = ops + 1;
    }
    for (index, operands) in reads.enumerate() {
        if operands.contains(&Some(tensor)) {
            last = last.max(index + 1);
            if shared_ops > 0 && tensor <= shared_ops && index >= shared_ops {
                last = ops + 1;
            }
        }
    }
    last
}
