//! Writes and checks what snapshots and the index in flash have in common: header, section table,
//! backbone, classes and thresholds.

use super::RestoreError;
use super::layout::field::{class, classes, header, part, section, threshold, thresholds};
#[cfg(feature = "flash")]
use super::layout::{INDEX_MAGIC, field::reference};
use super::layout::{NO_THRESHOLD, SNAPSHOT_MAGIC, SNAPSHOT_VERSION, SectionKind};
use crate::bytes::{Reader, Writer};
use crate::fewshot::class::{Class, ClassId, ClassName, NameFault, Role};
use crate::fewshot::support::SupportSet;
use crate::model::Crc32;
use crate::model::wire::SignatureRecord;
use crate::space::{BackboneId, MAX_PARTS, PART_NAME_BYTES, Part, Parts};

/// Chooses what stands for the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A snapshot: the examples themselves, and the parts that they consist of.
    Snapshot,
    /// The index in flash: references to records of examples.
    #[cfg(feature = "flash")]
    Index,
}

impl Form {
    const fn magic(self) -> [u8; 4] {
        match self {
            Self::Snapshot => SNAPSHOT_MAGIC,
            #[cfg(feature = "flash")]
            Self::Index => INDEX_MAGIC,
        }
    }

    /// The section that stands for the examples.
    const fn payload(self) -> SectionKind {
        match self {
            Self::Snapshot => SectionKind::Examples,
            #[cfg(feature = "flash")]
            Self::Index => SectionKind::References,
        }
    }

    /// Bytes that stand for an example of `dim` values.
    const fn entry_len(self, dim: usize) -> usize {
        match self {
            Self::Snapshot => dim,
            #[cfg(feature = "flash")]
            Self::Index => reference::LEN,
        }
    }
}

/// Lengths of the sections of a support set, in the order in which they are written; zero for one that
/// is left out.
struct Plan {
    sections: [(SectionKind, usize); 5],
}

impl Plan {
    fn of(form: Form, support: &SupportSet) -> Self {
        let parts = match form {
            Form::Snapshot => support.space().parts().as_slice(),
            #[cfg(feature = "flash")]
            Form::Index => &[],
        };
        let names = support.classes().iter().map(|class| class.name().len());
        let own = support
            .classes()
            .iter()
            .filter_map(Class::threshold)
            .count();
        let any_threshold = own > 0 || support.default_threshold().is_some();
        Self {
            sections: [
                (SectionKind::Backbone, BackboneId::LEN),
                (
                    SectionKind::Parts,
                    parts.iter().map(|p| part::LEN + p.name.len()).sum(),
                ),
                (
                    SectionKind::Classes,
                    classes_len(support.class_count(), names.sum()),
                ),
                (
                    form.payload(),
                    support.example_count() * form.entry_len(support.dim()),
                ),
                (
                    SectionKind::Thresholds,
                    match any_threshold {
                        true => thresholds_len(own),
                        false => 0,
                    },
                ),
            ],
        }
    }

    fn written(&self) -> impl Iterator<Item = (SectionKind, usize)> {
        // An empty payload is written: a set may hold nothing.
        let may_be_empty = [SectionKind::Examples, SectionKind::References];
        let sections = self.sections.into_iter();
        sections.filter(move |(kind, len)| *len > 0 || may_be_empty.contains(kind))
    }

    fn total(&self) -> usize {
        let sections = self.written().map(|(_, len)| section::LEN + len);
        header::LEN + sections.sum::<usize>()
    }
}

const fn classes_len(classes: usize, name_bytes: usize) -> usize {
    let records = classes.saturating_mul(class::LEN);
    records
        .saturating_add(classes::LEN)
        .saturating_add(name_bytes)
}

const fn thresholds_len(own: usize) -> usize {
    own.saturating_mul(threshold::LEN)
        .saturating_add(thresholds::LEN)
}

/// Returns the length in bytes of the longest index for up to as many classes and examples.
#[cfg(feature = "flash")]
pub(super) const fn longest_index(classes: usize, examples: usize) -> usize {
    let names = classes.saturating_mul(crate::fewshot::CLASS_NAME_BYTES);
    (header::LEN + 4 * section::LEN + BackboneId::LEN)
        .saturating_add(classes_len(classes, names))
        .saturating_add(thresholds_len(classes))
        .saturating_add(examples.saturating_mul(reference::LEN))
}

/// Returns the length in bytes of the longest snapshot for up to as many classes and examples, of `dim` values
/// each, one that is signed included.
pub(super) const fn longest_snapshot(classes: usize, examples: usize, dim: usize) -> usize {
    let names = classes.saturating_mul(crate::fewshot::CLASS_NAME_BYTES);
    let sections = SectionKind::COUNT * section::LEN;
    let parts = MAX_PARTS * (part::LEN + PART_NAME_BYTES);
    let signed = size_of::<u64>() + SignatureRecord::LEN;
    (header::LEN + sections + BackboneId::LEN + parts + signed)
        .saturating_add(classes_len(classes, names))
        .saturating_add(thresholds_len(classes))
        .saturating_add(examples.saturating_mul(dim))
}

/// Returns the length in bytes of a support set in a form.
pub(super) fn len_of(form: Form, support: &SupportSet) -> usize {
    Plan::of(form, support).total()
}

/// Writes `support` to `out`, which is [`len_of`] bytes long, but for payload and checksum, and returns
/// the room for the payload. [`seal`] comes last.
pub(super) fn lay_out<'o>(form: Form, support: &SupportSet, out: &'o mut [u8]) -> &'o mut [u8] {
    let plan = Plan::of(form, support);
    let mut out = Writer::new(out);

    put_header(form, plan.written().count(), plan.total(), &mut out);
    for (kind, len) in plan.written() {
        put_record(kind as u16, section::MUST_UNDERSTAND, len, &mut out);
    }

    let mut payload: &mut [u8] = &mut [];
    for (kind, len) in plan.written() {
        match kind {
            SectionKind::Backbone => out.put(support.space().backbone().as_bytes()),
            SectionKind::Parts => put_parts(support.space().parts(), &mut out),
            SectionKind::Classes => put_classes(support, &mut out),
            SectionKind::Examples | SectionKind::References => payload = out.room(len),
            SectionKind::Thresholds => put_thresholds(support, &mut out),
            // Added to a snapshot by whoever signs it.
            SectionKind::VersionCounter | SectionKind::Signature => {}
        }
    }
    payload
}

/// Writes the snapshot that consists of `sections`, in their order.
#[cfg(all(feature = "signed", feature = "std"))]
pub(super) fn join(sections: &[StoredSection<'_>]) -> Vec<u8> {
    let lens = sections.iter().map(|s| section::LEN + s.contents.len());
    let total = header::LEN + lens.sum::<usize>();
    let mut bytes = vec![0; total];
    let mut out = Writer::new(&mut bytes);
    put_header(Form::Snapshot, sections.len(), total, &mut out);
    for stored in sections {
        put_record(stored.kind, stored.flags, stored.contents.len(), &mut out);
    }
    for stored in sections {
        out.put(stored.contents);
    }
    seal(&mut bytes);
    bytes
}

fn put_header(form: Form, sections: usize, total: usize, out: &mut Writer<'_>) {
    let mut record = [0; header::LEN];
    header::MAGIC.set(&mut record, form.magic());
    header::VERSION.set(&mut record, SNAPSHOT_VERSION);
    header::SECTIONS.set(&mut record, sections as u16);
    header::TOTAL_LEN.set(&mut record, total as u32);
    out.put(&record);
}

fn put_record(kind: u16, flags: u16, len: usize, out: &mut Writer<'_>) {
    let mut record = [0; section::LEN];
    section::KIND.set(&mut record, kind);
    section::FLAGS.set(&mut record, flags);
    section::SECTION_LEN.set(&mut record, len as u32);
    out.put(&record);
}

/// Writes the checksum over everything else.
pub(super) fn seal(bytes: &mut [u8]) {
    let computed = checksum(bytes);
    if let Some(record) = bytes.first_chunk_mut::<{ header::LEN }>() {
        header::CHECKSUM.set(record, computed);
    }
}

/// Computes the CRC-32 of all bytes but those of the checksum.
fn checksum(bytes: &[u8]) -> u32 {
    let (before, rest) = bytes.split_at(header::CHECKSUM_AT.min(bytes.len()));
    let after = rest.get(size_of::<u32>()..).unwrap_or_default();
    Crc32::new().update(before).update(after).finish()
}

fn put_parts(parts: &Parts<'_>, out: &mut Writer<'_>) {
    for described in parts.as_slice() {
        let mut record = [0; part::LEN];
        part::VALUES.set(&mut record, described.len as u16);
        part::SHARE.set(&mut record, described.share);
        part::NAME_LEN.set(&mut record, described.name.len() as u8);
        out.put(&record);
        out.put(described.name.as_bytes());
    }
}

fn put_classes(support: &SupportSet, out: &mut Writer<'_>) {
    let mut first = [0; classes::LEN];
    classes::NEXT_ID.set(&mut first, support.next_id().get());
    out.put(&first);
    for known in support.classes() {
        let mut record = [0; class::LEN];
        class::ID.set(&mut record, known.id().get());
        class::ROLE.set(&mut record, role_code(known.role()));
        class::DISABLED.set(&mut record, u8::from(!known.is_enabled()));
        class::EXAMPLES.set(&mut record, known.examples);
        class::NAME_LEN.set(&mut record, known.name().len() as u8);
        out.put(&record);
        out.put(known.name().as_bytes());
    }
}

fn put_thresholds(support: &SupportSet, out: &mut Writer<'_>) {
    let mut first = [0; thresholds::LEN];
    let default = support.default_threshold();
    thresholds::DEFAULT.set(&mut first, default.map_or(NO_THRESHOLD, f32::to_bits));
    out.put(&first);
    for known in support.classes() {
        if let Some(own) = known.threshold() {
            let mut record = [0; threshold::LEN];
            threshold::CLASS.set(&mut record, known.id().get());
            threshold::THRESHOLD.set(&mut record, own.to_bits());
            out.put(&record);
        }
    }
}

pub(super) fn role_code(role: Role) -> u8 {
    match role {
        Role::Sound => 0,
        Role::Negatives => 1,
        Role::Background => 2,
    }
}

pub(super) fn role_of(code: u8) -> Option<Role> {
    match code {
        0 => Some(Role::Sound),
        1 => Some(Role::Negatives),
        2 => Some(Role::Background),
        _ => None,
    }
}

/// Tells whether a class of this role may have this name: a sound has one, the others have none.
pub(super) fn may_be_named(role: Role, name: &str) -> bool {
    let fault = NameFault::of(name);
    match role {
        Role::Sound => fault.is_none(),
        Role::Negatives | Role::Background => fault == Some(NameFault::Empty),
    }
}

/// A checked view of a snapshot or an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catalogue<'a> {
    /// The backbone whose embeddings the examples are directions of.
    pub backbone: BackboneId,
    /// Parts of an embedding; an index does not say.
    pub parts: Option<Parts<'a>>,
    /// Number of classes.
    pub class_count: usize,
    /// Number of examples of all classes together.
    pub example_count: usize,
    /// An entry for each example.
    pub payload: &'a [u8],
    default_threshold: Option<f32>,
    next_id: ClassId,
    /// Records of the classes, with their names.
    classes: &'a [u8],
    /// Records of the thresholds of classes.
    thresholds: &'a [u8],
}

impl<'a> Catalogue<'a> {
    /// Checks everything but the payload's content.
    pub fn decode(form: Form, bytes: &'a [u8]) -> Result<Self, RestoreError> {
        let sections = sections(form, bytes)?;
        let malformed = RestoreError::Malformed;
        let section = |kind: SectionKind| sections[kind as usize].ok_or(malformed);

        let backbone = section(SectionKind::Backbone)?.try_into();
        let parts = match form {
            Form::Snapshot => Some(parts(section(SectionKind::Parts)?).ok_or(malformed)?),
            #[cfg(feature = "flash")]
            Form::Index => None,
        };
        let mut records = Reader::new(section(SectionKind::Classes)?);
        let next_id = classes::NEXT_ID.get(records.record::<{ classes::LEN }>().ok_or(malformed)?);
        let (default_threshold, thresholds) = match sections[SectionKind::Thresholds as usize] {
            None => (None, &[][..]),
            Some(bytes) => {
                let mut reader = Reader::new(bytes);
                let first = reader.record::<{ thresholds::LEN }>().ok_or(malformed)?;
                let default = match thresholds::DEFAULT.get(first) {
                    NO_THRESHOLD => None,
                    bits => Some(as_threshold(bits).ok_or(malformed)?),
                };
                (default, reader.rest())
            }
        };
        let mut catalogue = Self {
            backbone: BackboneId::new(backbone.map_err(|_| malformed)?),
            parts,
            class_count: 0,
            example_count: 0,
            payload: section(form.payload())?,
            default_threshold,
            next_id: ClassId::new(next_id),
            classes: records.rest(),
            thresholds,
        };
        catalogue.check_classes()?;
        catalogue.check_thresholds()?;

        let dim = parts.map_or(0, |parts| parts.dim());
        let entries = catalogue.example_count.checked_mul(form.entry_len(dim));
        if entries != Some(catalogue.payload.len()) {
            return Err(malformed);
        }
        Ok(catalogue)
    }

    /// Counts the classes and their examples, and checks that every class is as a support set would
    /// have made it. The count comes first: what is compared in pairs is never more than
    /// [`MOST_CLASSES`].
    fn check_classes(&mut self) -> Result<(), RestoreError> {
        let malformed = RestoreError::Malformed;
        let mut reader = Reader::new(self.classes);
        while !reader.rest().is_empty() {
            let record = reader.record::<{ class::LEN }>().ok_or(malformed)?;
            let name_len = class::NAME_LEN.get(record).into();
            reader.take(name_len).ok_or(malformed)?;
            self.class_count += 1;
        }
        let (found, capacity) = (self.class_count, MOST_CLASSES);
        if found > capacity {
            return Err(RestoreError::TooManyClasses { found, capacity });
        }
        for (place, class) in self.records().enumerate() {
            let class = class.ok_or(malformed)?;
            let twice = self.records().take(place).flatten().any(|other| {
                other.id == class.id || (other.role, &other.name) == (class.role, &class.name)
            });
            let is_named = may_be_named(class.role, &class.name);
            if twice || class.examples == 0 || !is_named {
                return Err(malformed);
            }
            self.example_count += class.examples();
        }
        Ok(())
    }

    /// Checks that every threshold can be one and belongs to a class, no two to the same. More
    /// thresholds than classes are refused before any is compared.
    fn check_thresholds(&self) -> Result<(), RestoreError> {
        let (records, rest) = self.thresholds.as_chunks::<{ threshold::LEN }>();
        let id = |record: &[u8; threshold::LEN]| threshold::CLASS.get(record);
        let is_right = |(at, record): (usize, &[u8; threshold::LEN])| {
            let in_range = as_threshold(threshold::THRESHOLD.get(record)).is_some();
            let mut classes = self.records().flatten();
            let known = classes.any(|class| class.id.get() == id(record));
            let first = !records[..at].iter().any(|other| id(other) == id(record));
            in_range && known && first
        };
        let some = records.len() <= self.class_count && rest.is_empty();
        if some && records.iter().enumerate().all(is_right) {
            Ok(())
        } else {
            Err(RestoreError::Malformed)
        }
    }

    /// Reads the records of the classes, which have no thresholds yet; `None` for one that cannot be
    /// read.
    fn records(&self) -> impl Iterator<Item = Option<Class>> + use<'a> {
        let mut reader = Reader::new(self.classes);
        (0..self.class_count).map(move |_| read_class(&mut reader))
    }

    /// Reads the classes, with their thresholds, up to the first that cannot be read: there is none
    /// once [`Self::decode`] has checked them.
    fn classes(&self) -> impl Iterator<Item = Class> + use<'a> {
        let mut reader = Reader::new(self.classes);
        let (thresholds, _) = self.thresholds.as_chunks::<{ threshold::LEN }>();
        core::iter::from_fn(move || {
            let mut class = read_class(&mut reader)?;
            let mut own = thresholds.iter();
            let own = own.find(|record| threshold::CLASS.get(record) == class.id.get());
            class.threshold = own.map(|record| f32::from_bits(threshold::THRESHOLD.get(record)));
            Some(class)
        })
    }

    /// Checks that a support set can take the content.
    pub fn check_fits(&self, support: &SupportSet) -> Result<(), RestoreError> {
        let in_use = support.space().backbone();
        let layout = |parts: &Parts<'_>| {
            let parts = parts.as_slice().iter();
            parts
                .map(|part| part.len)
                .eq(support.space().parts().as_slice().iter().map(|p| p.len))
        };
        if self.backbone != in_use || !self.parts.as_ref().is_none_or(layout) {
            return Err(RestoreError::OtherBackbone {
                enrolled_under: self.backbone,
                in_use,
            });
        }
        let (found, capacity) = (self.class_count, support.class_capacity());
        if found > capacity {
            return Err(RestoreError::TooManyClasses { found, capacity });
        }
        let (found, capacity) = (self.example_count, support.example_capacity());
        if found > capacity {
            return Err(RestoreError::TooManyExamples { found, capacity });
        }
        Ok(())
    }

    /// Makes `support`, which [`Self::check_fits`], hold these classes, and returns the room for their
    /// examples, which must be filled with directions.
    pub fn restore<'s>(&self, support: &'s mut SupportSet<'_>) -> &'s mut [i8] {
        support.restore(self.default_threshold, self.next_id, self.classes())
    }
}

/// The bytes of each section that is there, by the number of its kind.
type Sections<'a> = [Option<&'a [u8]>; SectionKind::COUNT];

/// Most classes of a support set.
const MOST_CLASSES: usize = 256;

/// Checks header, length and checksum, and finds the sections.
fn sections(form: Form, bytes: &[u8]) -> Result<Sections<'_>, RestoreError> {
    let record = bytes.first_chunk::<{ header::LEN }>();
    let record = record.ok_or(RestoreError::NotASnapshot)?;
    if header::MAGIC.get(record) != form.magic() {
        return Err(RestoreError::NotASnapshot);
    }
    let (found, known) = (header::VERSION.get(record), SNAPSHOT_VERSION);
    if found != known {
        return Err(RestoreError::Version { found, known });
    }
    let (expected, found) = (header::TOTAL_LEN.get(record) as usize, bytes.len());
    if found != expected {
        return Err(RestoreError::Length { expected, found });
    }
    let (computed, stated) = (checksum(bytes), header::CHECKSUM.get(record));
    if computed != stated {
        return Err(RestoreError::Checksum { computed, stated });
    }

    let malformed = RestoreError::Malformed;
    let mut walk = Walk::begin(bytes).ok_or(malformed)?;
    let mut sections: Sections<'_> = [None; SectionKind::COUNT];
    for section in &mut walk {
        let StoredSection {
            kind,
            flags,
            contents,
        } = section.ok_or(malformed)?;
        match sections.get_mut(usize::from(kind)).filter(|_| kind > 0) {
            Some(place @ None) => *place = Some(contents),
            Some(Some(_)) => return Err(malformed),
            None if flags & section::MUST_UNDERSTAND != 0 => {
                return Err(RestoreError::UnknownSection { kind });
            }
            None => {}
        }
    }
    match walk.sections.rest() {
        [] => Ok(sections),
        _ => Err(malformed),
    }
}

/// A section as it is stored.
pub(super) struct StoredSection<'a> {
    /// Number of a [`SectionKind`], or one that is not known.
    pub kind: u16,
    /// Its flags.
    pub flags: u16,
    /// Its bytes.
    pub contents: &'a [u8],
}

/// Goes through the sections in the order of the table; gives `None` for one that leaves the bytes.
pub(super) struct Walk<'a> {
    table: core::slice::Iter<'a, [u8; section::LEN]>,
    sections: Reader<'a>,
}

impl<'a> Walk<'a> {
    /// Begins at the first section. `None` if the table leaves the bytes.
    pub fn begin(bytes: &'a [u8]) -> Option<Self> {
        let mut sections = Reader::new(bytes);
        let count = usize::from(header::SECTIONS.get(sections.record::<{ header::LEN }>()?));
        let (table, _) = sections.take(count * section::LEN)?.as_chunks();
        Some(Self {
            table: table.iter(),
            sections,
        })
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Option<StoredSection<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.table.next()?;
        let contents = self
            .sections
            .take(section::SECTION_LEN.get(record) as usize);
        Some(contents.map(|contents| StoredSection {
            kind: section::KIND.get(record),
            flags: section::FLAGS.get(record),
            contents,
        }))
    }
}

fn parts(bytes: &[u8]) -> Option<Parts<'_>> {
    let mut reader = Reader::new(bytes);
    let mut complete = true;
    let parts = core::iter::from_fn(|| {
        if reader.rest().is_empty() {
            return None;
        }
        let part = read_part(&mut reader);
        complete &= part.is_some();
        part
    });
    let parts = Parts::new(parts).ok()?;
    complete.then_some(parts)
}

fn read_part<'a>(reader: &mut Reader<'a>) -> Option<Part<'a>> {
    let record = reader.record::<{ part::LEN }>()?;
    let name = reader.take(part::NAME_LEN.get(record).into())?;
    Some(Part {
        name: core::str::from_utf8(name).ok()?,
        len: part::VALUES.get(record).into(),
        share: part::SHARE.get(record),
    })
}

/// Reads a class, but for its threshold, which lies elsewhere.
fn read_class(reader: &mut Reader<'_>) -> Option<Class> {
    let record = reader.record::<{ class::LEN }>()?;
    let name = reader.take(class::NAME_LEN.get(record).into())?;
    let name = core::str::from_utf8(name).ok()?;
    Some(Class {
        id: ClassId::new(class::ID.get(record)),
        name: ClassName::try_from(name).ok()?,
        role: role_of(class::ROLE.get(record))?,
        disabled: match class::DISABLED.get(record) {
            0 => false,
            1 => true,
            _ => return None,
        },
        threshold: None,
        examples: class::EXAMPLES.get(record),
    })
}

fn as_threshold(bits: u32) -> Option<f32> {
    let value = f32::from_bits(bits);
    (-1.0..=1.0).contains(&value).then_some(value)
}
