//! The hash that identifies a model by its contents.

use super::error::OpenError;
use super::view::Model;
use super::wire::{Header, SectionKind, SectionRecord};
use super::{sections, validate};
use crate::content_hash::ContentHash;
use crate::space::BackboneId;

/// Computes the SHA-256 hash of a file's contents: of magic and version, then of each section but the
/// signature, in the order of the table, kind, flags, length and bytes. Where sections lie does not
/// count, nor does the checksum.
///
/// # Errors
/// If the file is too short, of another version, or its section table or a section leaves it. Nothing
/// else is checked.
pub fn content_hash(file: &[u8]) -> Result<BackboneId, OpenError> {
    let header = Header::read(validate::header(file)?);
    let mut hash = ContentHash::new(Header::MAGIC, header.version);
    for (index, record) in sections::records(file, &header)?.iter().enumerate() {
        let record = SectionRecord::read(record);
        if record.kind == SectionKind::Signature as u16 {
            continue;
        }
        let contents = sections::contents(file, &record).ok_or(OpenError::Section {
            index: index as u16,
        })?;
        hash.section(record.kind, record.flags, contents);
    }
    Ok(BackboneId::new(hash.finish()))
}

impl Model<'_> {
    /// Recomputes the hash of the contents and tells whether it is the one that the file states.
    ///
    /// [`Model::open`] leaves that out: accidents are what its CRC-32 finds, and on a Cortex-M4 the
    /// hash of a model costs more than everything else that opening does. Check a model that came
    /// from outside once, when it arrives.
    pub fn verify_hash(&self) -> bool {
        content_hash(self.as_bytes()) == Ok(self.id())
    }
}
