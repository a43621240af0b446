//! The power is cut at every byte of an update of the model: whatever the cut left, a model starts, the old one
//! or the new one, with the sounds that it was taught; and the update then goes on to its end.
//!
//! `cargo test --release -p mtslvr-runtime --features std,flash --test model_slots -- --nocapture` prints the
//! counts of every eleventh cut. `POWER-CUTS.md` has those of all: `MTSLVR_POWER_CUT_ROUNDS=40` compares them, and
//! writes them with `MTSLVR_WRITE_POWER_CUTS=1`.

use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, Loaded, StoreError, flash_len, store_scratch_len,
};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::model::slots::{
    ModelSlots, Slot, SlotRanges, SlotsError, Sounds, Start, TRIES, Update,
};
use mtslvr_runtime::model::{AlignedBytes, Model, Sum};
use mtslvr_simulated_flash::{FlashFault, SimulatedFlash};
use std::ops::Range;

const PAGE: usize = 1024;
const WORD: usize = 4;
type Flash = SimulatedFlash<PAGE, WORD>;
type Fault = SlotsError<FlashFault>;

const OLD: &[u8] = include_bytes!("golden/v1.slvr");
const NEW: &[u8] = include_bytes!("golden/v1-operators.slvr");

const CLASSES: usize = 2;
const EXAMPLES: usize = 4;
/// Values of the longer embedding.
const DIM: usize = 64;
const SLOT: u32 = 11 * PAGE as u32;
const RECORDS: u32 = 2 * SLOT;
const STORES: u32 = RECORDS + 2 * PAGE as u32;
const STORE: u32 = flash_len(CLASSES, EXAMPLES, DIM, PAGE).unwrap() as u32;

fn ranges() -> SlotRanges {
    SlotRanges {
        a: 0..SLOT,
        b: SLOT..2 * SLOT,
        records: RECORDS..STORES,
    }
}

/// Where the sounds of a slot's model are kept.
fn store_of(slot: Slot) -> Range<u32> {
    let start = STORES + STORE * slot as u32;
    start..start + STORE
}

fn bytes(flash: &Flash, range: &Range<u32>) -> AlignedBytes {
    AlignedBytes::new(&flash.content()[range.start as usize..range.end as usize])
}

/// The recordings of the examples, as patches of a backbone: what a device with room for clips keeps.
fn clip(number: usize, patch_len: usize) -> Vec<f32> {
    (0..patch_len)
        .map(|i| ((i * (number + 3)) as f32 * 0.37).sin())
        .collect()
}

const NAMES: [&str; 2] = ["doorbell", "kettle"];

/// Teaches a learner all clips, embedded by `model`.
fn teach(learner: &mut Learner, model: &Model) {
    let mut backbone = PackedBackbone::new(*model, vec![0; model.arena_len()]).unwrap();
    let mut embedding = vec![0.0; model.space().dim()];
    for (number, name) in NAMES.into_iter().enumerate() {
        let patch = clip(number, model.frontend().patch_len());
        backbone.embed(&patch, &mut embedding).unwrap();
        learner.enrol(name, &embedding).unwrap();
    }
}

fn storage(model: &Model) -> StorageVec {
    let dim = model.space().dim();
    assert!(dim <= DIM);
    StorageVec::new(CLASSES, EXAMPLES, dim)
}

fn learner<'a>(room: &'a mut StorageVec, model: &Model<'a>) -> Learner<'a> {
    Learner::new(room.lend(), HeadKind::default(), model.space()).unwrap()
}

/// Names of the sounds that are kept for a slot and that `model` can use; `None` if there is no profile of it.
fn sounds(flash: &Flash, slot: Slot, model: &Model) -> Option<Vec<String>> {
    let mut room = storage(model);
    let mut learner = learner(&mut room, model);
    let mut store = BlockingFlashStore::new(flash.clone(), store_of(slot)).unwrap();
    let mut scratch = vec![0; store_scratch_len(CLASSES, EXAMPLES, DIM)];
    match store.load(&mut learner, &mut scratch) {
        Ok(Loaded::Saved) => {
            let classes = learner.support().classes().iter();
            Some(classes.map(|class| class.name().to_owned()).collect())
        }
        Ok(Loaded::Nothing) => None,
        Err(error) => panic!("the sounds of {slot:?}: {error}"),
    }
}

/// Keeps all clips' examples for the model in `slot`. Gives the flash back.
fn keep(flash: Flash, slot: Slot, model: &Model) -> (Flash, Result<(), StoreError<FlashFault>>) {
    let mut room = storage(model);
    let mut learner = learner(&mut room, model);
    teach(&mut learner, model);
    let mut store = BlockingFlashStore::new(flash, store_of(slot)).unwrap();
    let mut scratch = vec![0; store_scratch_len(CLASSES, EXAMPLES, DIM)];
    let kept = store.save(&learner, &mut scratch);
    (store.into_flash(), kept)
}

/// A device with the old model in slot A, and the sounds that it was taught.
fn device() -> Flash {
    let mut content = vec![0xff; (STORES + 2 * STORE) as usize];
    content[..OLD.len()].copy_from_slice(OLD);
    let flash = Flash::with_content(content);
    let model = AlignedBytes::new(OLD);
    let (flash, kept) = keep(flash, Slot::A, &Model::open(&model).unwrap());
    kept.unwrap();
    flash
}

/// A start of the device: the file in use, its slot, and how it was found.
fn start(slots: &mut ModelSlots<Flash>) -> Result<(AlignedBytes, Slot, Start), Fault> {
    let content = slots.flash().clone();
    let started = slots.start(|_, range| {
        let bytes = bytes(&content, &range);
        Model::open(&bytes).is_ok().then_some(bytes)
    })?;
    Ok((started.model, started.slot, started.how))
}

/// Ways of the taught sounds under a new model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Recordings are kept: the new model embeds them after it has started.
    Clips,
    /// There are none: the user gives the sounds up while the model waits.
    GivenUp,
}

/// Does what is left of the update, whatever was done before. Ends at the first error of the flash.
fn go_on(flash: Flash, way: Way) -> (Flash, Result<(), String>) {
    let mut slots = match ModelSlots::new(flash.clone(), ranges()) {
        Ok(slots) => slots,
        Err(error) => return (flash, Err(error.to_string())),
    };
    let done = update(&mut slots, way).map_err(|error| error.to_string());
    let flash = slots.into_flash();
    if done != Ok(true) {
        return (flash, done.map(|_| ()));
    }
    // On trial: the sounds are carried over, and then the model is confirmed.
    let range = SLOT..SLOT + NEW.len() as u32;
    let file = bytes(&flash, &range);
    let model = Model::open(&file).unwrap();
    let (flash, kept) = match way {
        Way::Clips if sounds_are_missing(&flash, &model) => keep(flash, Slot::B, &model),
        _ => (flash, Ok(())),
    };
    if let Err(error) = kept {
        return (flash, Err(error.to_string()));
    }
    let mut slots = match ModelSlots::new(flash.clone(), ranges()) {
        Ok(slots) => slots,
        Err(error) => return (flash, Err(error.to_string())),
    };
    let confirmed = slots.confirm().map_err(|error| error.to_string());
    (slots.into_flash(), confirmed)
}

fn sounds_are_missing(flash: &Flash, model: &Model) -> bool {
    flash.is_powered() && sounds(flash, Slot::B, model).is_none()
}

/// Brings the new model into use, on trial; true if it is.
fn update(slots: &mut ModelSlots<Flash>, way: Way) -> Result<bool, Fault> {
    if slots.current() == Slot::B {
        return Ok(matches!(slots.update(), Update::Trial { .. }) && start(slots)?.1 == Slot::B);
    }
    if !matches!(slots.update(), Update::Waiting { .. }) {
        let there = slots.receive(Sum::of(NEW).unwrap())? as usize;
        for piece in NEW[there..].chunks(400) {
            slots.write(piece)?;
        }
        let arrived = slots.arrived()?;
        let file = bytes(slots.flash(), &arrived);
        let sounds = match way {
            Way::Clips => Sounds::Follow,
            Way::GivenUp => Sounds::Stay,
        };
        slots.finish(&Model::open(&file).unwrap(), sounds)?;
    }
    if way == Way::GivenUp {
        slots.activate()?;
    }
    Ok(start(slots)?.1 == Slot::B)
}

/// Checks what a device finds that starts after a cut: a model that opens, and the sounds that it was taught
/// unless it is the new one on trial, which still has to be taught. Returns whether it is the new one.
fn check_after_cut(flash: &Flash, way: Way, what: &str) -> (Flash, bool) {
    let mut slots = ModelSlots::new(flash.clone(), ranges()).unwrap();
    let (file, slot, how) = start(&mut slots).unwrap_or_else(|error| panic!("{what}: {error}"));
    let waits = matches!(slots.update(), Update::Waiting { .. });
    let flash = slots.into_flash();
    let model = Model::open(&file).unwrap();
    let old = AlignedBytes::new(OLD);
    let kept = sounds(&flash, slot, &model);
    match slot {
        Slot::A => {
            assert_eq!(*file, *OLD, "{what}");
            assert_eq!(how, Start::Usual, "{what}");
            assert_eq!(
                kept.as_deref(),
                Some(&NAMES.map(String::from)[..]),
                "{what}"
            );
        }
        Slot::B => {
            assert_eq!(*file, *NEW, "{what}");
            assert!(!waits, "{what}");
            let on_trial = matches!(how, Start::Trial { .. });
            if way == Way::Clips && !on_trial {
                assert_eq!(
                    kept.as_deref(),
                    Some(&NAMES.map(String::from)[..]),
                    "{what}"
                );
            }
        }
    }
    // The old model's sounds are there in any case, to go back to.
    let names = sounds(&flash, Slot::A, &Model::open(&old).unwrap());
    assert_eq!(
        names.as_deref(),
        Some(&NAMES.map(String::from)[..]),
        "{what}"
    );
    (flash, slot == Slot::B)
}

/// Checks that `POWER-CUTS.md` has `table`; `MTSLVR_WRITE_POWER_CUTS=1` writes it there instead.
fn compare_with_document(table: &str) {
    const MARKS: [&str; 2] = ["<!-- table: update -->\n", "<!-- end: update -->\n"];
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/POWER-CUTS.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(MARKS[0]).unwrap();
    let (written, after) = rest.split_once(MARKS[1]).unwrap();
    if std::env::var_os("MTSLVR_WRITE_POWER_CUTS").is_some() {
        let text = format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]);
        std::fs::write(path, text).unwrap();
    } else {
        assert_eq!(written, table, "POWER-CUTS.md differs");
    }
}

#[test]
fn an_update_survives_a_cut_at_every_byte() {
    let every = std::env::var_os("MTSLVR_POWER_CUT_ROUNDS").is_some();
    let stride = if every { 1 } else { 11 };
    let new_device = device();
    let mut table = String::from("| | recordings kept | sounds given up |\n|---|---|---|\n");
    let mut counts = Vec::new();
    for way in [Way::Clips, Way::GivenUp] {
        let (mut cuts, mut old, mut new) = (0_u64, 0_u64, 0_u64);
        for torn in [0x00, 0x5a] {
            for cut in (u64::from(torn) % stride as u64..).step_by(stride) {
                let mut flash = new_device.clone();
                flash.cut_after(cut, torn);
                let (mut flash, done) = go_on(flash, way);
                if flash.is_powered() {
                    done.unwrap();
                    break;
                }
                let what = format!("{way:?}, cut at {cut}, torn {torn:02x}");
                assert!(done.is_err(), "{what}");
                flash.restore_power();
                let (flash, is_new) = check_after_cut(&flash, way, &what);
                cuts += 1;
                if is_new {
                    new += 1;
                } else {
                    old += 1;
                }
                // The update goes on to its end.
                let (flash, done) = go_on(flash, way);
                done.unwrap_or_else(|error| panic!("{what}: {error}"));
                let mut slots = ModelSlots::new(flash, ranges()).unwrap();
                let (file, slot, how) = start(&mut slots).unwrap();
                assert_eq!((slot, how), (Slot::B, Start::Usual), "{what}");
                assert_eq!(*file, *NEW, "{what}");
                let kept = sounds(slots.flash(), slot, &Model::open(&file).unwrap());
                let expected = (way == Way::Clips).then(|| NAMES.map(String::from).to_vec());
                assert_eq!(kept, expected, "{what}");
            }
        }
        assert!(old > 2_000 && new > 20, "{old} {new}");
        counts.push([cuts, old, new, 0, 0, 0]);
    }
    let names = [
        "cuts",
        "… after which the old model starts",
        "… after which the new one does",
        "… after which none does",
        "… after which the old model's sounds are not there to go back to",
        "… after which the update cannot be finished",
    ];
    for (row, name) in names.iter().enumerate() {
        let [clips, given_up] = [0, 1].map(|way: usize| counts[way][row]);
        table += &format!("| {name} | {clips} | {given_up} |\n");
    }
    println!("{table}");
    if every {
        compare_with_document(&table);
    }
}

/// A model that never shows that it works is gone back from, and its sounds with it.
#[test]
fn a_model_that_is_never_confirmed_is_given_up() {
    let mut slots = ModelSlots::new(device(), ranges()).unwrap();
    assert!(update(&mut slots, Way::Clips).unwrap());
    for left in (0..TRIES - 1).rev() {
        // Starting on trial leaves no room to receive another one.
        assert_eq!(
            slots.receive(Sum::of(OLD).unwrap()),
            Err(SlotsError::OnTrial)
        );
        let mut again = ModelSlots::new(slots.into_flash(), ranges()).unwrap();
        let (_, slot, how) = start(&mut again).unwrap();
        assert_eq!((slot, how), (Slot::B, Start::Trial { left }));
        slots = again;
    }
    let (file, slot, how) = start(&mut slots).unwrap();
    assert_eq!((slot, how), (Slot::A, Start::NeverConfirmed));
    assert_eq!(*file, *OLD);
    let (_, slot, how) = start(&mut slots).unwrap();
    assert_eq!((slot, how), (Slot::A, Start::Usual));
    assert_eq!(slots.update(), Update::None);
}

/// Damages a byte in the model of a slot.
fn damaged(flash: Flash, slot: Slot) -> Flash {
    let mut content = flash.content().to_vec();
    content[ranges().of(slot).start as usize + 5000] ^= 1;
    Flash::with_content(content)
}

#[test]
fn a_damaged_model_is_replaced_by_the_other_one() {
    let (flash, done) = go_on(device(), Way::Clips);
    done.unwrap();
    let mut slots = ModelSlots::new(damaged(flash, Slot::B), ranges()).unwrap();
    let (file, slot, how) = start(&mut slots).unwrap();
    assert_eq!((slot, how), (Slot::A, Start::Damaged));
    assert_eq!(*file, *OLD);
    let flash = damaged(slots.into_flash(), Slot::A);
    let mut slots = ModelSlots::new(flash, ranges()).unwrap();
    assert_eq!(start(&mut slots).unwrap_err(), SlotsError::NoModel);

    // Damaged while on trial; and the one in use while another waits.
    let mut slots = ModelSlots::new(device(), ranges()).unwrap();
    assert!(update(&mut slots, Way::Clips).unwrap());
    let mut slots = ModelSlots::new(damaged(slots.into_flash(), Slot::B), ranges()).unwrap();
    assert_eq!(start(&mut slots).unwrap().2, Start::Damaged);
    assert_eq!(slots.current(), Slot::A);
}

#[test]
fn a_waiting_model_changes_nothing_until_it_is_activated_or_discarded() {
    let mut slots = ModelSlots::new(device(), ranges()).unwrap();
    assert_eq!(slots.activate(), Err(SlotsError::NothingWaiting));
    slots.receive(Sum::of(NEW).unwrap()).unwrap();
    slots.write(NEW).unwrap();
    let arrived = slots.arrived().unwrap();
    let file = bytes(slots.flash(), &arrived);
    let model = Model::open(&file).unwrap();
    slots.finish(&model, Sounds::Stay).unwrap();
    for _ in 0..2 {
        let (file, slot, how) = start(&mut slots).unwrap();
        assert_eq!((slot, how), (Slot::A, Start::Usual));
        assert_eq!(*file, *OLD);
        let backbone = model.id();
        assert_eq!(slots.update(), Update::Waiting { backbone });
    }
    slots.confirm().unwrap();
    assert!(matches!(slots.update(), Update::Waiting { .. }));
    slots.discard().unwrap();
    assert_eq!(slots.update(), Update::None);
    assert_eq!(start(&mut slots).unwrap().1, Slot::A);
}

#[test]
fn what_does_not_arrive_whole_is_not_taken() {
    let mut slots = ModelSlots::new(device(), ranges()).unwrap();
    let announced = Sum::of(NEW).unwrap();
    let (len, left) = (NEW.len() as u32, NEW.len() as u32);
    assert_eq!(slots.write(NEW), Err(SlotsError::NotReceiving));
    assert_eq!(slots.arrived(), Err(SlotsError::NotReceiving));
    slots.receive(announced).unwrap();
    for piece in [&NEW[..3], &[0; 20_000]] {
        let len = piece.len();
        assert_eq!(slots.write(piece), Err(SlotsError::Piece { len, left }));
    }
    slots.write(&NEW[..4000]).unwrap();
    let received = 4000;
    assert_eq!(
        slots.arrived(),
        Err(SlotsError::Incomplete { received, len })
    );
    // Another model than the one that was announced.
    let mut rest = NEW[4000..].to_vec();
    rest[0] ^= 1;
    slots.write(&rest).unwrap();
    let expected = announced.crc32;
    assert!(matches!(
        slots.arrived(),
        Err(SlotsError::Checksum { expected: stated, .. }) if stated == expected
    ));
    assert_eq!(slots.receive(announced), Ok(0));
    slots.write(NEW).unwrap();
    let other = AlignedBytes::new(OLD);
    let other = Model::open(&other).unwrap();
    assert_eq!(
        slots.finish(&other, Sounds::Follow),
        Err(SlotsError::OtherModel)
    );
    let room = SLOT;
    let long = Sum {
        len: room + 1,
        crc32: 0,
    };
    assert_eq!(
        slots.receive(long),
        Err(SlotsError::TooLong {
            len: room + 1,
            room
        })
    );
}

/// After a restart, at most one page's worth of a short model has to be sent again.
#[test]
fn a_model_that_arrives_goes_on_after_a_restart() {
    let announced = Sum::of(NEW).unwrap();
    let mut slots = ModelSlots::new(device(), ranges()).unwrap();
    let mut there = slots.receive(announced).unwrap() as usize;
    assert_eq!(there, 0);
    while there < NEW.len() {
        // Two pages arrive, and then the device restarts: the page that ended last may not be noted yet.
        let end = NEW.len().min(there + 2 * PAGE);
        slots.write(&NEW[there..end]).unwrap();
        if end == NEW.len() {
            break;
        }
        slots = ModelSlots::new(slots.into_flash(), ranges()).unwrap();
        let noted = slots.receive(announced).unwrap() as usize;
        assert!(
            (there + PAGE..=end).contains(&noted),
            "{noted} of {end} bytes"
        );
        assert_eq!(noted % PAGE, 0);
        there = noted;
    }
    let arrived = slots.arrived().unwrap();
    assert_eq!(*bytes(slots.flash(), &arrived), *NEW);

    // Another model begins at its own beginning, and the first one again at its.
    let other = Sum::of(OLD).unwrap();
    assert_eq!(slots.receive(other), Ok(0));
    assert_eq!(slots.receive(announced), Ok(0));
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let page = PAGE as u32;
    for change in [
        |ranges: &mut SlotRanges, _| ranges.a = 0..0,
        |ranges: &mut SlotRanges, page| ranges.a.end += page,
        |ranges: &mut SlotRanges, _| ranges.b.start += 4,
        |ranges: &mut SlotRanges, page| ranges.records.end -= page,
        |ranges: &mut SlotRanges, page| ranges.records = 0..2 * page,
        |ranges: &mut SlotRanges, _| ranges.records.end = 1 << 20,
    ] as [fn(&mut SlotRanges, u32); 6]
    {
        let mut ranges = ranges();
        change(&mut ranges, page);
        let refused = ModelSlots::new(device(), ranges.clone());
        assert!(matches!(refused, Err(SlotsError::Ranges)), "{ranges:?}");
    }
}

/// Records of any content, as a flash that was used for something else would hold them.
#[test]
fn any_content_of_the_records_leaves_a_model_or_an_error() {
    let mut random = 1_u32;
    for round in 0..2_000 {
        let mut content = device().content().to_vec();
        let records = &mut content[RECORDS as usize..STORES as usize];
        for byte in records.iter_mut() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (random >> 24) as u8 | if round % 2 == 0 { 0 } else { 0xf0 };
        }
        let mut slots = ModelSlots::new(Flash::with_content(content), ranges()).unwrap();
        assert_eq!(start(&mut slots).unwrap().1, Slot::A);
        // And an update from there.
        if round % 500 == 0 {
            let (flash, done) = go_on(slots.into_flash(), Way::Clips);
            done.unwrap();
            let mut slots = ModelSlots::new(flash, ranges()).unwrap();
            assert_eq!(start(&mut slots).unwrap().1, Slot::B);
        }
    }
}
