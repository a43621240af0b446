//! Any content of the flash gives taught sounds or an error, and can be written over.

use crate::taught::{CLASSES, DIM, EXAMPLES, learner, room, state, taught, use_it};
use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, Loaded, flash_len, store_scratch_len};
use mtslvr_simulated_flash::SimulatedFlash;
use std::sync::OnceLock;

const PAGE: usize = 512;
const PAGES: usize = match flash_len(CLASSES, EXAMPLES, DIM, PAGE) {
    Some(len) => len / PAGE,
    None => panic!("a page is too small"),
};
const SCRATCH: usize = store_scratch_len(CLASSES, EXAMPLES, DIM);

type Store = BlockingFlashStore<SimulatedFlash<PAGE, 4>>;

fn store(image: Vec<u8>) -> Store {
    let flash = SimulatedFlash::with_content(image);
    BlockingFlashStore::new(flash, 0..(PAGES * PAGE) as u32).expect("whole pages")
}

/// Loads what `bytes`, the first of the flash's, hold; saves and loads again. Then takes them as changes
/// to the content of a flash after a short life, three bytes each: a place and its value.
pub fn flash_load(bytes: &[u8]) {
    static LIVED: OnceLock<Vec<u8>> = OnceLock::new();
    let mut image = bytes.to_vec();
    image.resize(PAGES * PAGE, 0xff);
    load(image);
    let mut image = LIVED.get_or_init(flash_image).clone();
    for change in bytes.as_chunks::<3>().0 {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let end = image.len();
        image[at % end] = change[2];
    }
    load(image);
}

fn load(image: Vec<u8>) {
    let mut scratch = [0; SCRATCH];
    let (mut a, mut b) = (room(), room());
    let mut store = store(image);
    let mut found = learner(&mut a);
    let loaded = store.load(&mut found, &mut scratch);
    if loaded.is_ok() {
        use_it(found);
    } else {
        assert_eq!(found.support().class_count(), 0, "left over after an error");
    }
    let known = taught(&mut b);
    if store.save(&known, &mut scratch).is_ok() {
        expect(&mut store, &state(&known));
    }
    // Erased, it is as new.
    store.erase().expect("power is on");
    let saved = store.save(&known, &mut scratch);
    saved.expect("there is room");
    expect(&mut store, &state(&known));
}

fn expect(store: &mut Store, expected: &[u8]) {
    let mut room = room();
    let mut found = learner(&mut room);
    let loaded = store.load(&mut found, &mut [0; SCRATCH]);
    assert_eq!(loaded, Ok(Loaded::Saved));
    assert!(state(&found) == expected, "another state was saved");
}

/// The content of a flash after a short life.
pub fn flash_image() -> Vec<u8> {
    let mut room = room();
    let mut learner = taught(&mut room);
    let mut store = store(vec![0xff; PAGES * PAGE]);
    let mut scratch = [0; SCRATCH];
    for round in 0..20 {
        let threshold = (round % 3 > 0).then_some(0.01 * round as f32);
        let first = learner.support().classes()[0].id();
        let set = learner.set_class_threshold(first, threshold);
        set.expect("there is such a class");
        let saved = store.save(&learner, &mut scratch);
        saved.expect("there is room");
    }
    store.into_flash().content().to_vec()
}
