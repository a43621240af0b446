//! `mtslvr classes undo`: takes back the last change of a profile.

use super::super::examples::examples;
use super::super::profile::ProfileChoice;
use super::{existing, held};
use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;

/// Take back the last change of the profile
///
/// The profile is then as it was before the last command that changed it: enrol, delete, rename, import and
/// all others. Only the last change is kept: a second undo restores what the first took back.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Take back the last change" => "mtslvr classes undo",
    "Take back the last change of another profile" =>
        "mtslvr classes undo --profile kitchen.mtss",
))]
pub(super) struct Undo {
    #[command(flatten)]
    profile: ProfileChoice,
}

impl Undo {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        existing(&profile)?;
        let locked = profile.lock()?;
        let before = locked.undo()?.with_context(|| {
            format!(
                "{}: there is no change to take back; one sound is forgotten by `mtslvr classes delete NAME`",
                profile.path().shown()
            )
        })?;
        let header = before.header();
        outln!(
            "{}: {} again; another undo takes this one back",
            profile.path().shown(),
            held(&header)
        );
        Ok(())
    }
}
