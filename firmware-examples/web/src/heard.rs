//! Reports of a stream for the page. Times are seconds from the stream's beginning.

use mtslvr_runtime::listener::{Change, ListenerConfig, Window};
use serde::Serialize;

/// Everything that came out of some samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Heard {
    /// Length of the stream so far, seconds.
    pub seconds: f64,
    /// Greatest magnitude of the samples, full scale being 1.
    pub peak: f32,
    /// Sounds that began or ended.
    pub events: Vec<Event>,
    /// The last judgement of a sound, if one was judged.
    pub judged: Option<Judged>,
}

/// A recognised sound began, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// It was recognised.
    Begin {
        /// Id of the sound.
        class: u16,
        /// Moment at which it began.
        start: f64,
        /// Moment at which it was recognised.
        end: f64,
        /// How like the sound it is, -1 to 1.
        score: f32,
        /// The score that is needed.
        threshold: f32,
        /// Share of strange sounds that would be less like it.
        confidence: f32,
    },
    /// It is over.
    End {
        /// Id of the sound.
        class: u16,
        /// Moment at which it began: that of its beginning.
        start: f64,
        /// Moment at which it ended.
        end: f64,
        /// Best score of its windows.
        score: f32,
        /// Share of strange sounds that would be less like it.
        confidence: f32,
    },
}

/// How the learner judged a sound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Id of the class that it is most like.
    pub class: u16,
    /// How like that class it is, -1 to 1.
    pub score: f32,
    /// The score that is needed.
    pub threshold: f32,
    /// Whether it is recognised.
    pub recognised: bool,
}

impl Heard {
    /// Adds what `window` says; `rate` is the samples of a second.
    pub(crate) fn add(&mut self, window: &Window, rate: f64) {
        let seconds = |sample: u64| sample as f64 / rate;
        self.events
            .extend(window.changes().map(|change| match change {
                Change::Began { event, judgement } => Event::Begin {
                    class: event.class.get(),
                    start: seconds(event.start),
                    end: seconds(event.end),
                    score: judgement.similarity,
                    threshold: judgement.threshold + ListenerConfig::DEFAULT.margin,
                    confidence: event.confidence,
                },
                Change::Ended(ended) => Event::End {
                    class: ended.class.get(),
                    start: seconds(ended.start),
                    end: seconds(ended.end),
                    score: ended.similarity,
                    confidence: ended.confidence,
                },
            }));
        if let Some(decision) = window.decision {
            self.judged = Some(Judged {
                class: decision.best.get(),
                score: decision.similarity,
                threshold: decision.threshold,
                recognised: decision.class.is_some(),
            });
        }
    }
}
