//! Does what a press of the button asks for: enrols or forgets a sound, and keeps the result in flash.

use super::Device;
use super::lesson::Lesson;
use crate::memory::CLASSES;
use crate::notice::{Notice, sound_name};
use embedded_storage::nor_flash::NorFlash;
use mtslvr_runtime::fewshot::{ClassId, ClassName, Refusal};

impl<F: NorFlash<Error: Copy>> Device<'_, F> {
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
        if let Err(refusal) = self.check(&name) {
            return Notice::Refused(refusal);
        }
        let class = match self.sounds.enrol(&name, self.asked.embedding) {
            Ok(class) => class,
            Err(error) => return Notice::NotEnrolled(error),
        };
        let examples = self.examples_of(class);
        if let Err(error) = self.fit() {
            // The examples before this one can be fitted, as they were before.
            let _ = self
                .sounds
                .support_mut()
                .remove_example(class, examples - 1);
            let _ = self.fit();
            return Notice::NotFitted(error);
        }
        self.asked.there = false;
        self.lesson = Some(Lesson {
            name: name.clone(),
            end: self.asked.end,
        });
        self.recent = Some(name.clone());
        self.keep(Notice::Enrolled { name, examples })
    }

    fn examples_of(&self, class: ClassId) -> usize {
        let class = self.sounds.support().class(class);
        class.map_or(0, mtslvr_runtime::fewshot::Class::examples)
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

    /// Forgets the sound that was recognised or enrolled last.
    pub(super) fn forget(&mut self) -> Notice<F::Error> {
        if let Some(error) = self.locked {
            return Notice::Locked(error);
        }
        let support = self.sounds.support();
        let recent = self.recent.take();
        let known = recent.and_then(|name| Some((support.find(&name)?, name)));
        let Some((class, name)) = known else {
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

    pub(super) fn forget_all(&mut self) -> Notice<F::Error> {
        self.sounds.support_mut().clear();
        (self.recent, self.lesson) = (None, None);
        if self.locked.is_some() {
            if let Err(error) = self.store.erase() {
                return Notice::NotKept(error);
            }
            self.locked = None;
        }
        self.keep(Notice::ForgotAll)
    }

    /// Saves all sounds in flash.
    fn keep(&mut self, done: Notice<F::Error>) -> Notice<F::Error> {
        match self.store.save(&self.sounds, self.scratch) {
            Ok(()) => done,
            Err(error) => Notice::NotKept(error),
        }
    }
}
