//! A device's life with the shipped backbone: sounds in, presses in, notices out.

use mtslvr_device::button::{Button, Change, LONG_MS, LONGEST_MS, Press, VERY_LONG_MS};
use mtslvr_device::{
    CLASSES, Device, EXAMPLES, LESSON_SECONDS, Memory, NEGATIVES, Notice, ROOM_SECONDS, Recording,
    SOUNDS,
};
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, RestoreError, StoreError, export, flash_len, import, longest_snapshot,
    store_scratch_len,
};
use mtslvr_runtime::fewshot::{
    Class, EnrolError, HeadKind, Learner, Refusal, Role, StorageVec, SupportError,
};
use mtslvr_runtime::link::{NoSlot, Refusal as LinkRefusal, Served};
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::model::{Aligned, Model};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace};
use mtslvr_simulated_flash::{FlashFault, SimulatedFlash};

const PAGE: usize = 4096;
type Flash = SimulatedFlash<PAGE, 4>;
type Heard = Vec<Notice<FlashFault>>;

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../models/edge-s/model.slvr"));

/// Sizes for the backbone in [`MODEL`].
const DIM: usize = 352;
const ARENA: usize = 32 * 1024;
const LISTENER: usize = 12 * 1024;
const SCRATCH: usize = store_scratch_len(CLASSES, EXAMPLES, DIM);
const RATE: usize = 16_000;
const FLASH: usize = flash_len(CLASSES, EXAMPLES, DIM, PAGE).unwrap();

fn model() -> Model<'static> {
    let model = Model::open(&MODEL.0).unwrap();
    let dim = model.space().dim();
    assert_eq!(dim, DIM);
    assert!(model.arena_len() <= ARENA);
    assert!(Listener::buffer_len(model.frontend(), dim, CLASSES) <= LISTENER);
    model
}

fn blank_flash() -> Flash {
    Flash::new(FLASH / PAGE)
}

/// A device, the microphone's ring, and the noise of the place.
struct Bench {
    device: Device<'static, Flash>,
    recording: Recording<32_768>,
    noise: u32,
}

impl Bench {
    fn start(flash: Flash) -> (Self, Notice<FlashFault>) {
        let memory = Box::leak(Box::new(Memory::<ARENA, LISTENER, DIM, SCRATCH>::new()));
        let range = 0..FLASH as u32;
        let config = ListenerConfig::default();
        let mut told = None;
        let device = Device::start(model(), config, memory, flash, range, NoSlot, |notice| {
            told = Some(notice);
        })
        .unwrap();
        let recording = Recording::new();
        let mut bench = Self {
            device,
            recording,
            noise: 1,
        };
        // The background becomes known.
        assert_eq!(bench.play(&vec![0; 12 * RATE]), []);
        (bench, told.unwrap())
    }

    /// Plays samples to the microphone, in a place that is not quite silent; the device listens as
    /// they come.
    fn play(&mut self, samples: &[i16]) -> Heard {
        let mut notices = Vec::new();
        for block in samples.chunks(500) {
            self.record(block);
            let until = self.recording.written();
            self.device
                .listen(&self.recording, until, |notice| notices.push(notice));
        }
        notices
    }

    fn record(&mut self, block: &[i16]) {
        let noisy: Vec<i16> = block
            .iter()
            .map(|sample| {
                self.noise = self
                    .noise
                    .wrapping_mul(1_664_525)
                    .wrapping_add(1_013_904_223);
                sample.saturating_add((self.noise >> 28) as i16 - 8)
            })
            .collect();
        self.recording.push(noisy.into_iter());
    }

    /// A sound, and the silence behind it.
    fn hear(&mut self, sound: &[i16]) -> Heard {
        let mut notices = self.play(sound);
        notices.extend(self.play(&[0; RATE]));
        notices
    }

    fn wait(&mut self, seconds: usize) {
        assert_eq!(self.play(&vec![0; seconds * RATE]), []);
    }

    /// Moves the button's contact, down and up by turns for so many milliseconds, while the place is silent but for
    /// the button's own click. Returns what the button is answered.
    fn contact(&mut self, lengths: &[u32]) -> Heard {
        let mut button = Button::default();
        let mut notices = Vec::new();
        // Longer than the gate stays open for the click, and than it takes to know that no second press follows.
        let after = 1_000;
        let moves = lengths.iter().chain([&after]).enumerate();
        for (place, ms) in moves {
            for step in 0..ms / 10 {
                if let Some(change) = button.poll(place % 2 == 0, 10) {
                    let at = self.recording.written();
                    let recording = &self.recording;
                    self.device
                        .button(recording, change, at, |notice| notices.push(notice));
                }
                // As the contact closes and opens, some time before that is sure.
                let click = if step == 0 { 20_000 } else { 0 };
                let clicks: Vec<i16> = (0..RATE / 100)
                    .map(|i| click * (i as i16 % 7 - 3) / 3)
                    .collect();
                let told = self.play(&clicks);
                let progress = |notice: &_| matches!(notice, Notice::ListeningToRoom { .. });
                assert!(told.iter().all(progress), "{told:?}");
            }
        }
        notices
    }

    /// Holds the button for `held_ms`, which has one answer.
    fn press(&mut self, held_ms: u32) -> Notice<FlashFault> {
        only(self.contact(&[held_ms]))
    }

    fn short(&mut self) -> Notice<FlashFault> {
        self.press(200)
    }

    fn double(&mut self) -> Notice<FlashFault> {
        only(self.contact(&[120, 150, 120]))
    }

    /// Has the device listen to the room for its minute, in which `sound` is heard each ten seconds.
    fn listen_to_room(&mut self, sound: &[i16]) -> Heard {
        let begun = self.press(LONG_MS + 500);
        let (seconds, sounds) = (0, 0);
        assert_eq!(begun, Notice::ListeningToRoom { seconds, sounds });
        let mut notices = Vec::new();
        for _ in 0..ROOM_SECONDS / 10 {
            notices.extend(self.play(&vec![0; 4 * RATE]));
            notices.extend(self.play(sound));
            notices.extend(self.play(&vec![0; 6 * RATE - sound.len()]));
        }
        notices
    }

    fn threshold(&self, name: &str) -> f32 {
        let sounds = self.device.sounds();
        sounds.threshold(sounds.support().find(name).unwrap())
    }

    /// Gives the device its profile with a change, as a program on a host does.
    fn change_profile(&mut self, change: impl FnOnce(&mut Learner)) {
        let mut snapshot = vec![0; longest_snapshot(CLASSES, EXAMPLES, DIM)];
        let len = self.device.export(&mut snapshot).unwrap();
        let mut storage = StorageVec::new(CLASSES, EXAMPLES, DIM);
        let space = *self.device.sounds().space();
        let mut learner = Learner::new(storage.lend(), HeadKind::default(), space).unwrap();
        import(&mut learner, &snapshot[..len]).unwrap();
        change(&mut learner);
        let len = export(&learner, &mut snapshot).unwrap();
        self.device.import(&snapshot[..len]).unwrap();
    }

    fn restart(self) -> (Self, Notice<FlashFault>) {
        let mut flash = self.device.into_flash();
        flash.restore_power();
        Self::start(flash)
    }
}

fn only(mut notices: Heard) -> Notice<FlashFault> {
    assert_eq!(notices.len(), 1, "{notices:?}");
    notices.remove(0)
}

/// 0.7 s of a buzz that glides from `from` to `to` Hz and trembles `rate` times a second.
fn buzz(from: f32, to: f32, rate: f32) -> Vec<i16> {
    let length = RATE * 7 / 10;
    let mut phase = 0.0_f32;
    (0..length)
        .map(|i| {
            let t = i as f32 / length as f32;
            phase += (from + (to - from) * t) / RATE as f32 * std::f32::consts::TAU;
            let tremble = 0.6 + 0.4 * (t * 0.7 * rate * std::f32::consts::TAU).sin();
            let fade = (t * 20.0).min(1.0) * ((1.0 - t) * 20.0).min(1.0);
            let partials = (1..=12).map(|n| (phase * n as f32).sin() / n as f32);
            (partials.sum::<f32>() * tremble * fade * 9_000.0) as i16
        })
        .collect()
}

fn siren() -> Vec<i16> {
    buzz(300.0, 640.0, 0.0)
}

fn motor() -> Vec<i16> {
    buzz(180.0, 90.0, 18.0)
}

/// Like the motor, and not it.
fn another_motor() -> Vec<i16> {
    buzz(240.0, 120.0, 8.0)
}

/// An embedding far from those of others with another number.
fn unlike_others(space: &EmbeddingSpace, number: usize) -> Vec<f32> {
    let means = space.base_mean().iter().enumerate();
    let away = |place: usize| if place % 19 == number { 1.0 } else { 0.0 };
    means.map(|(place, mean)| mean + away(place)).collect()
}

fn enrolled(name: &str, examples: usize) -> Notice<FlashFault> {
    let name = name.try_into().unwrap();
    Notice::Enrolled { name, examples }
}

fn forgot(name: &str) -> Notice<FlashFault> {
    let name = name.try_into().unwrap();
    Notice::Forgot { name }
}

/// The names of the sounds in `notices`, which tell of nothing else.
fn names(notices: &Heard) -> Vec<&str> {
    let name = |notice: &'_ Notice<FlashFault>| match notice {
        Notice::Heard { .. } => (),
        other => panic!("{other:?}"),
    };
    notices.iter().for_each(name);
    let heard = notices.iter().filter_map(|notice| match notice {
        Notice::Heard { name, .. } => Some(name.as_str()),
        _ => None,
    });
    heard.collect()
}

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
    let mut flash = bench.device.into_flash();
    flash.cut_after(100, 0x5a);
    let (mut bench, _) = Bench::start(flash);
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
    let mut flash = bench.device.into_flash();
    flash.cut_after(100, 0x5a);
    let (mut bench, _) = Bench::start(flash);
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
    assert_eq!(bench.device.into_flash().content(), flash.content());

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

/// Teaches three motors that differ a little.
fn teach_motors(bench: &mut Bench) {
    let motors = [motor(), buzz(175.0, 92.0, 17.0), buzz(186.0, 88.0, 19.0)];
    for (motor, examples) in motors.iter().zip(1..) {
        bench.hear(motor);
        assert_eq!(bench.short(), enrolled("sound 1", examples));
    }
    bench.wait(LESSON_SECONDS as usize);
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

/// The power goes while a negative is being written.
#[test]
fn a_power_cut_leaves_the_negatives_of_before() {
    let (mut bench, _) = Bench::start(blank_flash());
    bench.hear(&motor());
    bench.short();
    let mut flash = bench.device.into_flash();
    flash.cut_after(100, 0x5a);
    let (mut bench, _) = Bench::start(flash);
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
