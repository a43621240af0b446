//! All of a support set in one buffer.

use super::RestoreError;
use super::catalogue::{self, Catalogue, Payload};
use crate::fewshot::Learner;
use crate::fewshot::direction::is_direction;
use crate::fewshot::support::SupportSet;
use crate::space::BackboneId;

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

/// Writes a snapshot of what `learner` was taught and returns its length, [`snapshot_len`].
pub fn export(learner: &Learner<'_>, out: &mut [u8]) -> Result<usize, ExportError> {
    let support = learner.support();
    let (needed, found) = (snapshot_len(support), out.len());
    let out = out
        .get_mut(..needed)
        .ok_or(ExportError::BufferTooShort { needed, found })?;
    let payload = catalogue::encode(Payload::Examples, support, out);
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
    /// The backbone that it was enrolled under.
    pub backbone: BackboneId,
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

/// Makes `learner` know what the snapshot `bytes` holds, in place of what it knew. It must have been
/// enrolled under the learner's backbone. [`Learner::fit`] is due afterwards. After an error the
/// learner is as it was.
pub fn import(learner: &mut Learner<'_>, bytes: &[u8]) -> Result<(), RestoreError> {
    let support = learner.support();
    let catalogue = Catalogue::decode(Payload::Examples, bytes)?;
    catalogue.check_fits(support)?;
    let examples: &[i8] = bytemuck::cast_slice(catalogue.payload);
    let mut rows = examples.chunks_exact(catalogue.dim);
    if !rows.all(|row| is_direction(row, support.space().parts())) {
        return Err(RestoreError::Malformed);
    }
    catalogue
        .restore(learner.support_mut())
        .copy_from_slice(examples);
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
