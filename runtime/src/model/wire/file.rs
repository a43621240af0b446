//! Header, section table and checksum of a file, whatever its contents are.

use super::field::{header, section};
use crate::model::crc::Crc32;
use core::ops::Range;

/// Version of the format that this crate reads and writes.
pub const VERSION: u16 = 1;

/// Most operators in a program.
pub const MAX_OPS: usize = 256;

/// Most bytes that an arena may have.
pub const MAX_ARENA: usize = 1 << 28;

/// Sections begin at multiples of this, and so do tables in the constants.
pub const SECTION_ALIGN: usize = 16;

/// Most sections of a file.
pub const MAX_SECTIONS: usize = 64;

/// The header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the layout.
    pub version: u16,
    /// Number of sections.
    pub sections: u16,
    /// Length of the file, bytes.
    pub file_len: u32,
    /// CRC-32 of the file; see [`checksum`].
    pub checksum: u32,
    /// Offset of the section table.
    pub table_at: u32,
    /// SHA-256 hash of the contents.
    pub hash: [u8; 32],
}

impl Header {
    /// Bytes of a header.
    pub const LEN: usize = header::LEN;

    /// The first bytes of every file.
    pub const MAGIC: [u8; 4] = *b"SLVR";

    /// Returns the bytes that the checksum of a file of `len` bytes covers: those before it and behind it.
    pub(in crate::model) fn checked_ranges(len: usize) -> [Range<usize>; 2] {
        let behind = header::CHECKSUM_AT + size_of::<u32>();
        [0..header::CHECKSUM_AT.min(len), behind.min(len)..len]
    }

    /// Returns the checksum that a file states; `None` if it has no header.
    pub(in crate::model) fn stated_checksum(file: &[u8]) -> Option<u32> {
        let record = file.first_chunk::<{ header::LEN }>()?;
        Some(header::CHECKSUM.get(record))
    }

    /// Describes a file of this version whose length, checksum and hash are still to be filled in.
    pub const fn unsealed(sections: u16, table_at: u32) -> Self {
        Self {
            version: VERSION,
            sections,
            file_len: 0,
            checksum: 0,
            table_at,
            hash: [0; 32],
        }
    }

    /// Reads a header, whatever its magic and its reserved fields are.
    pub fn read(record: &[u8; header::LEN]) -> Self {
        Self {
            version: header::VERSION.get(record),
            sections: header::SECTIONS.get(record),
            file_len: header::FILE_LEN.get(record),
            checksum: header::CHECKSUM.get(record),
            table_at: header::TABLE_AT.get(record),
            hash: header::HASH.get(record),
        }
    }

    /// Writes the header.
    pub fn emit(&self) -> [u8; header::LEN] {
        let mut record = [0; header::LEN];
        header::MAGIC.set(&mut record, Self::MAGIC);
        header::VERSION.set(&mut record, self.version);
        header::SECTIONS.set(&mut record, self.sections);
        header::FILE_LEN.set(&mut record, self.file_len);
        header::CHECKSUM.set(&mut record, self.checksum);
        header::TABLE_AT.set(&mut record, self.table_at);
        header::HASH.set(&mut record, self.hash);
        record
    }
}

/// Contents of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
#[non_exhaustive]
pub enum SectionKind {
    /// Records of tensors and operators, and the length of the arena.
    Network = 1,
    /// Weights, biases and multipliers.
    Constants = 2,
    /// The parts of an embedding.
    Parts = 3,
    /// The frontend's parameters.
    Frontend = 4,
    /// Mean embedding of ordinary audio.
    BaseMean = 5,
    /// Name of the model.
    Name = 6,
    /// Where the model comes from.
    Provenance = 7,
    /// How alike the embeddings of unrelated sounds are.
    Reference = 8,
    /// Directions of ordinary sounds.
    Cohort = 9,
    /// A number that grows from one release of a model to the next.
    VersionCounter = 10,
    /// Who vouches for the contents.
    Signature = 11,
    /// How the frontend differs from the plain one.
    FrontendForm = 12,
    /// Norm of a patch before the network reads it.
    PatchNorm = 13,
}

impl SectionKind {
    /// Every kind, in the order of their numbers, which begin at 1.
    pub(in crate::model) const ALL: [Self; 13] = [
        Self::Network,
        Self::Constants,
        Self::Parts,
        Self::Frontend,
        Self::BaseMean,
        Self::Name,
        Self::Provenance,
        Self::Reference,
        Self::Cohort,
        Self::VersionCounter,
        Self::Signature,
        Self::FrontendForm,
        Self::PatchNorm,
    ];

    /// Returns the kind with this number, if this reader knows it.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u16 == number)
    }

    /// Returns the name that `FORMAT.md` has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Constants => "constants",
            Self::Parts => "parts",
            Self::Frontend => "frontend",
            Self::BaseMean => "base mean",
            Self::Name => "name",
            Self::Provenance => "provenance",
            Self::Reference => "reference",
            Self::Cohort => "cohort",
            Self::VersionCounter => "version counter",
            Self::Signature => "signature",
            Self::FrontendForm => "frontend form",
            Self::PatchNorm => "patch norm",
        }
    }
}

impl core::fmt::Display for SectionKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// A record of the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionRecord {
    /// Number of a [`SectionKind`], or one that this reader does not know.
    pub kind: u16,
    /// [`Self::MUST_UNDERSTAND`] or 0.
    pub flags: u16,
    /// Offset in the file.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

impl SectionRecord {
    /// Bytes of a record.
    pub const LEN: usize = section::LEN;

    /// Flag of a section without which a reader would misread the others. A reader that does not know the
    /// kind must refuse the file.
    pub const MUST_UNDERSTAND: u16 = 1;

    /// Reads a record.
    pub fn read(record: &[u8; section::LEN]) -> Self {
        Self {
            kind: section::KIND.get(record),
            flags: section::FLAGS.get(record),
            offset: section::OFFSET.get(record),
            len: section::SECTION_LEN.get(record),
        }
    }

    /// Writes the record.
    pub fn emit(&self) -> [u8; section::LEN] {
        let mut record = [0; section::LEN];
        section::KIND.set(&mut record, self.kind);
        section::FLAGS.set(&mut record, self.flags);
        section::OFFSET.set(&mut record, self.offset);
        section::SECTION_LEN.set(&mut record, self.len);
        record
    }
}

/// Computes the CRC-32 of a file: of all its bytes but those of the checksum itself.
pub fn checksum(file: &[u8]) -> u32 {
    let parts = Header::checked_ranges(file.len());
    let parts = parts.map(|range| file.get(range).unwrap_or_default());
    let crc = parts.into_iter().fold(Crc32::new(), Crc32::update);
    crc.finish()
}
