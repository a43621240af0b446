//! A device's life with the shipped backbone: sounds in, presses in, notices out.

mod bench;
mod kept_clips;
mod link;
mod new_model;
mod room;
mod undo;

use bench::*;
use mtslvr_device::button::{Change, LONG_MS, LONGEST_MS, Press, VERY_LONG_MS};
use mtslvr_device::{CLASSES, EXAMPLES, LESSON_SECONDS, Notice, SOUNDS};
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, RestoreError, StoreError, longest_snapshot,
};
use mtslvr_runtime::fewshot::{
    Class, EnrolError, HeadKind, Learner, Refusal, StorageVec, SupportError,
};
use mtslvr_runtime::link::{Refusal as LinkRefusal, Served};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace};
use mtslvr_simulated_flash::FlashFault;

#[test]
fn sounds_are_enrolled_recognised_and_forgotten_across_restarts() {
    let (mut bench, notice) = Bench::start(blank_flash());
    let (sounds, examples) = (0, 0);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(bench.hear(&siren()), []);
    assert_eq!(bench.short(), enrolled("sound 1", 1));
    // A second press is about the same sound, and there is nothing new to learn.
    assert_eq!(bench.short(), Notice::NothingHeard);
    // Soon after: another example of it, whether recognised or not.
    bench.hear(&siren());
    assert_eq!(bench.short(), enrolled("sound 1", 2));
    bench.wait(LESSON_SECONDS as usize);

    assert_eq!(names(&bench.hear(&motor())), [""; 0]);
    assert_eq!(bench.short(), enrolled("sound 2", 1));
    bench.wait(LESSON_SECONDS as usize);
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
    assert_eq!(names(&bench.hear(&motor())), ["sound 2"]);
    // What is recognised becomes another example of its sound.
    assert_eq!(bench.short(), enrolled("sound 2", 2));

    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (2, 4);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(bench.press(VERY_LONG_MS + 500), Notice::NothingToForget);
    assert_eq!(names(&bench.hear(&motor())), ["sound 2"]);
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
    assert_eq!(bench.press(VERY_LONG_MS + 500), forgot("sound 1"));
    assert_eq!(bench.press(VERY_LONG_MS + 500), Notice::NothingToForget);
    assert_eq!(names(&bench.hear(&siren())), [""; 0]);

    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (1, 2);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(names(&bench.hear(&siren())), [""; 0]);
    // The number is free again.
    assert_eq!(bench.short(), enrolled("sound 1", 1));
    assert_eq!(bench.press(LONGEST_MS + 500), Notice::ForgotAll);
    assert_eq!(names(&bench.hear(&motor())), [""; 0]);
    let (_, notice) = bench.restart();
    let (sounds, examples) = (0, 0);
    assert_eq!(notice, Notice::Ready { sounds, examples });
}

#[test]
fn only_a_sound_of_late_can_be_enrolled() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&siren());
    bench.wait(mtslvr_device::MEMORY_SECONDS as usize);
    assert_eq!(bench.short(), Notice::NothingHeard);
    // Nor is the click of the button a sound.
    assert_eq!(bench.short(), Notice::NothingHeard);
    assert_eq!(bench.device.sounds().support().class_count(), 0);
}

#[test]
fn a_clip_that_is_not_fit_is_refused() {
    let (mut bench, _) = Bench::start(blank_flash());
    let clipped = siren().into_iter().map(|sample| sample.saturating_mul(20));
    bench.hear(&clipped.collect::<Vec<_>>());
    let notice = bench.short();
    assert!(
        matches!(notice, Notice::Refused(Refusal::Clipped { share, .. }) if share > 0.1),
        "{notice:?}"
    );
    assert_eq!(bench.device.sounds().support().class_count(), 0);
}

/// The power goes while an example is being written.
#[test]
fn a_power_cut_leaves_what_was_known_before() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&siren());
    bench.short();
    let mut bench = bench.restart_with_little_power();
    bench.hear(&motor());
    assert_eq!(
        bench.short(),
        Notice::NotKept(StoreError::Flash(FlashFault::NoPower))
    );
    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (1, 1);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
}

/// A device recognises what another one was taught, after a restart, too; a power cut on the way leaves what it
/// knew before.
#[test]
fn a_profile_from_another_device_takes_the_place_of_the_own() {
    let (mut taught, _) = Bench::start(blank_flash());
    taught.hear(&siren());
    taught.short();
    let mut profile = vec![0; longest_snapshot(CLASSES, EXAMPLES, DIM)];
    let len = taught.device.export(&mut profile).unwrap();
    profile.truncate(len);
    let description = taught.device.describe();
    assert_eq!((description.name, description.classes), ("edge-s", 1));

    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&motor());
    bench.short();
    let mut bench = bench.restart_with_little_power();
    assert_eq!(bench.device.import(&profile), Err(LinkRefusal::Flash));
    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (1, 1);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);

    let mut damaged = profile.clone();
    damaged[len / 2] ^= 1;
    let refused = bench.device.import(&damaged);
    assert_eq!(refused, Err(LinkRefusal::Unreadable));
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);

    bench.device.import(&profile).unwrap();
    assert_eq!(bench.press(VERY_LONG_MS + 500), Notice::NothingToForget);
    let (mut bench, _) = bench.restart();
    assert_eq!(names(&bench.hear(&motor())), [""; 0]);
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
}

/// A profile of another backbone's firmware is kept until the user gives it up.
#[test]
fn what_cannot_be_used_is_not_overwritten() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&siren());
    bench.short();
    let mut store = BlockingFlashStore::new(blank_flash(), 0..FLASH as u32).unwrap();
    let space = *bench.device.sounds().space();
    let other = EmbeddingSpace::new(
        BackboneId::new(space.backbone().as_bytes().map(|byte| !byte)),
        *space.frontend(),
        *space.parts(),
        space.base_mean(),
        *space.reference(),
    );
    let mut storage = StorageVec::new(CLASSES, EXAMPLES, space.dim());
    let kind = HeadKind::default();
    let mut taught = Learner::new(storage.lend(), kind, other.unwrap()).unwrap();
    let embedding: Vec<f32> = space.base_mean().iter().map(|mean| mean + 1.0).collect();
    taught.enrol("sound 1", &embedding).unwrap();
    store.save(&taught, &mut [0; SCRATCH]).unwrap();
    let flash = store.into_flash();
    let (mut bench, notice) = Bench::start(flash.clone());
    let other_backbone = matches!(
        notice,
        Notice::Locked(StoreError::Restore(RestoreError::OtherBackbone { .. }))
    );
    assert!(other_backbone, "{notice:?}");
    bench.hear(&motor());
    assert!(matches!(bench.short(), Notice::Locked(_)));
    assert!(matches!(bench.double(), Notice::Locked(_)));
    assert!(matches!(bench.press(LONG_MS + 500), Notice::Locked(_)));
    assert!(matches!(bench.press(VERY_LONG_MS + 500), Notice::Locked(_)));
    assert_eq!(bench.device.import(&[]), Err(LinkRefusal::Locked));
    assert_eq!(bench.device.into_parts().0.content(), flash.content());

    let (mut bench, _) = Bench::start(flash);
    assert_eq!(bench.press(LONGEST_MS + 500), Notice::ForgotAll);
    bench.hear(&motor());
    assert_eq!(bench.short(), enrolled("sound 1", 1));
    let (_, notice) = bench.restart();
    let (sounds, examples) = (1, 1);
    assert_eq!(notice, Notice::Ready { sounds, examples });
}

/// A device that was busy for longer than the ring holds says what it missed, and goes on.
#[test]
fn samples_that_were_overwritten_are_told_of() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&siren());
    bench.short();
    for _ in 0..200 {
        bench.record(&[0; 500]);
    }
    let notices = bench.play(&[0; 500]);
    let lost: u32 = notices
        .iter()
        .map(|notice| match notice {
            Notice::AudioLost { samples } => *samples,
            other => panic!("{other:?}"),
        })
        .sum();
    assert!((100_500 - 32_768..100_500).contains(&lost), "{lost}");
    bench.wait(3);
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
}

/// However late the device gets to its work, it does the same.
#[test]
fn presses_and_sounds_may_come_while_the_device_is_busy() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.wait(1);
    bench.record(&siren());
    bench.record(&[0; RATE / 2]);
    let at = bench.recording.written();
    bench.record(&[15_000; 200]);
    let mut notices = Vec::new();
    for change in [Change::Down, Change::Pressed(Press::Short)] {
        let recording = &bench.recording;
        bench
            .device
            .button(recording, change, at, |notice| notices.push(notice));
    }
    assert_eq!(notices, [enrolled("sound 1", 1)]);
}

/// Eight sounds fill the device, negatives and background have places of their own.
#[test]
fn a_ninth_sound_is_refused() {
    let (mut bench, _) = Bench::start(blank_flash());
    let space = *bench.device.sounds().space();
    bench.change_profile(|sounds| {
        for sound in 1..=SOUNDS {
            let embedding = unlike_others(&space, sound);
            sounds.enrol(&format!("sound {sound}"), &embedding).unwrap();
        }
    });
    bench.hear(&siren());
    let capacity = SOUNDS;
    assert_eq!(
        bench.short(),
        Notice::NotEnrolled(EnrolError::Support(SupportError::TooManyClasses {
            capacity
        }))
    );
    let classes = bench.device.sounds().support().classes();
    assert_eq!(classes.iter().map(Class::examples).sum::<usize>(), SOUNDS);
}
