//! Checks one operator: its shapes, the fields that its kind has, and that nothing it computes can
//! overflow.

use crate::model::error::OpenError;
use crate::model::network::Network;
use crate::model::op::{Op, OpKind};
use crate::model::proven::proven;
use crate::model::wire::OpRecord;
use crate::nn::{Layout, MAX_PRE_SHIFT, Shape, Window};

/// Checks operator `index`, but not its place in the arena.
pub(super) fn check(network: &Network<'_>, index: usize) -> Result<(), OpenError> {
    let op = network.op(index)?;
    check_shapes(&op)?;
    let record = proven(network.ops.get(index));
    check_unused(&op, &OpRecord::read(record))?;
    check_rules(&op)?;
    check_accumulators(&op)?;
    check_pairs(&op)
}

/// Checks that the output has the shape that the operator makes of its operands.
fn check_shapes(op: &Op<'_>) -> Result<(), OpenError> {
    let (map, output) = (op.input.shape, op.output.shape);
    let expected = expected_shape(op)?;
    let second_fits = op.second.is_none_or(|second| match op.kind {
        OpKind::Concatenate => [second.shape.height, second.shape.width] == [map.height, map.width],
        // Added or multiplied value by value; what has one row, column or channel is repeated.
        _ => second.shape.repeats_to(expected),
    });
    let slice_fits = op.kind != OpKind::Slice || op.first_channel + output.channels <= map.channels;
    if output != expected || !second_fits || !slice_fits {
        return Err(OpenError::Shape {
            tensor: op.output.index as u16,
        });
    }
    // The adapter reads input position `output position * stride`, which must exist, and is a place of
    // the kernel.
    let [stride_y, stride_x] = op.window.stride;
    let centre_inside =
        (output.height - 1) * stride_y < map.height && (output.width - 1) * stride_x < map.width;
    let dilated = op.window.dilation != [1, 1];
    if !op.tables.adapter.is_empty() && (dilated || !centre_inside) {
        return Err(window_error(op));
    }
    Ok(())
}

/// Returns the shape that the output must have; where the operator chooses the number of channels, that
/// of the output.
fn expected_shape(op: &Op<'_>) -> Result<Shape, OpenError> {
    let (map, channels) = (op.input.shape, op.output.shape.channels);
    if !op.kind.has_window() && op.window != Window::square(1, 1, 0) {
        return Err(window_error(op));
    }
    let pools = matches!(op.kind, OpKind::MaxPool | OpKind::AveragePool);
    if pools && op.window.dilation != [1, 1] {
        return Err(window_error(op));
    }
    Ok(match op.kind {
        OpKind::Convolution | OpKind::Depthwise | OpKind::MaxPool | OpKind::AveragePool => {
            let size = op.window.output_size(map.height, map.width);
            let [height, width] = size.ok_or(window_error(op))?;
            match op.kind {
                OpKind::Convolution => Shape::new(height, width, channels),
                _ => Shape::new(height, width, map.channels),
            }
        }
        OpKind::Linear => Shape::new(1, 1, channels),
        OpKind::Add | OpKind::Multiply | OpKind::Lookup | OpKind::Slopes => map,
        OpKind::Concatenate => {
            let more = op.second.map_or(0, |second| second.shape.channels);
            Shape::new(map.height, map.width, map.channels + more)
        }
        OpKind::Slice => Shape::new(map.height, map.width, channels),
        OpKind::Reshape if op.output.shape.len() == map.len() => op.output.shape,
        OpKind::Reshape => map,
    })
}

fn window_error(op: &Op<'_>) -> OpenError {
    OpenError::Window {
        op: op.index as u16,
    }
}

/// Checks that the fields that the operator does not use hold the values that a writer leaves there.
fn check_unused(op: &Op<'_>, record: &OpRecord) -> Result<(), OpenError> {
    let mut used = OpRecord {
        second: record.second,
        first_channel: record.first_channel,
        scratch_at: record.scratch_at,
        scratch_len: record.scratch_len,
        clamp: record.clamp,
        ..OpRecord::bare(record.kind, record.layout, record.input, record.window)
    };
    match op.kind {
        OpKind::Convolution | OpKind::Depthwise | OpKind::Linear => {
            used.weights = record.weights;
            used.bias = record.bias;
            used.multipliers = record.multipliers;
            used.pre = record.pre;
        }
        OpKind::AveragePool | OpKind::Multiply | OpKind::Slopes => {
            used.multipliers = record.multipliers;
            used.pre = record.pre;
        }
        // A table has its bounds in its values.
        OpKind::Lookup => {
            used.weights = record.weights;
            used.clamp = [i8::MIN, i8::MAX];
        }
        OpKind::Slice | OpKind::Reshape => used.clamp = [i8::MIN, i8::MAX],
        OpKind::Add | OpKind::MaxPool | OpKind::Concatenate => {}
    }
    if op.kind == OpKind::Convolution {
        used.adapter = record.adapter;
    }
    if op.tables.add.is_some() {
        used.add_multipliers = record.add_multipliers;
        if op.kind == OpKind::Convolution {
            used.inner_zero_point = record.inner_zero_point;
            used.inner_clamp = record.inner_clamp;
        }
    }
    if used == *record {
        Ok(())
    } else {
        Err(OpenError::Reserved)
    }
}

/// Checks bounds of results, the shift, the sum's multipliers, and that what is copied keeps its scale.
fn check_rules(op: &Op<'_>) -> Result<(), OpenError> {
    let index = op.index as u16;
    let rule = &op.tables.requantisation;
    let sum = &op.tables.add;
    // A clamp with its bounds the wrong way round has no result.
    if rule.lo > rule.hi || sum.is_some_and(|sum| sum.lo > sum.hi) {
        return Err(OpenError::Clamp { op: index });
    }
    if rule.pre > MAX_PRE_SHIFT || sum.is_some_and(|sum| !sum.fits()) {
        return Err(OpenError::Overflow { op: index });
    }
    let copies = matches!(op.kind, OpKind::MaxPool | OpKind::Slice | OpKind::Reshape);
    if copies && op.input.quantisation != op.output.quantisation {
        return Err(OpenError::Scale {
            tensor: op.output.index as u16,
        });
    }
    Ok(())
}

/// Proves that no input can overflow an accumulator of `op`, shifted, in any order of summation.
fn check_accumulators(op: &Op<'_>) -> Result<(), OpenError> {
    let limit = (i32::MAX >> op.tables.requantisation.pre) as u64;
    let fits = match op.kind {
        OpKind::Convolution | OpKind::Linear => dense_sums_fit(op, limit),
        OpKind::Depthwise => depthwise_sums_fit(op, limit),
        OpKind::AveragePool => {
            let [height, width] = op.window.kernel;
            255 * height as u64 * width as u64 <= limit
        }
        OpKind::Multiply => 255 * 255 <= limit,
        OpKind::Slopes => 255 <= limit,
        // Sums of two are checked with the rules.
        OpKind::Add
        | OpKind::MaxPool
        | OpKind::Lookup
        | OpKind::Concatenate
        | OpKind::Slice
        | OpKind::Reshape => true,
    };
    if fits {
        return Ok(());
    }
    Err(OpenError::Overflow {
        op: op.index as u16,
    })
}

/// Tells whether no sum of a convolution or linear layer can be beyond `limit`.
fn dense_sums_fit(op: &Op<'_>, limit: u64) -> bool {
    let tables = &op.tables;
    let channels = op.layout.stored_channels(op.output.shape.channels);
    let row = tables.weights.len() / channels;
    let adapter_row = tables.adapter.len() / channels;
    tables.bias.iter().enumerate().all(|(channel, bias)| {
        let bias = u64::from(bias.unsigned_abs());
        // No product is larger than 128 * 128; sums of the weights themselves are only needed where that
        // does not settle it.
        if bias + 128 * 128 * (row + adapter_row) as u64 <= limit {
            return true;
        }
        let weights = op.layout.channel(tables.weights, row, channel);
        let adapter = op.layout.channel(tables.adapter, adapter_row, channel);
        let sum: u64 = weights
            .chain(adapter)
            .map(|w| u64::from(w.unsigned_abs()))
            .sum();
        bias + 128 * sum <= limit
    })
}

/// Tells whether no sum of a depthwise convolution can be beyond `limit`.
fn depthwise_sums_fit(op: &Op<'_>, limit: u64) -> bool {
    let channels = op.output.shape.channels;
    let mut biases = op.tables.bias.iter().enumerate();
    biases.all(|(channel, bias)| {
        let column = op.tables.weights.iter().skip(channel).step_by(channels);
        let sum: u64 = column.map(|w| u64::from(w.unsigned_abs())).sum();
        u64::from(bias.unsigned_abs()) + 128 * sum <= limit
    })
}

/// Tells whether no pair of weights in `table`, 16 bits each, has 128 as its second value: none is `256 * 127 + 128` or
/// above.
fn pairs_in_range(table: &[i8]) -> bool {
    let (words, rest) = table.as_chunks::<4>();
    let last = match *rest {
        [first, second] => beyond_of([first, second, 0, 0]),
        _ => 0,
    };
    words_in_range(words) && last == 0
}

/// Tells whether a pair of two is out of range: adding 0x80 to its lower 15 bits sets the highest bit, which the pair does
/// not have.
fn beyond_of(bytes: [i8; 4]) -> u32 {
    let word = u32::from_le_bytes(bytes.map(|byte| byte as u8));
    ((word & 0x7FFF_7FFF) + 0x0080_0080) & !word & 0x8000_8000
}

/// Tells whether all pairs are in range. Two at a time, because half of the work of opening a model would be here.
#[cfg(not(arm_dsp))]
fn words_in_range(words: &[[i8; 4]]) -> bool {
    words.iter().fold(0, |found, word| found | beyond_of(*word)) == 0
}

/// Tells whether all pairs are in range.
#[cfg(arm_dsp)]
fn words_in_range(words: &[[i8; 4]]) -> bool {
    let largest = crate::nn::arch::largest_halves(words);
    beyond_of(largest.to_le_bytes().map(|byte| byte as i8)) == 0
}

/// Checks the weights of pairs of channels. No value is beyond the range of an `i8`. The values that
/// fill rows and channels up to an even number are zero, so that an engine may multiply them with
/// anything.
fn check_pairs(op: &Op<'_>) -> Result<(), OpenError> {
    if op.layout != Layout::Pairs {
        return Ok(());
    }
    let tables = &op.tables;
    let (inputs, channels) = (op.input.shape.channels, op.output.shape.channels);
    let kernel_row = op.window.kernel[1] * inputs;
    let row_len = op.layout.row_len(&op.window, inputs);
    let column_len = op.layout.column_len(&op.window, inputs);
    let adapter_len = op.layout.adapter_len(inputs);
    for (table, len, row, filled) in [
        (tables.weights, column_len, kernel_row, row_len),
        (tables.adapter, adapter_len, inputs, adapter_len),
    ] {
        let (pairs, _) = table.as_chunks::<2>();
        let rows_filled = row == filled
            || pairs
                .chunks_exact(filled)
                .all(|row| row.ends_with(&[[0; 2]]));
        let channel_filled =
            channels.is_multiple_of(2) || op.layout.channel(table, len, channels).all(|w| w == 0);
        if !(pairs_in_range(table) && rows_filled && channel_filled) {
            return Err(OpenError::Weights {
                op: op.index as u16,
            });
        }
    }
    Ok(())
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::pairs_in_range;

    #[test]
    fn every_pair_is_in_range_but_those_with_128() {
        for pair in i16::MIN..=i16::MAX {
            let [low, high] = pair.to_le_bytes().map(|byte| byte as i8);
            let expected = pair < 0x7F80;
            for table in [
                &[low, high][..],
                &[low, high, -1, 127],
                &[-1, -128, low, high],
                &[127, 126, 0, 0, low, high],
            ] {
                // Of the others -1 and 127 is 0x7FFF.
                let others = !table.ends_with(&[-1, 127]) || table.len() == 2;
                assert_eq!(
                    pairs_in_range(table),
                    expected && others,
                    "{pair:x}, {table:?}"
                );
            }
        }
    }
}
