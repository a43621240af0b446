//! Listens to recordings with a profile and keeps the scores of every sound.

use super::super::profile::BackboneInUse;
use anyhow::{Result, anyhow};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::listener::{Listener, ListenerConfig, Scored, SoundScores, Window};

/// The scores of all sounds of a stream: of each sound, those for the classes that it was most like.
#[derive(Clone, Debug, Default)]
pub(super) struct Sounds {
    pub(super) scored: Vec<Scored>,
    /// Sounds that stood out.
    pub(super) sounds: usize,
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
    let mut room = vec![Scored::NONE; classes];
    let mut scores = SoundScores::new(&mut room);
    let mut scored = Vec::new();
    while let Some(samples) = next()? {
        let told = |window: &Window| scores.window(window, |score| scored.push(*score));
        let pushed = listener.push(learner, &mut backbone.engine, &samples, told);
        pushed.map_err(|error| anyhow!("{error}"))?;
    }
    let told = |window: &Window| scores.window(window, |score| scored.push(*score));
    let finished = listener.finish(learner, &mut backbone.engine, told);
    finished.map_err(|error| anyhow!("{error}"))?;
    scores.end(|score| scored.push(*score));
    Ok(Sounds {
        scored,
        sounds: scores.sounds() as usize,
    })
}
