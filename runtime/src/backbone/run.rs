//! One operator of a packed model, run by the kernels that read the model as it is.

use crate::model::{Op, OpKind, proven};
use crate::nn::{AveragePool, Convolution, MaxPool, arch, portable};

/// Moment at which an operator is observed: see [`PackedBackbone::embed_observed`](super::PackedBackbone::embed_observed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Moment {
    /// Before it runs.
    Before,
    /// After it has run.
    After,
}

/// Called before and after an operator runs, with its index.
pub(super) type Observer<'o> = &'o mut dyn FnMut(usize, Moment);

/// Runs one operator. Its operands, its result and its scratch do not overlap, but for a second
/// operand that lies exactly where the result goes: that was checked when the model was opened.
pub(super) fn run_op(arena: &mut [i8], op: &Op<'_>) {
    copy_addend(arena, op);
    let ranges = [op.input.range(), op.output.range(), op.scratch.range()];
    let [input, output, scratch] = proven(arena.get_disjoint_mut(ranges).ok());
    let tables = &op.tables;
    match op.kind {
        OpKind::Convolution => arch::convolve(&convolution(op), input, output, scratch),
        OpKind::Linear => arch::linear(&convolution(op), input, output),
        OpKind::Add => portable::add(&proven(tables.add), input, output),
        OpKind::MaxPool => {
            let pool = MaxPool {
                input: op.input.shape,
                output: op.output.shape,
                window: op.window,
                clamp: [tables.requantisation.lo, tables.requantisation.hi],
            };
            portable::max_pool(&pool, input, output);
        }
        OpKind::AveragePool => {
            let pool = AveragePool {
                input: op.input.shape,
                output: op.output.shape,
                window: op.window,
                input_zero_point: op.input.quantisation.zero_point,
                multiplier: proven(tables.multipliers.first().copied()),
                requantisation: tables.requantisation,
            };
            portable::average_pool(&pool, input, output);
        }
    }
}

/// Copies the second operand to where the result goes, if it does not lie there already.
pub(super) fn copy_addend(arena: &mut [i8], op: &Op<'_>) {
    if let Some(second) = op.second.filter(|_| !op.runs_in_place()) {
        arena.copy_within(second.range(), op.output.offset);
    }
}

/// Describes a convolution or linear layer to the kernels.
pub(super) fn convolution<'a>(op: &Op<'a>) -> Convolution<'a> {
    let tables = &op.tables;
    Convolution {
        input: op.input.shape,
        output: op.output.shape,
        window: op.window,
        input_zero_point: op.input.quantisation.zero_point,
        layout: op.layout,
        weights: tables.weights,
        adapter: tables.adapter,
        bias: tables.bias,
        multipliers: tables.multipliers,
        requantisation: tables.requantisation,
        residual: tables.add,
    }
}
