//! Checks the records of tensors and operators.

use super::op;
use crate::model::error::OpenError;
use crate::model::network::Network;
use crate::model::sections::Sections;
use crate::model::view::Model;
use crate::model::wire::{MAX_ARENA, MAX_OPS, NetworkHeader, SectionKind, TensorRecord, field};
use crate::nn::Shape;

/// Divides the network section into its records.
pub(super) fn read<'a>(sections: &Sections<'a>) -> Result<Network<'a>, OpenError> {
    let kind = SectionKind::Network;
    let wrong_len = OpenError::SectionLen(kind);
    let section = sections.required(kind)?;
    let (record, rest) = section.split_first_chunk().ok_or(wrong_len)?;
    let reserved =
        field::network::RESERVED_2.get(record) != 0 || field::network::RESERVED_8.get(record) != 0;
    if reserved {
        return Err(OpenError::Reserved);
    }
    let header = NetworkHeader::read(record);
    let ops = usize::from(header.ops);
    if !(1..=MAX_OPS).contains(&ops) {
        return Err(OpenError::OpCount(header.ops));
    }
    if header.arena_len as usize > MAX_ARENA {
        return Err(OpenError::ArenaTooLarge {
            found: header.arena_len,
        });
    }
    // An operator writes one tensor; the patch is one more.
    let tensors_len = (ops + 1) * TensorRecord::LEN;
    let (tensors, ops_records) = rest.split_at_checked(tensors_len).ok_or(wrong_len)?;
    let ((tensors, []), (op_records, [])) = (tensors.as_chunks(), ops_records.as_chunks()) else {
        return Err(wrong_len);
    };
    if op_records.len() != ops {
        return Err(wrong_len);
    }
    Ok(Network {
        header,
        tensors,
        ops: op_records,
        constants: sections.required(SectionKind::Constants)?,
    })
}

/// Checks all records, but not what lies where at which time.
pub(super) fn check(model: &Model<'_>) -> Result<(), OpenError> {
    check_tensors(model)?;
    for index in 0..model.op_count() {
        op::check(&model.network, index)?;
    }
    Ok(())
}

fn check_tensors(model: &Model<'_>) -> Result<(), OpenError> {
    for (record, tensor) in model.network.tensors.iter().zip(model.tensors()) {
        if field::tensor::RESERVED.get(record) != 0 {
            return Err(OpenError::Reserved);
        }
        let Shape {
            height,
            width,
            channels,
        } = tensor.shape;
        let index = tensor.index as u16;
        // Each dimension is below 2^16: the product fits 64 bits, and below the arena's length 32.
        let len = height as u64 * width as u64 * channels as u64;
        if len == 0 {
            return Err(OpenError::Shape { tensor: index });
        }
        // Kernels load words.
        let end = tensor.offset as u64 + len;
        if end > model.arena_len() as u64 || !tensor.offset.is_multiple_of(4) {
            return Err(OpenError::Placement { tensor: index });
        }
        // Far inside the normal numbers, so that the reciprocal is a finite normal number too.
        if !(1e-30..=1e30).contains(&tensor.quantisation.scale) {
            return Err(OpenError::Scale { tensor: index });
        }
    }
    // The patch is what the frontend makes.
    let frontend = &model.frontend;
    let patch = Shape::new(frontend.frames.into(), frontend.mels.into(), 1);
    if model.tensor(0).is_none_or(|tensor| tensor.shape != patch) {
        return Err(OpenError::Shape { tensor: 0 });
    }
    Ok(())
}
