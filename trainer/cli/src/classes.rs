//! `mtslvr classes`: what was taught, to look at and to change.

mod reembed;
mod table;

use super::backbone::BackboneChoice;
use super::taught::{Chosen, ProfileChoice};
use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use mtslvr_listen::profile::{ClipLog, Memory, Profile, Snapshot, Subject};
use mtslvr_runtime::fewshot::{ClassId, SupportSet};
use std::path::{Path, PathBuf};

/// Show and change what was taught: list, rename, delete, switch off and on, set thresholds, back up
///
/// A change is on the disk whole or not at all, whatever happens meanwhile, and several commands may
/// change one profile at once.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the classes with their examples and thresholds
    List {
        #[command(flatten)]
        profile: ProfileChoice,
        /// List also the recording that each example was made of, where it is known
        #[arg(long)]
        clips: bool,
        /// Print JSON, with the recordings
        #[arg(long)]
        json: bool,
    },
    /// Give a sound another name
    Rename {
        /// The sound
        name: String,
        /// Its new name
        new: String,
        #[command(flatten)]
        profile: ProfileChoice,
    },
    /// Forget a class, or one of its examples
    Delete {
        #[command(flatten)]
        class: ClassChoice,
        /// Only this example, counted from 1 as `classes list --clips` does; with its last example
        /// goes the class
        #[arg(long, value_name = "N")]
        example: Option<usize>,
        #[command(flatten)]
        profile: ProfileChoice,
    },
    /// Keep a class but let it count for nothing
    Disable {
        #[command(flatten)]
        class: ClassChoice,
        #[command(flatten)]
        profile: ProfileChoice,
    },
    /// Let a disabled class count again
    Enable {
        #[command(flatten)]
        class: ClassChoice,
        #[command(flatten)]
        profile: ProfileChoice,
    },
    /// Set how alike a sound must be: higher rejects more, lower accepts more
    #[command(override_usage = "mtslvr classes threshold [OPTIONS] <NAME|--default> <VALUE|none>")]
    Threshold {
        /// The sound, unless --default is given, and the least similarity, from -1 to 1; `none` takes
        /// the threshold back
        #[arg(
            value_name = "NAME VALUE",
            required = true,
            num_args = 1..=2,
            allow_negative_numbers = true
        )]
        words: Vec<String>,
        /// Set the threshold of every sound without one of its own
        #[arg(long)]
        default: bool,
        #[command(flatten)]
        profile: ProfileChoice,
    },
    /// Copy the profile to a file, for backup or for another device
    Export {
        /// The file to write
        file: PathBuf,
        /// Replace the file if it exists
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        profile: ProfileChoice,
    },
    /// Take a file that `export` wrote, or a device, as the profile
    Import {
        /// The file
        file: PathBuf,
        /// Replace a profile that holds classes: they are lost
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        profile: ProfileChoice,
        #[command(flatten)]
        backbone: BackboneChoice,
    },
    Reembed(reembed::Reembed),
}

/// Flattened into the arguments of a command on one class.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ClassChoice {
    /// The sound
    name: Option<String>,
    /// The class of what is none of the sounds
    #[arg(long)]
    negative: bool,
    /// The class of what the place sounds like
    #[arg(long)]
    background: bool,
}

impl ClassChoice {
    fn subject(&self) -> Subject<'_> {
        match &self.name {
            Some(name) => Subject::Sound(name),
            None if self.negative => Subject::Negatives,
            None => Subject::Background,
        }
    }
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        match self.command {
            Command::List {
                profile,
                clips,
                json,
            } => table::print(&profile.profile()?, clips, json),
            Command::Rename { name, new, profile } => {
                let profile = profile.profile()?;
                change(&profile, |support| {
                    let class = find(support, Subject::Sound(&name), &profile)?;
                    if let Some(other) = support.find(&new).filter(|other| *other != class) {
                        let examples = support.examples(other).len();
                        bail!(
                            "{new}: a class with {examples} examples has this name already; delete it first, or choose another one"
                        );
                    }
                    support
                        .rename(class, &new)
                        .with_context(|| format!("\"{new}\""))?;
                    Ok(format!("{name} is now {new}"))
                })
            }
            Command::Delete {
                class,
                example,
                profile,
            } => {
                let profile = profile.profile()?;
                change(&profile, |support| {
                    let subject = class.subject();
                    let class = find(support, subject, &profile)?;
                    let examples = support.examples(class).len();
                    let Some(number) = example else {
                        support.remove(class)?;
                        return Ok(format!("{subject}: forgotten, with {examples} examples"));
                    };
                    ensure!(
                        (1..=examples).contains(&number),
                        "{subject} has no example {number}; expected 1 to {examples}, as in `mtslvr classes list --clips`"
                    );
                    support.remove_example(class, number - 1)?;
                    Ok(format!(
                        "{subject}: example {number} forgotten, {} left",
                        examples - 1
                    ))
                })
            }
            Command::Disable { class, profile } => enable(&profile.profile()?, &class, false),
            Command::Enable { class, profile } => enable(&profile.profile()?, &class, true),
            Command::Threshold {
                words,
                default,
                profile,
            } => threshold(&profile.profile()?, &words, default),
            Command::Export {
                file,
                force,
                profile,
            } => export(&profile.profile()?, &file, force),
            Command::Import {
                file,
                force,
                profile,
                backbone,
            } => import(&profile.profile()?, &file, force, &backbone),
            Command::Reembed(reembed) => reembed.run(),
        }
    }
}

/// What the profile holds, or what to do if there is none.
fn existing(profile: &Profile) -> Result<Snapshot> {
    profile.read()?.with_context(|| {
        format!(
            "{}: there is no profile yet; enrol a sound first: `mtslvr enroll NAME CLIP...`",
            profile.path().display()
        )
    })
}

/// The number of a class, or which ones there are.
fn find(support: &SupportSet, subject: Subject, profile: &Profile) -> Result<ClassId> {
    subject.find(support).with_context(|| {
        let there = support.classes().iter();
        let there: Vec<String> = there
            .map(|class| Subject::of(class.role(), class.name()).to_string())
            .collect();
        let there = match &there[..] {
            [] => "it is empty".to_owned(),
            names => format!("expected one of: {}", names.join(", ")),
        };
        format!(
            "{}: holds no class {subject}; {there}",
            profile.path().display()
        )
    })
}

/// Changes what the profile holds, whatever its backbone, and prints what was done.
fn change(profile: &Profile, change: impl FnOnce(&mut SupportSet) -> Result<String>) -> Result<()> {
    let locked = profile.lock()?;
    let snapshot = existing(profile)?;
    let mut memory = Memory::for_snapshot(&snapshot.header());
    let mut learner = memory.learner();
    snapshot.restore(&mut learner)?;
    let done = change(learner.support_mut())?;
    locked.write(&learner)?;
    println!("{done}");
    Ok(())
}

fn enable(profile: &Profile, class: &ClassChoice, enabled: bool) -> Result<()> {
    change(profile, |support| {
        let subject = class.subject();
        let class = find(support, subject, profile)?;
        support.set_enabled(class, enabled)?;
        let done = if enabled {
            "counts"
        } else {
            "is kept, and counts for nothing"
        };
        Ok(format!("{subject} {done}"))
    })
}

fn threshold(profile: &Profile, words: &[String], default: bool) -> Result<()> {
    let (name, value) = match words {
        [value] if default => (None, value),
        [name, value] if !default => (Some(name), value),
        _ => bail!(
            "expected `mtslvr classes threshold NAME VALUE` or `mtslvr classes threshold --default VALUE`"
        ),
    };
    let value = match value.as_str() {
        "none" => None,
        number => Some(
            number
                .parse()
                .ok()
                .filter(|v| (-1.0..=1.0).contains(v))
                .with_context(|| {
                    format!("the threshold is {number}; expected a number from -1 to 1, or none")
                })?,
        ),
    };
    change(profile, |support| {
        let whose = match name {
            None => {
                support.set_default_threshold(value)?;
                "sounds without a threshold of their own".to_owned()
            }
            Some(name) => {
                let class = find(support, Subject::Sound(name), profile)?;
                support.set_threshold(class, value)?;
                name.clone()
            }
        };
        Ok(match (value, name) {
            (Some(value), _) => format!("threshold of {whose}: {value}"),
            (None, Some(_)) => format!("threshold of {whose}: that of all sounds"),
            (None, None) => format!("threshold of {whose}: the backbone's"),
        })
    })
}

fn export(profile: &Profile, file: &Path, force: bool) -> Result<()> {
    let snapshot = existing(profile)?;
    ensure!(
        force || !file.exists(),
        "{}: exists already; give another name, or --force to replace it",
        file.display()
    );
    snapshot.write(file)?;
    let header = snapshot.header();
    println!(
        "{}: {} classes with {} examples, for the backbone {}",
        file.display(),
        header.classes,
        header.examples,
        header.backbone
    );
    Ok(())
}

fn import(profile: &Profile, file: &Path, force: bool, backbone: &BackboneChoice) -> Result<()> {
    let snapshot = Snapshot::read(file)?;
    let header = snapshot.header();
    // All of it must be sound, not only what a header tells.
    let mut memory = Memory::for_snapshot(&header);
    snapshot.restore(&mut memory.learner())?;
    let chosen = Chosen::open(backbone)?;
    chosen.check_import(&snapshot, file)?;
    let locked = profile.lock()?;
    // A profile that is damaged is what a backup is for.
    let lost = profile
        .read()
        .map(|there| there.map_or(0, |there| there.header().classes));
    if let Ok(lost @ 1..) = lost {
        ensure!(
            force,
            "{}: holds {lost} classes, which would be lost; back it up with `mtslvr classes export \
             FILE`, then give --force",
            profile.path().display()
        );
    }
    locked.write_snapshot(&snapshot)?;
    println!(
        "{}: {} classes with {} examples",
        profile.path().display(),
        header.classes,
        header.examples
    );
    Ok(())
}
