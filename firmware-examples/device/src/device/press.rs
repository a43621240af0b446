//! Does what a press of the button asks for: enrols, rejects or forgets a sound, and keeps the result in flash.

use super::clips::Which;
use super::lesson::Lesson;
use super::recent::{Did, Recent};
use super::{Device, NEW_MODEL};
use crate::memory::{CLASSES, NEGATIVES, SOUNDS};
use crate::notice::{Notice, sound_name};
use embedded_storage::nor_flash::NorFlash;
use mtslvr_runtime::fewshot::{
    Class, ClassId, ClassName, EnrolError, FitError, Refusal, Role, SupportError,
};
use mtslvr_runtime::link::ModelSlot;

impl<F: NorFlash<Error: Copy>, S: ModelSlot> Device<'_, F, S> {
    /// Makes the sound that was asked for an example.
    pub(super) fn enrol(&mut self) -> Notice<F::Error> {
        if let Some(error) = self.locked {
            return Notice::Locked(error);
        }
        let enrolled = |lesson: &Lesson| {
            let behind = self.asked.start.wrapping_sub(lesson.end);
            behind > u32::MAX / 2
        };
        if !self.asked.there || self.lesson.as_ref().is_some_and(enrolled) {
            return Notice::NothingHeard;
        }
        let name = self.name_for_example();
        if self.has_no_room_for(&name) {
            let capacity = SOUNDS;
            return Notice::NotEnrolled(SupportError::TooManyClasses { capacity }.into());
        }
        if let Err(refusal) = self.check(&name) {
            return Notice::Refused(refusal);
        }
        let class = match self.sounds.enrol(&name, self.asked.embedding) {
            Ok(class) => class,
            Err(error) => return Notice::NotEnrolled(error),
        };
        self.remove_negative_like_last(class);
        let examples = self.examples_of(class);
        if let Err(error) = self.fit() {
            // The examples before this one can be fitted, as they were before.
            let _ = self.remove_last(class);
            return Notice::NotFitted(error);
        }
        self.keep_clip(class, Which::Asked);
        self.asked.there = false;
        self.lesson = Some(Lesson {
            name: name.clone(),
            end: self.asked.end,
        });
        self.recent = Some(Recent {
            name: name.clone(),
            did: Did::Enrolled,
        });
        self.keep(Notice::Enrolled { name, examples })
    }

    /// Tells whether `name` would be a new sound, and there are as many as there may be: the negatives and the
    /// background have places of their own.
    fn has_no_room_for(&self, name: &str) -> bool {
        let support = self.sounds.support();
        let roles = support.classes().iter().map(Class::role);
        let sounds = roles.filter(|role| *role == Role::Sound).count();
        support.find(name).is_none() && sounds >= SOUNDS
    }

    /// Removes the negative that is the same sound as the last example of `class`: it was rejected as another sound.
    fn remove_negative_like_last(&mut self, class: ClassId) {
        let support = self.sounds.support_mut();
        let Some(negatives) = support.find_role(Role::Negatives) else {
            return;
        };
        let last = support.examples(class).last();
        let place = support
            .examples(negatives)
            .position(|example| Some(example) == last);
        if let Some(place) = place {
            // It was found above.
            let _ = support.remove_example(negatives, place);
        }
    }

    fn examples_of(&self, class: ClassId) -> usize {
        let class = self.sounds.support().class(class);
        class.map_or(0, Class::examples)
    }

    fn check(&mut self, name: &str) -> Result<(), Refusal> {
        self.limits.check_levels(&self.asked.levels, self.rate)?;
        let embedding = &*self.asked.embedding;
        self.limits.check_example(&mut self.sounds, name, embedding)
    }

    /// Chooses the sound that the new example belongs to.
    fn name_for_example(&mut self) -> ClassName {
        if let Some(lesson) = &self.lesson
            && self.sounds.support().find(&lesson.name).is_some()
        {
            return lesson.name.clone();
        }
        let mut scores = [0.0; CLASSES];
        let decision = self.sounds.classify(self.asked.embedding, &mut scores);
        let support = self.sounds.support();
        if let Some(class) = decision.ok().and_then(|decision| decision.class)
            && let Ok(name) = support.name(class)
            && let Ok(name) = ClassName::try_from(name)
        {
            return name;
        }
        let mut names = (1..).map(sound_name);
        let free = names.find(|name| support.find(name).is_none());
        free.unwrap_or_default()
    }

    /// Undoes what the device did last: see [`Press::Double`](crate::Press::Double).
    pub(super) fn undo(&mut self) -> Notice<F::Error> {
        if let Some(error) = self.locked {
            return Notice::Locked(error);
        }
        let Some((class, Recent { name, did })) = self.take_recent() else {
            return Notice::NothingWrong;
        };
        match did {
            Did::Recognised => self.reject(class, name),
            Did::Enrolled => self.take_back(class, name),
            Did::Rejected { threshold } => self.readmit(class, name, threshold),
        }
    }

    /// Returns the sound that was recognised or enrolled last, and its class, if that is still there; then nothing is
    /// recent any more.
    fn take_recent(&mut self) -> Option<(ClassId, Recent)> {
        let recent = self.recent.take()?;
        let class = self.sounds.support().find(&recent.name)?;
        Some((class, recent))
    }

    /// Makes what was recognised as `class` a negative, and the threshold of the class no lower than what is derived
    /// from that.
    fn reject(&mut self, class: ClassId, name: ClassName) -> Notice<F::Error> {
        let Some(direction) = self.recognised.direction() else {
            return Notice::NothingWrong;
        };
        let support = self.sounds.support_mut();
        if let Some(negatives) = support.find_role(Role::Negatives)
            && (support.class(negatives).map_or(0, Class::examples) >= NEGATIVES
                || support.example_count() >= support.example_capacity())
        {
            // The oldest one makes room.
            let _ = support.remove_example(negatives, 0);
        }
        let enrolled = support.enrol_role(Role::Negatives, direction);
        let fitted = self.fit();
        let negatives = match enrolled {
            Ok(negatives) => negatives,
            Err(error) => return Notice::NotEnrolled(EnrolError::Support(error)),
        };
        let examples = self.examples_of(negatives);
        if let Err(error) = fitted {
            let _ = self.remove_last(negatives);
            return Notice::NotFitted(error);
        }
        if self.recognised.is_of(self.last.onset) {
            self.keep_clip(negatives, Which::Last);
        }
        // A threshold that was set, by listening to the room for instance, would hide what is derived.
        let set = self.sounds.support().class(class);
        let threshold = set.ok().and_then(Class::threshold);
        let derived = self.sounds.derived_threshold(class);
        if threshold.is_some_and(|threshold| threshold < derived) {
            let _ = self.sounds.set_class_threshold(class, Some(derived));
        }
        self.recent = Some(Recent {
            name: name.clone(),
            did: Did::Rejected { threshold },
        });
        self.keep(Notice::Rejected {
            name,
            negatives: examples,
        })
    }

    /// Removes the last negative, and gives `class` the threshold that was set before.
    fn readmit(
        &mut self,
        class: ClassId,
        name: ClassName,
        threshold: Option<f32>,
    ) -> Notice<F::Error> {
        let Some(negatives) = self.sounds.support().find_role(Role::Negatives) else {
            return Notice::NothingWrong;
        };
        let _ = self.sounds.set_class_threshold(class, threshold);
        if let Err(error) = self.remove_last(negatives) {
            return Notice::NotFitted(error);
        }
        self.recent = Some(Recent {
            name: name.clone(),
            did: Did::Recognised,
        });
        self.keep(Notice::Readmitted { name })
    }

    /// Removes the example that was enrolled last.
    fn take_back(&mut self, class: ClassId, name: ClassName) -> Notice<F::Error> {
        self.lesson = None;
        if let Err(error) = self.remove_last(class) {
            return Notice::NotFitted(error);
        }
        let examples = self.examples_of(class);
        self.keep(Notice::TookBack { name, examples })
    }

    /// Removes the last example of a class, and fits what is left.
    fn remove_last(&mut self, class: ClassId) -> Result<(), FitError> {
        let examples = self.examples_of(class);
        let support = self.sounds.support_mut();
        // The class is there, and has an example.
        let _ = support.remove_example(class, examples.saturating_sub(1));
        self.fit()
    }

    /// Forgets the sound that was recognised or enrolled last.
    pub(super) fn forget(&mut self) -> Notice<F::Error> {
        if let Some(error) = self.locked {
            return Notice::Locked(error);
        }
        let Some((class, Recent { name, .. })) = self.take_recent() else {
            return Notice::NothingToForget;
        };
        self.lesson = None;
        // The class was found above.
        let _ = self.sounds.support_mut().remove(class);
        if let Err(error) = self.fit() {
            return Notice::NotFitted(error);
        }
        self.keep(Notice::Forgot { name })
    }

    /// Forgets everything, and has a model tried that waits for that.
    pub(super) fn forget_all(&mut self, tell: &mut impl FnMut(Notice<F::Error>)) {
        // Before the sounds are given up: they are lost only if the model is there instead. Where the power goes in
        // between, the new model is tried, and the sounds are there if the device goes back to the old one.
        let was_waiting = self.slot.is_waiting();
        if was_waiting && let Err(refusal) = self.slot.activate() {
            tell(Notice::NotActivated(refusal));
            return;
        }
        tell(self.forget_sounds());
        if was_waiting {
            self.restart = Some(NEW_MODEL);
            tell(Notice::ModelActivated);
        }
    }

    fn forget_sounds(&mut self) -> Notice<F::Error> {
        self.sounds.support_mut().clear();
        (self.recent, self.lesson) = (None, None);
        if let Some(clips) = self.clips.store()
            && let Err(error) = clips.clear(self.store.flash())
        {
            return Notice::NotKept(error);
        }
        if self.locked.is_some() {
            if let Err(error) = self.store.erase() {
                return Notice::NotKept(error);
            }
            self.locked = None;
        }
        self.keep(Notice::ForgotAll)
    }

    /// Saves all sounds in flash.
    pub(super) fn keep(&mut self, done: Notice<F::Error>) -> Notice<F::Error> {
        match self.store.save(&self.sounds, self.scratch) {
            Ok(()) => {
                self.clips_follow();
                done
            }
            Err(error) => Notice::NotKept(error),
        }
    }
}
