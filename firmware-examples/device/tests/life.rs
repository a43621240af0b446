//! A device's life with the shipped backbone: sounds in, presses in, notices out.

use mtslvr_device::button::{Button, Change, LONG_MS, Press, VERY_LONG_MS};
use mtslvr_device::{CLASSES, Device, EXAMPLES, LESSON_SECONDS, Memory, Notice, Recording};
use mtslvr_runtime::fewshot::persist::{
    BlockingFlashStore, RestoreError, StoreError, flash_len, longest_snapshot, store_scratch_len,
};
use mtslvr_runtime::fewshot::{HeadKind, Learner, Refusal, StorageVec};
use mtslvr_runtime::link::{Refusal as LinkRefusal, Served};
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
        let device = Device::start(model(), config, memory, flash, range, |notice| {
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

    /// Holds the button for `held_ms` while the place is silent but for the button's own click.
    fn press(&mut self, held_ms: u32) -> Notice<FlashFault> {
        let mut button = Button::default();
        let mut notices = Vec::new();
        // Longer than the gate stays open for the click.
        for ms in (0..held_ms + 1_000).step_by(10) {
            let change = button.poll(ms < held_ms, 10);
            if let Some(change) = change {
                let at = self.recording.written();
                let recording = &self.recording;
                self.device
                    .button(recording, change, at, |notice| notices.push(notice));
            }
            // As the contact closes and opens, some time before that is sure.
            let click = if ms == 0 || ms == held_ms { 20_000 } else { 0 };
            let clicks: Vec<i16> = (0..RATE / 100)
                .map(|i| click * (i as i16 % 7 - 3) / 3)
                .collect();
            assert_eq!(self.play(&clicks), []);
        }
        assert_eq!(notices.len(), 1, "{notices:?}");
        notices.remove(0)
    }

    fn short(&mut self) -> Notice<FlashFault> {
        self.press(200)
    }

    fn restart(self) -> (Self, Notice<FlashFault>) {
        let mut flash = self.device.into_flash();
        flash.restore_power();
        Self::start(flash)
    }
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
    assert_eq!(bench.press(LONG_MS + 500), Notice::NothingToForget);
    assert_eq!(names(&bench.hear(&motor())), ["sound 2"]);
    assert_eq!(names(&bench.hear(&siren())), ["sound 1"]);
    assert_eq!(bench.press(LONG_MS + 500), forgot("sound 1"));
    assert_eq!(bench.press(LONG_MS + 500), Notice::NothingToForget);
    assert_eq!(names(&bench.hear(&siren())), [""; 0]);

    let (mut bench, notice) = bench.restart();
    let (sounds, examples) = (1, 2);
    assert_eq!(notice, Notice::Ready { sounds, examples });
    assert_eq!(names(&bench.hear(&siren())), [""; 0]);
    // The number is free again.
    assert_eq!(bench.short(), enrolled("sound 1", 1));
    assert_eq!(bench.press(VERY_LONG_MS + 500), Notice::ForgotAll);
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
    assert_eq!(bench.press(LONG_MS + 500), Notice::NothingToForget);
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
    assert!(matches!(bench.press(LONG_MS + 500), Notice::Locked(_)));
    assert_eq!(bench.device.import(&[]), Err(LinkRefusal::Locked));
    assert_eq!(bench.device.into_flash().content(), flash.content());

    let (mut bench, _) = Bench::start(flash);
    assert_eq!(bench.press(VERY_LONG_MS + 500), Notice::ForgotAll);
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
