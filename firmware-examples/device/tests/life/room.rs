//! Thresholds by a minute of the room.

use super::bench::*;
use mtslvr_device::button::{LONG_MS, LONGEST_MS};
use mtslvr_device::{Notice, ROOM_SECONDS};

/// A room in which something sounds like what was taught: the thresholds rise by that, across a restart, and the taught
/// sound is recognised still.
#[test]
fn a_long_press_sets_the_thresholds_by_the_room() {
    let (mut bench, _) = Bench::start(blank_flash());
    assert_eq!(bench.press(LONG_MS + 500), Notice::NothingToCalibrate);
    teach_motors(&mut bench);
    let before = bench.threshold("sound 1");
    let told = bench.listen_to_room(&another_motor());
    let progress = told.iter().filter_map(|notice| match notice {
        Notice::ListeningToRoom { seconds, sounds } => Some((*seconds, *sounds)),
        _ => None,
    });
    let progress: Vec<(u32, u32)> = progress.collect();
    assert_eq!(progress.len(), 11, "{progress:?}");
    assert_eq!(progress[0].0, 5);
    assert!(progress.windows(2).all(|two| two[0].1 <= two[1].1));
    let [
        ..,
        Notice::Threshold {
            name,
            before: told_before,
            now,
            heard,
        },
        Notice::Calibrated { sounds, .. },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((name.as_str(), *sounds), ("sound 1", 6));
    assert_eq!((*told_before, *now), (before, bench.threshold("sound 1")));
    assert!(*heard >= 6 && *now > before, "{told:?}");
    // No more than half of its own sounds are lost.
    let id = bench.device.sounds().support().find("sound 1").unwrap();
    assert!(*now <= bench.device.sounds().own_score(id).unwrap());
    let now = *now;
    let (mut bench, _) = bench.restart();
    assert_eq!(bench.threshold("sound 1"), now);
    assert_eq!(names(&bench.hear(&another_motor())), [""; 0]);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    // A false alarm above the threshold that was set raises it further, until it is taken in again.
    assert_eq!(names(&bench.hear(&buzz(200.0, 120.0, 12.0))), ["sound 1"]);
    assert!(matches!(bench.double(), Notice::Rejected { .. }));
    assert!(bench.threshold("sound 1") > now);
    assert!(matches!(bench.double(), Notice::Readmitted { .. }));
    assert_eq!(bench.threshold("sound 1"), now);
    // A room that is quiet takes it back.
    let told = bench.listen_to_room(&[]);
    let calibrated = Notice::Calibrated {
        sounds: 0,
        doubtful: 0,
    };
    assert_eq!(told.last(), Some(&calibrated));
    assert_eq!(bench.threshold("sound 1"), before);
}

/// The taught sound itself was heard in the room: it is recognised still, and the light says that something is wrong.
#[test]
fn a_taught_sound_in_the_room_is_told_of() {
    let (mut bench, _) = Bench::start(blank_flash());
    teach_motors(&mut bench);
    let told = bench.listen_to_room(&motor());
    let told: Heard = told
        .into_iter()
        .filter(|notice| !matches!(notice, Notice::Heard { .. }))
        .collect();
    let calibrated = told.last().unwrap();
    assert!(
        matches!(calibrated, Notice::Calibrated { doubtful: 1, .. }),
        "{calibrated:?}"
    );
    assert!(calibrated.is_trouble());
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
}

/// A press ends the minute at once, and changes nothing; a power cut in it, too.
#[test]
fn listening_to_the_room_can_be_stopped() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&motor());
    bench.short();
    let before = bench.device.sounds().support().classes().to_vec();
    bench.press(LONG_MS + 500);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    assert_eq!(bench.short(), Notice::LeftRoom);
    // Now it enrols again, and nothing comes of the minute.
    assert_eq!(bench.device.sounds().support().classes(), before);
    bench.wait(2 * ROOM_SECONDS as usize);
    bench.press(LONG_MS + 500);
    let (mut bench, _) = bench.restart();
    assert_eq!(bench.device.sounds().support().classes(), before);
    bench.wait(2 * ROOM_SECONDS as usize);
    bench.press(LONG_MS + 500);
    let told = bench.contact(&[LONGEST_MS + 500]);
    assert_eq!(told, [Notice::LeftRoom, Notice::ForgotAll]);
}
