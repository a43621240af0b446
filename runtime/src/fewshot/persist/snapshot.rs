//! All of a support set in one buffer.

use super::RestoreError;
use super::catalogue::{self, Catalogue, Payload};
use crate::fewshot::direction::is_direction;
use crate::fewshot::support::SupportSet;

/// Why a snapshot cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// The buffer is shorter than [`snapshot_len`].
    BufferTooShort {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
}

/// Bytes of a snapshot of `support`.
pub fn snapshot_len(support: &SupportSet) -> usize {
    catalogue::len_of(Payload::Examples, support)
}

/// Writes a snapshot of `support`, enrolled under the backbone whose file has the CRC-32
/// `backbone`, and gives its length, [`snapshot_len`].
pub fn export(support: &SupportSet, backbone: u32, out: &mut [u8]) -> Result<usize, ExportError> {
    let (needed, found) = (snapshot_len(support), out.len());
    let out = out
        .get_mut(..needed)
        .ok_or(ExportError::BufferTooShort { needed, found })?;
    let payload = catalogue::encode(Payload::Examples, support, backbone, out);
    let examples = (0..=u8::MAX).take(support.class_count());
    let examples = examples.flat_map(|class| support.examples(class));
    for (to, from) in payload.chunks_exact_mut(support.dim()).zip(examples) {
        to.copy_from_slice(bytemuck::cast_slice(from));
    }
    catalogue::seal(out);
    Ok(needed)
}

/// What a snapshot says of itself, whatever backbone is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// CRC-32 of the backbone's file that it was enrolled under.
    pub backbone: u32,
    /// Values of an example.
    pub dim: usize,
    /// How many of them are invariant features; they come first.
    pub invariant_dim: usize,
    /// Classes.
    pub classes: usize,
    /// Examples of all classes together.
    pub examples: usize,
}

impl SnapshotHeader {
    /// Reads the header of the snapshot `bytes`, whose checksum and structure must be right.
    pub fn read(bytes: &[u8]) -> Result<Self, RestoreError> {
        let catalogue = Catalogue::decode(Payload::Examples, bytes)?;
        Ok(Self {
            backbone: catalogue.backbone,
            dim: catalogue.dim,
            invariant_dim: catalogue.invariant_dim,
            classes: catalogue.class_count,
            examples: catalogue.example_count,
        })
    }
}

/// Makes `support` hold what the snapshot `bytes` holds, in place of what it held. It must have been
/// enrolled under the backbone in use, whose CRC-32 is `backbone`. After an error `support` is as it
/// was.
pub fn import(support: &mut SupportSet, backbone: u32, bytes: &[u8]) -> Result<(), RestoreError> {
    let catalogue = Catalogue::decode(Payload::Examples, bytes)?;
    catalogue.check_fits(support, backbone)?;
    let examples: &[i8] = bytemuck::cast_slice(catalogue.payload);
    let mut rows = examples.chunks_exact(catalogue.dim);
    if !rows.all(|row| is_direction(row, catalogue.invariant_dim)) {
        return Err(RestoreError::Malformed);
    }
    catalogue.restore(support).copy_from_slice(examples);
    Ok(())
}

impl core::fmt::Display for ExportError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BufferTooShort { needed, found } => write!(
                f,
                "the snapshot needs {needed} bytes and the buffer has {found}"
            ),
        }
    }
}

impl core::error::Error for ExportError {}
