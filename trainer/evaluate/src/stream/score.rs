//! Decides which events are right.

use super::compose::Occurrence;
use mtslvr_runtime::listener::Event;

/// Score of a stream: which sounds were found, and which events were false.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Whether an event named each sound of the stream, in order; false for a sound that is not
    /// enrolled.
    pub found: Vec<bool>,
    /// False alarms: events that belong to no sound, each with the index of the sound that was heard
    /// meanwhile, if there was one.
    pub false_alarms: Vec<(Event, Option<usize>)>,
    /// Further events of a sound that an event had named already.
    pub repeats: usize,
}

/// Scores `events` against `sounds`, both in order of time. An event belongs to a sound if it is of its
/// class and came between the sound's beginning and `grace` samples after its end.
pub fn score(sounds: &[Occurrence], events: &[Event], grace: u64) -> Score {
    let mut score = Score {
        found: vec![false; sounds.len()],
        ..Score::default()
    };
    for event in events {
        let during = |sound: &&Occurrence| {
            event.end >= sound.extent.start && event.end <= sound.extent.end + grace
        };
        let position = |wanted: &dyn Fn(&Occurrence) -> bool| {
            let sounds = sounds.iter().enumerate();
            let mut fitting = sounds.filter(|(_, sound)| during(sound) && wanted(sound));
            fitting.next_back().map(|(index, _)| index)
        };
        // The classes were enrolled in the cast's order, from the first id on.
        let class = Some(usize::from(event.class.get()));
        match position(&|sound| sound.class == class) {
            Some(sound) if score.found[sound] => score.repeats += 1,
            Some(sound) => score.found[sound] = true,
            None => score.false_alarms.push((*event, position(&|_| true))),
        }
    }
    score
}

impl Score {
    /// Returns the number of enrolled sounds that were heard.
    pub fn heard(&self, sounds: &[Occurrence]) -> usize {
        sounds.iter().filter(|sound| sound.class.is_some()).count()
    }

    /// Returns the number of enrolled sounds that an event named.
    pub fn hits(&self) -> usize {
        self.found.iter().filter(|found| **found).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::ClipRef;
    use mtslvr_runtime::fewshot::ClassId;

    fn sound(class: Option<usize>, start: u64, end: u64) -> Occurrence {
        Occurrence {
            class,
            clip: ClipRef { set: 0, clip: 0 },
            extent: start..end,
        }
    }

    fn event(class: u16, end: u64) -> Event {
        Event {
            class: ClassId::new(class),
            start: end.saturating_sub(10),
            end,
            confidence: 0.9,
        }
    }

    #[test]
    fn events_find_their_sounds() {
        let sounds = [
            sound(Some(0), 100, 200),
            sound(None, 300, 400),
            sound(Some(1), 410, 500),
            sound(Some(0), 600, 700),
        ];
        let events = [
            event(0, 90),  // Before the sound.
            event(0, 150), // Right.
            event(0, 240), // The same sound again.
            event(1, 350), // A sound that nobody enrolled.
            event(1, 420), // Right, though the one before has hardly ended.
            event(1, 650), // Another class.
        ];
        let score = score(&sounds, &events, 50);
        assert_eq!(score.found, [true, false, true, false]);
        assert_eq!(score.repeats, 1);
        let alarms: Vec<_> = score
            .false_alarms
            .iter()
            .map(|(e, s)| (e.end, *s))
            .collect();
        assert_eq!(alarms, [(90, None), (350, Some(1)), (650, Some(3))]);
        assert_eq!((score.heard(&sounds), score.hits()), (3, 2));
    }
}
