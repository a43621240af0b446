//! Recordings of the examples are kept, and a model of another backbone is taught from them.

use super::bench::*;
use super::new_model::{Slots, install, slots_flash, start, update};
use core::ops::Range;
use mtslvr_device::button::VERY_LONG_MS;
use mtslvr_device::{
    ClipMemory, ClipPlaces, LESSON_SECONDS, Notice, Places, TRIAL_SECONDS, clips_len,
};
use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, RestoreError, StoreError, export};
use mtslvr_runtime::fewshot::{HeadKind, Learner, Role, StorageVec};
use mtslvr_runtime::link::{ModelSlot, Served};
use mtslvr_runtime::model::slots::{Slot, Start, Update};
use mtslvr_runtime::model::{AlignedBytes, Crc32, Model};
use std::sync::LazyLock;

/// Samples of the longest recording.
const LONGEST: usize = 16_384;
const FLASH_U32: u32 = FLASH as u32;
/// The sounds of the model in each slot, and what both share.
const SOUNDS: [Range<u32>; 2] = [0..FLASH_U32, FLASH_U32..2 * FLASH_U32];
const CLIPS: Range<u32> = 2 * FLASH_U32..2 * FLASH_U32 + clips_len(LONGEST, PAGE) as u32;

/// The shipped model with another mean of embeddings, so that no example is what it was, and an id of its own.
static OTHER: LazyLock<AlignedBytes> = LazyLock::new(|| {
    let mut bytes = MODEL.0.to_vec();
    let model = model();
    let mean: Vec<u8> = model
        .space()
        .base_mean()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let only_place = |wanted: &[u8]| {
        let mut places = MODEL.0.windows(wanted.len()).enumerate();
        let place = places.find(|(_, found)| *found == wanted).unwrap().0;
        assert!(places.all(|(_, found)| found != wanted));
        place
    };
    let at = only_place(&mean);
    for (to, value) in bytes[at..]
        .chunks_exact_mut(4)
        .zip(model.space().base_mean())
    {
        to.copy_from_slice(&(value * 1.05).to_le_bytes());
    }
    bytes[only_place(model.id().as_bytes())] ^= 1;
    // The checksum of all other bytes.
    let sum = Crc32::new()
        .update(&bytes[..12])
        .update(&bytes[16..])
        .finish();
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    AlignedBytes::new(&bytes)
});

fn other() -> Model<'static> {
    Model::open(&OTHER).unwrap()
}

fn blank() -> Flash {
    Flash::new(CLIPS.end as usize / PAGE)
}

fn places(slot: Slot, on_trial: bool) -> Places<'static> {
    let memory = Box::leak(Box::new(ClipMemory::<LONGEST>::new()));
    Places {
        sounds: SOUNDS[slot as usize].clone(),
        clips: Some(ClipPlaces::new(CLIPS, memory)),
        on_trial,
    }
}

/// Starts the device with the model in the slot that counts.
fn begin(flash: Flash, slots_flash: Flash) -> (Bench<Slots>, Slot, Heard) {
    let (slots, slot, how, _) = start(slots_flash);
    let on_trial = matches!(how, Start::Trial { .. });
    let model = match slot {
        Slot::A => model(),
        Slot::B => other(),
    };
    let (bench, told) = Bench::start_as(&model, flash, places(slot, on_trial), slots);
    (bench, slot, told)
}

fn restart(bench: Bench<Slots>) -> (Bench<Slots>, Slot, Heard) {
    let (flash, slots) = bench.device.into_parts();
    begin(flash, slots.slots.into_flash())
}

fn ready(sounds: usize, examples: usize) -> Notice<mtslvr_simulated_flash::FlashFault> {
    Notice::Ready { sounds, examples }
}

/// A device that was taught a motor by two examples and a siren by one, and had a false alarm.
fn taught() -> Bench<Slots> {
    let (mut bench, slot, told) = begin(blank(), slots_flash());
    assert_eq!((slot, told), (Slot::A, vec![ready(0, 0)]));
    for (motor, examples) in [motor(), buzz(175.0, 92.0, 17.0)].iter().zip(1..) {
        bench.hear(motor);
        assert_eq!(bench.short(), enrolled("sound 1", examples));
    }
    bench.wait(LESSON_SECONDS as usize);
    assert_eq!(names(&bench.hear(&another_motor())), ["sound 1"]);
    assert!(matches!(
        bench.double(),
        Notice::Rejected { negatives: 1, .. }
    ));
    bench.hear(&siren());
    assert_eq!(bench.short(), enrolled("sound 2", 1));
    bench.wait(LESSON_SECONDS as usize);
    assert!(bench.device.sounds_can_follow());
    bench
}

fn knows_its_sounds(bench: &mut Bench<Slots>) {
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    assert_eq!(names(&bench.hear(&siren())), ["sound 2"]);
    assert_eq!(names(&bench.hear(&another_motor())), [""; 0]);
}

#[test]
fn a_new_model_is_taught_from_the_recordings() {
    let mut bench = taught();
    install(&mut bench, &OTHER);
    assert!(matches!(update(&mut bench), Update::Trial { .. }));
    let (mut bench, slot, told) = restart(bench);
    let again = Notice::TaughtAgain { examples: 4 };
    // The negatives count as a sound.
    assert_eq!((slot, told), (Slot::B, vec![again, ready(3, 4)]));
    knows_its_sounds(&mut bench);
    assert!(matches!(update(&mut bench), Update::Trial { .. }));

    // Once is enough, and the old model knows what it did, if the device goes back to it.
    let (bench, slot, told) = restart(bench);
    assert_eq!((slot, told), (Slot::B, vec![ready(3, 4)]));
    let (flash, slots) = bench.device.into_parts();
    let (mut back, told) = Bench::start_as(&model(), flash, places(Slot::A, false), slots);
    assert_eq!(told, [ready(3, 4)]);
    assert!(back.device.sounds_can_follow());
    knows_its_sounds(&mut back);
}

/// A model on trial is confirmed once it has listened for a minute, and not before.
#[test]
fn a_model_that_listens_for_a_minute_is_confirmed() {
    let mut bench = taught();
    install(&mut bench, &OTHER);
    let (mut bench, ..) = restart(bench);
    let half = vec![0; (TRIAL_SECONDS as usize / 2 - 10) * 16_000];
    assert_eq!(bench.play(&half), []);
    assert!(matches!(update(&mut bench), Update::Trial { .. }));
    assert_eq!(
        bench.play(&[&half[..], &half[..]].concat()),
        [Notice::ModelConfirmed]
    );
    assert_eq!(update(&mut bench), Update::None);
    assert_eq!(bench.play(&half), []);
    let (_, slot, told) = restart(bench);
    assert_eq!((slot, told), (Slot::B, vec![ready(3, 4)]));
}

/// A sound that is forgotten while a new model waits for its start is not taught again under it.
#[test]
fn what_is_forgotten_stays_forgotten() {
    let mut bench = taught();
    install(&mut bench, &OTHER);
    assert_eq!(names(&bench.hear(&siren())), ["sound 2"]);
    assert_eq!(bench.press(VERY_LONG_MS + 500), forgot("sound 2"));
    let (bench, _, told) = restart(bench);
    assert_eq!(told, [Notice::TaughtAgain { examples: 3 }, ready(2, 3)]);
    let (_, _, told) = restart(bench);
    assert_eq!(told, [ready(2, 3)]);
}

/// A sound that a host named keeps its name; one that came from a host has no recording, and the model waits.
#[test]
fn names_follow_and_sounds_without_a_recording_wait() {
    let mut bench = taught();
    bench.change_profile(|learner| {
        let siren = learner.support().find("sound 2").unwrap();
        learner.support_mut().rename(siren, "siren").unwrap();
    });
    assert!(bench.device.sounds_can_follow());
    bench.change_profile(|learner| {
        let strange = unlike_others(learner.space(), 3);
        learner.enrol("from a host", &strange).unwrap();
    });
    assert!(!bench.device.sounds_can_follow());
    install(&mut bench, &OTHER);
    assert!(bench.device.slot().is_waiting());
    // Once that sound is gone, nothing would be lost.
    bench.change_profile(|learner| {
        let strange = learner.support().find("from a host").unwrap();
        learner.support_mut().remove(strange).unwrap();
    });
    let told = bench.contact(&[200]);
    assert!(told.contains(&Notice::ModelActivated), "{told:?}");
    let (mut bench, slot, told) = restart(bench);
    assert_eq!(slot, Slot::B);
    assert_eq!(told, [Notice::TaughtAgain { examples: 4 }, ready(3, 4)]);
    assert_eq!(names(&bench.hear(&siren())), ["siren"]);
}

/// The power goes while the new model is taught: it knows the same afterwards, and the old one too.
#[test]
fn a_power_cut_while_it_is_taught_changes_nothing() {
    let mut bench = taught();
    install(&mut bench, &OTHER);
    let (flash, slots) = bench.device.into_parts();
    let slots_flash = slots.slots.into_flash();
    let state = |bench: &Bench<Slots>| {
        let mut bytes = vec![0; 20_000];
        let len = export(bench.device.sounds(), &mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    };
    let before = flash.bytes_changed();
    let (bench, ..) = begin(flash.clone(), slots_flash.clone());
    let expected = state(&bench);
    let whole = bench.device.into_parts().0.bytes_changed() - before;
    // The labels come last.
    let cuts = (0..whole).step_by(whole as usize / 12);
    for cut in cuts.chain((whole - 300..whole).step_by(25)) {
        let mut flash = flash.clone();
        flash.cut_after(cut, 0x5a);
        let (bench, ..) = begin(flash, slots_flash.clone());
        let (mut flash, _) = bench.device.into_parts();
        flash.restore_power();
        let (bench, _, told) = begin(flash, slots_flash.clone());
        assert_eq!(state(&bench), expected, "{cut}: {told:?}");
        let (flash, slots) = bench.device.into_parts();
        let (_, told) = Bench::start_as(&model(), flash, places(Slot::A, false), slots);
        assert_eq!(told, [ready(3, 4)], "{cut}");
    }
}

/// Sounds in a slot's place that were taught to a model that is gone make way for a model on trial, and for no other.
#[test]
fn sounds_of_a_model_that_is_gone_make_way_on_trial() {
    let gone = || {
        let (mut flash, slots) = taught().device.into_parts();
        // The old model's sounds are in the new one's place.
        let mut storage = StorageVec::new(4, 4, DIM);
        let space = model().space();
        let mut learner = Learner::new(storage.lend(), HeadKind::default(), space).unwrap();
        let strange = unlike_others(&space, 3);
        learner.enrol_role(Role::Negatives, &strange).unwrap();
        let mut store = BlockingFlashStore::new(flash, SOUNDS[1].clone()).unwrap();
        store.save(&learner, &mut vec![0; SCRATCH]).unwrap();
        flash = store.into_flash();
        (flash, slots)
    };
    let (flash, slots) = gone();
    let (_, told) = Bench::start_as(&other(), flash, places(Slot::B, true), slots);
    assert_eq!(told, [Notice::TaughtAgain { examples: 4 }, ready(3, 4)]);

    let (flash, slots) = gone();
    let (bench, told) = Bench::start_as(&other(), flash, places(Slot::B, false), slots);
    let is_other = |notice: &_| {
        let of_other = |error: &_| matches!(error, RestoreError::OtherBackbone { .. });
        matches!(notice, Notice::Locked(StoreError::Restore(error)) if of_other(error))
    };
    assert!(is_other(&only(told)));
    // The recordings are still there.
    let (flash, slots) = bench.device.into_parts();
    let (mut bench, told) = Bench::start_as(&model(), flash, places(Slot::A, false), slots);
    assert_eq!(told, [ready(3, 4)]);
    assert!(bench.device.sounds_can_follow());
}
