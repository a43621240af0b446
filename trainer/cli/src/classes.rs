//! `mtslvr classes`: shows and changes the enrolled classes.

mod backup;
mod calibrate;
mod change;
mod heard;
mod reembed;
mod table;
mod test;
mod undo;

use super::examples::examples;
use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use mtslvr_audio::{ShowPath, counted};
use mtslvr_listen::profile::{ClassLabel, Profile, Snapshot};
use mtslvr_runtime::fewshot::persist::SnapshotHeader;
use mtslvr_runtime::fewshot::{Class, Learner, Role};

/// List and change the enrolled classes, and back up the profile
///
/// Each change is safe: if the power fails, the file holds the old profile or the new one, and several
/// commands may change a profile at the same time.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "See what is enrolled" => "mtslvr classes list",
    "Reject more sounds that are taken for the kettle" => "mtslvr classes threshold kettle 0.5",
    "Take the profile to another computer or device" => "mtslvr classes export backup.mtss",
))]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(table::List),
    Rename(change::Rename),
    Delete(change::Delete),
    Disable(change::Disable),
    Enable(change::Enable),
    Threshold(change::Threshold),
    Export(backup::Export),
    Import(backup::Import),
    Reembed(reembed::Reembed),
    Test(test::Test),
    Calibrate(calibrate::Calibrate),
    Undo(undo::Undo),
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        match self.command {
            Command::List(args) => args.run(),
            Command::Rename(args) => args.run(),
            Command::Delete(args) => args.run(),
            Command::Disable(args) => args.run(),
            Command::Enable(args) => args.run(),
            Command::Threshold(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Reembed(args) => args.run(),
            Command::Test(args) => args.run(),
            Command::Calibrate(args) => args.run(),
            Command::Undo(args) => args.run(),
        }
    }
}

/// The class that a command is about, flattened into its arguments.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ClassChoice {
    /// Name of the sound
    name: Option<String>,
    /// The negatives instead of a sound: what was enrolled with --negative
    #[arg(long)]
    negative: bool,
    /// The background instead of a sound: what was enrolled with --background
    #[arg(long)]
    background: bool,
}

impl ClassChoice {
    fn label(&self) -> ClassLabel<'_> {
        match &self.name {
            Some(name) => ClassLabel::Sound(name),
            None if self.negative => ClassLabel::Negatives,
            None => ClassLabel::Background,
        }
    }
}

/// Returns the sounds that take part.
fn enabled_sounds<'l>(learner: &'l Learner) -> impl Iterator<Item = &'l Class> {
    let classes = learner.support().classes().iter();
    classes.filter(|class| class.role() == Role::Sound && class.is_enabled())
}

/// Checks that there is an enabled sound to do `what` with.
fn expect_sounds(profile: &Profile, learner: &Learner, what: &str) -> Result<()> {
    ensure!(
        enabled_sounds(learner).next().is_some(),
        "{}: no enabled sound to {what}; enrol one first: `mtslvr enrol NAME CLIP...`",
        profile.path().shown()
    );
    Ok(())
}

/// Says how much a snapshot holds.
pub(super) fn held(header: &SnapshotHeader) -> String {
    format!(
        "{} with {}",
        counted(header.classes, "class"),
        counted(header.examples, "example")
    )
}

/// Reads the profile; an error says what to do if there is none.
pub(super) fn existing(profile: &Profile) -> Result<Snapshot> {
    profile.read()?.with_context(|| {
        format!(
            "{}: there is no profile yet; enrol a sound first: `mtslvr enrol NAME CLIP...`",
            profile.path().shown()
        )
    })
}
