//! Signed models and profiles: what a key has signed is taken, and nothing else.
//!
//! `MTSLVR_WRITE_GOLDEN=1` writes the golden files, once for each version of the formats.

use ed25519_compact::{KeyPair, Seed};
use mtslvr_pack::builder::{Section, add_section, seal, sign};
use mtslvr_runtime::fewshot::persist::{
    self, ImportSignedError, RestoreError, export, import, import_signed, signed_contents,
    snapshot_len,
};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::model::wire::{
    Header, SECTION_ALIGN, SectionKind, SectionRecord, SignatureRecord, field,
};
use mtslvr_runtime::model::{AlignedBytes, Crc32, Model, OpenError, OpenSignedError};
use mtslvr_runtime::trust::{TrustError, TrustedKey};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Version counter of the golden files.
const COUNTER: u64 = 2;

/// A maker's key.
struct Maker(KeyPair);

impl Maker {
    fn golden() -> Self {
        Self(KeyPair::from_seed(Seed::new([7; 32])))
    }

    fn other() -> Self {
        Self(KeyPair::from_seed(Seed::new([8; 32])))
    }

    fn key(&self) -> TrustedKey {
        TrustedKey::new(*self.0.pk)
    }

    fn sign(&self, hash: &[u8; 32]) -> SignatureRecord {
        SignatureRecord {
            key_id: *self.key().id().as_bytes(),
            signature: *self.0.sk.sign(hash, None),
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Reads a golden file, which holds `made`, or writes it.
fn golden(name: &str, made: &[u8]) -> Vec<u8> {
    if std::env::var_os("MTSLVR_WRITE_GOLDEN").is_some() {
        std::fs::write(path(name), made).unwrap();
    }
    let found = std::fs::read(path(name)).unwrap();
    assert!(found == made, "{name} is another");
    found
}

/// Firmwares that are tested with the golden model trust this key.
#[test]
fn the_key_is_there_to_be_trusted() {
    let digits = format!("{}\n", Maker::golden().key());
    golden("v1-signed.pub", digits.as_bytes());
}

fn unsigned_model() -> AlignedBytes {
    AlignedBytes::new(&std::fs::read(path("v1.slvr")).unwrap())
}

fn signed_model() -> AlignedBytes {
    let maker = Maker::golden();
    let made = sign(&unsigned_model(), Some(COUNTER), |hash| maker.sign(hash)).unwrap();
    AlignedBytes::new(&golden("v1-signed.slvr", &made))
}

fn open(file: &[u8], least: u64) -> Result<Model<'_>, OpenSignedError> {
    Model::open_signed(file, &Maker::golden().key(), least)
}

/// Why a model that can be opened is not trusted.
fn distrust(file: &[u8], least: u64) -> TrustError {
    Model::open(file).expect("a usable model");
    match open(file, least) {
        Err(OpenSignedError::Trust(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_model_is_opened() {
    let file = signed_model();
    for least in [0, COUNTER] {
        let model = open(&file, least).unwrap();
        assert_eq!(model.version_counter(), Some(COUNTER));
    }
    // Signing is repeatable, and a second signature takes the place of the first.
    let again = sign(&file, None, |hash| Maker::golden().sign(hash)).unwrap();
    assert!(*again == *file);
    let theirs = sign(&file, None, |hash| Maker::other().sign(hash)).unwrap();
    assert_eq!(
        Model::open(&theirs).unwrap().id(),
        open(&file, 0).unwrap().id()
    );
    Model::open_signed(&theirs, &Maker::other().key(), COUNTER).unwrap();
    // A counter that was there counts without being given.
    let plain = sign(&unsigned_model(), None, |hash| Maker::golden().sign(hash)).unwrap();
    assert_eq!(
        open(&plain, 0).unwrap().id(),
        Model::open(&unsigned_model()).unwrap().id()
    );
}

#[test]
fn models_of_nobody_of_others_and_older_ones_are_refused() {
    assert_eq!(distrust(&unsigned_model(), 0), TrustError::Unsigned);
    let theirs = sign(&signed_model(), None, |hash| Maker::other().sign(hash)).unwrap();
    let (found, expected) = (Maker::other().key().id(), Maker::golden().key().id());
    let other = TrustError::OtherKey { found, expected };
    assert_eq!(distrust(&theirs, 0), other);
    // Under the trusted key's name.
    let forged = sign(&signed_model(), None, |hash| SignatureRecord {
        key_id: *expected.as_bytes(),
        ..Maker::other().sign(hash)
    })
    .unwrap();
    assert_eq!(distrust(&forged, 0), TrustError::Signature);

    let (found, least) = (COUNTER, COUNTER + 1);
    let older = TrustError::Older { found, least };
    assert_eq!(distrust(&signed_model(), least), older);
    let uncounted = sign(&unsigned_model(), None, |hash| Maker::golden().sign(hash)).unwrap();
    let older = TrustError::Older { found: 0, least: 1 };
    assert_eq!(distrust(&uncounted, 1), older);
}

/// The signature of one release is none of another.
#[test]
fn a_signature_is_of_one_release() {
    let first = signed_model();
    let signature = Model::open(&first).unwrap().signature().unwrap();
    let moved = sign(&unsigned_model(), Some(COUNTER + 1), |_| signature).unwrap();
    assert_eq!(distrust(&moved, COUNTER), TrustError::Signature);
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let mut file = signed_model();
    let constants = constants(&file);
    for len in 0..file.len() {
        let refused = matches!(
            open(&file[..len], 0),
            Err(OpenSignedError::Open(OpenError::Truncated { .. }))
        );
        assert!(refused, "{len}");
    }
    for at in 0..file.len() {
        for bit in bits(at, &constants) {
            file[at] ^= 1 << bit;
            let refused = matches!(open(&file, 0), Err(OpenSignedError::Open(_)));
            assert!(refused, "bit {bit} of byte {at}");
            file[at] ^= 1 << bit;
        }
    }
    open(&file, COUNTER).unwrap();
}

/// The records of a file's sections.
fn records(file: &[u8]) -> Vec<SectionRecord> {
    let header = Header::read(file.first_chunk().unwrap());
    let (records, _) = file[header.table_at as usize..].as_chunks();
    let records = records.iter().take(header.sections.into());
    records.map(SectionRecord::read).collect()
}

/// Where the constants are, most of a file.
fn constants(file: &[u8]) -> Range<usize> {
    let records = records(file);
    let mut records = records.iter();
    let record = records.find(|record| record.kind == SectionKind::Constants as u16);
    let record = record.unwrap();
    let start = record.offset as usize;
    start..start + record.len as usize
}

/// The bits of a byte to flip: all of them, and one of each constant.
fn bits(at: usize, constants: &Range<usize>) -> Range<usize> {
    match constants.contains(&at) {
        true => at % 8..at % 8 + 1,
        false => 0..8,
    }
}

/// Writes the checksum of a file that somebody changed on purpose, and nothing else.
fn reseal(file: &mut [u8]) {
    let checksum = mtslvr_runtime::model::wire::checksum(file);
    let header: &mut [u8; Header::LEN] = file.first_chunk_mut().unwrap();
    field::header::CHECKSUM.set(header, checksum);
}

/// Whoever changes a byte puts the checksum right, too. Not signed are only the filling between sections and the
/// flags of the signature's section, and they change nothing.
#[test]
fn every_forged_byte_is_refused() {
    let original = signed_model();
    let records = records(&original);
    let table_end = Header::LEN + records.len() * SectionRecord::LEN;
    let flags = Header::LEN + (records.len() - 1) * SectionRecord::LEN + 2;
    let signed = |at: usize| {
        at < table_end && !(flags..flags + 2).contains(&at)
            || records.iter().any(|record| {
                let start = record.offset as usize;
                (start..start + record.len as usize).contains(&at)
            })
    };
    let id = Model::open(&original).unwrap().id();
    let constants = constants(&original);
    let mut taken = 0;
    for at in 0..original.len() {
        for bit in bits(at, &constants) {
            let mut file = original.clone();
            file[at] ^= 1 << bit;
            reseal(&mut file);
            // The checksum itself is then what it was before.
            if let Ok(model) = open(&file, COUNTER)
                && *file != *original
            {
                assert!(!signed(at) && model.id() == id, "bit {bit} of byte {at}");
                taken += 1;
            }
        }
    }
    let filling = records.len() * SECTION_ALIGN;
    assert!(taken <= 8 * (filling + 2), "{taken}");

    // With hash and checksum put right: the signature is what is wrong.
    let name = records.iter().find(|r| r.kind == SectionKind::Name as u16);
    for at in [constants.start, name.unwrap().offset as usize] {
        let mut file = original.clone();
        file[at] ^= 1;
        seal(&mut file);
        assert_eq!(distrust(&file, 0), TrustError::Signature, "byte {at}");
    }
    // The hash alone.
    let mut file = original.clone();
    file[40] ^= 1;
    reseal(&mut file);
    assert_eq!(distrust(&file, 0), TrustError::Hash);
}

#[test]
fn a_second_signature_or_counter_is_refused() {
    for (kind, contents) in [
        (
            SectionKind::Signature,
            Maker::golden().sign(&[0; 32]).emit().to_vec(),
        ),
        (SectionKind::VersionCounter, vec![9; 8]),
    ] {
        let error = add_section(&signed_model(), Section::optional(kind, contents));
        let expected = format!("the section `{kind}` is there twice");
        assert!(error.unwrap_err().to_string().contains(&expected));
    }
    // Renamed to a kind that nobody knows, the signature is gone.
    let mut file = signed_model();
    let index = records(&file).len() - 1;
    file[Header::LEN + index * SectionRecord::LEN + 1] = 0x7F;
    seal(&mut file);
    assert_eq!(distrust(&file, 0), TrustError::Unsigned);
}

/// Lends what the golden model's learner needs, and calls `with` with it.
fn with_learner<T>(with: impl FnOnce(&mut Learner<'_>) -> T) -> T {
    let file = unsigned_model();
    let model = Model::open(&file).unwrap();
    let mut storage = StorageVec::new(4, 8, model.space().dim());
    let learner = Learner::new(storage.lend(), HeadKind::default(), model.space());
    with(&mut learner.unwrap())
}

fn teach(learner: &mut Learner<'_>) {
    let dim = learner.support().dim();
    for (seed, name) in [(1, "doorbell"), (2, "kettle"), (3, "kettle")] {
        let embedding: Vec<f32> = (0..dim).map(|i| ((i * seed) % 7) as f32 - 3.0).collect();
        learner.enrol(name, &embedding).unwrap();
    }
}

fn exported(learner: &Learner<'_>) -> Vec<u8> {
    let mut bytes = vec![0; snapshot_len(learner.support())];
    export(learner, &mut bytes).unwrap();
    bytes
}

fn unsigned_profile() -> Vec<u8> {
    with_learner(|learner| {
        teach(learner);
        exported(learner)
    })
}

fn signed_profile() -> Vec<u8> {
    let maker = Maker::golden();
    let made = persist::sign(&unsigned_profile(), Some(COUNTER), |hash| maker.sign(hash));
    golden("snapshot-v1-signed.mtss", &made.unwrap())
}

/// Imports a profile into a learner that knows something already; an error must change nothing.
fn import_profile(bytes: &[u8], least: u64) -> Result<(), ImportSignedError> {
    with_learner(|learner| {
        let dim = learner.support().dim();
        learner.enrol("before", &vec![1.0; dim]).unwrap();
        let before = exported(learner);
        let imported = import_signed(learner, bytes, &Maker::golden().key(), least);
        let after = exported(learner);
        match imported {
            Ok(()) => assert!(after == unsigned_profile()),
            Err(_) => assert!(after == before, "an error changed something"),
        }
        imported
    })
}

#[test]
fn a_signed_profile_is_imported_with_and_without_a_key() {
    let signed = signed_profile();
    for least in [0, COUNTER] {
        import_profile(&signed, least).unwrap();
    }
    let contents = signed_contents(&signed).unwrap();
    assert_eq!(contents.version_counter, Some(COUNTER));
    // Whoever knows no key, or no signatures, imports it all the same.
    with_learner(|learner| {
        import(learner, &signed).unwrap();
        assert!(exported(learner) == unsigned_profile());
    });
    let again = persist::sign(&signed, None, |hash| Maker::golden().sign(hash));
    assert!(again.unwrap() == signed);
}

#[test]
fn profiles_of_nobody_of_others_and_older_ones_are_refused() {
    let distrust = |bytes: &[u8], least| match import_profile(bytes, least) {
        Err(ImportSignedError::Trust(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(distrust(&unsigned_profile(), 0), TrustError::Unsigned);
    let theirs = persist::sign(&signed_profile(), None, |hash| Maker::other().sign(hash));
    let (found, expected) = (Maker::other().key().id(), Maker::golden().key().id());
    let other = TrustError::OtherKey { found, expected };
    assert_eq!(distrust(&theirs.unwrap(), 0), other);
    let (found, least) = (COUNTER, COUNTER + 1);
    let older = TrustError::Older { found, least };
    assert_eq!(distrust(&signed_profile(), least), older);
    // A model's signature is none of a profile.
    let file = signed_model();
    let signature = Model::open(&file).unwrap().signature().unwrap();
    let moved = persist::sign(&unsigned_profile(), None, |_| signature).unwrap();
    assert_eq!(distrust(&moved, 0), TrustError::Signature);
}

/// Corrects length and checksum of a snapshot.
fn reseal_profile(bytes: &mut [u8]) {
    let len = bytes.len() as u32;
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    let crc = Crc32::new().update(&bytes[..12]).update(&bytes[16..]);
    let crc = crc.finish().to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
}

#[test]
fn every_cut_and_every_forged_byte_of_a_profile_is_refused() {
    let original = signed_profile();
    for len in 0..original.len() {
        import_profile(&original[..len], 0).unwrap_err();
        let mut cut = original[..len].to_vec();
        if len >= 16 {
            reseal_profile(&mut cut);
            import_profile(&cut, 0).unwrap_err();
        }
    }
    // Those of the signature's section are not signed, and change nothing.
    let flags = 16 + 8 * (usize::from(original[6]) - 1) + 2;
    let flags = flags..flags + 2;
    for at in 0..original.len() {
        for bit in 0..8 {
            let mut bytes = original.clone();
            bytes[at] ^= 1 << bit;
            import_profile(&bytes, 0).unwrap_err();
            reseal_profile(&mut bytes);
            // Length and checksum are then what they were before.
            if bytes != original {
                let refused = import_profile(&bytes, 0).is_err();
                assert!(refused || flags.contains(&at), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn a_second_signature_of_a_profile_is_refused() {
    let signed = signed_profile();
    let sections = usize::from(signed[6]);
    let record = 16 + 8 * (sections - 1)..16 + 8 * sections;
    let signature = signed.len() - SignatureRecord::LEN..;
    let mut twice = signed.clone();
    twice.extend_from_within(signature);
    let record: Vec<u8> = signed[record.clone()].to_vec();
    twice.splice(16 + 8 * sections..16 + 8 * sections, record);
    twice[6] += 1;
    reseal_profile(&mut twice);
    let malformed = ImportSignedError::Restore(RestoreError::Malformed);
    assert_eq!(import_profile(&twice, 0), Err(malformed));
}
