//! A device on a workbench: sounds and presses go in, notices come out.

use mtslvr_device::button::{Button, LONG_MS};
use mtslvr_device::{
    CLASSES, Device, EXAMPLES, LESSON_SECONDS, Memory, Notice, Places, ROOM_SECONDS, Recording,
};
use mtslvr_runtime::fewshot::persist::{
    export, flash_len, import, longest_snapshot, store_scratch_len,
};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::link::{ModelSlot, NoSlot, Served};
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::model::{Aligned, Model};
use mtslvr_runtime::space::EmbeddingSpace;
use mtslvr_simulated_flash::{FlashFault, SimulatedFlash};

pub(crate) const PAGE: usize = 4096;
pub(crate) type Flash = SimulatedFlash<PAGE, 4>;
pub(crate) type Heard = Vec<Notice<FlashFault>>;

pub(crate) static MODEL: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../../../../models/edge-s/model.slvr"));

/// Sizes for the backbone in [`MODEL`].
pub(crate) const DIM: usize = 352;
pub(crate) const ARENA: usize = 32 * 1024;
pub(crate) const LISTENER: usize = 12 * 1024;
pub(crate) const SCRATCH: usize = store_scratch_len(CLASSES, EXAMPLES, DIM);
pub(crate) const RATE: usize = 16_000;
pub(crate) const FLASH: usize = flash_len(CLASSES, EXAMPLES, DIM, PAGE).unwrap();

pub(crate) fn model() -> Model<'static> {
    let model = Model::open(&MODEL.0).unwrap();
    let dim = model.space().dim();
    assert_eq!(dim, DIM);
    assert!(model.arena_len() <= ARENA);
    assert!(Listener::buffer_len(model.frontend(), dim, CLASSES) <= LISTENER);
    model
}

pub(crate) fn blank_flash() -> Flash {
    Flash::new(FLASH / PAGE)
}

/// A device, the microphone's ring, and the noise of the place.
pub(crate) struct Bench<S = NoSlot> {
    pub(crate) device: Device<'static, Flash, S>,
    pub(crate) recording: Recording<32_768>,
    noise: u32,
}

impl Bench {
    pub(crate) fn start(flash: Flash) -> (Self, Notice<FlashFault>) {
        Self::start_with(flash, NoSlot)
    }

    pub(crate) fn restart(self) -> (Self, Notice<FlashFault>) {
        let (mut flash, NoSlot) = self.device.into_parts();
        flash.restore_power();
        Self::start(flash)
    }

    /// Starts again, with so little power left that it goes while the next change is written.
    pub(crate) fn restart_with_little_power(self) -> Self {
        let (mut flash, NoSlot) = self.device.into_parts();
        flash.cut_after(100, 0x5a);
        Self::start(flash).0
    }
}

impl<S: ModelSlot> Bench<S> {
    pub(crate) fn start_with(flash: Flash, slot: S) -> (Self, Notice<FlashFault>) {
        let places = (0..FLASH as u32).into();
        let (bench, told) = Self::start_as(&model(), flash, places, slot);
        (bench, only(told))
    }

    /// Starts with any model and places, and returns all that is told.
    pub(crate) fn start_as(
        model: &Model<'static>,
        flash: Flash,
        places: Places<'static>,
        slot: S,
    ) -> (Self, Heard) {
        let memory = Box::leak(Box::new(Memory::<ARENA, LISTENER, DIM, SCRATCH>::new()));
        let config = ListenerConfig::default();
        let mut told = Vec::new();
        let tell = |notice| told.push(notice);
        let device = Device::start(*model, config, memory, flash, places, slot, tell).unwrap();
        let recording = Recording::new();
        let mut bench = Self {
            device,
            recording,
            noise: 1,
        };
        // The background becomes known.
        assert_eq!(bench.play(&vec![0; 12 * RATE]), []);
        (bench, told)
    }

    /// Plays samples to the microphone, in a place that is not quite silent; the device listens as
    /// they come.
    pub(crate) fn play(&mut self, samples: &[i16]) -> Heard {
        let mut notices = Vec::new();
        for block in samples.chunks(500) {
            self.record(block);
            let until = self.recording.written();
            self.device
                .listen(&self.recording, until, |notice| notices.push(notice));
        }
        notices
    }

    pub(crate) fn record(&mut self, block: &[i16]) {
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
    pub(crate) fn hear(&mut self, sound: &[i16]) -> Heard {
        let mut notices = self.play(sound);
        notices.extend(self.play(&[0; RATE]));
        notices
    }

    pub(crate) fn wait(&mut self, seconds: usize) {
        assert_eq!(self.play(&vec![0; seconds * RATE]), []);
    }

    /// Moves the button's contact, down and up by turns for so many milliseconds, while the place is silent but for
    /// the button's own click. Returns what the button is answered.
    pub(crate) fn contact(&mut self, lengths: &[u32]) -> Heard {
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
    pub(crate) fn press(&mut self, held_ms: u32) -> Notice<FlashFault> {
        only(self.contact(&[held_ms]))
    }

    pub(crate) fn short(&mut self) -> Notice<FlashFault> {
        self.press(200)
    }

    pub(crate) fn double(&mut self) -> Notice<FlashFault> {
        only(self.contact(&[120, 150, 120]))
    }

    /// Has the device listen to the room for its minute, in which `sound` is heard each ten seconds.
    pub(crate) fn listen_to_room(&mut self, sound: &[i16]) -> Heard {
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

    pub(crate) fn threshold(&self, name: &str) -> f32 {
        let sounds = self.device.sounds();
        sounds.threshold(sounds.support().find(name).unwrap())
    }

    /// Gives the device its profile with a change, as a program on a host does.
    pub(crate) fn change_profile(&mut self, change: impl FnOnce(&mut Learner)) {
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
}

pub(crate) fn only(mut notices: Heard) -> Notice<FlashFault> {
    assert_eq!(notices.len(), 1, "{notices:?}");
    notices.remove(0)
}

/// 0.7 s of a buzz that glides from `from` to `to` Hz and trembles `rate` times a second.
pub(crate) fn buzz(from: f32, to: f32, rate: f32) -> Vec<i16> {
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

pub(crate) fn siren() -> Vec<i16> {
    buzz(300.0, 640.0, 0.0)
}

pub(crate) fn motor() -> Vec<i16> {
    buzz(180.0, 90.0, 18.0)
}

/// Like the motor, and not it.
pub(crate) fn another_motor() -> Vec<i16> {
    buzz(240.0, 120.0, 8.0)
}

/// An embedding far from those of others with another number.
pub(crate) fn unlike_others(space: &EmbeddingSpace, number: usize) -> Vec<f32> {
    let means = space.base_mean().iter().enumerate();
    let away = |place: usize| if place % 19 == number { 1.0 } else { 0.0 };
    means.map(|(place, mean)| mean + away(place)).collect()
}

pub(crate) fn enrolled(name: &str, examples: usize) -> Notice<FlashFault> {
    let name = name.try_into().unwrap();
    Notice::Enrolled { name, examples }
}

pub(crate) fn forgot(name: &str) -> Notice<FlashFault> {
    let name = name.try_into().unwrap();
    Notice::Forgot { name }
}

/// The names of the sounds in `notices`, which tell of nothing else.
pub(crate) fn names(notices: &Heard) -> Vec<&str> {
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

/// Teaches three motors that differ a little.
pub(crate) fn teach_motors(bench: &mut Bench) {
    let motors = [motor(), buzz(175.0, 92.0, 17.0), buzz(186.0, 88.0, 19.0)];
    for (motor, examples) in motors.iter().zip(1..) {
        bench.hear(motor);
        assert_eq!(bench.short(), enrolled("sound 1", examples));
    }
    bench.wait(LESSON_SECONDS as usize);
}
