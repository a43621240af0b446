//! Joins sections to a file, and splits a file into sections.

use super::error::BuildError;
use mtslvr_runtime::model::wire::{
    Header, MAX_SECTIONS, SECTION_ALIGN, SectionKind, SectionRecord, SignatureRecord, checksum,
    field,
};
use mtslvr_runtime::model::{AlignedBytes, Model, content_hash};

/// A section of a file, of a known or an unknown kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Number of a [`SectionKind`], or of a kind that is not known here.
    pub kind: u16,
    /// Whether a reader that does not know the kind must refuse the file.
    pub must_understand: bool,
    /// Its bytes.
    pub contents: Vec<u8>,
}

impl Section {
    /// Makes a section that a reader may skip.
    pub fn optional(kind: SectionKind, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: kind as u16,
            must_understand: false,
            contents: contents.into(),
        }
    }

    /// Makes a section that a reader must understand to read the others rightly.
    pub fn needed(kind: SectionKind, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            must_understand: true,
            ..Self::optional(kind, contents)
        }
    }

    /// Makes the section of a version counter.
    pub(super) fn version_counter(count: u64) -> Self {
        let mut record = [0; field::version_counter::LEN];
        field::version_counter::COUNT.set(&mut record, count);
        Self::optional(SectionKind::VersionCounter, record)
    }
}

/// Adds `section` behind the others of a packed model. The contents' hash, by which the backbone is
/// known, changes with it, unless the section is a signature.
///
/// # Errors
/// [`BuildError::Check`] if `model` cannot be opened, or not with this section;
/// [`BuildError::FileTooLarge`].
pub fn add_section(model: &[u8], section: Section) -> Result<AlignedBytes, BuildError> {
    let file = AlignedBytes::new(model);
    Model::open(&file).map_err(BuildError::Check)?;
    let mut sections = take_apart(&file);
    sections.push(section);
    let file = AlignedBytes::new(&assemble(&sections)?);
    Model::open(&file).map_err(BuildError::Check)?;
    Ok(file)
}

/// Signs a packed model: gives it the signature that `sign` makes of the hash of its contents, in place of one that
/// was there, and `version_counter` if one is given. A new counter changes the contents' hash, by which the
/// backbone is known.
///
/// # Errors
/// As [`add_section`].
pub fn sign(
    model: &[u8],
    version_counter: Option<u64>,
    sign: impl FnOnce(&[u8; 32]) -> SignatureRecord,
) -> Result<AlignedBytes, BuildError> {
    let file = AlignedBytes::new(model);
    Model::open(&file).map_err(BuildError::Check)?;
    let mut sections = take_apart(&file);
    let replaced = |kind| {
        kind == SectionKind::Signature as u16
            || kind == SectionKind::VersionCounter as u16 && version_counter.is_some()
    };
    sections.retain(|section| !replaced(section.kind));
    if let Some(count) = version_counter {
        sections.push(Section::version_counter(count));
    }
    let unsigned = AlignedBytes::new(&assemble(&sections)?);
    let hash = content_hash(&unsigned).map_err(BuildError::Check)?;
    let signature = sign(hash.as_bytes()).emit();
    add_section(
        &unsigned,
        Section::optional(SectionKind::Signature, signature),
    )
}

/// Takes the sections out of a file that has been opened.
fn take_apart(file: &[u8]) -> Vec<Section> {
    let Some(header) = file.first_chunk().map(Header::read) else {
        return Vec::new();
    };
    let table = &file[header.table_at as usize..];
    let (records, _) = table.as_chunks();
    let records = records.iter().take(header.sections.into());
    records
        .map(SectionRecord::read)
        .map(|record| Section {
            kind: record.kind,
            must_understand: record.flags & SectionRecord::MUST_UNDERSTAND != 0,
            contents: file[record.offset as usize..][..record.len as usize].to_vec(),
        })
        .collect()
}

/// Writes a file of `sections`, in their order: header, section table, sections; length, hash and
/// checksum filled in.
pub(super) fn assemble(sections: &[Section]) -> Result<Vec<u8>, BuildError> {
    if sections.len() > MAX_SECTIONS {
        return Err(BuildError::Size {
            op: None,
            what: "number of sections",
            found: sections.len(),
            limit: MAX_SECTIONS,
        });
    }
    let header = Header::unsealed(sections.len() as u16, Header::LEN as u32);
    let mut end = Header::LEN + sections.len() * SectionRecord::LEN;
    let mut file = header.emit().to_vec();
    for section in sections {
        let offset = end.next_multiple_of(SECTION_ALIGN);
        end = offset + section.contents.len();
        let in_file = |at: usize| u32::try_from(at).map_err(|_| BuildError::FileTooLarge);
        let record = SectionRecord {
            kind: section.kind,
            flags: match section.must_understand {
                true => SectionRecord::MUST_UNDERSTAND,
                false => 0,
            },
            offset: in_file(offset)?,
            len: in_file(end)? - in_file(offset)?,
        };
        file.extend(record.emit());
    }
    for section in sections {
        file.resize(file.len().next_multiple_of(SECTION_ALIGN), 0);
        file.extend(&section.contents);
    }
    seal(&mut file);
    Ok(file)
}

/// Writes length, hash and checksum into the header of `file`: of a new one, or of one whose bytes
/// were changed on purpose, to test what [`Model::open`] makes of them. The hash stays as it is where
/// the section table cannot be followed. Does nothing to what is shorter than a header.
pub fn seal(file: &mut [u8]) {
    let len = file.len() as u32;
    let hash = content_hash(file);
    let set = |file: &mut [u8], change: &dyn Fn(&mut [u8; Header::LEN])| {
        if let Some(header) = file.first_chunk_mut() {
            change(header);
        }
    };
    set(file, &|header| field::header::FILE_LEN.set(header, len));
    if let Ok(hash) = hash {
        set(file, &|header| {
            field::header::HASH.set(header, *hash.as_bytes());
        });
    }
    let checksum = checksum(file);
    set(file, &|header| {
        field::header::CHECKSUM.set(header, checksum);
    });
}
