//! One operator of a packed model, run by the kernels that read the model as it is.

use crate::model::{Op, OpKind, proven};
use crate::nn::{
    AveragePool, Convolution, Depthwise, MaxPool, ProductRule, Shape, Slopes, arch, portable,
};

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
/// operand, or the input of an operator on each value by itself, that lies exactly where the result goes:
/// that was checked when the model was opened.
pub(super) fn run_op(arena: &mut [i8], op: &Op<'_>) {
    match op.kind {
        OpKind::Lookup | OpKind::Slopes | OpKind::Reshape => return change_values(arena, op),
        OpKind::Concatenate => return concatenate(arena, op),
        _ => copy_addend(arena, op),
    }
    let ranges = [op.input.range(), op.output.range(), op.scratch.range()];
    let [input, output, scratch] = proven(arena.get_disjoint_mut(ranges).ok());
    let tables = &op.tables;
    match op.kind {
        OpKind::Convolution => arch::convolve(&convolution(op), input, output, scratch),
        OpKind::Linear => arch::linear(&convolution(op), input, output),
        OpKind::Depthwise => arch::depthwise(&depthwise(op), input, output, scratch),
        OpKind::Add => portable::add(&proven(tables.add), input, output),
        OpKind::Multiply => portable::multiply(&product(op), input, output),
        OpKind::Slice => {
            let channels = [op.input.shape.channels, op.output.shape.channels];
            portable::slice(channels, op.first_channel, input, output);
        }
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
        // Done above.
        OpKind::Lookup | OpKind::Slopes | OpKind::Reshape | OpKind::Concatenate => {}
    }
}

/// Runs an operator on each value by itself, where its result goes.
fn change_values(arena: &mut [i8], op: &Op<'_>) {
    if !op.runs_in_place() {
        arena.copy_within(op.input.range(), op.output.offset);
    }
    if op.kind == OpKind::Reshape {
        return;
    }
    let values = &mut arena[op.output.range()];
    let tables = &op.tables;
    if op.kind == OpKind::Lookup {
        return arch::lookup(tables.weights, values);
    }
    let rule = Slopes {
        input_zero_point: op.input.quantisation.zero_point,
        multipliers: tables.multipliers,
        requantisation: tables.requantisation,
    };
    portable::slopes(&rule, values);
}

/// Puts the channels of the second operand behind those of the input.
fn concatenate(arena: &mut [i8], op: &Op<'_>) {
    let second = proven(op.second);
    let channels = [op.input.shape.channels, second.shape.channels];
    // Both operands may be the same tensor.
    let (before, rest) = arena.split_at_mut(op.output.offset);
    let (output, behind) = rest.split_at_mut(op.output.shape.len());
    let map = |range: core::ops::Range<usize>| -> &[i8] {
        match range.start.checked_sub(op.output.range().end) {
            Some(start) => &behind[start..][..range.len()],
            None => &before[range],
        }
    };
    let maps = [map(op.input.range()), map(second.range())];
    portable::concatenate(&proven(op.tables.add), channels, maps, output);
}

/// Copies the second operand to where the result goes, if it does not lie there already: repeated where it
/// has a single row, column or channel.
pub(super) fn copy_addend(arena: &mut [i8], op: &Op<'_>) {
    let Some(second) = op.second.filter(|_| !op.runs_in_place()) else {
        return;
    };
    if second.shape == op.output.shape {
        arena.copy_within(second.range(), op.output.offset);
        return;
    }
    let ranges = [second.range(), op.output.range()];
    let [from, to] = proven(arena.get_disjoint_mut(ranges).ok());
    repeat(from, second.shape, to, op.output.shape);
}

/// Fills `to` with the values of `from`, repeated along each dimension in which it has one.
fn repeat(from: &[i8], shape: Shape, to: &mut [i8], whole: Shape) {
    let at = |index: usize, size: usize| if size == 1 { 0 } else { index };
    for (index, position) in to.chunks_exact_mut(whole.channels).enumerate() {
        let [y, x] = [index / whole.width, index % whole.width];
        let pixel = at(y, shape.height) * shape.width + at(x, shape.width);
        match from[pixel * shape.channels..][..shape.channels] {
            [single] => position.fill(single),
            ref values => position.copy_from_slice(values),
        }
    }
}

/// Describes a depthwise convolution to the kernels.
pub(super) fn depthwise<'a>(op: &Op<'a>) -> Depthwise<'a> {
    Depthwise {
        input: op.input.shape,
        output: op.output.shape,
        window: op.window,
        input_zero_point: op.input.quantisation.zero_point,
        weights: op.tables.weights,
        bias: op.tables.bias,
        multipliers: op.tables.multipliers,
        requantisation: op.tables.requantisation,
    }
}

/// Describes a product to the kernels.
pub(super) fn product(op: &Op<'_>) -> ProductRule {
    ProductRule {
        a_zero_point: op.input.quantisation.zero_point,
        b_zero_point: proven(op.second).quantisation.zero_point,
        multiplier: proven(op.tables.multipliers.first().copied()),
        requantisation: op.tables.requantisation,
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
