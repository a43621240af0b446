//! Handles each frame while samples are pushed: gate, windows, judgements, events.

use super::error::ListenError;
use super::second_look::SecondLook;
use super::sounds::Effect;
use super::stream_state::StreamState;
use super::trigger::Judgement;
use super::watch::Hearing;
use super::window::{Event, Window};
use crate::backbone::Backbone;
use crate::fewshot::{Class, ClassifyError, Decision, Learner, Role};
use crate::verifier::Check;

/// A listener's state and its partners, borrowed for one call.
pub(super) struct FrameHandler<'a, 's, 'l, B: Backbone, C, F> {
    pub state: &'a mut StreamState<'s>,
    pub learner: &'a mut Learner<'l>,
    pub check: &'a C,
    pub backbone: &'a mut B,
    pub on_window: F,
    pub result: Result<(), ListenError<B::Error>>,
}

impl<B: Backbone, C: Check, F: FnMut(&Window<'_>)> Hearing for FrameHandler<'_, '_, '_, B, C, F> {
    fn is_quiet(&self) -> bool {
        self.state.sounds.is_quiet()
    }

    fn is_background(&self, frame: &[f32]) -> bool {
        self.state.sounds.is_background(frame)
    }

    fn add_background(&mut self, frame: &[f32], times: u32) {
        let state = &mut *self.state;
        state.frames.push(frame);
        let (level, effect) = state.sounds.hear(frame, times);
        state.level = state.level.max(level);
        if effect != Effect::Open {
            self.end();
        }
        for time in 0..times {
            if time > 0 {
                self.state.frames.push(frame);
            }
            self.count();
        }
    }
}

impl<B: Backbone, C: Check, F: FnMut(&Window<'_>)> FrameHandler<'_, '_, '_, B, C, F> {
    /// Counts the newest frame, and reports the window that is due.
    fn count(&mut self) {
        let state = &mut *self.state;
        if state.sounds.count() {
            state.judged = 0;
            state.second_look = SecondLook::default();
            state.due = state.frames.pushed() - 1 + state.hop;
        }
        if state.frames.pushed() >= state.due {
            self.window(false);
        }
    }

    /// Ends the sound that is heard, if one is.
    pub fn end(&mut self) {
        let state = &*self.state;
        if state.sounds.onset().is_none() {
            return;
        }
        // What came since the last window changes little where it is less than half a hop, but for a
        // verifier, which refuses what is not all of a sound.
        if state.judged == 0
            || state.second_look.has_refused() && state.sounds.ending() > state.judged_to
            || 2 * state.sounds.ending().saturating_sub(state.judged_to) >= state.hop
        {
            self.window(true);
        }
        let end = self.state.samples_to(self.state.sounds.ending());
        self.state.course.end(Some(end));
        self.state.sounds.end();
        self.state.trigger.step(None, 0);
    }

    /// Reports an event whose end no window has reported.
    pub fn report_ended(&mut self) {
        if self.state.course.is_over() {
            self.window(false);
        }
    }

    /// Reports the window that is due, judged if it holds more of a sound than the one before. `last`
    /// tells whether the sound ends with it.
    #[inline(never)]
    fn window(&mut self, last: bool) {
        let state = &mut *self.state;
        let window = state.window();
        let (start, end) = (state.sample_of(window.start), state.samples_to(window.end));
        let mut decision = None;
        let mut judged = None;
        let mut event = None;
        let onset = state.sounds.onset().map(|onset| state.sample_of(onset));
        let heard =
            onset.is_some() && (state.judged == 0 || state.sounds.ending() > state.judged_to);
        if heard {
            state.fill_patch(window.clone());
            if let Err(error) = state.embed(self.backbone) {
                self.result = Err(ListenError::Backbone(error));
                state.skip();
                return;
            }
            match classify(self.learner, state.smoothed, state.scores) {
                Ok(None) => {}
                Ok(Some((decided, mut judgement))) => {
                    if C::REFUSES && state.trigger.is_candidate(&judgement) {
                        let onset = state.sounds.onset().unwrap_or(window.start);
                        let begins = window.start == onset;
                        // The patch has been embedded: its room is free.
                        let frames = begins.then(|| &*state.frames.copy(window, state.patch));
                        let (look, class) = (&mut state.second_look, judgement.class);
                        if look.refuses(self.check, class, frames, &state.frontend) {
                            judgement.threshold = f32::INFINITY;
                        }
                    }
                    let begins = state.trigger.step(Some(judgement), end);
                    event = begins.then_some(Event {
                        class: judgement.class,
                        start,
                        end,
                        confidence: judgement.confidence,
                    });
                    let held = state.trigger.held();
                    state.course.follow(&judgement, event.as_ref(), held, end);
                    // An earlier event that ends with this window is reported first; see `end` for this one.
                    if last && !state.course.is_over() {
                        state.course.end(Some(end));
                    }
                    decision = Some(decided);
                    judged = Some(judgement);
                }
                Err(error) => self.result = Err(ListenError::Classify(error)),
            }
        }
        let unreported = state.reported..state.frames.pushed();
        let frames = state.frames.copy(unreported, state.patch);
        (self.on_window)(&Window {
            start,
            end,
            onset,
            frames,
            level: state.level,
            embedding: heard.then_some(&*state.smoothed),
            decision,
            judgement: judged,
            event,
            ended: state.course.take_ended(),
        });
        state.skip();
    }
}

/// Asks the learner about an embedding; `None` where it knows nothing or the embedding has no
/// direction.
fn classify<'s>(
    learner: &mut Learner,
    embedding: &[f32],
    scores: &'s mut [f32],
) -> Result<Option<(Decision<'s>, Judgement)>, ClassifyError> {
    let mut classes = learner.support().classes().iter();
    if !classes.any(Class::is_enabled) {
        return Ok(None);
    }
    let decision = match learner.classify(embedding, scores) {
        Err(ClassifyError::Embedding(_)) => return Ok(None),
        other => other?,
    };
    let best = learner.support().class(decision.best);
    let is_sound = best.is_ok_and(|class| class.role() == Role::Sound);
    let refused = decision.similarity >= decision.threshold && decision.class.is_none();
    let judgement = Judgement {
        class: decision.best,
        similarity: decision.similarity,
        threshold: if !is_sound || refused {
            f32::INFINITY
        } else {
            decision.threshold
        },
        confidence: 1.0 - decision.chance,
    };
    Ok(Some((decision, judgement)))
}
