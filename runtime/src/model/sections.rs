//! Finds the sections of a file, and checks that each lies where it may.

use super::error::OpenError;
use super::wire::{Header, MAX_SECTIONS, SECTION_ALIGN, SectionKind, SectionRecord};

/// Sections that this reader can know: one more than the largest number of a kind.
const KINDS: usize = SectionKind::ALL.len() + 1;

/// The sections that this reader knows, each once at most.
pub(super) struct Sections<'a> {
    found: [Option<&'a [u8]>; KINDS],
}

impl<'a> Sections<'a> {
    /// Finds the sections of `file`, which begins with `header`.
    pub fn find(file: &'a [u8], header: &Header) -> Result<Self, OpenError> {
        let mut found = [None; KINDS];
        // Sections lie in the order of their records, so that none overlaps another.
        let mut end = Header::LEN;
        for (index, record) in records(file, header)?.iter().enumerate() {
            let record = SectionRecord::read(record);
            // Flags of later versions may change what a section means.
            if record.flags & !SectionRecord::MUST_UNDERSTAND != 0 {
                return Err(OpenError::Reserved);
            }
            let misplaced = OpenError::Section {
                index: index as u16,
            };
            let start = record.offset as usize;
            if start < end || !start.is_multiple_of(SECTION_ALIGN) {
                return Err(misplaced);
            }
            let contents = contents(file, &record).ok_or(misplaced)?;
            end = start + contents.len();
            match SectionKind::from_number(record.kind) {
                Some(kind) => {
                    let slot = &mut found[kind as usize];
                    // Nothing says which of the two is meant.
                    if slot.replace(contents).is_some() {
                        return Err(OpenError::RepeatedSection(kind));
                    }
                }
                None if record.flags & SectionRecord::MUST_UNDERSTAND != 0 => {
                    return Err(OpenError::UnknownSection { kind: record.kind });
                }
                // A later version adds this; the rest means the same without it.
                None => {}
            }
        }
        Ok(Self { found })
    }

    /// Returns a section that a file may lack.
    pub fn optional(&self, kind: SectionKind) -> Option<&'a [u8]> {
        self.found[kind as usize]
    }

    /// Returns a section that every file has.
    pub fn required(&self, kind: SectionKind) -> Result<&'a [u8], OpenError> {
        self.optional(kind).ok_or(OpenError::MissingSection(kind))
    }
}

/// Finds the records of the section table.
pub(super) fn records<'a>(
    file: &'a [u8],
    header: &Header,
) -> Result<&'a [[u8; SectionRecord::LEN]], OpenError> {
    let count = usize::from(header.sections);
    let start = header.table_at as usize;
    let table = (count <= MAX_SECTIONS)
        .then(|| start.checked_add(count * SectionRecord::LEN))
        .flatten()
        .and_then(|end| file.get(start..end));
    match table.map(<[u8]>::as_chunks) {
        Some((records, [])) => Ok(records),
        _ => Err(OpenError::SectionTable),
    }
}

/// Finds the bytes of a section.
pub(super) fn contents<'a>(file: &'a [u8], record: &SectionRecord) -> Option<&'a [u8]> {
    let start = record.offset as usize;
    file.get(start..start.checked_add(record.len as usize)?)
}
