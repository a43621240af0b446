//! `mtslvr classes reembed`: a profile moves to another backbone.

use super::super::backbone::BackboneChoice;
use super::super::progress;
use super::super::taught::{Chosen, ProfileChoice};
use super::{ClipLog, Memory, Subject, existing};
use anyhow::{Context, Result, anyhow, bail};
use mtslvr_audio as audio;
use mtslvr_listen::profile::{ClipState, SourceClip};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{Learner, Role};

/// Learn every example again from its recording, under another backbone
///
/// The recordings must still be where they were when they were enrolled, with the same bytes. Names
/// and thresholds stay; a threshold that suited the old backbone may not suit the new one.
#[derive(Debug, clap::Args)]
pub(super) struct Reembed {
    /// Let examples go whose recordings are not kept
    #[arg(long)]
    drop_missing: bool,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: BackboneChoice,
}

/// An example that cannot be learnt again.
struct Missing {
    class: String,
    number: usize,
    why: String,
}

impl Reembed {
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let mut chosen = Chosen::open(&self.backbone)?;
        let locked = profile.lock()?;
        let snapshot = existing(&profile)?;
        let mut memory = Memory::for_snapshot(&snapshot.header());
        let mut old = memory.learner();
        snapshot.restore(&mut old)?;
        let log = ClipLog::read(&profile)?;
        let mut memory = chosen.memory();
        let mut new = memory.learner();
        let mut new_log = ClipLog::default();
        let missing = learn_again(&old, &log, &mut chosen, &mut new, &mut new_log)?;
        let kept = new.support().example_count();
        if !missing.is_empty() && !self.drop_missing || kept == 0 {
            for missing in &missing {
                eprintln!(
                    "{}, example {}: {}",
                    missing.class, missing.number, missing.why
                );
            }
            let hint = if kept == 0 {
                "enrol the sounds again"
            } else {
                "put the recordings back, or let these examples go with --drop-missing"
            };
            bail!(
                "{}: {} of {} examples cannot be learnt again, and nothing was changed; {hint}",
                profile.path().display(),
                missing.len(),
                old.support().example_count()
            );
        }
        // Both lists together first: whichever profile is there after a crash finds its recordings.
        let mut both = log.clone();
        both.extend(&new_log);
        both.write(&locked)?;
        locked.write(&new)?;
        new_log.write(&locked)?;
        println!(
            "{}: {kept} examples of {} classes learnt again under {}; {} let go",
            profile.path().display(),
            new.support().class_count(),
            chosen.name,
            missing.len()
        );
        if new
            .support()
            .classes()
            .iter()
            .any(|class| class.threshold().is_some())
            || new.support().default_threshold().is_some()
        {
            println!("Thresholds stay as they were: try them, because similarities have changed.");
        }
        Ok(())
    }
}

/// Fills `new` with what `old` holds, from the recordings; gives what is missing.
fn learn_again(
    old: &Learner,
    log: &ClipLog,
    chosen: &mut Chosen,
    new: &mut Learner,
    new_log: &mut ClipLog,
) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    new.set_default_threshold(old.support().default_threshold())?;
    let bar = progress::files(old.support().example_count() as u64, "learning again");
    for class in old.support().classes() {
        let subject = Subject::of(class.role(), class.name());
        let mut new_class = None;
        for (example, count) in old.support().examples(class.id()).zip(1..) {
            bar.inc(1);
            let clip = match source(log, example) {
                Ok(clip) => clip,
                Err(why) => {
                    missing.push(Missing {
                        class: subject.to_string(),
                        number: count,
                        why,
                    });
                    continue;
                }
            };
            let samples = audio::load(&clip.path, chosen.backbone.space().frontend().sample_rate)?;
            let embedding = embed_clip(&mut chosen.backbone, &samples)
                .map_err(|error| anyhow!("{}: {error}", clip.path.display()))?;
            let class = match class.role() {
                Role::Sound => new.enrol(class.name(), &embedding),
                role => new.enrol_role(role, &embedding),
            };
            let class = class.with_context(|| clip.path.display().to_string())?;
            if let Some(example) = new.support().examples(class).last() {
                new_log.insert(example, clip.clone());
            }
            new_class = Some(class);
        }
        if let Some(new_class) = new_class {
            let support = new.support_mut();
            support.set_threshold(new_class, class.threshold())?;
            support.set_enabled(new_class, class.is_enabled())?;
        }
    }
    bar.finish_and_clear();
    Ok(missing)
}

/// The recording of an example, or why there is none.
fn source<'l>(log: &'l ClipLog, example: &[i8]) -> Result<&'l SourceClip, String> {
    let clip = log
        .get(example)
        .ok_or("its recording is not known: it came from a microphone, a pipe or an import")?;
    let path = clip.path.display();
    match clip.state() {
        ClipState::Kept => Ok(clip),
        ClipState::Changed => Err(format!("{path} has changed since it was enrolled")),
        ClipState::Gone => Err(format!("{path} cannot be read")),
    }
}
