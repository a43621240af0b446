//! All of a support set in one buffer.

use super::RestoreError;
use super::catalogue::{self, Catalogue, Form};
use crate::fewshot::Learner;
use crate::fewshot::direction::is_direction;
use crate::fewshot::support::SupportSet;
use crate::space::{BackboneId, Parts};

/// Explains why a snapshot cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ExportError {
    /// The buffer is shorter than [`snapshot_len`].
    #[error("the snapshot needs {needed} bytes and the buffer has {found}")]
    BufferTooShort {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
}

/// Returns the length in bytes of a snapshot of `support`.
pub fn snapshot_len(support: &SupportSet<'_>) -> usize {
    catalogue::len_of(Form::Snapshot, support)
}

/// Returns a length in bytes that suffices for every snapshot of up to as many classes and examples, of `dim`
/// values each, one that is signed included.
pub const fn longest_snapshot(classes: usize, examples: usize, dim: usize) -> usize {
    catalogue::longest_snapshot(classes, examples, dim)
}

/// Writes a snapshot of what `learner` was taught and returns its length, [`snapshot_len`].
///
/// ```
/// # use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, StorageVec};
/// # use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
/// # use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
/// use mtslvr_runtime::fewshot::persist::{export, import, snapshot_len};
/// # let parts = Parts::new([Part { name: "features", len: 2, share: 1.0 }])?;
/// # let frontend = FrontendConfig {
/// #     sample_rate: 16_000, window: 256, hop: 128, mels: 16, frames: 20,
/// #     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// #     form: FrontendForm::PLAIN,
/// # };
/// # let (id, reference) = (BackboneId::new([7; 32]), Reference::assumed(0.5));
/// # let space = EmbeddingSpace::new(id, frontend, parts, &[0.0; 2], reference).unwrap();
/// # let (mut one, mut other) = (StorageVec::new(4, 8, 2), StorageVec::new(4, 8, 2));
/// # let mut taught = Learner::new(one.lend(), HeadKind::default(), space)?;
/// # let mut blank = Learner::new(other.lend(), HeadKind::default(), space)?;
/// let doorbell = taught.enrol("doorbell", &[1.0, 0.5])?;
///
/// let mut bytes = vec![0; snapshot_len(taught.support())];
/// let len = export(&taught, &mut bytes)?;
///
/// // On another device with the same backbone:
/// import(&mut blank, &bytes[..len])?;
/// assert_eq!(blank.support().name(doorbell)?, "doorbell");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExportError`]; `out` is then unchanged.
pub fn export(learner: &Learner<'_>, out: &mut [u8]) -> Result<usize, ExportError> {
    let support = learner.support();
    let (needed, found) = (snapshot_len(support), out.len());
    let out = out
        .get_mut(..needed)
        .ok_or(ExportError::BufferTooShort { needed, found })?;
    let payload = catalogue::lay_out(Form::Snapshot, support, out);
    payload.copy_from_slice(bytemuck::cast_slice(support.all_examples()));
    catalogue::seal(out);
    Ok(needed)
}

/// Describes a snapshot without restoring it, whatever backbone is in use.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SnapshotHeader<'a> {
    /// The backbone that the sounds were enrolled under.
    pub backbone: BackboneId,
    /// Parts of an example.
    pub parts: Parts<'a>,
    /// Number of classes.
    pub classes: usize,
    /// Number of examples of all classes together.
    pub examples: usize,
}

impl<'a> SnapshotHeader<'a> {
    /// Reads the description of the snapshot `bytes`.
    ///
    /// # Errors
    /// [`RestoreError`] if the bytes are damaged or no snapshot.
    pub fn read(bytes: &'a [u8]) -> Result<Self, RestoreError> {
        let catalogue = Catalogue::decode(Form::Snapshot, bytes)?;
        Ok(Self {
            backbone: catalogue.backbone,
            parts: catalogue.parts.ok_or(RestoreError::Malformed)?,
            classes: catalogue.class_count,
            examples: catalogue.example_count,
        })
    }
}

/// Makes `learner` know what the snapshot `bytes` holds, in place of what it knew. [`Learner::fit`] is
/// due afterwards. See [`export`] for an example.
///
/// # Errors
/// [`RestoreError`], also if the snapshot was made under another backbone than the learner's. The
/// learner is then as it was.
pub fn import(learner: &mut Learner<'_>, bytes: &[u8]) -> Result<(), RestoreError> {
    let support = learner.support();
    let catalogue = Catalogue::decode(Form::Snapshot, bytes)?;
    catalogue.check_fits(support)?;
    let examples: &[i8] = bytemuck::cast_slice(catalogue.payload);
    let mut rows = examples.chunks_exact(support.dim());
    if !rows.all(|row| is_direction(row, support.space().parts())) {
        return Err(RestoreError::Malformed);
    }
    catalogue
        .restore(learner.support_mut())
        .copy_from_slice(examples);
    Ok(())
}
