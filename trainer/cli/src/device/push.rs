//! `mtslvr device push`: takes the profile to the device.

use super::super::classes::{existing, held};
use super::super::command_line::CommandLine;
use super::super::examples::examples;
use super::super::profile::ProfileChoice;
use super::link::{Linked, PortChoice, Transferred, shipped};
use anyhow::{Result, bail, ensure};
use mtslvr_audio::ShowPath;
use mtslvr_listen::profile::{Memory, Profile, Snapshot};
use mtslvr_runtime::link::Object;
use serde::Serialize;

/// Take the profile to the device, in place of what it was taught
///
/// The device checks the profile before it replaces its own, and recognises the sounds from then on, also after a
/// power cut. `mtslvr device pull` first fetches what it was taught, which is lost otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Take your profile to the device" => "mtslvr device push --port /dev/ttyACM0",
    "Take another profile, or a backup of one" =>
        "mtslvr device push --port /dev/ttyACM0 --profile doorbells.mtss",
))]
pub(super) struct Push {
    #[command(flatten)]
    port: PortChoice,
    #[command(flatten)]
    profile: ProfileChoice,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. Fields:
  port, backbone: where the device is, and the id of its backbone
  classes, examples: numbers of both in the profile
  bytes: length of the profile
  had: bytes of it that the device had from an earlier try
  sent: bytes that were sent, repeats not counted
  repeats: requests that were made again on a bad line";

#[derive(Debug, Serialize)]
struct Pushed<'a> {
    port: &'a str,
    backbone: String,
    classes: usize,
    examples: usize,
    #[serde(flatten)]
    given: Transferred,
}

impl Push {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let snapshot = existing(&profile)?;
        // All of it must be sound, not only what the header tells.
        let header = snapshot.header();
        snapshot.restore(&mut Memory::for_snapshot(&header).learner())?;
        let mut linked = self.port.greet()?;
        check(&linked, &profile, &snapshot)?;
        let given = linked.give(Object::Profile, snapshot.as_bytes())?;
        let pushed = Pushed {
            port: self.port.name(),
            backbone: header.backbone.to_string(),
            classes: header.classes,
            examples: header.examples,
            given,
        };
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&pushed)?);
        } else {
            outln!("{}: knows {} now", pushed.port, held(&header));
        }
        Ok(())
    }
}

/// Refuses a profile that the device would refuse, with the commands that help.
fn check(linked: &Linked<'_>, profile: &Profile, snapshot: &Snapshot) -> Result<()> {
    let device = &linked.device;
    let (path, header) = (profile.path().shown(), snapshot.header());
    if header.backbone != device.backbone {
        let name = linked.model_name();
        // A model that is not part of the program is a file, which only the user knows.
        let model = shipped(device.backbone).unwrap_or_else(|| "FILE".to_owned());
        let reembed = CommandLine::new(&["classes", "reembed"])
            .option("--profile", Some(profile.path()))
            .option("--model", Some(&model));
        bail!(
            "{path}: enrolled under the backbone {}, but the device has {} ({name}); embed its clips again with \
             `{reembed}`, or give the device the other backbone with `mtslvr device install`",
            header.backbone,
            device.backbone,
        );
    }
    for (what, found, room) in [
        ("classes", header.classes, device.class_room.into()),
        ("examples", header.examples, device.example_room.into()),
        (
            "bytes",
            snapshot.as_bytes().len(),
            device.profile_room as usize,
        ),
    ] {
        ensure!(
            found <= room,
            "{path}: {found} {what}, and the device has room for {room}; delete some with \
             `mtslvr classes delete`"
        );
    }
    Ok(())
}
