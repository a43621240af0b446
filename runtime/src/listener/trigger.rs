//! Turns judgements into events: agreement, hysteresis and the refractory period.

use super::config::ListenerConfig;
use crate::fewshot::ClassId;

/// A judged window, as [`Trigger`] sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Judgement {
    /// The class with the best score.
    pub class: ClassId,
    /// Similarity to that class.
    pub similarity: f32,
    /// The class's threshold; infinite where the class cannot be recognised whatever the
    /// similarity (negatives, background, a refusal by the verifier).
    pub threshold: f32,
    /// Share of strange sounds, 0 to 1, that would be less like it.
    pub confidence: f32,
}

/// Turns a sequence of judgements into beginnings of events. [`Listener`](super::Listener) has one;
/// on its own it serves to replay judgements with other settings.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Trigger {
    margin: f32,
    hysteresis: f32,
    agreeing: u16,
    /// In the unit of `now`.
    refractory: u64,
    /// The class of the last judgement that recognised one, and how many in a row did.
    candidate: (ClassId, u16),
    /// The class of the event that goes on.
    held: Option<ClassId>,
    /// The class of the last event, and when it was last recognised.
    last: Option<(ClassId, u64)>,
}

impl Trigger {
    /// Makes a trigger with these settings, the refractory period being `refractory` samples long.
    pub fn new(config: &ListenerConfig, refractory: u64) -> Self {
        Self {
            margin: config.margin,
            hysteresis: config.hysteresis,
            agreeing: config.agreeing,
            refractory,
            candidate: (ClassId::new(0), 0),
            held: None,
            last: None,
        }
    }

    /// Forgets all judgements.
    pub fn reset(&mut self) {
        self.candidate.1 = 0;
        self.held = None;
        self.last = None;
    }

    /// Returns the class of the event that goes on.
    pub fn held(&self) -> Option<ClassId> {
        self.held
    }

    /// Tells whether a judgement is of a class of which no event goes on, and reaches what its beginning
    /// needs.
    pub(super) fn is_candidate(&self, judgement: &Judgement) -> bool {
        self.held != Some(judgement.class)
            && judgement.similarity >= judgement.threshold + self.margin
    }

    /// Takes the judgement of a window that ends at sample `now`, or `None` when the sound has ended,
    /// and tells whether an event of the judgement's class begins.
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
            ..
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
            .is_some_and(|(last, at)| last == class && now.saturating_sub(at) <= self.refractory);
        self.last = Some((class, now));
        !resting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judgements of class 0 at these similarities, the threshold being 0.5, one a sample; the
    /// samples at which an event begins.
    fn events(config: ListenerConfig, refractory: u64, similarities: &[Option<f32>]) -> Vec<usize> {
        let mut trigger = Trigger::new(&config, refractory);
        let judged = similarities.iter().enumerate().filter(|(now, similarity)| {
            let judgement = similarity.map(|similarity| Judgement {
                class: ClassId::new(0),
                similarity,
                threshold: 0.5,
                confidence: 0.9,
            });
            trigger.step(judgement, *now as u64)
        });
        judged.map(|(now, _)| now).collect()
    }

    const CONFIG: ListenerConfig = ListenerConfig {
        margin: 0.1,
        hysteresis: 0.2,
        agreeing: 1,
        ..ListenerConfig::DEFAULT
    };

    #[test]
    fn an_event_lasts_until_the_similarity_is_well_below() {
        let wavering = [0.55, 0.65, 0.45, 0.65, 0.35, 0.65].map(Some);
        assert_eq!(events(CONFIG, 0, &wavering), [1, 5]);
        let strict = ListenerConfig {
            hysteresis: 0.0,
            ..CONFIG
        };
        assert_eq!(events(strict, 0, &wavering), [1, 3, 5]);
    }

    #[test]
    fn a_class_rests_after_its_event() {
        let twice = [Some(0.7), None, Some(0.7), None, None, None, Some(0.7)];
        assert_eq!(events(CONFIG, 1, &twice), [0, 2, 6]);
        // The rest is counted from when it was last recognised, recognised at rest or not.
        assert_eq!(events(CONFIG, 2, &twice), [0, 6]);
        assert_eq!(events(CONFIG, 4, &twice), [0]);
    }

    #[test]
    fn judgements_in_a_row_agree() {
        let config = ListenerConfig {
            agreeing: 2,
            ..CONFIG
        };
        let similarities = [
            Some(0.7),
            None,
            Some(0.7),
            Some(0.4),
            Some(0.7),
            Some(0.7),
            Some(0.7),
        ];
        assert_eq!(events(config, 0, &similarities), [5]);
    }

    #[test]
    fn another_class_begins_an_event_of_its_own() {
        let mut trigger = Trigger::new(&CONFIG, 100);
        let of = |class, threshold| {
            Some(Judgement {
                class: ClassId::new(class),
                similarity: 0.8,
                threshold,
                confidence: 0.9,
            })
        };
        assert!(trigger.step(of(0, 0.5), 0));
        assert!(
            !trigger.step(of(2, f32::INFINITY), 1),
            "cannot be recognised"
        );
        assert!(trigger.step(of(1, 0.5), 2));
        assert!(!trigger.step(of(1, 0.5), 3), "goes on");
        trigger.reset();
        assert!(trigger.step(of(1, 0.5), 4));
    }
}
