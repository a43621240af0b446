//! Runs the device: listens, recognises, and obeys the button.

use crate::button::{Change, Press};
use crate::memory::{CLASSES, Memory};
use crate::notice::Notice;
use crate::recording::{Overwritten, Recording};
use core::fmt;
use embedded_storage::nor_flash::NorFlash;
use mtslvr_runtime::backbone::{ArenaTooSmall, PackedBackbone};
use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, RestoreError, StoreError};
use mtslvr_runtime::fewshot::{ClassName, DirectionError, FitError, HeadKind, Learner, Limits};
use mtslvr_runtime::link::{ModelSlot, NoSlot};
use mtslvr_runtime::listener::{Listener, ListenerConfig, ListenerError};
use mtslvr_runtime::model::{Model, Recheck};

mod clips;
mod lesson;
mod linked;
mod press;
mod recent;
mod room;
mod sound;

pub use clips::{ClipMemory, ClipPlaces, Places};
pub use linked::FRAME_LEN;
pub use room::{FALSE_ALARMS_AN_HOUR, ROOM_SECONDS};

use clips::{Kept, Samples, Workplace, teach_from_clips};
use lesson::Lesson;
use recent::{Did, Recent, Recognised};
use room::Room;
use sound::Sound;

/// Seconds after an example in which the next one is of the same sound.
pub const LESSON_SECONDS: u32 = 20;
/// Seconds for which the last sound can be enrolled.
pub const MEMORY_SECONDS: u32 = 10;
/// Milliseconds before and after a known change of the button in which the beginning of a sound counts
/// as the button's own click: contacts have to settle, and samples come in blocks.
const CLICK_MS: [u32; 2] = [100, 300];
/// Seconds that a model on trial listens for before it is confirmed.
pub const TRIAL_SECONDS: u32 = 60;
/// Samples taken at once.
const CHUNK: usize = 256;
/// Bytes of the model that are checked again with each second of sound: all of `edge-s` in two minutes.
const RECHECKED_A_SECOND: usize = 4096;

/// Reason to start again.
const NEW_MODEL: &str = "a new model is to be tried";

/// A device with its taught sounds in the flash `F`, and a place for another model in `S`.
#[derive(Debug)]
pub struct Device<'m, F: NorFlash, S = NoSlot> {
    backbone: PackedBackbone<'m>,
    listener: Listener<'m>,
    sounds: Learner<'m>,
    store: BlockingFlashStore<F>,
    clips: Kept,
    scratch: &'m mut [u8],
    limits: Limits,
    /// Samples a second.
    rate: u32,
    /// The next sample of the recording that has not been listened to.
    next: u32,
    /// Samples that the listener has taken.
    taken: u64,
    last: Sound<'m>,
    /// The sound that the button is held for.
    asked: Sound<'m>,
    lesson: Option<Lesson>,
    /// Places in the recording at which the button last went down, and last changed since then.
    click: Option<[u32; 2]>,
    /// The last deed, which a press may undo.
    recent: Option<Recent>,
    recognised: Recognised<'m>,
    room: Room<'m>,
    recheck: Recheck<'m>,
    /// Samples since bytes of the model were last checked.
    unchecked: u32,
    /// Reason to start again.
    restart: Option<&'static str>,
    /// Reason why the contents of the flash cannot be used and must not be overwritten.
    locked: Option<StoreError<F::Error>>,
    slot: S,
    /// The model is on trial.
    on_trial: bool,
    /// A profile came from a host.
    was_given: bool,
}

/// Explains why a device cannot start: its parts do not fit together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum StartError<E> {
    /// The arena is too small for the model.
    Arena(ArenaTooSmall),
    /// The memory is for embeddings of another length than the model's.
    Embeddings(DirectionError),
    /// The listener's memory is too small for the model.
    Listener(ListenerError),
    /// The flash cannot hold a store.
    Store(StoreError<E>),
}

impl<'m, F: NorFlash<Error: Copy>, S: ModelSlot> Device<'m, F, S> {
    /// Starts a device with the backbone `model`, the settings `config` of the listener, and the sounds
    /// saved in `places` of `flash`, which hold nothing else. Another model goes to `slot`; [`NoSlot`] takes none.
    /// Where there are recordings of examples that the model does not know, it is taught from them first, which takes
    /// an embedding for each. Tells what it knows.
    ///
    /// # Errors
    /// [`StartError`] if a piece of `memory` does not fit the model, or the `places` of `flash` cannot hold
    /// stores. A saved profile that is damaged or of another model is no error, but a notice.
    pub fn start<
        const ARENA: usize,
        const LISTENER: usize,
        const DIM: usize,
        const SCRATCH: usize,
    >(
        model: Model<'m>,
        config: ListenerConfig,
        memory: &'m mut Memory<ARENA, LISTENER, DIM, SCRATCH>,
        flash: F,
        places: impl Into<Places<'m>>,
        slot: S,
        mut tell: impl FnMut(Notice<F::Error>),
    ) -> Result<Self, StartError<F::Error>> {
        let [last, asked] = &mut memory.heard;
        let mut backbone =
            PackedBackbone::new(model, &mut memory.arena.0[..]).map_err(StartError::Arena)?;
        let space = model.space();
        let sounds = Learner::new(memory.sounds.lend(), HeadKind::default(), space);
        let mut sounds = sounds.map_err(StartError::Embeddings)?;
        let places = places.into();
        let (clips, [last_samples, asked_samples]) = match places.clips {
            None => (Kept::default(), [&mut [][..], &mut []]),
            Some(clips) => clips.open(&flash).map_err(StartError::Store)?,
        };
        let store = BlockingFlashStore::new(flash, places.sounds);
        let mut store = store.map_err(StartError::Store)?;
        let mut locked = store.load(&mut sounds, &mut memory.scratch).err();
        let is_of_other = matches!(
            locked,
            Some(StoreError::Restore(RestoreError::OtherBackbone { .. }))
        );
        if places.on_trial && is_of_other {
            locked = store.erase().err();
        }
        if let Some(clips) = clips.store().filter(|_| locked.is_none()) {
            let work = Workplace {
                listener: &mut memory.listener,
                embedding: last,
                samples: last_samples,
                scratch: &mut memory.scratch,
            };
            let taught = teach_from_clips(clips, &mut store, &mut sounds, &mut backbone, work);
            match taught {
                Ok(0) => {}
                Ok(examples) => tell(Notice::TaughtAgain { examples }),
                Err(error) => tell(Notice::NotKept(error)),
            }
        }
        let listener = Listener::new(config, &space, CLASSES, &mut memory.listener);
        let mut device = Self {
            backbone,
            listener: listener.map_err(StartError::Listener)?,
            sounds,
            store,
            clips,
            scratch: &mut memory.scratch,
            limits: Limits::default(),
            rate: space.frontend().sample_rate,
            next: 0,
            taken: 0,
            last: Sound::none(last, Samples::new(last_samples)),
            asked: Sound::none(asked, Samples::new(asked_samples)),
            lesson: None,
            click: None,
            recent: None,
            recognised: Recognised::none(&mut memory.recognised),
            room: Room::new(&mut memory.room),
            recheck: Recheck::new(&model),
            unchecked: 0,
            restart: None,
            locked,
            slot,
            on_trial: places.on_trial,
            was_given: false,
        };
        device.clips_follow();
        let known = match (device.locked, device.fit()) {
            (Some(error), _) => Notice::Locked(error),
            (None, Ok(())) => device.ready(),
            (None, Err(error)) => Notice::NotFitted(error),
        };
        tell(known);
        Ok(device)
    }

    /// Returns the taught sounds.
    pub fn sounds(&self) -> &Learner<'m> {
        &self.sounds
    }

    /// Stops the device and returns its flash and its slot.
    pub fn into_parts(self) -> (F, S) {
        (self.store.into_flash(), self.slot)
    }

    fn ready(&self) -> Notice<F::Error> {
        let support = self.sounds.support();
        Notice::Ready {
            sounds: support.class_count(),
            examples: support.example_count(),
        }
    }

    /// Returns the reason why the device should start again, if there is one: the model's bytes have changed, and a
    /// start checks them all and takes another model if there is one; or another model is to be used.
    pub fn restart_reason(&self) -> Option<&'static str> {
        self.restart
    }

    /// Checks some of the model's bytes again, after so many samples.
    fn recheck(&mut self, samples: u32, tell: &mut impl FnMut(Notice<F::Error>)) {
        self.unchecked += samples;
        if self.unchecked < self.rate || self.restart.is_some() {
            return;
        }
        self.unchecked = 0;
        if self.recheck.step(RECHECKED_A_SECOND) == Some(false) {
            self.restart = Some("the model's bytes have changed");
            tell(Notice::ModelDamaged);
        }
    }

    /// Listens to the samples recorded before the sample `until`, and tells of sounds that it
    /// recognises and of samples that were overwritten before it could read them.
    pub fn listen<const N: usize>(
        &mut self,
        recording: &Recording<N>,
        until: u32,
        mut tell: impl FnMut(Notice<F::Error>),
    ) {
        let mut chunk = [0; CHUNK];
        loop {
            let left = until.wrapping_sub(self.next);
            // More than half of all numbers away: it has been listened to already.
            if left == 0 || left > u32::MAX / 2 {
                break;
            }
            let count = chunk.len().min(left as usize);
            match recording.read(self.next, &mut chunk[..count]) {
                Ok(()) => {
                    self.next = self.next.wrapping_add(count as u32);
                    self.taken += count as u64;
                    self.hear(recording, &chunk[..count], &mut tell);
                    self.stay_in_room(count as u32, &mut tell);
                    self.recheck(count as u32, &mut tell);
                }
                Err(Overwritten { samples }) => {
                    // Leaves some room, or the next samples would be overwritten before they are read.
                    let samples = left.min(samples.saturating_add(N as u32 / 4));
                    self.next = self.next.wrapping_add(samples);
                    tell(Notice::AudioLost { samples });
                }
            }
            self.forget_what_is_long_ago();
            self.confirm_model(&mut tell);
        }
    }

    /// Confirms a model on trial that has listened for a while, and what it was taught is kept.
    fn confirm_model(&mut self, tell: &mut impl FnMut(Notice<F::Error>)) {
        let trial = u64::from(TRIAL_SECONDS) * u64::from(self.rate);
        if !self.on_trial || self.taken < trial || self.restart.is_some() || self.locked.is_some() {
            return;
        }
        self.on_trial = false;
        // Where the flash fails, it is on trial at the next start, too.
        if self.slot.confirm().is_ok() {
            tell(Notice::ModelConfirmed);
        }
    }

    /// Takes samples that stand right before `self.next` in the recording.
    fn hear<const N: usize>(
        &mut self,
        recording: &Recording<N>,
        samples: &[i16],
        tell: &mut impl FnMut(Notice<F::Error>),
    ) {
        let place = |sample| self.next.wrapping_sub((self.taken - sample) as u32);
        let is_click = |start: u32| {
            let [before, after] = CLICK_MS.map(|ms| ms * self.rate / 1_000);
            self.click.is_some_and(|[down, up]| {
                let first = down.wrapping_sub(before);
                start.wrapping_sub(first) < up.wrapping_add(after).wrapping_sub(first)
            })
        };
        let (mut span, mut event) = (None, None);
        let embedding = &mut *self.last.embedding;
        let onset = &mut self.last.onset;
        let (recognised, room) = (&mut self.recognised, &mut self.room);
        let space = *self.sounds.space();
        // It fails only if there is no head, and a notice has told of that.
        let _ = self
            .listener
            .push_i16(&mut self.sounds, &mut self.backbone, samples, |window| {
                let start = place(window.start);
                if is_click(start) {
                    return;
                }
                if let Some(heard) = window.embedding {
                    embedding.copy_from_slice(heard);
                    *onset = window.onset;
                    span = Some((start, place(window.end)));
                    recognised.follow(window.onset, window.event.is_some(), heard, &space);
                }
                room.window(window);
                event = event.or(window.event);
            });
        if let Some((start, end)) = span {
            self.last.take(recording, start, end);
        }
        if let Some(event) = event
            && let Ok(class) = self.sounds.support().class(event.class)
            && let Ok(name) = ClassName::try_from(class.name())
        {
            self.recent = Some(Recent {
                name: name.clone(),
                did: Did::Recognised,
            });
            tell(Notice::Heard {
                name,
                confidence: event.confidence,
            });
        }
    }

    fn forget_what_is_long_ago(&mut self) {
        let now = self.next;
        let since = |end: u32| now.wrapping_sub(end) / self.rate;
        self.last.there &= since(self.last.end) < MEMORY_SECONDS;
        self.lesson
            .take_if(|lesson| since(lesson.end) >= LESSON_SECONDS);
        self.click.take_if(|[_, up]| since(*up) >= MEMORY_SECONDS);
    }

    /// Obeys the button, which changed when the sample `at` was the next to be recorded. Listens to the
    /// samples before it first, and tells the result.
    pub fn button<const N: usize>(
        &mut self,
        recording: &Recording<N>,
        change: Change,
        at: u32,
        mut tell: impl FnMut(Notice<F::Error>),
    ) {
        self.listen(recording, at, &mut tell);
        self.click = match (change, self.click) {
            (Change::Down, _) | (Change::Up, None) => Some([at; 2]),
            (Change::Up | Change::Pressed(Press::Double), Some([down, _])) => Some([down, at]),
            // The contact is as it was.
            (_, click) => click,
        };
        match change {
            Change::Up | Change::Held(_) => {}
            Change::Down => self.asked.copy_from(&self.last),
            Change::Pressed(press) => self.obey(press, &mut tell),
        }
    }

    fn obey(&mut self, press: Press, tell: &mut impl FnMut(Notice<F::Error>)) {
        let left_room = self.room.leave();
        if left_room {
            tell(Notice::LeftRoom);
        }
        match press {
            Press::VeryLong => tell(self.forget()),
            Press::Longest => self.forget_all(tell),
            // The press was there to stop it.
            _ if left_room => {}
            Press::Short => tell(self.enrol()),
            Press::Double => tell(self.undo()),
            Press::Long => tell(self.enter_room()),
        }
        self.try_waiting_model(tell);
    }

    /// Has a model tried that waits, if no sounds would be lost any more.
    fn try_waiting_model(&mut self, tell: &mut impl FnMut(Notice<F::Error>)) {
        if self.restart.is_some() || !self.slot.is_waiting() || !self.can_follow() {
            return;
        }
        match self.slot.activate() {
            Ok(()) => {
                self.restart = Some(NEW_MODEL);
                tell(Notice::ModelActivated);
            }
            Err(refusal) => tell(Notice::NotActivated(refusal)),
        }
    }

    fn fit(&mut self) -> Result<(), FitError> {
        fit(&mut self.sounds, &mut self.backbone)
    }
}

/// Fits a head to what is taught, if anything is.
fn fit(sounds: &mut Learner<'_>, backbone: &mut PackedBackbone<'_>) -> Result<(), FitError> {
    if sounds.support().class_count() == 0 {
        return Ok(());
    }
    // The arena is free between embeddings.
    sounds.fit(backbone.scratch())
}

impl<E: embedded_storage::nor_flash::NorFlashError> fmt::Display for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena(error) => error.fmt(f),
            Self::Embeddings(_) => {
                f.write_str("the memory is for embeddings of another length than the model's")
            }
            Self::Listener(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}
