//! Headers and sections that break a rule of the format are refused; and the hash is of the contents.

use mtslvr_pack::builder::{Section, add_section, build, seal};
use mtslvr_runtime::model::wire::{
    self, Header, SectionKind, SectionRecord, SignatureRecord, field,
};
use mtslvr_runtime::model::{AlignedBytes, Model, OpenError, Recheck};

use crate::network::{Plan, network};

/// Shape of [`small`].
pub const SMALL: Plan = Plan {
    width: 2,
    stages: 1,
    ..Plan::SMALL
};

/// A small model of two parts.
pub fn small() -> AlignedBytes {
    build(&network(SMALL, 21)).unwrap()
}

/// Returns the error of opening a small model after a change, with the checksum put right again.
pub fn refused(change: impl FnOnce(&mut AlignedBytes)) -> OpenError {
    let mut file = small();
    change(&mut file);
    seal(&mut file);
    Model::open(&file).unwrap_err()
}

/// The record of a section of this kind.
pub fn section(file: &mut [u8], kind: SectionKind) -> &mut [u8; SectionRecord::LEN] {
    let (records, _) = file[Header::LEN..].as_chunks_mut();
    let mut records = records.iter_mut();
    records
        .find(|record| field::section::KIND.get(record) == kind as u16)
        .unwrap()
}

/// The bytes of a section from byte `at` on.
pub fn contents<const LEN: usize>(file: &mut [u8], kind: SectionKind, at: usize) -> &mut [u8; LEN] {
    let record = SectionRecord::read(section(file, kind));
    let contents = &mut file[record.offset as usize..][..record.len as usize];
    contents[at..].first_chunk_mut().unwrap()
}

fn header(file: &mut [u8]) -> &mut [u8; Header::LEN] {
    file.first_chunk_mut().unwrap()
}

#[test]
fn headers_that_cannot_be() {
    let file = small();
    let open = |change: &dyn Fn(&mut AlignedBytes)| {
        let mut file = file.clone();
        change(&mut file);
        Model::open(&file).unwrap_err()
    };
    assert_eq!(open(&|f| f[0] = b'X'), OpenError::Magic);
    assert_eq!(open(&|f| f[4] = 9), OpenError::Version(9));
    assert!(matches!(open(&|f| f[40] ^= 1), OpenError::Checksum { .. }));
    let reserved = refused(|f| field::header::RESERVED.set(header(f), [1; 12]));
    assert_eq!(reserved, OpenError::Reserved);

    let mut longer = file.to_vec();
    longer.push(0);
    let expected = file.len();
    let found = longer.len();
    let longer = AlignedBytes::new(&longer);
    assert_eq!(
        Model::open(&longer).unwrap_err(),
        OpenError::Overlong { expected, found }
    );
    let shifted = AlignedBytes::new(&[&[0u8; 4], &file[..]].concat());
    assert_eq!(
        Model::open(&shifted[4..]).unwrap_err(),
        OpenError::Misaligned
    );
    assert_eq!(
        Model::open(&[]).unwrap_err(),
        OpenError::Truncated {
            expected: Header::LEN,
            found: 0
        }
    );
}

#[test]
fn sections_that_cannot_be() {
    use OpenError as E;
    use SectionKind as S;
    let table = [
        refused(|f| field::header::SECTIONS.set(header(f), 65)),
        refused(|f| field::header::TABLE_AT.set(header(f), u32::MAX)),
    ];
    assert_eq!(table, [E::SectionTable; 2]);
    // Not aligned, over the one before it, behind the end, too long.
    for (kind, offset, len) in [
        (S::Network, 68, None),
        (S::Constants, 256, None),
        (S::Parts, u32::MAX - 15, None),
        (S::Frontend, 0, Some(u32::MAX)),
    ] {
        let error = refused(|f| {
            let record = section(f, kind);
            if offset > 0 {
                field::section::OFFSET.set(record, offset);
            }
            if let Some(len) = len {
                field::section::SECTION_LEN.set(record, len);
            }
        });
        assert!(matches!(error, E::Section { .. }), "{kind}: {error}");
    }
    for kind in [S::Network, S::Constants, S::Parts, S::Frontend, S::BaseMean] {
        let gone = |flags| {
            refused(|f| {
                let record = section(f, kind);
                field::section::KIND.set(record, 0x7000);
                field::section::FLAGS.set(record, flags);
            })
        };
        assert_eq!(gone(0), E::MissingSection(kind));
        let must_understand = SectionRecord::MUST_UNDERSTAND;
        assert_eq!(gone(must_understand), E::UnknownSection { kind: 0x7000 });
        assert_eq!(gone(2), E::Reserved);
    }
    let repeated = refused(|f| {
        field::section::KIND.set(section(f, S::Provenance), S::Name as u16);
    });
    assert_eq!(repeated, E::RepeatedSection(S::Name));
    for kind in [S::Network, S::Parts, S::Frontend, S::BaseMean] {
        let shorter = refused(|f| {
            let record = section(f, kind);
            field::section::SECTION_LEN.set(record, SectionRecord::read(record).len - 4);
        });
        assert_eq!(shorter, E::SectionLen(kind));
    }
    // A name taken for a section of another length.
    for kind in [S::Reference, S::Cohort, S::VersionCounter, S::Signature] {
        let other = refused(|f| field::section::KIND.set(section(f, S::Name), kind as u16));
        assert_eq!(other, E::SectionLen(kind));
    }
    let text = refused(|f| *contents(f, S::Name, 0) = [0xFF]);
    assert_eq!(text, E::Text);
}

/// The hash is of the contents: a signature does not change it, nor does where sections lie.
#[test]
fn the_hash_is_of_the_contents() {
    let file = small();
    let model = Model::open(&file).unwrap();
    assert!(model.verify_hash());
    let signature = SignatureRecord {
        key_id: [1; 8],
        signature: [2; 64],
    };
    let signed = Section::optional(SectionKind::Signature, signature.emit());
    let signed = add_section(&file, signed).unwrap();
    let signed = Model::open(&signed).unwrap();
    assert!(signed.verify_hash() && signed.id() == model.id());
    let counted = Section::optional(SectionKind::VersionCounter, 1u64.to_le_bytes());
    let counted = add_section(&file, counted).unwrap();
    assert_ne!(Model::open(&counted).unwrap().id(), model.id());

    // Opening does not recompute the hash: a file that states a wrong one opens, and `verify_hash` tells.
    let mut other = file.clone();
    other[Header::LEN - 1] ^= 1;
    let checksum = wire::checksum(&other);
    field::header::CHECKSUM.set(header(&mut other), checksum);
    assert!(!Model::open(&other).unwrap().verify_hash());
}

#[test]
fn a_known_checksum_is_compared_and_the_bytes_are_not_summed_up() {
    let file = small();
    let known = Model::open(&file).unwrap().checksum();
    let model = Model::open_known(&file, known).unwrap();
    assert_eq!(model.checksum(), known);
    assert_eq!(
        Model::open_known(&file, known ^ 1).unwrap_err(),
        OpenError::Checksum {
            expected: known,
            found: known ^ 1
        }
    );
    // Weights that changed meanwhile are seen by whoever goes over them, and a broken rule at once.
    let mut changed = file.clone();
    contents::<1>(&mut changed, SectionKind::Constants, 0)[0] ^= 1;
    assert!(matches!(
        Model::open(&changed),
        Err(OpenError::Checksum { .. })
    ));
    let model = Model::open_known(&changed, known).unwrap();
    assert_eq!(Recheck::new(&model).step(usize::MAX), Some(false));
    let mut broken = file.clone();
    field::header::RESERVED.set(header(&mut broken), [1; 12]);
    let error = Model::open_known(&broken, known).unwrap_err();
    assert_eq!(error, OpenError::Reserved);
}
