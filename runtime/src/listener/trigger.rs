//! From judgements to events: agreement, hysteresis and the refractory period.

use super::ListenerConfig;

/// A judged window, as [`Trigger`] sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The class with the best score.
    pub class: u8,
    /// Similarity to that class.
    pub similarity: f32,
    /// The class's threshold; infinite where the class cannot be recognised whatever the
    /// similarity (negatives, background).
    pub threshold: f32,
}

/// Turns a sequence of judgements into beginnings of events. [`Listener`](super::Listener) has one;
/// on its own it serves to replay judgements with other settings.
#[derive(Clone, Debug)]
pub struct Trigger {
    margin: f32,
    hysteresis: f32,
    agreeing: u16,
    /// In the unit of `now`.
    refractory: u64,
    /// The class that was last recognised, and in how many judgements in a row.
    candidate: (u8, u16),
    /// The class of the event that goes on.
    held: Option<u8>,
    /// The class of the last event, and when it was last recognised.
    last: Option<(u8, u64)>,
}

impl Trigger {
    /// A trigger with these settings, the refractory period being `refractory` samples long.
    pub fn new(config: &ListenerConfig, refractory: u64) -> Self {
        Self {
            margin: config.margin,
            hysteresis: config.hysteresis,
            agreeing: config.agreeing,
            refractory,
            candidate: (0, 0),
            held: None,
            last: None,
        }
    }

    /// Forgets what it has seen.
    pub fn reset(&mut self) {
        self.candidate.1 = 0;
        self.held = None;
        self.last = None;
    }

    /// Takes the judgement of a window that ends at sample `now`, or `None` when the sound has
    /// ended; whether an event of the judgement's class begins.
    pub fn step(&mut self, judgement: Option<Judgement>, now: u64) -> bool {
        let Some(judgement) = judgement else {
            self.candidate.1 = 0;
            self.held = None;
            return false;
        };
        let Judgement {
            class,
            similarity,
            threshold,
        } = judgement;
        let begins_at = threshold + self.margin;
        if self.held == Some(class) && similarity >= begins_at - self.hysteresis {
            self.last = Some((class, now));
            return false;
        }
        if similarity < begins_at {
            self.candidate.1 = 0;
            self.held = None;
            return false;
        }
        self.candidate = match self.candidate {
            (candidate, count) if candidate == class => (class, count.saturating_add(1)),
            _ => (class, 1),
        };
        if self.candidate.1 < self.agreeing {
            return false;
        }
        self.held = Some(class);
        let resting = self
            .last
            .is_some_and(|(last, at)| last == class && now - at <= self.refractory);
        self.last = Some((class, now));
        !resting
    }
}
