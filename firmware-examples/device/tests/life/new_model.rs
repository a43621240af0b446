//! A model of another backbone comes over the link and waits until everything is forgotten.

use super::bench::*;
use core::ops::Range;
use mtslvr_device::button::{LONGEST_MS, VERY_LONG_MS};
use mtslvr_device::{LESSON_SECONDS, Notice};
use mtslvr_runtime::link::{LinkedSlots, ModelSlot, Refusal, Served, SlotsOwner, Taught};
use mtslvr_runtime::model::slots::{ModelSlots, Slot, SlotRanges, Start, Update};
use mtslvr_runtime::model::{AlignedBytes, Model, Sum};
use mtslvr_simulated_flash::FlashFault;

/// A small model of another backbone.
const NEW: &[u8] = include_bytes!("../../../../runtime/tests/golden/v1.slvr");

const SLOT: u32 = 112 * PAGE as u32;
const RECORDS: u32 = 2 * SLOT;

fn ranges() -> SlotRanges {
    SlotRanges {
        a: 0..SLOT,
        b: SLOT..RECORDS,
        records: RECORDS..RECORDS + 2 * PAGE as u32,
    }
}

/// Opens models in a copy.
#[derive(Debug, Default)]
pub(crate) struct Copied(Option<AlignedBytes>);

impl SlotsOwner<Flash> for Copied {
    fn open(&mut self, flash: &mut Flash, range: Range<u32>) -> Result<Model<'_>, Refusal> {
        let bytes = &flash.content()[range.start as usize..range.end as usize];
        let bytes = self.0.insert(AlignedBytes::new(bytes));
        Model::open(bytes).map_err(|_| Refusal::Unreadable)
    }
}

pub(crate) type Slots = LinkedSlots<Flash, Copied>;

/// The flash of a new device: its model is in slot A.
pub(crate) fn slots_flash() -> Flash {
    let mut content = vec![0xff; ranges().records.end as usize];
    content[..MODEL.0.len()].copy_from_slice(&MODEL.0);
    Flash::with_content(content)
}

/// Starts the slots, as a device does: tells the slot, and what the light says of it.
pub(crate) fn start(flash: Flash) -> (Slots, Slot, Start, Option<Notice<FlashFault>>) {
    let mut slots = ModelSlots::new(flash, ranges()).unwrap();
    let started = slots.start(|_, _| Some(())).unwrap();
    let notice = Notice::of_model(started.how, slots.update());
    let owner = Copied::default();
    (
        LinkedSlots { slots, owner },
        started.slot,
        started.how,
        notice,
    )
}

/// A device that knows a sound, and a new model that came over the link and waits.
fn waiting() -> Bench<Slots> {
    let (slots, slot, how, notice) = start(slots_flash());
    assert_eq!((slot, how, notice), (Slot::A, Start::Usual, None));
    let (mut bench, _) = Bench::start_with(blank_flash(), slots);
    bench.hear(&motor());
    assert_eq!(bench.short(), enrolled("sound 1", 1));
    let slot = bench.device.slot();
    assert!(!slot.is_waiting());
    assert_eq!(slot.activate(), Err(Refusal::NotBegun));
    install(&mut bench, NEW);
    assert!(bench.device.slot().is_waiting());
    bench
}

/// Gives the device a model, as a session of the link does.
pub(crate) fn install(bench: &mut Bench<Slots>, model: &[u8]) {
    let taught = Taught::of(&mut bench.device);
    let slot = bench.device.slot();
    assert_eq!(slot.begin(Sum::of(model).unwrap()), Ok(0));
    slot.write(0, model).unwrap();
    slot.finish(taught).unwrap();
}

pub(crate) fn update(bench: &mut Bench<Slots>) -> Update {
    bench.device.slot().slots.update()
}

#[test]
fn forgetting_everything_has_the_new_model_tried() {
    let mut bench = waiting();
    // It waits across a restart, and the light says so.
    let (flash, slots) = bench.device.into_parts();
    let (slots, slot, _, notice) = start(slots.slots.into_flash());
    assert_eq!((slot, notice), (Slot::A, Some(Notice::ModelWaits)));
    (bench, _) = Bench::start_with(flash, slots);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    assert_eq!(bench.device.restart_reason(), None);
    let told = bench.contact(&[LONGEST_MS + 500]);
    assert_eq!(told, [Notice::ForgotAll, Notice::ModelActivated]);
    assert_eq!(
        bench.device.restart_reason(),
        Some("a new model is to be tried")
    );
    let (flash, slots) = bench.device.into_parts();
    let (slots, slot, how, notice) = start(slots.slots.into_flash());
    assert_eq!((slot, how), (Slot::B, Start::Trial { left: 2 }));
    assert_eq!(notice, Some(Notice::ModelOnTrial));
    // The old model's sounds are gone.
    let (bench, notice) = Bench::start_with(flash, slots);
    let (sounds, examples) = (0, 0);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(bench.device.restart_reason(), None);
}

/// Other presses leave it waiting, as long as they leave a sound.
#[test]
fn the_new_model_is_tried_when_the_last_sound_is_gone() {
    let mut bench = waiting();
    bench.hear(&motor());
    assert_eq!(bench.short(), enrolled("sound 1", 2));
    for press in [&[1_500][..], &[200], &[120, 150, 120]] {
        bench.contact(press);
        assert!(matches!(update(&mut bench), Update::Waiting { .. }));
        assert_eq!(bench.device.restart_reason(), None);
    }
    bench.wait(LESSON_SECONDS as usize);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    let told = bench.contact(&[VERY_LONG_MS + 500]);
    assert_eq!(told, [forgot("sound 1"), Notice::ModelActivated]);
    assert!(bench.device.restart_reason().is_some());
}

/// The power goes while everything is forgotten: the model that counts afterwards is one of the two, and the sounds are
/// lost only with the old one.
#[test]
fn a_power_cut_loses_no_sounds_without_a_new_model() {
    let (flash, slots) = waiting().device.into_parts();
    let slots_flash = slots.slots.into_flash();
    // First the slots are written, and then the store.
    let cuts = (0..140).step_by(12).map(|bytes| (bytes, u64::MAX));
    let cuts = cuts.chain((0..100).step_by(24).map(|bytes| (u64::MAX, bytes)));
    let mut tried = Vec::new();
    for (slots_cut, store_cut) in cuts {
        let (mut flash, mut slots_flash) = (flash.clone(), slots_flash.clone());
        slots_flash.cut_after(slots_cut, 0x5a);
        flash.cut_after(store_cut, 0x5a);
        let slots = ModelSlots::new(slots_flash, ranges()).unwrap();
        let owner = Copied::default();
        let (mut bench, _) = Bench::start_with(flash, LinkedSlots { slots, owner });
        match &bench.contact(&[LONGEST_MS + 500])[..] {
            [Notice::NotActivated(Refusal::Flash)] => {
                assert_eq!(bench.device.restart_reason(), None);
            }
            [
                Notice::ForgotAll | Notice::NotKept(_),
                Notice::ModelActivated,
            ] => {}
            other => panic!("{other:?}"),
        }
        let (mut flash, slots) = bench.device.into_parts();
        let mut slots_flash = slots.slots.into_flash();
        flash.restore_power();
        slots_flash.restore_power();
        let (slots, slot, ..) = start(slots_flash);
        let (bench, _) = Bench::start_with(flash, slots);
        let knows = bench.device.sounds().support().class_count();
        assert!(slot == Slot::B || knows == 1, "{slots_cut} {store_cut}");
        tried.push(slot == Slot::B);
    }
    assert!(tried.contains(&false) && tried.contains(&true), "{tried:?}");
}
