//! `mtslvr device pull`: fetches what the device was taught.

use super::super::classes::held;
use super::super::examples::examples;
use super::link::PortChoice;
use anyhow::{Result, ensure};
use mtslvr_audio::{ShowPath, atomic_file};
use mtslvr_listen::link::Part;
use mtslvr_listen::profile::{Memory, Snapshot};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Fetch what the device was taught into a file
///
/// The file is a profile: `classes list --profile FILE` shows it, `classes import FILE` makes it yours, and
/// `device push` takes it to another device with the same backbone.
///
/// Should the line break, what has come is kept beside the file as FILE.part, and the same command fetches the rest.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Fetch what the device was taught, and look at it" =>
        "mtslvr device pull --port /dev/ttyACM0 --out device.mtss"
        "mtslvr classes list --profile device.mtss",
    "Replace an earlier copy" =>
        "mtslvr device pull --port /dev/ttyACM0 --out device.mtss --force",
))]
pub(super) struct Pull {
    #[command(flatten)]
    port: PortChoice,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. Fields:
  port, out, backbone: where the device is, the file, and the id of the backbone
  classes, examples: numbers of both in the profile
  bytes, had: length of the profile, and how much of it an earlier pull had fetched
  repeats: requests that were made again on a bad line";

#[derive(Debug, Serialize)]
struct Pulled<'a> {
    port: &'a str,
    out: String,
    backbone: String,
    classes: usize,
    examples: usize,
    bytes: usize,
    had: usize,
    repeats: u64,
}

impl Pull {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let out = self.out.shown();
        ensure!(
            self.force || !self.out.exists(),
            "{out}: exists already; give another name, or --force to replace it"
        );
        let mut linked = self.port.greet()?;
        let unfinished = Unfinished::beside(&self.out);
        let mut part = unfinished.read();
        let had = part.len();
        let bytes = linked
            .pull(&mut part)
            .inspect_err(|_| unfinished.keep(&part))?;
        let snapshot = Snapshot::from_reader(&bytes[..], self.port.name().as_ref())?;
        let header = snapshot.header();
        snapshot.restore(&mut Memory::for_snapshot(&header).learner())?;
        snapshot.write(&self.out)?;
        unfinished.keep(&Part::default());
        let pulled = Pulled {
            port: self.port.name(),
            out: self.out.display().to_string(),
            backbone: header.backbone.to_string(),
            classes: header.classes,
            examples: header.examples,
            bytes: bytes.len(),
            had,
            repeats: linked.repeats(),
        };
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&pulled)?);
        } else {
            outln!(
                "{out}: {}, for the backbone {} ({})",
                held(&header),
                pulled.backbone,
                linked.model_name()
            );
        }
        Ok(())
    }
}

/// The file that keeps what came before the line broke.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(out: &Path) -> Self {
        let mut name = out.as_os_str().to_owned();
        name.push(".part");
        Self(name.into())
    }

    /// Returns what is kept; nothing if that cannot be read.
    fn read(&self) -> Part {
        fs::read(&self.0).map_or_else(|_| Part::default(), |bytes| Part::from_bytes(&bytes))
    }

    /// Keeps `part`, or takes the file away if there is nothing to keep. Without it, the next pull only takes longer.
    fn keep(&self, part: &Part) {
        let _ = if part.is_empty() {
            fs::remove_file(&self.0)
        } else {
            atomic_file::write_bytes(&self.0, &part.to_bytes())
        };
    }
}
