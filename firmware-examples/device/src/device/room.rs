//! Listens to the room for a minute, and sets the thresholds by what it hears.

use super::Device;
use crate::memory::{CLASSES, RoomMemory};
use crate::notice::Notice;
use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use mtslvr_runtime::fewshot::{Class, ClassId, ClassName, Role, ScoreTail};
use mtslvr_runtime::link::ModelSlot;
use mtslvr_runtime::listener::{Scored, SoundScores, Window};

/// Seconds for which the device listens to the room before it sets thresholds.
pub const ROOM_SECONDS: u32 = 60;
/// Seconds from one notice of progress to the next.
const STEP_SECONDS: u32 = 5;
/// False alarms an hour to aim at, of all sounds together, in a room that sounds as this minute did.
pub const FALSE_ALARMS_AN_HOUR: f32 = 1.0;

/// The scores of the sounds of the room, while it is listened to.
#[derive(Debug)]
pub(super) struct Room<'m> {
    scores: SoundScores<'m>,
    tails: &'m mut Vec<(ClassId, ScoreTail), CLASSES>,
    /// Samples of the room that were heard; `None` while nobody asked for it.
    heard: Option<u32>,
}

impl<'m> Room<'m> {
    pub fn new(memory: &'m mut RoomMemory) -> Self {
        Self {
            scores: SoundScores::new(&mut memory.scored),
            tails: &mut memory.tails,
            heard: None,
        }
    }

    /// Stops to listen; tells whether it did.
    pub fn leave(&mut self) -> bool {
        self.heard.take().is_some()
    }

    pub fn window(&mut self, window: &Window<'_>) {
        if self.heard.is_some() {
            let tails = &mut *self.tails;
            self.scores.window(window, |scored| count(tails, scored));
        }
    }

    fn enter(&mut self) {
        self.scores.reset();
        self.tails.clear();
        self.heard = Some(0);
    }

    /// Counts the sound that goes on, too.
    fn end(&mut self) {
        let tails = &mut *self.tails;
        self.scores.end(|scored| count(tails, scored));
        self.heard = None;
    }

    fn tail(&self, class: ClassId) -> ScoreTail {
        let mut tails = self.tails.iter();
        let tail = tails.find(|(of, _)| *of == class);
        tail.map_or(ScoreTail::EMPTY, |(_, tail)| *tail)
    }
}

fn count(tails: &mut Vec<(ClassId, ScoreTail), CLASSES>, scored: &Scored) {
    if !tails.iter().any(|(class, _)| *class == scored.class) {
        // There is room for each class.
        let _ = tails.push((scored.class, ScoreTail::EMPTY));
    }
    let mut of_class = tails.iter_mut().filter(|(class, _)| *class == scored.class);
    if let Some((_, tail)) = of_class.next() {
        tail.push(scored.score);
    }
}

impl<F: NorFlash<Error: Copy>, S: ModelSlot> Device<'_, F, S> {
    /// Begins to listen to the room.
    pub(super) fn enter_room(&mut self) -> Notice<F::Error> {
        if let Some(error) = self.locked {
            return Notice::Locked(error);
        }
        if self.calibrated_classes().next().is_none() {
            return Notice::NothingToCalibrate;
        }
        self.room.enter();
        self.progress(0)
    }

    fn progress(&self, seconds: u32) -> Notice<F::Error> {
        Notice::ListeningToRoom {
            seconds,
            sounds: self.room.scores.sounds(),
        }
    }

    /// Counts samples that were listened to, and sets the thresholds at the end of the time.
    pub(super) fn stay_in_room(&mut self, samples: u32, tell: &mut impl FnMut(Notice<F::Error>)) {
        let Some(before) = self.room.heard else {
            return;
        };
        let now = before + samples;
        self.room.heard = Some(now);
        let seconds = now / self.rate;
        if seconds >= ROOM_SECONDS {
            self.room.end();
            self.calibrate(now, tell);
        } else if seconds / STEP_SECONDS > before / self.rate / STEP_SECONDS {
            tell(self.progress(seconds));
        }
    }

    /// The sounds whose thresholds count.
    fn calibrated_classes(&self) -> impl Iterator<Item = &Class> {
        let classes = self.sounds.support().classes().iter();
        classes.filter(|class| class.role() == Role::Sound && class.is_enabled())
    }

    /// Sets thresholds by what was heard in so many samples.
    fn calibrate(&mut self, samples: u32, tell: &mut impl FnMut(Notice<F::Error>)) {
        let classes = self.calibrated_classes().map(Class::id);
        let classes: Vec<ClassId, CLASSES> = classes.collect();
        let hours = samples as f32 / (self.rate as f32 * 3600.0);
        let allowed = FALSE_ALARMS_AN_HOUR * hours / classes.len() as f32;
        let mut doubtful = 0;
        for class in &classes {
            let tail = self.room.tail(*class);
            let before = self.sounds.threshold(*class);
            let derived = self.sounds.derived_threshold(*class);
            let place = self.sounds.place_threshold(*class, &tail, allowed);
            let now = place.threshold;
            let is_single = self.sounds.own_score(*class).is_none();
            let reached = tail.highest().is_some_and(|highest| highest >= before);
            doubtful += usize::from(now < place.wanted || is_single && reached);
            // What is derived goes on to follow the examples, unless another threshold is set for all sounds.
            let follows = self.sounds.support().default_threshold().is_none();
            let set = (now > derived || !follows).then_some(now);
            // The class is there, and the threshold a number from -1 to 1.
            let _ = self.sounds.set_class_threshold(*class, set);
            let name = self.sounds.support().name(*class).unwrap_or_default();
            tell(Notice::Threshold {
                name: ClassName::try_from(name).unwrap_or_default(),
                before,
                now,
                heard: tail.count(),
            });
        }
        let sounds = self.room.scores.sounds();
        tell(self.keep(Notice::Calibrated { sounds, doubtful }));
    }
}
