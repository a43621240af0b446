//! Listens to a stream, and replays the judgements with other thresholds.

use anyhow::{Result, anyhow};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::listener::{Event, Judgement, Listener, ListenerConfig, Trigger, Window};
use mtslvr_runtime::verifier::Check;
use std::ops::Range;

/// Samples that are pushed at a time, as many as from an audio interface.
const CHUNK: usize = 1024;

/// A window that was judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Beginning of the sound in it; the same for all windows of a sound.
    pub onset: Option<u64>,
    /// First sample of the window.
    pub start: u64,
    /// The sample after its last.
    pub end: u64,
    /// The judgement; `None` while the gate was closed.
    pub judgement: Option<Judgement>,
}

/// Result of listening to a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Its events.
    pub events: Vec<Event>,
    /// Its windows.
    pub windows: Vec<Judged>,
    /// Number of windows that the backbone ran for.
    pub embedded: usize,
    /// Number of frames whose features were computed.
    pub frames: u32,
}

impl Recording {
    /// Tells whether a window that overlaps `extent` was judged.
    pub fn judges(&self, extent: &Range<u64>) -> bool {
        let windows = self.windows.iter().filter(|window| window.onset.is_some());
        let mut within = windows.filter(|w| w.end > extent.start && w.start < extent.end);
        within.next().is_some()
    }
}

/// Listens to `samples` from beginning to end. What is about to be recognised must be accepted by `check`.
///
/// # Errors
/// If the backbone or the learner fails.
pub fn listen<B: Backbone, C: Check>(
    config: ListenerConfig,
    learner: &mut Learner,
    check: &C,
    backbone: &mut B,
    samples: &[f32],
) -> Result<Recording> {
    let mut recording = Recording::default();
    let frames = listen_to(config, learner, check, backbone, samples, |window| {
        recording.events.extend(window.event);
        recording.embedded += usize::from(window.embedding.is_some());
        recording.windows.push(Judged {
            onset: window.onset,
            start: window.start,
            end: window.end,
            judgement: window.judgement,
        });
    })?;
    recording.frames = frames;
    Ok(recording)
}

/// Listens to `samples` from beginning to end, tells each window, and returns the number of frames whose features were
/// computed.
///
/// # Errors
/// As [`listen`].
pub(super) fn listen_to<B: Backbone, C: Check>(
    config: ListenerConfig,
    learner: &mut Learner,
    check: &C,
    backbone: &mut B,
    samples: &[f32],
    mut told: impl FnMut(&Window<'_>),
) -> Result<u32> {
    let space = backbone.space();
    let classes = learner.support().class_count();
    let mut buffer = vec![0.0; Listener::buffer_len(space.frontend(), space.dim(), classes)];
    let mut listener = Listener::new(config, &space, classes, &mut buffer)?;
    for chunk in samples.chunks(CHUNK) {
        let pushed = listener.push_verified(learner, check, backbone, chunk, &mut told);
        pushed.map_err(|error| anyhow!("the stream cannot be listened to: {error}"))?;
    }
    let frames = listener.computed_frames();
    let finished = listener.finish_verified(learner, check, backbone, &mut told);
    finished.map_err(|error| anyhow!("the stream cannot be listened to: {error}"))?;
    Ok(frames)
}

/// Returns the events that the windows make with other settings of the trigger: `margin`, `hysteresis`,
/// `agreeing` and `refractory` of `config`.
pub fn replay(windows: &[Judged], config: &ListenerConfig, sample_rate: u32) -> Vec<Event> {
    let mut trigger = Trigger::new(config, (config.refractory * sample_rate as f32) as u64);
    let mut sound = None;
    let mut events = Vec::new();
    for window in windows {
        if window.onset != sound {
            trigger.step(None, window.start);
            sound = window.onset;
        }
        let Some(judgement) = window.judgement else {
            continue;
        };
        if trigger.step(Some(judgement), window.end) {
            events.push(Event {
                class: judgement.class,
                start: window.start,
                end: window.end,
                confidence: judgement.confidence,
            });
        }
    }
    events
}
