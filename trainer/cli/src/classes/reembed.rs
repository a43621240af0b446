//! `mtslvr classes reembed`: takes a profile to another backbone.

use super::super::backbone::BackboneChoice;
use super::super::examples::examples;
use super::super::profile::{BackboneInUse, ProfileChoice};
use super::super::progress;
use super::existing;
use anyhow::{Context, Result, anyhow, bail};
use mtslvr_audio as audio;
use mtslvr_audio::{ShowPath, counted};
use mtslvr_listen::capture::{Cut, Pieces, Take};
use mtslvr_listen::profile::{
    ClassLabel, ClipLog, ClipState, LockedProfile, Memory, Profile, SourceClip,
};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{Class, ClassId, Learner, Role, SupportSet};

/// Embed every example again from its clip, under another backbone
///
/// A profile belongs to the backbone that it was enrolled under. The clips must still be where they were
/// when they were enrolled, unchanged. Scores differ between backbones, so that thresholds that were set are
/// computed from the examples again: see `classes calibrate` and `classes test`. The profile then belongs to
/// the new backbone: later commands use it without --model.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Take your profile to edge-m" => "mtslvr classes reembed --model edge-m",
    "Go without the examples whose clips are gone" =>
        "mtslvr classes reembed --model edge-m --drop-missing",
))]
pub(super) struct Reembed {
    /// Drop the examples whose clips are gone or changed, instead of stopping
    #[arg(long)]
    drop_missing: bool,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: BackboneChoice,
}

/// An example that cannot be embedded again.
struct Missing {
    class: String,
    /// Counted from 1.
    number: usize,
    why: String,
}

impl Reembed {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let mut backbone = BackboneInUse::open(&self.backbone)?;
        let locked = profile.lock()?;
        let snapshot = existing(&profile)?;
        let mut memory = Memory::for_snapshot(&snapshot.header());
        let mut old = memory.learner();
        snapshot.restore(&mut old)?;
        let old = old.support();
        let log = ClipLog::read(&profile)?;
        let mut memory = backbone.memory();
        let mut new = Reembedded {
            learner: memory.learner(),
            log: ClipLog::default(),
            missing: Vec::new(),
        };
        new.fill(old, &log, &mut backbone)?;
        self.check(&new, &profile, old.example_count())?;
        backbone.note().write(&locked)?;
        new.write(&locked, &log)?;
        let support = new.learner.support();
        outln!(
            "{}: {} of {} embedded again under {}; {} dropped",
            profile.path().shown(),
            counted(support.example_count(), "example"),
            counted(support.class_count(), "class"),
            backbone.name,
            new.missing.len()
        );
        if let Some(dropped) = thresholds(old) {
            outln!(
                "The thresholds that were set ({dropped}) are computed from the examples again, because scores \
                 differ between backbones: `mtslvr classes calibrate` sets new ones."
            );
        }
        Ok(())
    }

    /// Refuses to lose examples, unless the user lets them go; and to lose them all.
    fn check(&self, new: &Reembedded, profile: &Profile, examples: usize) -> Result<()> {
        let empty = new.learner.support().example_count() == 0;
        if !empty && (new.missing.is_empty() || self.drop_missing) {
            return Ok(());
        }
        for missing in &new.missing {
            errln!(
                "{}, example {}: {}",
                missing.class,
                missing.number,
                missing.why
            );
        }
        let hint = if empty {
            "enrol the sounds again"
        } else {
            "put the clips back, or drop these examples with --drop-missing"
        };
        bail!(
            "{}: {} of {} cannot be embedded again, and nothing was changed; {hint}",
            profile.path().shown(),
            new.missing.len(),
            counted(examples, "example"),
        )
    }
}

/// The profile under the new backbone.
struct Reembedded<'m> {
    learner: Learner<'m>,
    log: ClipLog,
    missing: Vec<Missing>,
}

impl Reembedded<'_> {
    /// Embeds every example of `old` again from its clip.
    fn fill(
        &mut self,
        old: &SupportSet,
        log: &ClipLog,
        backbone: &mut BackboneInUse,
    ) -> Result<()> {
        let bar = progress::files(old.example_count() as u64, "embedding again");
        for class in old.classes() {
            let label = ClassLabel::of(class.role(), class.name());
            let mut new_class = None;
            for (example, count) in old.examples(class.id()).zip(1..) {
                bar.inc(1);
                match source(log, example) {
                    Ok(clip) => new_class = Some(self.enrol(class, clip, backbone)?),
                    Err(why) => self.missing.push(Missing {
                        class: label.to_string(),
                        number: count,
                        why,
                    }),
                }
            }
            if let Some(new_class) = new_class {
                let support = self.learner.support_mut();
                support.set_enabled(new_class, class.is_enabled())?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Makes `clip` an example of the class that has the role and name of `class`, and returns its
    /// id.
    fn enrol(
        &mut self,
        class: &Class,
        clip: &SourceClip,
        backbone: &mut BackboneInUse,
    ) -> Result<ClassId> {
        let path = clip.path.shown();
        let samples = match clip.cut {
            Some(cut) => part(clip, cut, backbone)?,
            None => audio::load(&clip.path, backbone.sample_rate())?,
        };
        let embedding = embed_clip(&mut backbone.engine, &samples)
            .map_err(|error| anyhow!("{path}: {error}"))?;
        let class = match class.role() {
            Role::Sound => self.learner.enrol(class.name(), &embedding),
            role => self.learner.enrol_role(role, &embedding),
        };
        let class = class.with_context(|| path.to_string())?;
        if let Some(example) = self.learner.support().examples(class).last() {
            self.log.insert(example, clip.clone());
        }
        Ok(class)
    }

    /// Puts the new profile in the place of the old, with a list of the clips of both: whichever profile is
    /// there after a crash or `classes undo` finds its clips.
    fn write(&self, locked: &LockedProfile, old: &ClipLog) -> Result<()> {
        let mut both = old.clone();
        both.extend(&self.log);
        both.write(locked)?;
        locked.write(&self.learner)?;
        Ok(())
    }
}

/// Returns the samples of the part `cut` of a clip, as `enrol` embeds them: found in the same piece of the
/// recording.
fn part(clip: &SourceClip, cut: Cut, backbone: &BackboneInUse) -> Result<Vec<f32>> {
    let frontend = *backbone.engine.space().frontend();
    let rate = frontend.sample_rate;
    for piece in Pieces::new(audio::Reader::open(&clip.path, rate)?, rate) {
        let piece = piece?;
        if let Some(part) = piece.part(cut) {
            let take = Take::new(piece.samples(), &frontend)?;
            return Ok(take.samples(part).to_vec());
        }
    }
    bail!(
        "{}: ends before {:.1} s, where an example of it begins",
        clip.path.shown(),
        cut.start
    )
}

/// Lists the thresholds that were set; `None` if there is none.
fn thresholds(support: &SupportSet) -> Option<String> {
    let default = support.default_threshold();
    let default = default.map(|value| format!("of all sounds {value:.2}"));
    let own = support.classes().iter().filter_map(|class| {
        let value = class.threshold()?;
        let label = ClassLabel::of(class.role(), class.name());
        Some(format!("{label} {value:.2}"))
    });
    let all: Vec<String> = default.into_iter().chain(own).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Returns the clip of an example, or the reason why it cannot be used.
fn source<'l>(log: &'l ClipLog, example: &[i8]) -> Result<&'l SourceClip, String> {
    let clip = log
        .get(example)
        .ok_or("its clip is not known: it came from a microphone, a pipe or an import")?;
    let path = clip.path.shown();
    match clip.state() {
        ClipState::Kept => Ok(clip),
        ClipState::Changed => Err(format!("{path} has changed since it was enrolled")),
        ClipState::Gone => Err(format!("{path} cannot be read")),
    }
}
