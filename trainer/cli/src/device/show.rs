//! `mtslvr device show`: describes the device at the other end.

use super::super::examples::examples;
use super::link::PortChoice;
use anyhow::Result;
use mtslvr_audio::counted;
use serde::Serialize;

/// Describe the device: its backbone, what it was taught, and its room
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "See what is at the other end" => "mtslvr device show --port /dev/ttyACM0",
    "Ask a device behind a network bridge" => "mtslvr device show --port tcp:bridge:3000",
))]
pub(super) struct Show {
    #[command(flatten)]
    port: PortChoice,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. Fields:
  port, backbone, model: where the device is, the id of its backbone, and the name of its model
  classes, examples: numbers of both that it was taught
  class_room, example_room: most of both
  profile_room, model_room: bytes of the longest profile and model that it takes; 0 if it takes none";

#[derive(Debug, Serialize)]
struct Shown<'a> {
    port: &'a str,
    backbone: String,
    model: String,
    classes: u16,
    examples: u16,
    class_room: u16,
    example_room: u16,
    profile_room: u32,
    model_room: u32,
}

impl Show {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let linked = self.port.greet()?;
        let device = &linked.device;
        let shown = Shown {
            port: self.port.name(),
            backbone: device.backbone.to_string(),
            model: linked.model_name(),
            classes: device.classes,
            examples: device.examples,
            class_room: device.class_room,
            example_room: device.example_room,
            profile_room: device.profile_room,
            model_room: device.model_room,
        };
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&shown)?);
            return Ok(());
        }
        outln!("backbone    {}, {}", shown.backbone, shown.model);
        outln!(
            "taught      {} of {}, {} of {}",
            counted(shown.classes.into(), "class"),
            shown.class_room,
            counted(shown.examples.into(), "example"),
            shown.example_room
        );
        outln!("profile     up to {} bytes", shown.profile_room);
        match shown.model_room {
            0 => outln!("model       fixed in the firmware"),
            room => outln!("model       up to {room} bytes"),
        }
        Ok(())
    }
}
