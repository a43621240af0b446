//! Reports of what was heard: windows, and the events among them.

use super::trigger::Judgement;
use crate::fewshot::{ClassId, Decision};

/// A sound was recognised.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Event {
    /// The class, as the learner knows it.
    pub class: ClassId,
    /// Sample, counted from the stream's beginning, at which the sound began: where the gate opened or a much louder
    /// sound began, or the beginning of the window that decided if the sound is longer than a patch.
    pub start: u64,
    /// Sample at which the sound was recognised: the end of the window that decided.
    pub end: u64,
    /// Confidence, 0 to 1: the share of strange sounds that would be less like the class (one minus
    /// [`Decision::chance`]).
    pub confidence: f32,
}

/// A recognised sound is over.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ended {
    /// The class of its [`Event`].
    pub class: ClassId,
    /// Sample at which it began: [`Event::start`].
    pub start: u64,
    /// Sample at which it ended: where the sound ended, or the end of the last window in which it was
    /// recognised if the sound went on as another.
    pub end: u64,
    /// Largest similarity of its windows.
    pub similarity: f32,
    /// Confidence of that window: see [`Event::confidence`].
    pub confidence: f32,
}

/// A beginning or an end of a recognised sound: see [`Window::changes`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// A sound was recognised.
    Began {
        /// The event that begins.
        event: Event,
        /// The judgement that decided.
        judgement: Judgement,
    },
    /// A recognised sound is over.
    Ended(Ended),
}

/// Reports the sound since the window before. There is one window each `hop`, and one at the end of a
/// sound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window<'w> {
    /// Sample at which the window begins: where the sound began, or later if it is longer than a patch; without a
    /// sound, where the window before ended.
    pub start: u64,
    /// Sample at which the window ends: where the sound ended, if it has.
    pub end: u64,
    /// Sample at which the sound in this window began: the same in all windows of one sound. `None`
    /// while the gate is closed.
    pub onset: Option<u64>,
    /// Log-mel frames since the window before, `[frames][mels]`; the newest ones if they are more than a
    /// patch.
    pub frames: &'w [f32],
    /// Level of the most prominent of these frames above the background, dB: see
    /// [`ListenerConfig::gate`](super::ListenerConfig::gate).
    pub level: f32,
    /// Embedding of the sound so far, smoothed; `None` while the gate is closed, or held open after
    /// a sound that has been judged. Enrol it when the user says "that was it".
    pub embedding: Option<&'w [f32]>,
    /// Decision of the learner; `None` where there is no embedding or nothing is enrolled.
    pub decision: Option<Decision<'w>>,
    /// The decision as the trigger saw it: with an infinite threshold where the class cannot be recognised,
    /// or the verifier refused it.
    pub judgement: Option<Judgement>,
    /// The event that begins with this window.
    pub event: Option<Event>,
    /// The event that ended with this window, or since the window before. Where it is the event that
    /// begins with this window, that is all of it.
    pub ended: Option<Ended>,
}

impl Window<'_> {
    /// Returns [`Self::event`] and [`Self::ended`] in the order in which they happened: an event that ended is an
    /// earlier one, unless it is the one that begins here.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let began = self.event.zip(self.judgement);
        let own = |ended: &Ended| {
            let begins = self.event;
            begins.is_some_and(|event| (event.class, event.start) == (ended.class, ended.start))
        };
        let earlier = self.ended.filter(|ended| !own(ended)).map(Change::Ended);
        let with_it = self.ended.filter(own).map(Change::Ended);
        let began = began.map(|(event, judgement)| Change::Began { event, judgement });
        earlier.into_iter().chain(began).chain(with_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_event_ends_before_the_next_one_begins() {
        let class = ClassId::new(3);
        let event = Event {
            class,
            start: 500,
            end: 900,
            confidence: 0.5,
        };
        let ended = |start| Ended {
            class,
            start,
            end: 950,
            similarity: 0.5,
            confidence: 0.5,
        };
        let judgement = Judgement {
            class,
            similarity: 0.5,
            threshold: 0.25,
            confidence: 0.5,
        };
        let window = Window {
            start: 500,
            end: 900,
            onset: Some(500),
            frames: &[],
            level: 0.0,
            embedding: None,
            decision: None,
            judgement: Some(judgement),
            event: Some(event),
            ended: Some(ended(100)),
        };
        let began = Change::Began { event, judgement };
        let earlier = [Change::Ended(ended(100)), began];
        assert!(window.changes().eq(earlier));
        let window = Window {
            ended: Some(ended(500)),
            ..window
        };
        assert!(window.changes().eq([began, Change::Ended(ended(500))]));
    }
}
