//! `mtslvr device install`: gives the device another model.

use super::super::examples::examples;
use super::link::{PortChoice, Transferred};
use anyhow::{Context, Result, ensure};
use mtslvr_audio::counted;
use mtslvr_pack::{BackboneFile, Engine, ModelSource};
use mtslvr_runtime::link::Object;
use serde::Serialize;

/// Give the device another model, for its next start
///
/// The device must have a slot for models. It checks the model before it chooses it. What was taught under the
/// old model does not fit the new one: embed the clips again with `classes reembed`, then `device push`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "Give the device a shipped backbone" =>
        "mtslvr device install edge-s --port /dev/ttyACM0",
    "Give it a model of your own" =>
        "mtslvr device install model.slvr --port /dev/ttyACM0",
))]
pub(super) struct Install {
    /// Packed model: a shipped backbone, a .slvr file, or a run folder that holds one
    model: ModelSource,
    #[command(flatten)]
    port: PortChoice,
    #[arg(long, help = "Print JSON instead of text", long_help = JSON_HELP)]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print JSON instead of text. Fields:
  port, model, backbone: where the device is, the model, and the id of its backbone
  bytes: length of the model
  had: bytes of it that the device had from an earlier try
  sent: bytes that were sent, repeats not counted
  repeats: requests that were made again on a bad line";

#[derive(Debug, Serialize)]
struct Installed<'a> {
    port: &'a str,
    model: String,
    backbone: String,
    #[serde(flatten)]
    given: Transferred,
}

impl Install {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let named = || self.model.to_string();
        let file = BackboneFile::open(&self.model, Some(Engine::Packed))?;
        let model = file.packed_model().with_context(|| {
            format!(
                "{}: no packed model; pack it first: `mtslvr pack`",
                self.model
            )
        })?;
        let mut linked = self.port.greet()?;
        let room = linked.device.model_room as usize;
        ensure!(
            room > 0,
            "{}: the device takes no models; build its firmware around {} instead (docs/src/boards.md)",
            self.port.name(),
            self.model
        );
        let bytes = model.as_bytes();
        ensure!(
            bytes.len() <= room,
            "{}: {} bytes, and the device has room for {room}; take a smaller backbone",
            self.model,
            bytes.len()
        );
        let given = linked.give(Object::Model, bytes).with_context(named)?;
        let installed = Installed {
            port: self.port.name(),
            model: self.model.to_string(),
            backbone: model.id().to_string(),
            given,
        };
        if self.json {
            outln!("{}", serde_json::to_string_pretty(&installed)?);
            return Ok(());
        }
        outln!(
            "{}: {} is there; the device uses it after its next start",
            installed.port,
            installed.model
        );
        if model.id() != linked.device.backbone && linked.device.classes > 0 {
            outln!(
                "It teaches the new model its {} again, if it kept their recordings; otherwise the new model waits \
                 until they are forgotten, and then takes them from here: `mtslvr classes reembed`, `mtslvr device \
                 push`.",
                counted(linked.device.classes.into(), "class")
            );
        }
        Ok(())
    }
}
