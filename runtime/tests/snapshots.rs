//! Snapshots: every released version is read for ever, a round trip changes nothing, and whatever is
//! not a snapshot is refused with a reason.

use mtslvr_runtime::fewshot::persist::{
    ExportError, RestoreError, SnapshotHeader, export, import, snapshot_len,
};
use mtslvr_runtime::fewshot::{HeadKind, Learner, Reference, Role, StorageVec};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::model::Crc32;
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};

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
    };
    let reference = Reference::assumed(0.5);
    EmbeddingSpace::new(BACKBONE, frontend, parts, &[0.0; DIM], reference).unwrap()
}

fn learner(storage: &mut StorageVec) -> Learner<'_> {
    Learner::new(storage.lend(), HeadKind::default(), space()).unwrap()
}

/// What `golden/snapshot-v1.mtss` holds.
fn teach(learner: &mut Learner) {
    let embedding = |seed: i16| -> [f32; DIM] {
        // Whole numbers that divide well: no rounding of a square root or logarithm comes in.
        std::array::from_fn(|i| f32::from((seed * 37 + i as i16 * 53) % 64 - 32))
    };
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
    support.set_enabled(1, false).unwrap();
    support.set_threshold(0, Some(0.625)).unwrap();
    support.set_threshold(2, Some(-1.0)).unwrap();
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
    assert_eq!((header.backbone, header.dim), (BACKBONE, DIM));
    assert_eq!((header.classes, header.examples), (5, 6));
    import(&mut restored, &golden).unwrap();
    assert_eq!(restored.support(), taught.support());
    let names = restored
        .support()
        .classes()
        .iter()
        .map(|class| class.name());
    assert!(names.eq([
        "doorbell",
        "Türklingel",
        "a name of thirty-two bytes, long",
        "",
        ""
    ]));
    // While version 1 is the one that is written.
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

/// Puts the checksum right.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - 4;
    let crc = Crc32::new().update(&bytes[..content]).finish();
    bytes[content..].copy_from_slice(&crc.to_le_bytes());
    bytes
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
    let edited = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        sealed(bytes)
    };
    let mut refused = |bytes: &[u8]| {
        let error = import(&mut to, bytes).unwrap_err();
        assert_eq!(to.support(), before.support());
        error
    };
    use RestoreError as E;
    assert_eq!(refused(b"RIFF"), E::NotASnapshot);
    assert_eq!(refused(&[]), E::NotASnapshot);
    for len in 4..bytes.len() {
        refused(&bytes[..len]);
    }
    let (found, known) = (2, 1);
    assert_eq!(refused(&edited(4, 2)), E::Version { found, known });
    let mut damaged = bytes.clone();
    damaged[60] ^= 4;
    assert!(matches!(refused(&damaged), E::Checksum { .. }));
    let longer = sealed([&bytes[..], &[0; 3]].concat());
    let (expected, found) = (bytes.len(), bytes.len() + 3);
    assert_eq!(refused(&longer), E::Length { expected, found });
    let other = refused(&edited(16, 0xde)).to_string();
    assert!(
        other.contains("dec0c0") && other.contains("c0c0c0"),
        "{other}"
    );
    // Reserved bytes, dimensions, a role, flags, an example count, a threshold, a name, a direction.
    for (at, value) in [
        (14, 1),
        (8, 9),
        (52, 3),
        (53, 2),
        (54, 7),
        (59, 0x7f),
        (61, 0xff),
        (bytes.len() - 5, 0x80),
    ] {
        assert_eq!(refused(&edited(at, value)), E::Malformed, "byte {at}");
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
