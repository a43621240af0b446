//! Snapshots that are taken only if a trusted key has signed them.

use super::RestoreError;
#[cfg(feature = "std")]
use super::catalogue::join;
use super::catalogue::{Catalogue, Form, StoredSection, Walk};
use super::layout::{SNAPSHOT_MAGIC, SNAPSHOT_VERSION, SectionKind};
use super::snapshot::import;
use crate::content_hash::ContentHash;
use crate::fewshot::Learner;
use crate::model::wire::{SignatureRecord, field};
use crate::trust::{SignedContents, TrustError, TrustedKey};

/// Explains why [`import_signed`] refused a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ImportSignedError {
    /// It cannot be restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// It is not trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// [`import`] of a snapshot that `key` has signed and whose version counter is at least `least`: for a profile
/// that comes from outside, on a device that takes its maker's alone.
///
/// A device needs no signature on what it was taught itself: its store in flash writes none, and does not ask for one.
///
/// # Errors
/// [`ImportSignedError`]; the learner is then as it was.
pub fn import_signed(
    learner: &mut Learner<'_>,
    bytes: &[u8],
    key: &TrustedKey,
    least: u64,
) -> Result<(), ImportSignedError> {
    signed_contents(bytes)?.check(key, least)?;
    import(learner, bytes)?;
    Ok(())
}

/// Computes what a signature of the snapshot `bytes` covers, and reads the signature.
///
/// The hash is the SHA-256 of the first six bytes, then of each section but the signature, in the order of the
/// table: its kind, its flags, its length and its bytes. The signature is not verified:
/// [`SignedContents::check`] does that.
///
/// # Errors
/// [`RestoreError`] if the bytes are damaged or no snapshot.
pub fn signed_contents(bytes: &[u8]) -> Result<SignedContents, RestoreError> {
    Catalogue::decode(Form::Snapshot, bytes)?;
    let malformed = RestoreError::Malformed;
    let mut hash = ContentHash::new(SNAPSHOT_MAGIC, SNAPSHOT_VERSION);
    let (mut version_counter, mut signature) = (None, None);
    for section in Walk::begin(bytes).ok_or(malformed)? {
        let StoredSection {
            kind,
            flags,
            contents,
        } = section.ok_or(malformed)?;
        if kind == SectionKind::Signature as u16 {
            let record = contents.try_into().map_err(|_| malformed)?;
            signature = Some(SignatureRecord::read(record));
            continue;
        }
        if kind == SectionKind::VersionCounter as u16 {
            let record: &[u8; field::version_counter::LEN] =
                contents.try_into().map_err(|_| malformed)?;
            version_counter = Some(field::version_counter::COUNT.get(record));
        }
        hash.section(kind, flags, contents);
    }
    Ok(SignedContents {
        hash: hash.finish(),
        version_counter,
        signature,
    })
}

/// Returns the snapshot `bytes` with the signature that `sign` makes of the hash of its contents, in place of one
/// that was there, and with `version_counter` if one is given. Readers that know nothing of signatures skip both.
///
/// # Errors
/// [`RestoreError`] if the bytes are damaged or no snapshot.
#[cfg(feature = "std")]
pub fn sign(
    bytes: &[u8],
    version_counter: Option<u64>,
    sign: impl FnOnce(&[u8; 32]) -> SignatureRecord,
) -> Result<Vec<u8>, RestoreError> {
    Catalogue::decode(Form::Snapshot, bytes)?;
    let malformed = RestoreError::Malformed;
    let mut counter = [0; field::version_counter::LEN];
    let mut sections = Vec::new();
    for section in Walk::begin(bytes).ok_or(malformed)? {
        let section = section.ok_or(malformed)?;
        let replaced = section.kind == SectionKind::Signature as u16
            || section.kind == SectionKind::VersionCounter as u16 && version_counter.is_some();
        if !replaced {
            sections.push(section);
        }
    }
    if let Some(count) = version_counter {
        field::version_counter::COUNT.set(&mut counter, count);
        sections.push(StoredSection {
            kind: SectionKind::VersionCounter as u16,
            flags: 0,
            contents: &counter,
        });
    }
    let unsigned = join(&sections);
    let signature = sign(&signed_contents(&unsigned)?.hash).emit();
    sections.push(StoredSection {
        kind: SectionKind::Signature as u16,
        flags: 0,
        contents: &signature,
    });
    Ok(join(&sections))
}
