//! Listens to recordings with a profile and keeps the scores of every sound.

use super::super::profile::BackboneInUse;
use anyhow::{Result, anyhow};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{ClassId, Learner};
use mtslvr_runtime::listener::{Listener, ListenerConfig, Window};

/// The best that a sound scored for a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) class: ClassId,
    pub(super) score: f32,
    pub(super) threshold: f32,
    /// Seconds from the beginning of the stream at which the sound began.
    pub(super) start: f64,
}

impl Scored {
    /// Returns how far the score is above the threshold.
    pub(super) fn lead(&self) -> f32 {
        self.score - self.threshold
    }
}

/// The scores of all sounds of a stream: of each sound, those for the classes that it was most like.
#[derive(Clone, Debug, Default)]
pub(super) struct Sounds {
    pub(super) scored: Vec<Scored>,
    /// Sounds that stood out.
    pub(super) sounds: usize,
    /// The first sample of the sound that is heard.
    onset: Option<u64>,
    /// Place in `scored` from which on the scores are of this sound.
    first: usize,
}

impl Sounds {
    fn window(&mut self, window: &Window, rate: f64) {
        if window.onset.is_some() && window.onset != self.onset {
            self.sounds += 1;
            self.first = self.scored.len();
        }
        self.onset = window.onset;
        // An infinite threshold: negatives, background, or a negative that is nearer.
        let Some(judgement) = window.judgement.filter(|j| j.threshold.is_finite()) else {
            return;
        };
        let own = self.scored[self.first..].iter_mut();
        match own
            .into_iter()
            .find(|scored| scored.class == judgement.class)
        {
            Some(scored) => scored.score = scored.score.max(judgement.similarity),
            None => self.scored.push(Scored {
                class: judgement.class,
                score: judgement.similarity,
                threshold: judgement.threshold,
                start: window.start as f64 / rate,
            }),
        }
    }
}

/// Hears `next` until it gives no more samples, as `mtslvr listen` does.
pub(super) fn hear(
    backbone: &mut BackboneInUse,
    learner: &mut Learner,
    mut next: impl FnMut() -> Result<Option<Vec<f32>>>,
) -> Result<Sounds> {
    let space = backbone.engine.space().into_owned();
    let frontend = *space.as_space().frontend();
    let classes = learner.support().class_capacity();
    let mut buffer = vec![0.0; Listener::buffer_len(&frontend, space.dim(), classes)];
    let config = ListenerConfig::DEFAULT;
    let mut listener = Listener::new(config, &space.as_space(), classes, &mut buffer)?;
    let rate = f64::from(frontend.sample_rate);
    let mut sounds = Sounds::default();
    while let Some(samples) = next()? {
        let told = |window: &Window| sounds.window(window, rate);
        let pushed = listener.push(learner, &mut backbone.engine, &samples, told);
        pushed.map_err(|error| anyhow!("{error}"))?;
    }
    let told = |window: &Window| sounds.window(window, rate);
    let finished = listener.finish(learner, &mut backbone.engine, told);
    finished.map_err(|error| anyhow!("{error}"))?;
    Ok(sounds)
}
