use super::blocking::block_on;
use super::*;
use crate::fewshot::{HeadKind, Reference as Likeness, StorageVec};
use crate::space::test_space::space;
use core::fmt::Debug;
use mtslvr_simulated_flash::SimulatedFlash;
use sequential_storage::map::Key;

const CLASSES: usize = 2;
const EXAMPLES: usize = 4;
const DIM: usize = 6;
const PAGE: usize = 512;
const LEN: usize = flash_len(CLASSES, EXAMPLES, DIM, PAGE).unwrap();
const SCRATCH: usize = store_scratch_len(CLASSES, EXAMPLES, DIM);

type Flash = SimulatedFlash<PAGE, 4>;
type Store = BlockingFlashStore<Flash>;

fn store() -> Store {
    BlockingFlashStore::new(Flash::new(LEN / PAGE), 0..LEN as u32).unwrap()
}

fn learner(room: &mut StorageVec) -> Learner<'_> {
    let space = space(&[4, 2], &[0.0; DIM], Likeness::assumed(0.5));
    Learner::new(room.lend(), HeadKind::default(), space).unwrap()
}

fn room() -> StorageVec {
    StorageVec::new(CLASSES, EXAMPLES, DIM)
}

/// Puts a record of any content into the flash, as no store would.
fn put(store: &mut Store, key: u16, bytes: &[u8]) {
    let mut record = [0; SCRATCH];
    block_on(store.store.store(key, bytes, &mut record)).unwrap();
}

/// The index in flash.
fn index(store: &mut Store) -> Vec<u8> {
    let (mut room, mut record) = ([0; SCRATCH], [0; SCRATCH]);
    let index = block_on(store.store.fetch_index(&mut room, &mut record)).unwrap();
    index.unwrap().to_vec()
}

/// An index whose checksum is right can name a record of any length, if its fingerprint is that of
/// the record.
#[test]
fn a_record_of_another_length_is_lost_and_not_copied() {
    for bytes in [
        &[][..],
        &[127],
        &[127; DIM - 1],
        &[127; DIM + 1],
        &[127; 40],
    ] {
        let mut store = store();
        let (mut a, mut b) = (room(), room());
        let mut taught = learner(&mut a);
        taught.enrol("a", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        store.save(&taught, &mut [0; SCRATCH]).unwrap();

        let key = References::of(
            Catalogue::decode(Form::Index, &index(&mut store))
                .unwrap()
                .payload,
        )
        .iter()
        .next()
        .unwrap()
        .key;
        let reference = Reference {
            key,
            fingerprint: fingerprint(bytemuck::cast_slice(bytes)),
        };
        let mut forged = vec![0; catalogue::len_of(Form::Index, taught.support())];
        let payload = catalogue::lay_out(Form::Index, taught.support(), &mut forged);
        payload.copy_from_slice(&reference.emit());
        catalogue::seal(&mut forged);
        put(&mut store, INDEX, &forged);
        put(&mut store, key, bytes);

        let mut found = learner(&mut b);
        let lost = RestoreError::ExampleLost { example: 0 };
        let loaded = store.load(&mut found, &mut [0; SCRATCH]);
        assert_eq!(
            loaded,
            Err(StoreError::Restore(lost)),
            "{} bytes",
            bytes.len()
        );
        assert_eq!(found.support().class_count(), 0);
        // It can be saved over.
        store.save(&taught, &mut [0; SCRATCH]).unwrap();
        assert_eq!(store.load(&mut found, &mut [0; SCRATCH]), Ok(Loaded::Saved));
        assert_eq!(found.support(), taught.support());
    }
}

#[test]
fn an_index_of_anything_is_an_error_and_can_be_saved_over() {
    let mut store = store();
    let (mut a, mut b) = (room(), room());
    let mut taught = learner(&mut a);
    taught.enrol("a", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let mut found = learner(&mut b);
    for anything in [&[][..], b"MTSI", &[0xff; 60], &[0; 150]] {
        put(&mut store, INDEX, anything);
        let loaded = store.load(&mut found, &mut [0; SCRATCH]);
        assert!(
            matches!(
                loaded,
                Err(StoreError::Restore(_) | StoreError::ScratchTooShort { .. })
            ),
            "{loaded:?}"
        );
        assert_eq!(found.support().class_count(), 0);
    }
    put(&mut store, INDEX, &[]);
    store.save(&taught, &mut [0; SCRATCH]).unwrap();
    assert_eq!(store.load(&mut found, &mut [0; SCRATCH]), Ok(Loaded::Saved));
    assert_eq!(found.support(), taught.support());
}

#[test]
fn lengths_and_ranges_that_do_not_fit_are_errors() {
    let whole = LEN as u32;
    for range in [
        0..0,
        0..PAGE as u32,
        1..whole,
        0..whole - 1,
        0..2 * whole,
        whole..0,
    ] {
        let opened = BlockingFlashStore::new(Flash::new(LEN / PAGE), range.clone());
        assert!(matches!(opened, Err(StoreError::Range)), "{range:?}");
    }
    let mut store = store();
    let mut room = room();
    let mut learner = learner(&mut room);
    let (needed, found) = (SCRATCH, SCRATCH - 1);
    let short = Err(StoreError::ScratchTooShort { needed, found });
    assert_eq!(
        store.load(&mut learner, &mut [0; SCRATCH - 1]).map(|_| ()),
        short
    );
    assert_eq!(store.save(&learner, &mut [0; SCRATCH - 1]), short);
    assert_eq!(flash_len(CLASSES, EXAMPLES, DIM, 64), None);
    assert_eq!(flash_len(CLASSES, EXAMPLES, DIM, 0), None);
    assert_eq!(flash_len(1, 1, usize::MAX, 1 << 20), None);
    assert_eq!(flash_len(1, usize::MAX, 1, 1 << 20), None);
    assert_eq!(
        store_scratch_len(usize::MAX, usize::MAX, usize::MAX),
        usize::MAX
    );
}

/// A record that is shorter than a key is none, wherever it comes from. Storages of other keys write such ones.
#[test]
fn a_record_shorter_than_its_key_is_none() {
    async fn put_short<K: Key + Default + Debug>(flash: Blocking<Flash>) -> Blocking<Flash> {
        let config = MapConfig::try_new(0..LEN as u32).unwrap();
        let mut map = MapStorage::<K, _, _>::new(flash, config, Cache::new_uncached());
        let (key, nothing) = (K::default(), &[][..]);
        map.store_item(&mut [0; SCRATCH], &key, &nothing)
            .await
            .unwrap();
        map.destroy().0
    }
    let flash = || Blocking(Flash::new(LEN / PAGE));
    let of_one_byte = block_on(put_short::<u8>(flash()));
    let of_nothing = block_on(put_short::<[u8; 0]>(flash()));
    for flash in [of_one_byte, of_nothing] {
        let mut store = BlockingFlashStore::new(flash.0, 0..LEN as u32).unwrap();
        let (mut a, mut b) = (room(), room());
        let mut found = learner(&mut b);
        // With zeros, the scratch would be the key of the index.
        let loaded = store.load(&mut found, &mut [0; SCRATCH]);
        assert_eq!(loaded, Ok(Loaded::Nothing));
        let mut taught = learner(&mut a);
        taught.enrol("a", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        for _ in 0..100 {
            // Until the page with the short record has been gathered.
            let first = taught.support().classes()[0].id();
            let threshold = taught.support().classes()[0]
                .threshold()
                .map_or(0.1, |t| -t);
            taught.set_class_threshold(first, Some(threshold)).unwrap();
            store.save(&taught, &mut [0; SCRATCH]).unwrap();
        }
        assert_eq!(store.load(&mut found, &mut [0; SCRATCH]), Ok(Loaded::Saved));
        assert_eq!(found.support(), taught.support());
    }
}
