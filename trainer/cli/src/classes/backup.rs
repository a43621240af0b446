//! The profile as a snapshot in a file: for a backup, another computer, or a device.

use super::super::backbone::ProfileBackboneChoice;
use super::super::examples::examples;
use super::super::output_place;
use super::super::profile::{BackboneInUse, ProfileChoice};
use super::super::stdout;
use super::super::trusted_key::TrustedKeyChoice;
use super::{existing, held};
use anyhow::{Context, Result, ensure};
use mtslvr_audio::{ShowPath, counted};
use mtslvr_listen::profile::{Backup, Copied, Memory, Profile, Snapshot};
use mtslvr_runtime::fewshot::persist::signed_contents;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Copy the profile to a file, for a backup or a device
///
/// The file is a snapshot: the classes with their examples, names and thresholds, without the clips.
/// `classes reembed` cannot take such a profile to another backbone. With --clips, FILE is a folder that holds the
/// recordings of the examples, too, so that it can.
///
/// A snapshot is bytes, not text: runtime/SNAPSHOT.md describes every field. `classes list --json` gives the
/// same classes and thresholds as JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Back up the profile" => "mtslvr classes export backup.mtss",
    "Keep the clips, too" => "mtslvr classes export backup --clips",
    "Take it to another computer" => "mtslvr classes export - > backup.mtss",
))]
pub(super) struct Export {
    /// File to write, or - for standard output; with --clips, a new folder
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Copy the recordings of the examples, too
    #[arg(long, conflicts_with = "force")]
    clips: bool,
    #[command(flatten)]
    profile: ProfileChoice,
}

/// Replace the profile with a snapshot from a backup or a device
///
/// The backbone that it was enrolled under must be known here: a shipped one, one that a file beside the snapshot or
/// the profile names, or the one of --model. With --trusted-key it must have been signed, too (`mtslvr sign`). Clips of
/// a backup are copied into a folder beside the profile.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Restore a backup, where there is no profile" => "mtslvr classes import backup.mtss",
    "Restore it over a profile with classes, which are lost" =>
        "mtslvr classes import backup.mtss --force",
))]
pub(super) struct Import {
    /// Snapshot to read, or - for standard input, or the folder of a backup with clips
    file: PathBuf,
    /// Replace a profile that holds classes; they are lost
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    trusted: TrustedKeyChoice,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: ProfileBackboneChoice,
}

/// Tells whether a file is standard input or standard output.
fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

impl Export {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let snapshot = existing(&profile)?;
        let header = snapshot.header();
        let contents = format!("{}, for the backbone {}", held(&header), header.backbone);
        if self.clips {
            return self.with_clips(&profile, &snapshot, &contents);
        }
        if is_standard(&self.file) {
            ensure!(
                !std::io::stdout().is_terminal(),
                "a snapshot is bytes that a terminal cannot show; send them to a file or a program, \
                 such as `mtslvr classes export - > backup.mtss`"
            );
            stdout::write_bytes(snapshot.as_bytes());
            errln!("standard output: {contents}");
            return Ok(());
        }
        ensure!(
            self.force || !self.file.exists(),
            "{}: exists already; give another name, or --force to replace it",
            self.file.shown()
        );
        snapshot.write_copy(&self.file, &profile)?;
        outln!("{}: {contents}", self.file.shown());
        Ok(())
    }

    /// Writes a folder with the recordings.
    fn with_clips(&self, profile: &Profile, snapshot: &Snapshot, held: &str) -> Result<()> {
        ensure!(
            !is_standard(&self.file),
            "clips go into a folder; name one in place of -"
        );
        output_place::check_empty(&self.file)?;
        let mut memory = Memory::for_snapshot(&snapshot.header());
        let mut learner = memory.learner();
        snapshot.restore(&mut learner)?;
        let copied = Backup::write(&self.file, snapshot, learner.support(), profile)?;
        outln!("{}: {held}; {}", self.file.shown(), told(&copied));
        Ok(())
    }
}

/// Says how many recordings were copied, and how many could not be.
fn told(copied: &Copied) -> String {
    let mut text = format!(
        "{}, {:.1} MB",
        counted(copied.clips, "clip"),
        copied.bytes as f64 / 1e6
    );
    if copied.missing > 0 {
        let _ = write!(
            text,
            "; of {} the clips are not known, gone or changed (`mtslvr classes list --clips`)",
            counted(copied.missing, "example")
        );
    }
    text
}

impl Import {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let backup = match self.file.is_dir() {
            true => Some(Backup::open(&self.file).context(
                "expected the folder of a backup, which `mtslvr classes export FOLDER --clips` writes",
            )?),
            false => None,
        };
        let snapshot = if let Some(backup) = &backup {
            backup.snapshot()?
        } else if is_standard(&self.file) {
            Snapshot::from_reader(std::io::stdin().lock(), Path::new("standard input"))?
        } else {
            Snapshot::read(&self.file)?
        };
        if let Some(trust) = self.trusted.trust()? {
            let contents = signed_contents(snapshot.as_bytes());
            let checked = contents.map(|contents| contents.check(&trust.key, trust.least));
            checked?.with_context(|| self.file.shown().to_string())?;
        }
        let header = snapshot.header();
        // All of it must be sound, not only what the header tells.
        let mut memory = Memory::for_snapshot(&header);
        let mut learner = memory.learner();
        snapshot.restore(&mut learner)?;
        // A note lies beside a backup, and beside a profile that was copied.
        let beside = match &backup {
            Some(backup) => backup.profile().clone(),
            None => Profile::new(Some(self.file.clone()))?,
        };
        let known = [&beside, &profile];
        let backbone = BackboneInUse::open_for_import(&self.backbone, &snapshot, &known)?;
        backbone.check_import(&snapshot, &self.file)?;
        let locked = profile.lock()?;
        self.check_losses(&profile)?;
        backbone.note().write(&locked)?;
        // First the clips, so that a crash in between costs nothing.
        let copied = match &backup {
            Some(backup) => {
                let copied = backup.restore_clips(learner.support(), &locked)?;
                format!("; {}", told(&copied))
            }
            None => String::new(),
        };
        locked.write_snapshot(&snapshot)?;
        outln!("{}: {}{copied}", profile.path().shown(), held(&header));
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
            "{}: holds {}, which would be lost; back it up with `mtslvr classes export FILE`, then give --force",
            profile.path().shown(),
            counted(classes, "class")
        );
        Ok(())
    }
}
