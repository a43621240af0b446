//! What a listener does with each frame while samples are pushed.

use super::{Ear, Event, Judgement, ListenError, Window};
use crate::backbone::Backbone;
use crate::fewshot::{ClassifyError, Decision, Learner, Role};

/// Frames before the one that opens the gate which belong to the sound: its attack.
const LEAD: u64 = 2;

/// Frames after the last one that stands out which belong to the sound: its decay.
const TRAIL: u64 = 2;

/// A listener's parts, borrowed for one call.
pub(super) struct Hearing<'a, 'e, 'l, B: Backbone, F> {
    pub ear: &'a mut Ear<'e>,
    pub learner: &'a mut Learner<'l>,
    pub backbone: &'a mut B,
    pub on_window: F,
    pub result: Result<(), ListenError<B::Error>>,
}

impl<B: Backbone, F: FnMut(&Window<'_>)> Hearing<'_, '_, '_, B, F> {
    pub fn add(&mut self, frame: &[f32]) {
        let ear = &mut *self.ear;
        let (rows, number) = (ear.patch_frames(), ear.frames);
        let row = (number % rows) as usize * frame.len();
        ear.rows[row..row + frame.len()].copy_from_slice(frame);
        ear.level = ear.level.max(ear.gate.push(frame));
        ear.frames += 1;
        if !ear.gate.is_open() {
            self.end();
        } else if ear.onset.is_none() {
            ear.onset = Some(number.saturating_sub(LEAD));
            ear.judged = 0;
            ear.due = number + ear.hop;
        }
        let ear = &mut *self.ear;
        if ear.gate.stands_out() {
            ear.sounding = number + 1;
        }
        ear.ending = ear.frames.min(ear.sounding + TRAIL);
        if ear.frames >= ear.due {
            self.window();
        }
    }

    /// Ends the sound that is heard, if one is.
    pub fn end(&mut self) {
        let ear = &*self.ear;
        if ear.onset.is_none() {
            return;
        }
        // What came since the last window changes little where it is less than half a hop.
        if ear.judged == 0 || 2 * (ear.ending - ear.judged_to) >= ear.hop {
            self.window();
        }
        self.ear.onset = None;
        self.ear.trigger.step(None, 0);
    }

    /// Tells of the window that is due, judged if it holds more of a sound than the one before.
    fn window(&mut self) {
        let ear = &mut *self.ear;
        let window = ear.window();
        let (start, end) = (ear.sample_of(window.start), ear.samples_to(window.end));
        let mut decision = None;
        let mut judged = None;
        let mut event = None;
        let onset = ear.onset.map(|onset| ear.sample_of(onset));
        let heard = onset.is_some() && (ear.judged == 0 || ear.ending > ear.judged_to);
        if heard {
            ear.fill_patch(window);
            if let Err(error) = ear.embed(self.backbone) {
                self.result = Err(ListenError::Backbone(error));
                ear.skip();
                return;
            }
            match classify(self.learner, ear.smoothed, ear.scores) {
                Ok(None) => {}
                Ok(Some((decided, judgement))) => {
                    let begins = ear.trigger.step(Some(judgement), end);
                    event = begins.then_some(Event {
                        class: judgement.class,
                        start,
                        end,
                        confidence: judgement.confidence,
                    });
                    decision = Some(decided);
                    judged = Some(judgement);
                }
                Err(error) => self.result = Err(ListenError::Classify(error)),
            }
        }
        let frames = Ear::gather(ear.rows, ear.patch, ear.mels, ear.told..ear.frames);
        (self.on_window)(&Window {
            start,
            end,
            onset,
            frames,
            level: ear.level,
            embedding: heard.then_some(&*ear.smoothed),
            decision,
            judgement: judged,
            event,
        });
        ear.skip();
    }
}

/// What the learner says of an embedding; `None` where it knows nothing or the embedding has no
/// direction.
fn classify<'s>(
    learner: &mut Learner,
    embedding: &[f32],
    scores: &'s mut [f32],
) -> Result<Option<(Decision<'s>, Judgement)>, ClassifyError> {
    let mut classes = learner.support().classes().iter();
    if !classes.any(|class| class.is_enabled()) {
        return Ok(None);
    }
    let decision = match learner.classify(embedding, scores) {
        Err(ClassifyError::Embedding(_)) => return Ok(None),
        other => other?,
    };
    let role = learner.support().classes()[usize::from(decision.best)].role();
    let refused = decision.similarity >= decision.threshold && decision.class.is_none();
    let judgement = Judgement {
        class: decision.best,
        similarity: decision.similarity,
        threshold: if role != Role::Sound || refused {
            f32::INFINITY
        } else {
            decision.threshold
        },
        confidence: 1.0 - decision.chance,
    };
    Ok(Some((decision, judgement)))
}
