//! Computes how long each tensor is needed, and the least memory that this takes.
//!
//! Time runs from 0, when the patch is written, over `i + 1`, when operator `i` runs, to one more
//! than the number of operators, when the parts are read. Tensor `t` is written at time `t`.

use core::ops::RangeInclusive;

use super::proven::proven;
use super::view::Model;

impl Model<'_> {
    /// Returns the times from writing tensor `index` to its last use; `None` if there is no such
    /// tensor. Time 0 is when the patch is written, `i + 1` when operator `i` runs, one more than the
    /// number of operators when the parts are read.
    pub fn lifetime(&self, index: usize) -> Option<RangeInclusive<usize>> {
        (index <= self.op_count()).then(|| index..=self.last_use(index))
    }

    /// Returns the time of the last use of tensor `index`.
    pub(super) fn last_use(&self, index: usize) -> usize {
        if self.part_tensors().any(|tensor| tensor == index) {
            return self.op_count() + 1;
        }
        // A tensor is read by operators from the one on whose number is its index.
        let reads = |op: &usize| proven(self.network.operands(*op)).contains(&Some(index));
        let mut readers = (index..self.op_count()).rev();
        readers.find(reads).map_or(index, |op| op + 1)
    }

    /// Returns the largest sum of bytes that are needed at one time: no placement can do with a
    /// smaller arena. A tensor that takes over the place of an addend counts once.
    pub fn arena_lower_bound(&self) -> usize {
        let live = |time: usize| -> usize {
            let tensors = self
                .tensors()
                .filter(|tensor| (tensor.index..=self.last_use(tensor.index)).contains(&time));
            let mut bytes: usize = tensors.map(|t| t.shape.len()).sum();
            if let Some(op) = time.checked_sub(1).and_then(|index| self.op(index)) {
                bytes += op.scratch.len();
                if op.runs_in_place() {
                    bytes -= op.output.shape.len();
                }
            }
            bytes
        };
        (0..=self.op_count()).map(live).max().unwrap_or(0)
    }
}
