//! Follows an event from its beginning to its end.

use super::trigger::Judgement;
use super::window::{Ended, Event};
use crate::fewshot::ClassId;

/// The event that goes on, and one that has ended and is not reported yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventCourse {
    /// The event that goes on, as if it ended now.
    going: Option<Ended>,
    /// The event that ended since the last window.
    ended: Option<Ended>,
}

impl EventCourse {
    /// Takes a window with this judgement, which ends at sample `end` and may begin an event itself.
    /// `held` is the class that the trigger holds after it.
    pub fn follow(
        &mut self,
        judgement: &Judgement,
        event: Option<&Event>,
        held: Option<ClassId>,
        end: u64,
    ) {
        if let Some(event) = event {
            self.end(None);
            self.going = Some(Ended {
                class: event.class,
                start: event.start,
                end,
                similarity: judgement.similarity,
                confidence: judgement.confidence,
            });
            return;
        }
        match &mut self.going {
            Some(going) if held == Some(going.class) => {
                going.end = end;
                if judgement.similarity > going.similarity {
                    going.similarity = judgement.similarity;
                    going.confidence = judgement.confidence;
                }
            }
            _ => self.end(None),
        }
    }

    /// Ends the event that goes on, if one does, at sample `end` or where it was last recognised.
    pub fn end(&mut self, end: Option<u64>) {
        if let Some(going) = self.going.take() {
            self.ended = Some(Ended {
                end: end.unwrap_or(going.end),
                ..going
            });
        }
    }

    /// Tells whether an event has ended that is not reported yet.
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Takes the event that has ended, to report it.
    pub fn take_ended(&mut self) -> Option<Ended> {
        self.ended.take()
    }
}
