//! Snapshots: every released version stays readable, a round trip changes nothing, and bytes that are
//! no snapshot are refused with a reason.

use mtslvr_runtime::fewshot::persist::{
    ExportError, RestoreError, SnapshotHeader, export, import, longest_snapshot, snapshot_len,
};
use mtslvr_runtime::fewshot::{CLASS_NAME_BYTES, HeadKind, Learner, Reference, Role, StorageVec};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::model::Crc32;
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, MAX_PARTS, PART_NAME_BYTES, Part, Parts};

const DIM: usize = 8;
const BACKBONE: BackboneId = BackboneId::new([0xc0; 32]);

fn space() -> EmbeddingSpace<'static> {
    let part = |name| Part {
        name,
        len: DIM / 2,
        share: 0.5,
    };
    let parts = Parts::new([part("invariant"), part("equivariant")]).unwrap();
    let frontend = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: 40,
        frames: 61,
        f_min: 60.0,
        f_max: 7800.0,
        floor: 1e-6,
        mean: -6.5,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };
    let reference = Reference::assumed(0.5);
    EmbeddingSpace::new(BACKBONE, frontend, parts, &[0.0; DIM], reference).unwrap()
}

/// The longest snapshot has as many parts as there can be, with long names. A signature adds a counter, 72 bytes and the
/// records of two sections.
#[test]
fn the_longest_snapshot_is_a_little_longer_than_one_without_a_signature() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| name.repeat(PART_NAME_BYTES));
    let parts = names.each_ref().map(|name| Part {
        name,
        len: 1,
        share: 0.125,
    });
    const { assert!(MAX_PARTS == DIM) };
    let parts = Parts::new(parts).unwrap();
    let frontend = *space().frontend();
    let reference = Reference::assumed(0.5);
    let space = EmbeddingSpace::new(BACKBONE, frontend, parts, &[0.0; DIM], reference).unwrap();
    let mut storage = StorageVec::new(2, 3, DIM);
    let mut learner = Learner::new(storage.lend(), HeadKind::default(), space).unwrap();
    for name in ["x", "y"] {
        let name = name.repeat(CLASS_NAME_BYTES);
        let class = learner.enrol(&name, &[1.0; DIM]).unwrap();
        learner.set_class_threshold(class, Some(0.5)).unwrap();
    }
    // A second example of the first class.
    learner
        .enrol(&"x".repeat(CLASS_NAME_BYTES), &[0.5; DIM])
        .unwrap();
    let (found, longest) = (snapshot_len(learner.support()), longest_snapshot(2, 3, DIM));
    assert!(
        (found + 80..found + 160).contains(&longest),
        "{found} {longest}"
    );
}

fn learner(storage: &mut StorageVec) -> Learner<'_> {
    Learner::new(storage.lend(), HeadKind::default(), space()).unwrap()
}

/// Makes the content of `golden/snapshot-v1.mtss`.
fn teach(learner: &mut Learner) {
    let embedding = |seed: i16| -> [f32; DIM] {
        // Whole numbers that divide well: no rounding of a square root or logarithm comes in.
        std::array::from_fn(|i| f32::from((seed * 37 + i as i16 * 53) % 64 - 32))
    };
    // Ids are not places: a class was there before these.
    let removed = learner.enrol("removed", &embedding(7)).unwrap();
    learner.support_mut().remove(removed).unwrap();
    for (seed, name) in (1..).zip([
        "doorbell",
        "Türklingel",
        "doorbell",
        "a name of thirty-two bytes, long",
    ]) {
        learner.enrol(name, &embedding(seed)).unwrap();
    }
    learner.enrol_role(Role::Negatives, &embedding(5)).unwrap();
    learner.enrol_role(Role::Background, &embedding(6)).unwrap();
    let support = learner.support_mut();
    let [doorbell, other, long] = [0, 1, 2].map(|place| support.classes()[place].id());
    support.set_enabled(other, false).unwrap();
    support.set_threshold(doorbell, Some(0.625)).unwrap();
    support.set_threshold(long, Some(-1.0)).unwrap();
    support.set_default_threshold(Some(0.375)).unwrap();
}

fn exported(learner: &Learner) -> Vec<u8> {
    let mut bytes = vec![0; snapshot_len(learner.support())];
    let len = export(learner, &mut bytes).unwrap();
    assert_eq!(len, bytes.len());
    bytes
}

fn room() -> StorageVec {
    StorageVec::new(5, 6, DIM)
}

/// `MTSLVR_WRITE_GOLDEN=1` writes it, once for each version.
#[test]
fn version_1_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/snapshot-v1.mtss");
    let (mut a, mut b) = (room(), room());
    let mut taught = learner(&mut a);
    teach(&mut taught);
    if std::env::var_os("MTSLVR_WRITE_GOLDEN").is_some() {
        std::fs::write(path, exported(&taught)).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    let mut restored = learner(&mut b);
    let header = SnapshotHeader::read(&golden).unwrap();
    assert_eq!(header.backbone, BACKBONE);
    assert_eq!(header.parts, *space().parts());
    assert_eq!((header.classes, header.examples), (5, 6));
    import(&mut restored, &golden).unwrap();
    assert_eq!(restored.support(), taught.support());
    let classes = restored.support().classes().iter();
    let classes: Vec<(u16, &str)> = classes.map(|c| (c.id().get(), c.name())).collect();
    let expected = [
        (1, "doorbell"),
        (2, "Türklingel"),
        (3, "a name of thirty-two bytes, long"),
        (4, ""),
        (5, ""),
    ];
    assert_eq!(classes, expected);
    // As long as version 1 is the version that is written.
    assert_eq!(exported(&taught), golden);
}

#[test]
fn a_round_trip_replaces_what_was_there() {
    let (mut a, mut b) = (room(), room());
    let (mut from, mut to) = (learner(&mut a), learner(&mut b));
    to.enrol("something else", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
        .unwrap();
    import(&mut to, &exported(&from)).unwrap();
    assert_eq!(to.support().class_count(), 0);
    teach(&mut from);
    import(&mut to, &exported(&from)).unwrap();
    assert_eq!(to.support(), from.support());
    assert_eq!(exported(&to), exported(&from));
}

/// An id that was given before a snapshot is not given again after it.
#[test]
fn ids_go_on_where_they_were() {
    let (mut a, mut b) = (room(), room());
    let (mut from, mut to) = (learner(&mut a), learner(&mut b));
    teach(&mut from);
    let last = from.support().classes().last().unwrap().id();
    from.support_mut().remove(last).unwrap();
    import(&mut to, &exported(&from)).unwrap();
    let embedding = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let new = to.enrol("new", &embedding).unwrap();
    assert_eq!(new, from.enrol("new", &embedding).unwrap());
    assert!(new != last && to.support().name(last).is_err());
}

const CHECKSUM: std::ops::Range<usize> = 12..16;

/// Corrects length and checksum.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len() as u32;
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    let crc = Crc32::new()
        .update(&bytes[..CHECKSUM.start])
        .update(&bytes[CHECKSUM.end..])
        .finish();
    bytes[CHECKSUM].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A section as `SNAPSHOT.md` describes it: kind, flags, contents.
type Section = (u16, u16, Vec<u8>);

/// Takes a snapshot apart.
fn sections(bytes: &[u8]) -> Vec<Section> {
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let count = usize::from(u16_at(6));
    let mut at = 16 + 8 * count;
    (0..count)
        .map(|number| {
            let entry = 16 + 8 * number;
            let len = usize::from(u16_at(entry + 4));
            let contents = bytes[at..at + len].to_vec();
            at += len;
            (u16_at(entry), u16_at(entry + 2), contents)
        })
        .collect()
}

/// Puts a snapshot together.
fn joined(sections: &[Section]) -> Vec<u8> {
    let mut bytes = b"MTSS\x01\x00".to_vec();
    bytes.extend((sections.len() as u16).to_le_bytes());
    bytes.extend([0; 8]);
    for (kind, flags, contents) in sections {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend((contents.len() as u32).to_le_bytes());
    }
    bytes.extend(sections.iter().flat_map(|(_, _, contents)| contents));
    sealed(bytes)
}

#[test]
fn sections_come_in_any_order_and_unknown_ones_are_skipped() {
    let (mut a, mut b) = (room(), room());
    let (mut from, mut to) = (learner(&mut a), learner(&mut b));
    teach(&mut from);
    let mut all = sections(&exported(&from));
    assert_eq!(joined(&all), exported(&from));
    all.reverse();
    all.insert(2, (900, 0, b"slices".to_vec()));
    all.push((7, 0, Vec::new()));
    import(&mut to, &joined(&all)).unwrap();
    assert_eq!(to.support(), from.support());
    all[2].1 = 1;
    let refused = import(&mut to, &joined(&all));
    assert_eq!(refused, Err(RestoreError::UnknownSection { kind: 900 }));
}

#[test]
fn what_cannot_be_used_is_refused_and_changes_nothing() {
    let (mut a, mut b, mut before_room) = (room(), room(), room());
    let (mut from, mut to, mut before) =
        (learner(&mut a), learner(&mut b), learner(&mut before_room));
    teach(&mut from);
    for learner in [&mut to, &mut before] {
        learner
            .enrol("kept", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
            .unwrap();
    }
    let bytes = exported(&from);
    let mut refused = |bytes: &[u8]| {
        let error = import(&mut to, bytes).unwrap_err();
        assert_eq!(to.support(), before.support());
        error
    };
    use RestoreError as E;
    assert_eq!(refused(b"RIFF"), E::NotASnapshot);
    assert_eq!(refused(b"RIFF0000000000000000"), E::NotASnapshot);
    assert_eq!(refused(&[]), E::NotASnapshot);
    for len in 16..bytes.len() {
        let (expected, found) = (bytes.len(), len);
        assert_eq!(refused(&bytes[..len]), E::Length { expected, found });
    }
    let (expected, found) = (bytes.len(), bytes.len() + 3);
    let longer = [&bytes[..], &[0; 3]].concat();
    assert_eq!(refused(&longer), E::Length { expected, found });
    for found in [0, 2] {
        let mut other = bytes.clone();
        other[4] = found as u8;
        assert_eq!(refused(&other), E::Version { found, known: 1 });
    }
    for at in [6, 13, 20, 60, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        assert!(matches!(refused(&damaged), E::Checksum { .. }), "byte {at}");
    }
    assert_eq!(refused(&sealed(longer)), E::Malformed);

    // Backbone, parts, classes, examples, thresholds.
    let all = sections(&bytes);
    let kinds: Vec<u16> = all.iter().map(|section| section.0).collect();
    assert_eq!(kinds, [1, 2, 3, 4, 6]);
    let mut edited = |section: usize, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut all = all.clone();
        edit(&mut all[section].2);
        refused(&joined(&all))
    };
    let other = edited(0, &|id| id[0] = 0xde).to_string();
    assert!(
        other.contains("dec0c0") && other.contains("c0c0c0"),
        "{other}"
    );
    // Parts of other lengths than this backbone's.
    let other = edited(1, &|parts| (parts[0], parts[16]) = (3, 5));
    assert!(matches!(other, E::OtherBackbone { .. }), "{other:?}");
    for (section, (_, _, whole)) in all.iter().enumerate() {
        for len in 0..whole.len() {
            // Fewer thresholds are thresholds, too.
            if section == 4 && len >= 4 && (len - 4).is_multiple_of(6) {
                continue;
            }
            let error = edited(section, &|contents| contents.truncate(len));
            assert_eq!(error, E::Malformed, "section {section}, {len} bytes");
        }
    }
    // A part's length, its share, the length of its name; of the first class its role, its flag, its
    // number of examples, its name; the second class's id; an example; thresholds.
    type Edit = (usize, usize, u8);
    let edits: [Edit; 13] = [
        (1, 1, 0xff),
        (1, 5, 0x7f),
        (1, 6, 0),
        (1, 6, 0xff),
        (2, 4, 3),
        (2, 5, 2),
        (2, 6, 7),
        (2, 9, 0xff),
        (2, 17, 1),
        (3, 0, 0x80),
        (4, 3, 0x40),
        (4, 4, 9),
        (4, 9, 0x7f),
    ];
    for (section, at, value) in edits {
        let error = edited(section, &|contents| contents[at] = value);
        assert_eq!(error, E::Malformed, "section {section}, byte {at}");
    }
    // Twice the same threshold, and twice the same section.
    let error = edited(4, &|thresholds| thresholds.copy_within(4..10, 10));
    assert_eq!(error, E::Malformed);
    let twice = [&all[..], &all[2..3]].concat();
    assert_eq!(refused(&joined(&twice)), E::Malformed);
    for missing in 0..4 {
        let mut fewer = all.clone();
        fewer.remove(missing);
        assert_eq!(refused(&joined(&fewer)), E::Malformed, "without {missing}");
    }

    let mut small = StorageVec::new(4, 6, DIM);
    let few = import(&mut learner(&mut small), &bytes);
    let (found, capacity) = (5, 4);
    assert_eq!(few, Err(E::TooManyClasses { found, capacity }));
    let mut small = StorageVec::new(5, 5, DIM);
    let few = import(&mut learner(&mut small), &bytes);
    let (found, capacity) = (6, 5);
    assert_eq!(few, Err(E::TooManyExamples { found, capacity }));

    let needed = bytes.len();
    let short = export(&from, &mut [0; 40]);
    assert_eq!(
        short,
        Err(ExportError::BufferTooShort { needed, found: 40 })
    );
}

/// Each is refused by its counts: comparing them in pairs would take minutes, on a device hours.
#[test]
fn counts_beyond_the_limits_are_refused_at_once() {
    let mut a = room();
    let mut from = learner(&mut a);
    teach(&mut from);
    let all = sections(&exported(&from));
    let began = std::time::Instant::now();
    let refused = |classes: Vec<u8>, thresholds: Option<Vec<u8>>| {
        let mut all = all.clone();
        all[2].2 = classes;
        if let Some(thresholds) = thresholds {
            all[4].2 = thresholds;
        }
        SnapshotHeader::read(&joined(&all)).unwrap_err()
    };
    let class = |id: u16| {
        let name = format!("{id:032}");
        let id = id.to_le_bytes();
        [&[id[0], id[1], 0, 0, 1, 0, 32], name.as_bytes()].concat()
    };
    let many = (0..u16::MAX).flat_map(class);
    let many: Vec<u8> = [0, 0].into_iter().chain(many).collect();
    let (found, capacity) = (65_535, 256);
    let error = RestoreError::TooManyClasses { found, capacity };
    assert_eq!(refused(many, None), error);

    let thresholds = [0; 4].into_iter().chain([0; 6].repeat(1_000_000));
    let error = refused(all[2].2.clone(), Some(thresholds.collect()));
    assert_eq!(error, RestoreError::Malformed);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn names_that_cannot_be_shown_are_not_taught_and_not_restored() {
    use mtslvr_runtime::fewshot::{EnrolError, SupportError};
    let mut a = room();
    let mut from = learner(&mut a);
    let example = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    for (name, error) in [
        ("", SupportError::NameEmpty),
        (" \u{a0}\u{3000}\u{200b}", SupportError::NameUnreadable),
        (".", SupportError::NameUnreadable),
        ("..", SupportError::NameUnreadable),
        (" ..", SupportError::NameUnreadable),
        (".\u{a0}. ", SupportError::NameUnreadable),
        ("..\u{200d}", SupportError::NameUnreadable),
        ("a\u{1b}[2J", SupportError::NameControl { code: 0x1b }),
        ("a\u{9b}", SupportError::NameControl { code: 0x9b }),
        ("\u{202e}gnp", SupportError::NameControl { code: 0x202e }),
        ("\u{2066}a", SupportError::NameControl { code: 0x2066 }),
    ] {
        let refused = from.enrol(name, &example).unwrap_err();
        assert!(
            matches!(refused, EnrolError::Support(found) if found == error),
            "{name:?}: {refused:?}"
        );
    }
    let doorbell = from.enrol("doorbell", &example).unwrap();
    let renamed = from.support_mut().rename(doorbell, "a\nb");
    assert_eq!(renamed, Err(SupportError::NameControl { code: 0xa }));
    let all = sections(&exported(&from));
    for (at, byte) in [(9, 0x1b), (12, b'\n'), (16, 0x7f)] {
        let mut all = all.clone();
        all[2].2[at] = byte;
        let error = SnapshotHeader::read(&joined(&all)).unwrap_err();
        assert_eq!(error, RestoreError::Malformed);
    }
}
