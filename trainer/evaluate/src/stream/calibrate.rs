//! Sets thresholds by a while of the place, as the boards' firmwares and `mtslvr classes calibrate` do.

use super::run::listen_to;
use anyhow::Result;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{Class, ClassId, Learner, Role, ScoreTail};
use mtslvr_runtime::listener::{ListenerConfig, Scored, SoundScores};
use std::collections::BTreeMap;

/// False alarms an hour to aim at, of all sounds together.
const FALSE_ALARMS_AN_HOUR: f32 = 1.0;

/// Listens to `place`, in which no taught sound is heard, and gives each sound the threshold at which the place would
/// give one false alarm an hour, all sounds together; none below the one that counts without, and none that misses
/// more than half of the sound's own examples.
///
/// # Errors
/// If the backbone or the learner fails.
pub(super) fn calibrate<B: Backbone>(
    config: ListenerConfig,
    learner: &mut Learner,
    backbone: &mut B,
    place: &[f32],
) -> Result<()> {
    let rate = backbone.space().frontend().sample_rate;
    let classes = learner.support().classes().iter();
    let sounds = classes.filter(|class| class.role() == Role::Sound);
    let sounds: Vec<ClassId> = sounds.map(Class::id).collect();
    let mut tails: BTreeMap<ClassId, ScoreTail> = BTreeMap::new();
    let mut count = |scored: &Scored| {
        let tail = tails.entry(scored.class).or_insert(ScoreTail::EMPTY);
        tail.push(scored.score);
    };
    let mut room = vec![Scored::NONE; learner.support().class_count()];
    let mut scores = SoundScores::new(&mut room);
    listen_to(config, learner, &(), backbone, place, |window| {
        scores.window(window, &mut count);
    })?;
    scores.end(&mut count);
    let hours = place.len() as f32 / rate as f32 / 3600.0;
    let allowed = FALSE_ALARMS_AN_HOUR * hours / sounds.len() as f32;
    for id in sounds {
        let tail = tails.get(&id).copied().unwrap_or(ScoreTail::EMPTY);
        let place = learner.place_threshold(id, &tail, allowed);
        learner.set_class_threshold(id, Some(place.threshold))?;
    }
    Ok(())
}
