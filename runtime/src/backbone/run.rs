//! One operator of a packed model, run by the kernels that read the model as it is.

use crate::model::{Op, OpKind};
use crate::nn::{
    AveragePool, Convolution, Depthwise, MaxPool, ProductRule, Shape, Slopes, arch, portable,
};
use crate::parts::{copy, part};

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
/// that was checked when the model was opened. `None` if it is no longer so.
pub(super) fn run_op(arena: &mut [i8], op: &Op<'_>) -> Option<()> {
    match op.kind {
        OpKind::Lookup | OpKind::Slopes | OpKind::Reshape => return change_values(arena, op),
        OpKind::Concatenate => return concatenate(arena, op),
        _ => copy_addend(arena, op)?,
    }
    let ranges = [op.input.range(), op.output.range(), op.scratch.range()];
    let [input, output, scratch] = arena.get_disjoint_mut(ranges).ok()?;
    let tables = &op.tables;
    match op.kind {
        OpKind::Convolution => arch::convolve(&convolution(op), input, output, scratch),
        OpKind::Linear => arch::linear(&convolution(op), input, output),
        OpKind::Depthwise => arch::depthwise(&depthwise(op), input, output, scratch),
        OpKind::Add => portable::add(&tables.add?, input, output),
        OpKind::Multiply => portable::multiply(&product(op)?, input, output),
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
                multiplier: *tables.multipliers.first()?,
                requantisation: tables.requantisation,
            };
            portable::average_pool(&pool, input, output);
        }
        // Done above.
        OpKind::Lookup | OpKind::Slopes | OpKind::Reshape | OpKind::Concatenate => {}
    }
    Some(())
}

/// Runs an operator on each value by itself, where its result goes.
fn change_values(arena: &mut [i8], op: &Op<'_>) -> Option<()> {
    if !op.runs_in_place() {
        copy_tensor(arena, op.input.range(), op.output.offset)?;
    }
    if op.kind == OpKind::Reshape {
        return Some(());
    }
    let values = op.output.values_mut(arena)?;
    let tables = &op.tables;
    if op.kind == OpKind::Lookup {
        arch::lookup(tables.weights, values);
        return Some(());
    }
    let rule = Slopes {
        input_zero_point: op.input.quantisation.zero_point,
        multipliers: tables.multipliers,
        requantisation: tables.requantisation,
    };
    portable::slopes(&rule, values);
    Some(())
}

/// Copies the values of `from` to where `to` begins, over whatever lies there.
fn copy_tensor(arena: &mut [i8], from: core::ops::Range<usize>, to: usize) -> Option<()> {
    let count = arena.get(from.clone())?.len();
    if to > arena.len().checked_sub(count)? {
        return None;
    }
    arena.copy_within(from, to);
    Some(())
}

/// Puts the channels of the second operand behind those of the input.
fn concatenate(arena: &mut [i8], op: &Op<'_>) -> Option<()> {
    let second = op.second?;
    let channels = [op.input.shape.channels, second.shape.channels];
    // Both operands may be the same tensor.
    let (before, rest) = arena.split_at_mut_checked(op.output.offset)?;
    let (output, behind) = rest.split_at_mut_checked(op.output.shape.len())?;
    let map = |range: core::ops::Range<usize>| -> Option<&[i8]> {
        match range.start.checked_sub(op.output.range().end) {
            Some(start) => part(behind, start, range.len()),
            None => before.get(range),
        }
    };
    let maps = [map(op.input.range())?, map(second.range())?];
    portable::concatenate(&op.tables.add?, channels, maps, output);
    Some(())
}

/// Copies the second operand to where the result goes, if it does not lie there already: repeated where it
/// has a single row, column or channel.
pub(super) fn copy_addend(arena: &mut [i8], op: &Op<'_>) -> Option<()> {
    let Some(second) = op.second.filter(|_| !op.runs_in_place()) else {
        return Some(());
    };
    if second.shape == op.output.shape {
        return copy_tensor(arena, second.range(), op.output.offset);
    }
    let ranges = [second.range(), op.output.range()];
    let [from, to] = arena.get_disjoint_mut(ranges).ok()?;
    repeat(from, second.shape, to, op.output.shape)
}

/// Fills `to` with the values of `from`, repeated along each dimension in which it has one.
fn repeat(from: &[i8], shape: Shape, to: &mut [i8], whole: Shape) -> Option<()> {
    let at = |index: usize, size: usize| if size == 1 { 0 } else { index };
    for (index, position) in to.chunks_exact_mut(whole.channels.max(1)).enumerate() {
        let width = whole.width.max(1);
        let [y, x] = [index / width, index % width];
        let pixel = at(y, shape.height) * shape.width + at(x, shape.width);
        match part(from, pixel * shape.channels, shape.channels)? {
            [single] => position.fill(*single),
            values => copy(values, position)?,
        }
    }
    Some(())
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
pub(super) fn product(op: &Op<'_>) -> Option<ProductRule> {
    Some(ProductRule {
        a_zero_point: op.input.quantisation.zero_point,
        b_zero_point: op.second?.quantisation.zero_point,
        multiplier: *op.tables.multipliers.first()?,
        requantisation: op.tables.requantisation,
    })
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
