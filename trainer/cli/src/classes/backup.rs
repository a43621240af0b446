//! The profile as a snapshot in a file: for a backup, another computer, or a device.

use super::super::backbone::BackboneChoice;
use super::super::examples::examples;
use super::super::profile::{BackboneInUse, ProfileChoice};
use super::super::stdout;
use super::super::trusted_key::TrustedKeyChoice;
use super::existing;
use anyhow::{Context, Result, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_listen::profile::{Memory, Profile, Snapshot};
use mtslvr_runtime::fewshot::persist::signed_contents;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Copy the profile to a file, for a backup or a device
///
/// The file is a snapshot: the classes with their examples, names and thresholds, without the clips.
/// `classes reembed` cannot take an imported profile to another backbone.
///
/// A snapshot is bytes, not text: runtime/SNAPSHOT.md describes every field. `classes list --json` gives the
/// same classes and thresholds as JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Back up the profile" => "mtslvr classes export backup.mtss",
    "Replace an earlier backup" => "mtslvr classes export backup.mtss --force",
    "Take it to another computer" => "mtslvr classes export - > backup.mtss",
))]
pub(super) struct Export {
    /// File to write, or - for standard output
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    profile: ProfileChoice,
}

/// Replace the profile with a snapshot from a backup or a device
///
/// The snapshot must have been enrolled under the backbone that is used here. With --trusted-key it must
/// have been signed, too (`mtslvr sign`).
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Restore a backup, where there is no profile" => "mtslvr classes import backup.mtss",
    "Restore it over a profile with classes, which are lost" =>
        "mtslvr classes import backup.mtss --force",
))]
pub(super) struct Import {
    /// Snapshot to read, or - for standard input
    file: PathBuf,
    /// Replace a profile that holds classes; they are lost
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    trusted: TrustedKeyChoice,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: BackboneChoice,
}

/// Tells whether a file is standard input or standard output.
fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

impl Export {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let snapshot = existing(&self.profile.profile()?)?;
        let header = snapshot.header();
        let held = format!(
            "{} classes with {} examples, for the backbone {}",
            header.classes, header.examples, header.backbone
        );
        if is_standard(&self.file) {
            ensure!(
                !std::io::stdout().is_terminal(),
                "a snapshot is bytes that a terminal cannot show; send them to a file or a program, \
                 such as `mtslvr classes export - > backup.mtss`"
            );
            stdout::write_bytes(snapshot.as_bytes());
            errln!("standard output: {held}");
            return Ok(());
        }
        ensure!(
            self.force || !self.file.exists(),
            "{}: exists already; give another name, or --force to replace it",
            self.file.shown()
        );
        snapshot.write(&self.file)?;
        outln!("{}: {held}", self.file.shown());
        Ok(())
    }
}

impl Import {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let snapshot = if is_standard(&self.file) {
            Snapshot::from_reader(std::io::stdin().lock(), Path::new("standard input"))?
        } else {
            Snapshot::read(&self.file)?
        };
        if let Some(key) = self.trusted.key()? {
            let contents = signed_contents(snapshot.as_bytes());
            let checked = contents.map(|contents| contents.check(&key, 0));
            checked?.with_context(|| self.file.shown().to_string())?;
        }
        let header = snapshot.header();
        // All of it must be sound, not only what the header tells.
        let mut memory = Memory::for_snapshot(&header);
        snapshot.restore(&mut memory.learner())?;
        BackboneInUse::open(&self.backbone)?.check_import(&snapshot, &self.file)?;
        let locked = profile.lock()?;
        self.check_losses(&profile)?;
        locked.write_snapshot(&snapshot)?;
        outln!(
            "{}: {} classes with {} examples",
            profile.path().shown(),
            header.classes,
            header.examples
        );
        Ok(())
    }

    /// Refuses to replace classes without --force. A damaged profile may always be replaced: that is
    /// what a backup is for.
    fn check_losses(&self, profile: &Profile) -> Result<()> {
        let Ok(Some(snapshot)) = profile.read() else {
            return Ok(());
        };
        let classes = snapshot.header().classes;
        ensure!(
            classes == 0 || self.force,
            "{}: holds {classes} classes, which would be lost; back it up with `mtslvr classes export \
             FILE`, then give --force",
            profile.path().shown()
        );
        Ok(())
    }
}
