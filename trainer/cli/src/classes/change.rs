//! Changes of single classes: names, examples, thresholds, and whether they count.

use super::super::examples::examples;
use super::super::profile::ProfileChoice;
use super::{ClassChoice, existing};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_audio::{ShowPath, counted};
use mtslvr_listen::profile::{ClassLabel, Memory, Profile, check_name, composed, find_sound};
use mtslvr_runtime::fewshot::{ClassId, SupportSet};

/// Give a sound another name
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Rename a sound" => "mtslvr classes rename beep doorbell",
    "Rename a sound whose name has spaces" => "mtslvr classes rename \"old bell\" doorbell",
))]
pub(super) struct Rename {
    /// Name of the sound
    name: String,
    /// New name
    new: String,
    #[command(flatten)]
    profile: ProfileChoice,
}

/// Delete a class, or one of its examples
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Delete a sound with all its examples" => "mtslvr classes delete kettle",
    "Delete its second example" =>
        "mtslvr classes list --clips"
        "mtslvr classes delete kettle --example 2",
    "Delete what was enrolled with --negative" => "mtslvr classes delete --negative",
))]
pub(super) struct Delete {
    #[command(flatten)]
    class: ClassChoice,
    /// Example to delete, counted from 1 as in `classes list --clips` [default: the whole class]
    ///
    /// A class goes with its last example.
    #[arg(long, value_name = "N")]
    example: Option<usize>,
    #[command(flatten)]
    profile: ProfileChoice,
}

/// Switch a class off, but keep it
///
/// `listen` behaves as if a disabled class had never been enrolled.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Switch a sound off" => "mtslvr classes disable kettle",
    "Switch the background class off" => "mtslvr classes disable --background",
))]
pub(super) struct Disable {
    #[command(flatten)]
    class: ClassChoice,
    #[command(flatten)]
    profile: ProfileChoice,
}

/// Switch a disabled class on again
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Switch a sound on again" => "mtslvr classes enable kettle",
    "Switch the background class on again" => "mtslvr classes enable --background",
))]
pub(super) struct Enable {
    #[command(flatten)]
    class: ClassChoice,
    #[command(flatten)]
    profile: ProfileChoice,
}

/// Set how similar a sound must be to be recognised
///
/// The score of a sound, from -1 to 1, must reach the threshold. A higher one rejects more sounds, a lower one
/// accepts more. `listen --explain` and `classes test` show scores beside thresholds. `none` removes a threshold:
/// the default threshold (--default) then counts or, if none is set, the one computed from the examples of each
/// sound, the negatives and the background. That aims at one false alarm an hour in a room where 180 other
/// sounds are heard an hour.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "mtslvr classes threshold [OPTIONS] <NAME|--default> <VALUE|none>",
    after_help = examples!(
        "Reject more sounds that are taken for the kettle" => "mtslvr classes threshold kettle 0.5",
        "Set the default threshold" => "mtslvr classes threshold --default 0.4",
        "Remove it" => "mtslvr classes threshold --default none",
    )
)]
pub(super) struct Threshold {
    /// Name of the sound, then its threshold from -1 to 1, or `none`; only the threshold after --default
    #[arg(
        value_name = "NAME VALUE",
        required = true,
        num_args = 1..=2,
        allow_negative_numbers = true
    )]
    words: Vec<String>,
    /// Set the default threshold: that of sounds without one of their own
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    profile: ProfileChoice,
}

impl Rename {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let Self { name, new, profile } = self;
        check_name(&new)?;
        let profile = profile.profile()?;
        change(&profile, |support| {
            let class = find(support, ClassLabel::Sound(&name), &profile)?;
            if let Some(other) = find_sound(support, &new).filter(|other| *other != class) {
                let examples = support.examples(other).len();
                bail!(
                    "{new}: a class with {} has this name already; choose another name, or enrol the clips of \
                     {name} as {new} and delete {name}",
                    counted(examples, "example")
                );
            }
            support
                .rename(class, &composed(&new))
                .with_context(|| format!("\"{new}\""))?;
            Ok(format!("{name} is now {new}"))
        })
    }
}

impl Delete {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let label = self.class.label();
        change(&profile, |support| {
            let class = find(support, label, &profile)?;
            let examples = support.examples(class).len();
            let Some(number) = self.example else {
                support.remove(class)?;
                return Ok(format!(
                    "{label}: deleted, with {}",
                    counted(examples, "example")
                ));
            };
            ensure!(
                (1..=examples).contains(&number),
                "{label} has no example {number}; expected 1 to {examples}, as in \
                 `mtslvr classes list --clips`"
            );
            support.remove_example(class, number - 1)?;
            Ok(format!(
                "{label}: example {number} deleted, {} left",
                examples - 1
            ))
        })
    }
}

impl Disable {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        switch(&self.profile.profile()?, self.class.label(), false)
    }
}

impl Enable {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        switch(&self.profile.profile()?, self.class.label(), true)
    }
}

fn switch(profile: &Profile, label: ClassLabel, enabled: bool) -> Result<()> {
    change(profile, |support| {
        let class = find(support, label, profile)?;
        support.set_enabled(class, enabled)?;
        let done = if enabled { "enabled" } else { "disabled" };
        Ok(format!("{label} is {done}"))
    })
}

impl Threshold {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let (name, value) = self.name_and_value()?;
        change(&profile, |support| {
            let Some(name) = name else {
                support.set_default_threshold(value)?;
                return Ok(match value {
                    Some(value) => format!("threshold of sounds without their own: {value}"),
                    None => "threshold of sounds without their own: computed from the examples"
                        .to_owned(),
                });
            };
            let class = find(support, ClassLabel::Sound(name), &profile)?;
            support.set_threshold(class, value)?;
            Ok(match value {
                Some(value) => format!("threshold of {name}: {value}"),
                None => format!("threshold of {name}: that of all sounds"),
            })
        })
    }

    /// Returns the sound, if it is not all of them, and the threshold, if it is not taken back.
    fn name_and_value(&self) -> Result<(Option<&str>, Option<f32>)> {
        let (name, value) = match &self.words[..] {
            [value] if self.default => (None, value),
            [name, value] if !self.default => (Some(name.as_str()), value),
            words => bail!(
                "found {} words{}; expected `mtslvr classes threshold NAME VALUE` or \
                 `mtslvr classes threshold --default VALUE`",
                words.len(),
                if self.default { " and --default" } else { "" }
            ),
        };
        if value == "none" {
            return Ok((name, None));
        }
        let number = value.parse().ok().filter(|v| (-1.0..=1.0).contains(v));
        let number = number.with_context(|| {
            format!("the threshold is {value}; expected a number from -1 to 1, or none")
        })?;
        Ok((name, Some(number)))
    }
}

/// Returns the id of a class; an error lists the classes that there are.
fn find(support: &SupportSet, label: ClassLabel, profile: &Profile) -> Result<ClassId> {
    label.find(support).with_context(|| {
        let labels = support.classes().iter();
        let labels: Vec<String> = labels
            .map(|class| ClassLabel::of(class.role(), class.name()).to_string())
            .collect();
        let expected = match &labels[..] {
            [] => "it is empty".to_owned(),
            labels => format!("expected one of: {}", labels.join(", ")),
        };
        format!(
            "{}: holds no class {label}; {expected}",
            profile.path().shown()
        )
    })
}

/// Changes the support set of a profile, whatever its backbone, and prints the sentence that `change`
/// returns.
fn change(profile: &Profile, change: impl FnOnce(&mut SupportSet) -> Result<String>) -> Result<()> {
    let locked = profile.lock()?;
    let snapshot = existing(profile)?;
    let mut memory = Memory::for_snapshot(&snapshot.header());
    let mut learner = memory.learner();
    snapshot.restore(&mut learner)?;
    let done = change(learner.support_mut())?;
    locked.write(&learner)?;
    outln!("{done}");
    Ok(())
}
