//! "That was wrong": a double press rejects a false alarm, or takes an example back.

use super::bench::*;
use mtslvr_device::button::VERY_LONG_MS;
use mtslvr_device::{NEGATIVES, Notice};
use mtslvr_runtime::fewshot::Role;
use mtslvr_runtime::fewshot::persist::StoreError;
use mtslvr_simulated_flash::FlashFault;

/// Two examples by two presses, and then one too many: a double press takes the last one back.
#[test]
fn a_double_press_takes_an_example_back() {
    let (mut bench, _) = Bench::start(blank_flash());
    assert_eq!(bench.double(), Notice::NothingWrong);
    bench.hear(&siren());
    assert_eq!(bench.short(), enrolled("sound 1", 1));
    bench.hear(&siren());
    assert_eq!(bench.short(), enrolled("sound 1", 2));
    let name = || "sound 1".try_into().unwrap();
    let (took_back, examples) = (
        |examples| Notice::TookBack {
            name: name(),
            examples,
        },
        1,
    );
    assert_eq!(bench.double(), took_back(examples));
    assert_eq!(bench.double(), Notice::NothingWrong);
    let (mut bench, notice) = bench.restart();
    let sounds = 1;
    assert_eq!(notice, Notice::Ready { sounds, examples });
    // What was enrolled before the restart is recognised, and what is recognised is no enrolment.
    bench.hear(&motor());
    assert_eq!(bench.short(), enrolled("sound 2", 1));
    assert_eq!(bench.double(), took_back_all("sound 2"));
    assert_eq!(names(&bench.hear(&motor())), [""; 0]);
    let (_, notice) = bench.restart();
    assert_eq!(notice, Notice::Ready { sounds, examples });
}

fn took_back_all(name: &str) -> Notice<FlashFault> {
    let name = name.try_into().unwrap();
    Notice::TookBack { name, examples: 0 }
}

/// A false alarm that was rejected is none any more, after a restart, too; the sound itself is recognised.
#[test]
fn a_double_press_rejects_a_false_alarm() {
    let (mut bench, _) = Bench::start(blank_flash());
    teach_motors(&mut bench);
    assert_eq!(names(&bench.hear(&another_motor())), ["sound 1"]);
    // It is about what was recognised, whatever was heard since.
    assert_eq!(names(&bench.hear(&siren())), [""; 0]);
    let name = || "sound 1".try_into().unwrap();
    let rejected = |negatives| Notice::Rejected {
        name: name(),
        negatives,
    };
    let before = bench.threshold("sound 1");
    assert_eq!(bench.double(), rejected(1));
    assert!(bench.threshold("sound 1") > before);
    assert_eq!(names(&bench.hear(&another_motor())), [""; 0]);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);

    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (2, 4);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(names(&bench.hear(&another_motor())), [""; 0]);
    // A right answer, rejected by mistake, and taken in again.
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    let before = bench.threshold("sound 1");
    assert_eq!(bench.double(), rejected(2));
    assert_eq!(bench.double(), Notice::Readmitted { name: name() });
    assert_eq!(bench.threshold("sound 1"), before);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    assert_eq!(bench.press(VERY_LONG_MS + 500), forgot("sound 1"));
    assert_eq!(bench.double(), Notice::NothingWrong);
}

/// "That was not it, it was another one": the rejected sound becomes a sound of its own, and no negative stands against
/// it.
#[test]
fn a_rejected_sound_can_be_taught() {
    let (mut bench, _) = Bench::start(blank_flash());
    teach_motors(&mut bench);
    assert_eq!(names(&bench.hear(&another_motor())), ["sound 1"]);
    assert!(matches!(bench.double(), Notice::Rejected { .. }));
    assert_eq!(bench.short(), enrolled("sound 2", 1));
    let support = bench.device.sounds().support();
    assert_eq!(support.find_role(Role::Negatives), None);
    bench.wait(mtslvr_device::LESSON_SECONDS as usize);
    assert_eq!(names(&bench.hear(&another_motor())), ["sound 2"]);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
}

/// The power goes while a negative is being written.
#[test]
fn a_power_cut_leaves_the_negatives_of_before() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&motor());
    bench.short();
    let mut bench = bench.restart_with_little_power();
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    assert_eq!(
        bench.double(),
        Notice::NotKept(StoreError::Flash(FlashFault::NoPower))
    );
    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (1, 1);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
}

/// However often the user says that it was wrong, the oldest negative makes room, and the sounds keep theirs.
#[test]
fn negatives_take_no_room_from_sounds() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&motor());
    bench.short();
    let space = *bench.device.sounds().space();
    bench.change_profile(|sounds| {
        for negative in 0..NEGATIVES {
            let embedding = unlike_others(&space, negative);
            sounds.enrol_role(Role::Negatives, &embedding).unwrap();
        }
    });
    let negatives = |bench: &Bench| -> Vec<Vec<i8>> {
        let support = bench.device.sounds().support();
        let negatives = support.find_role(Role::Negatives).unwrap();
        support.examples(negatives).map(<[i8]>::to_vec).collect()
    };
    let before = negatives(&bench);
    assert_eq!(names(&bench.hear(&motor())), ["sound 1"]);
    let name = "sound 1".try_into().unwrap();
    let rejected = Notice::Rejected {
        name,
        negatives: NEGATIVES,
    };
    assert_eq!(bench.double(), rejected);
    let after = negatives(&bench);
    assert_eq!(after[..NEGATIVES - 1], before[1..]);
    assert!(!before.contains(&after[NEGATIVES - 1]));
}
