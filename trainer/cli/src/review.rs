//! `mtslvr review`: asks about kept sounds, and learns from the answers.

use super::backbone::ProfileBackboneChoice;
use super::command_line::CommandLine;
use super::enrol;
use super::examples::examples;
use super::listen::keeper::{Kept, Kind, clips};
use super::profile::{BackboneInUse, ProfileChoice};
use anyhow::{Context, Result, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_listen::profile::{ClassLabel, ClipLog, Memory, Profile, check_name};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Label captured sounds, so that the profile learns from them
///
/// `mtslvr listen --capture DIR` keeps the sound of events and near misses. This command goes through those
/// without an answer, the oldest first, and reads an answer to each from standard input:
///
/// `right` makes the clip an example of the sound that it was, or was nearly, recognised as; `none` makes it a
/// negative; anything else is the name of the sound that it was, and a name that is not enrolled makes a new
/// sound. An empty line leaves the clip for later, and `quit` ends. `mtslvr classes undo` removes the example
/// that the last answer added; a clip whose example is no longer in the profile is asked about again.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Go through what was captured, and hear it" =>
        "mtslvr review captured --play 'aplay -q'",
    "See what was captured" => "mtslvr review captured --list",
))]
pub(super) struct Args {
    /// Folder of `mtslvr listen --capture`
    dir: PathBuf,
    /// List the sounds with their answers, and ask nothing
    #[arg(long)]
    list: bool,
    /// Program to play a clip with; its path is added [default: none]
    #[arg(long, value_name = "COMMAND")]
    play: Option<String>,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: ProfileBackboneChoice,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let clips = clips(&self.dir)?;
        if self.list && clips.is_empty() {
            outln!(
                "{}: no captured sounds; `{}` keeps some there",
                self.dir.shown(),
                CommandLine::new(&["listen", "--capture"]).words([&self.dir])
            );
        }
        let profile = self.profile.profile()?;
        let taught = taught_clips(&profile)?;
        let mut open = Vec::new();
        for path in clips {
            let mut kept = Kept::read(&path)?;
            if kept.learnt && !taught.holds(&path) {
                (kept.answer, kept.learnt) = (None, false);
            }
            if self.list {
                let answer = kept.answer.as_deref().unwrap_or("no answer yet");
                outln!("{}: {}: {answer}", path.shown(), described(&kept));
            } else if kept.answer.is_none() {
                open.push((path, kept));
            }
        }
        if self.list {
            return Ok(());
        }
        ensure!(
            !open.is_empty(),
            "{}: no sound without an answer; capture some with `{}`",
            self.dir.shown(),
            CommandLine::new(&["listen", "--capture"]).words([&self.dir])
        );
        let mut backbone = BackboneInUse::open_for(&self.backbone, &profile)?;
        let count = open.len();
        let mut answers = std::io::stdin().lock().lines();
        for (number, (path, mut kept)) in (1..).zip(open) {
            outln!("{number} of {count}: {}", described(&kept));
            self.play(&path)?;
            out!("right, none, its name, Enter to skip, or quit: ");
            let Some(answer) = answers.next() else {
                outln!();
                break;
            };
            let answer = answer.context("standard input cannot be read")?;
            let answer = answer.trim();
            match answer {
                "quit" => break,
                "" => continue,
                "right" | "none" => {}
                name => {
                    if let Err(error) = check_name(name) {
                        outln!("{error}; the clip is left for later");
                        continue;
                    }
                }
            }
            let (learnt, said) = learn(&profile, &mut backbone, &path, &kept, answer)?;
            outln!("{said}");
            kept.learnt = learnt;
            kept.answer = Some(answer.to_owned());
            kept.write(&path)?;
        }
        Ok(())
    }

    fn play(&self, path: &Path) -> Result<()> {
        let Some(play) = &self.play else {
            return Ok(());
        };
        let mut words = play.split_whitespace();
        let program = words
            .next()
            .context("--play is empty; expected a program")?;
        let status = Command::new(program).args(words).arg(path).status();
        let status = status.with_context(|| format!("--play {play}: cannot be started"))?;
        ensure!(status.success(), "--play {play}: failed with {status}");
        Ok(())
    }
}

/// Returns the recordings of which the profile has examples.
fn taught_clips(profile: &Profile) -> Result<ClipLog> {
    let mut log = ClipLog::read(profile)?;
    match profile.read()? {
        Some(snapshot) => {
            let mut memory = Memory::for_snapshot(&snapshot.header());
            let mut learner = memory.learner();
            snapshot.restore(&mut learner)?;
            log.retain(learner.support());
            Ok(log)
        }
        None => Ok(ClipLog::default()),
    }
}

/// Describes a kept sound.
fn described(kept: &Kept) -> String {
    let Kept {
        class,
        start,
        score,
        threshold,
        ..
    } = kept;
    let kind = if kept.kind == Kind::Event {
        format!("taken for {class}")
    } else {
        format!("nearly taken for {class}")
    };
    let file = kept
        .file
        .as_ref()
        .map_or_else(String::new, |file| format!(" of {file}"));
    format!("{kind} at {start:.2} s{file} (score {score:.2}, threshold {threshold:.2})")
}

/// Makes the clip an example of what it was. Returns whether it is one now, and the outcome in words.
fn learn(
    profile: &Profile,
    backbone: &mut BackboneInUse,
    path: &Path,
    kept: &Kept,
    answer: &str,
) -> Result<(bool, String)> {
    let label = match answer {
        "right" => ClassLabel::Sound(&kept.class),
        "none" => ClassLabel::Negatives,
        name => ClassLabel::Sound(name),
    };
    enrol::learn(profile, backbone, label, path)
}
