//! Checks that nothing is written over what is still needed.

use core::ops::Range;

use crate::model::error::OpenError;
use crate::model::op::{Op, OpKind};
use crate::model::proven::proven;
use crate::model::tensor::Tensor;
use crate::model::view::Model;
use crate::nn::Depthwise;

/// Checks the place of every tensor and of every operator's scratch. Tensors lie inside the arena, as
/// checked before.
pub(super) fn check(model: &Model<'_>) -> Result<(), OpenError> {
    for op in model.ops() {
        check_scratch(&op, model.arena_len())?;
    }
    for tensor in model.tensors() {
        check_undisturbed(model, &tensor)?;
    }
    Ok(())
}

/// Checks that an operator's scratch is large enough and inside the arena.
fn check_scratch(op: &Op<'_>, arena_len: usize) -> Result<(), OpenError> {
    let needed = match op.kind {
        OpKind::Convolution => op.layout.scratch_len(&op.window, op.input.shape.channels),
        OpKind::Depthwise => Depthwise::scratch_len(&op.window, op.input.shape.channels),
        _ => 0,
    };
    // In 64 bits: on a device the end may be beyond what it can address.
    let end = op.scratch.offset as u64 + op.scratch.len as u64;
    if op.scratch.len < needed || end > arena_len as u64 {
        return Err(OpenError::Placement {
            tensor: op.output.index as u16,
        });
    }
    Ok(())
}

/// Checks that nothing is written over `tensor` while it is needed.
fn check_undisturbed(model: &Model<'_>, tensor: &Tensor) -> Result<(), OpenError> {
    let last = model.last_use(tensor.index);
    // Tensors are numbered by when they are written: those that meet this one alive are written by
    // the operators up to its last use. The one that writes it must not use it as scratch either.
    let first = tensor.index.saturating_sub(1);
    for op in first..last.min(model.op_count()) {
        let (Some(output), Some(scratch)) = (model.tensor(op + 1), model.network.scratch(op))
        else {
            continue;
        };
        let over_tensor = output.index != tensor.index
            && overlap(&tensor.range(), &output.range())
            && !takes_over(model, op, tensor, &output, last);
        if over_tensor || overlap(&tensor.range(), &scratch.range()) {
            return Err(OpenError::Placement {
                tensor: output.index as u16,
            });
        }
    }
    Ok(())
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Tells whether `output` may lie where `tensor` lies: operator `op` adds, multiplies or changes it for the
/// last time, at exactly this place, and does not read it otherwise.
fn takes_over(model: &Model<'_>, op: usize, tensor: &Tensor, output: &Tensor, last: usize) -> bool {
    let [input, second] = proven(model.network.operands(op));
    let kind = proven(model.network.op(op).ok()).kind;
    let (under, other) = match kind.changes_values() {
        true => (input, second),
        false => (second, input),
    };
    (kind.changes_values() || kind.takes_addend())
        && under == Some(tensor.index)
        && other != Some(tensor.index)
        && tensor.shape.len() == output.shape.len()
        && last == output.index
        && tensor.offset == output.offset
}
