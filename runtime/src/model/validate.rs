//! Everything that is checked when a model is opened.

use super::crc::Crc32;
use super::placement::Tensor;
use super::wire::{CRC_AT, HEADER_LEN, Header, MAGIC};
use super::{ALIGNMENT, MAX_ARENA, MAX_OPS, Model, Op, OpKind, OpenError, VERSION};
use crate::fewshot::Reference;
use crate::nn::{Layout, Quantisation, Shape};

pub(super) fn open(bytes: &[u8]) -> Result<Model<'_>, OpenError> {
    let expected = length(bytes)?;
    let found = bytes.len();
    if found > expected {
        return Err(OpenError::Overlong { expected, found });
    }
    if bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Err(OpenError::Misaligned);
    }
    check_checksum(bytes)?;

    let truncated = OpenError::Truncated {
        expected: HEADER_LEN,
        found,
    };
    let record = bytes.first_chunk().ok_or(truncated)?;
    let header = Header::read(record).ok_or(OpenError::Reserved)?;
    let model = Model { bytes, header };
    check_header(&model)?;
    check_tensors(&model)?;
    for index in 0..model.op_count() {
        let op = model.resolve(index)?;
        for path in 0..model.paths() {
            check_accumulators(&op, path)?;
            check_pairs(&op, path)?;
        }
    }
    check_placement(&model)?;
    check_shared(&model)?;
    check_statistics(&model)?;
    Ok(model)
}

/// Length that the header states, after magic and version.
pub(super) fn length(bytes: &[u8]) -> Result<usize, OpenError> {
    let found = bytes.len();
    let common = found.min(MAGIC.len());
    if bytes[..common] != MAGIC[..common] {
        return Err(OpenError::Magic);
    }
    if found < HEADER_LEN {
        return Err(OpenError::Truncated {
            expected: HEADER_LEN,
            found,
        });
    }
    let version = version(bytes);
    if !(1..=VERSION).contains(&version) {
        return Err(OpenError::Version(version));
    }
    let expected = u32_at(bytes, 8) as usize;
    if found < expected || expected < HEADER_LEN {
        return Err(OpenError::Truncated { expected, found });
    }
    Ok(expected)
}

/// Version of the format of a file that is at least as long as a header.
pub(super) fn version(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[4], bytes[5]])
}

pub(super) fn stored_checksum(bytes: &[u8]) -> u32 {
    u32_at(bytes, CRC_AT)
}

/// CRC-32 of all bytes of a file but those of the checksum itself; the file is at least as long as a
/// header.
///
/// # Panics
/// If it is shorter.
pub fn checksum(bytes: &[u8]) -> u32 {
    Crc32::new()
        .update(&bytes[..CRC_AT])
        .update(&bytes[CRC_AT + 4..])
        .finish()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn check_checksum(bytes: &[u8]) -> Result<(), OpenError> {
    let expected = stored_checksum(bytes);
    let found = checksum(bytes);
    if expected == found {
        Ok(())
    } else {
        Err(OpenError::Checksum { expected, found })
    }
}

fn check_header(model: &Model<'_>) -> Result<(), OpenError> {
    let header = &model.header;
    if !matches!(header.paths, 1 | 2) {
        return Err(OpenError::Paths(header.paths));
    }
    let most_shared = if header.paths == 2 { header.ops } else { 0 };
    if !(1..=MAX_OPS).contains(&model.op_count()) || header.shared_ops > most_shared {
        return Err(OpenError::OpCount(header.ops));
    }
    if model.arena_len() > MAX_ARENA {
        return Err(OpenError::ArenaTooLarge {
            found: header.arena_len,
        });
    }
    header.frontend.validate().map_err(OpenError::Frontend)?;
    for [at, len] in [header.name, header.provenance] {
        let bytes = model.section(at, len as usize)?;
        core::str::from_utf8(bytes).map_err(|_| OpenError::Text)?;
    }
    Ok(())
}

fn check_tensors(model: &Model<'_>) -> Result<(), OpenError> {
    for index in 0..=model.op_count() {
        let tensor = model.read_tensor(index)?;
        let Shape {
            height,
            width,
            channels,
        } = tensor.shape;
        let index = index as u16;
        // Each dimension is below 2^16: the product fits 64 bits, and below the arena's length 32.
        let len = height as u64 * width as u64 * channels as u64;
        if len == 0 {
            return Err(OpenError::Shape { tensor: index });
        }
        let end = tensor.offset as u64 + len;
        if end > model.arena_len() as u64 || !tensor.offset.is_multiple_of(4) {
            return Err(OpenError::Placement { tensor: index });
        }
        let (used, unused) = tensor.quantisation.split_at(model.paths());
        let absent = Quantisation {
            scale: 0.0,
            zero_point: 0,
        };
        // Far inside the normal numbers, so that the reciprocal is a finite normal number too.
        let usable = |q: &Quantisation| (1e-30..=1e30).contains(&q.scale);
        if !used.iter().all(usable) || unused.iter().any(|q| *q != absent) {
            return Err(OpenError::Scale { tensor: index });
        }
    }
    let frontend = model.frontend();
    let patch = Shape::new(frontend.frames.into(), frontend.mels.into(), 1);
    if model.tensor(0).shape != patch {
        return Err(OpenError::Shape { tensor: 0 });
    }
    Ok(())
}

/// Proves that no input can overflow an accumulator of `op`, shifted, in any order of summation.
fn check_accumulators(op: &Op<'_>, path: usize) -> Result<(), OpenError> {
    let tables = op.tables(path);
    let limit = (i32::MAX >> tables.requantisation.pre) as u64;
    let overflow = Err(OpenError::Overflow {
        op: op.index as u16,
    });
    match op.kind {
        OpKind::Convolution | OpKind::Linear => {
            let channels = op.layout.stored_channels(op.output_shape.channels);
            let row = tables.weights.len() / channels;
            let adapter_row = tables.adapter.len() / channels;
            for (channel, bias) in tables.bias.iter().enumerate() {
                let bias = u64::from(bias.unsigned_abs());
                // No product is larger than 128 * 128; sums of the weights themselves are only
                // needed where that does not settle it.
                if bias + 128 * 128 * (row + adapter_row) as u64 <= limit {
                    continue;
                }
                let weights = op.layout.channel(tables.weights, row, channel);
                let adapter = op.layout.channel(tables.adapter, adapter_row, channel);
                let sum: u64 = weights
                    .chain(adapter)
                    .map(|w| u64::from(w.unsigned_abs()))
                    .sum();
                if bias + 128 * sum > limit {
                    return overflow;
                }
            }
        }
        OpKind::AveragePool => {
            if 255 * op.window.kernel[0] as u64 * op.window.kernel[1] as u64 > limit {
                return overflow;
            }
        }
        // Checked with the tables.
        OpKind::Add | OpKind::MaxPool => {}
    }
    Ok(())
}

/// Checks the weights of pairs of channels. No value is beyond the range of an `i8`, and what fills
/// rows and channels up to an even number is zero, so that it does not matter what an engine
/// multiplies it with.
fn check_pairs(op: &Op<'_>, path: usize) -> Result<(), OpenError> {
    if op.layout != Layout::Pairs {
        return Ok(());
    }
    let tables = op.tables(path);
    let channels = op.output_shape.channels;
    let kernel_row = op.window.kernel[1] * op.input_shape.channels;
    let row_len = op.layout.row_len(&op.window, op.input_shape.channels);
    let column_len = op.layout.column_len(&op.window, op.input_shape.channels);
    let adapter_len = op.layout.adapter_len(op.input_shape.channels);
    for (table, len, row, filled) in [
        (tables.weights, column_len, kernel_row, row_len),
        (
            tables.adapter,
            adapter_len,
            op.input_shape.channels,
            adapter_len,
        ),
    ] {
        let (pairs, _) = table.as_chunks::<2>();
        // 256 * 127 + 127 and all above have 128 as their second value.
        let in_range = pairs
            .iter()
            .all(|pair| i16::from_le_bytes(pair.map(|b| b as u8)) < 0x7F80);
        let rows_filled = row == filled
            || pairs
                .chunks_exact(filled)
                .all(|row| row.ends_with(&[[0; 2]]));
        let channel_filled = channels.is_multiple_of(2)
            || table.is_empty()
            || op.layout.channel(table, len, channels).all(|w| w == 0);
        if !(in_range && rows_filled && channel_filled) {
            return Err(OpenError::Weights {
                op: op.index as u16,
            });
        }
    }
    Ok(())
}

/// Checks that nothing is written over what is still needed.
fn check_placement(model: &Model<'_>) -> Result<(), OpenError> {
    let overlap = |a: &core::ops::Range<usize>, b: &core::ops::Range<usize>| {
        a.start < b.end && b.start < a.end
    };
    for op in model.ops() {
        let needed = match op.kind {
            OpKind::Convolution => op.layout.scratch_len(&op.window, op.input_shape.channels),
            _ => 0,
        };
        if op.scratch.len() < needed || op.scratch.end() > model.arena_len() as u64 {
            return Err(OpenError::Placement {
                tensor: op.index as u16 + 1,
            });
        }
    }
    for tensor in model.tensors() {
        let last = *model.lifetime(tensor.index).end();
        // Tensors are numbered by when they are written: later ones that meet this one alive are
        // those up to its last use.
        for op in model.ops().take(last).skip(tensor.index.saturating_sub(1)) {
            let output = model.tensor(op.index + 1);
            let clash = OpenError::Placement {
                tensor: output.index as u16,
            };
            let over_tensor = output.index != tensor.index
                && overlap(&tensor.range(), &output.range())
                && !takes_over(&op, &tensor, &output, last);
            if over_tensor || overlap(&tensor.range(), &op.scratch.range()) {
                return Err(clash);
            }
        }
    }
    Ok(())
}

/// Whether `output` may lie where `tensor` lies: `op` adds it for the last time, at exactly this
/// place, and does not read it otherwise.
fn takes_over(op: &Op<'_>, tensor: &Tensor, output: &Tensor, last: usize) -> bool {
    op.second == Some(tensor.index)
        && op.input != tensor.index
        && last == output.index
        && tensor.offset == output.offset
}

/// Checks that operators run once for both paths are the same for both.
fn check_shared(model: &Model<'_>) -> Result<(), OpenError> {
    let shared = model.shared_ops();
    for op in model.ops().take(shared) {
        let same_scales = [op.index, op.index + 1].map(|tensor| {
            let tensor = model.tensor(tensor);
            tensor.quantisation[0] == tensor.quantisation[1]
        });
        if op.tables(0) != op.tables(1) || same_scales != [true, true] {
            return Err(OpenError::Shared {
                op: op.index as u16,
            });
        }
    }
    Ok(())
}

fn check_statistics(model: &Model<'_>) -> Result<(), OpenError> {
    let dim = model.output().shape.len() * model.paths();
    model.section(model.header.base_mean_at, 4 * dim)?;
    let finite = model.base_mean().iter().all(|mean| mean.is_finite());
    let [share, quantiles @ ..] = model.header.reference;
    let absent = model.header.reference.iter().all(|v| v.to_bits() == 0);
    let stated = (0.0..=1.0).contains(&share) && Reference::new(quantiles).is_some();
    let valid = (absent || stated) && model.try_space().is_some();
    if finite && valid && (-1.0..=1.0).contains(&model.header.rejection_similarity) {
        Ok(())
    } else {
        Err(OpenError::Statistics)
    }
}
