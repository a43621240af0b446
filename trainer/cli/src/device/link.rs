//! The options that say where the device is, and the link to it.

use super::super::interrupt;
use super::super::progress::bytes;
use anyhow::{Context, Error, Result, anyhow};
use mtslvr_listen::link::{Client, Device, Given, LinkError, Part, Patience, Port};
use mtslvr_pack::ModelSource;
use mtslvr_runtime::link::{Object, Refusal};
use mtslvr_runtime::space::BackboneId;
use serde::Serialize;

/// The options `--port` and `--baud`, flattened into the arguments of a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct PortChoice {
    /// Serial port of the device, such as /dev/ttyACM0, or tcp:HOST:PORT of a network bridge
    #[arg(long)]
    port: String,
    /// Bits a second of a UART; USB has a speed of its own
    #[arg(long, default_value_t = 115_200, value_parser = clap::value_parser!(u32).range(300..=20_000_000))]
    baud: u32,
}

impl PortChoice {
    /// Returns the port's name.
    pub(super) fn name(&self) -> &str {
        &self.port
    }

    /// Opens the port and greets the device.
    pub(super) fn greet(&self) -> Result<Linked<'_>> {
        let stop = interrupt::on_ctrl_c();
        let port = Port::open(&self.port, self.baud).with_context(|| self.port.clone())?;
        let patience = Patience {
            // A device that is there answers at once, or after a start.
            tries: 5,
            ..Patience::at_baud(self.baud)
        };
        let mut client = Client::new(port, patience, stop);
        let device = client.greet().map_err(|error| self.explain(error))?;
        Ok(Linked {
            choice: self,
            client,
            device,
        })
    }

    /// Names the port, and says what to do.
    fn explain(&self, error: LinkError) -> Error {
        let remedy = match &error {
            LinkError::NoAnswer(_) => format!(
                "check the cable, that the device's firmware has the link, and that it speaks at {} baud (--baud)",
                self.baud
            ),
            LinkError::Line(_) => {
                "plug the device in and run this again; it goes on from there".to_owned()
            }
            LinkError::Version { found } if *found > mtslvr_runtime::link::LINK_VERSION => {
                "use a newer mtslvr".to_owned()
            }
            LinkError::Version { .. } => "give the device a newer firmware".to_owned(),
            LinkError::Refused(Refusal::Locked) => {
                "have the device forget everything (its README says how), then run this again"
                    .to_owned()
            }
            LinkError::Refused(Refusal::NoSlot) => {
                "build its firmware around the model instead, or with a slot for models".to_owned()
            }
            LinkError::Refused(Refusal::Untrusted) => {
                "sign it with the key that the device trusts: `mtslvr sign`".to_owned()
            }
            LinkError::Refused(
                Refusal::TooManyClasses { .. } | Refusal::TooManyExamples { .. },
            ) => "delete some: `mtslvr classes delete`".to_owned(),
            LinkError::Refused(Refusal::OnTrial) => {
                "let the device run until it has confirmed its model, then run this again"
                    .to_owned()
            }
            LinkError::Refused(Refusal::Flash) => "check the device's flash".to_owned(),
            _ => return anyhow!(error).context(self.port.clone()),
        };
        anyhow!("{error}; {remedy}").context(self.port.clone())
    }
}

/// The fields of `--json` about an object that was given to a device.
#[derive(Debug, Serialize)]
pub(super) struct Transferred {
    bytes: usize,
    had: u32,
    sent: u64,
    repeats: u64,
}

/// A device that has answered.
pub(super) struct Linked<'p> {
    choice: &'p PortChoice,
    client: Client<'static, Port>,
    /// The device.
    pub(super) device: Device,
}

impl Linked<'_> {
    /// Takes the device's profile, from `part` on.
    pub(super) fn pull(&mut self, part: &mut Part) -> Result<Vec<u8>> {
        let bar = bytes("profile from the device");
        let pulled = self.client.pull(&self.device, part, |there, all| {
            bar.set_length(all);
            bar.set_position(there);
        });
        bar.finish_and_clear();
        pulled.map_err(|error| self.choice.explain(error))
    }

    /// Gives the device something to use.
    pub(super) fn give(&mut self, object: Object, contents: &[u8]) -> Result<Transferred> {
        let bar = bytes(match object {
            Object::Profile => "profile to the device",
            Object::Model => "model to the device",
        });
        let given = self
            .client
            .give(&self.device, object, contents, |there, all| {
                bar.set_length(all);
                bar.set_position(there);
            });
        bar.finish_and_clear();
        let Given { had, sent } = given.map_err(|error| self.choice.explain(error))?;
        Ok(Transferred {
            bytes: contents.len(),
            had,
            sent,
            repeats: self.repeats(),
        })
    }

    /// Returns how often a request had to be made again.
    pub(super) fn repeats(&self) -> u64 {
        self.client.repeats()
    }

    /// Returns the name by which the device's backbone is known here, or else that of its model.
    pub(super) fn model_name(&self) -> String {
        shipped(self.device.backbone).unwrap_or_else(|| self.device.model.clone())
    }
}

/// Returns the name of the shipped backbone with this id, if there is one.
pub(super) fn shipped(id: BackboneId) -> Option<String> {
    let shipped = ModelSource::all_shipped().into_iter();
    let mut with_id = shipped.filter(|model| {
        let file = mtslvr_pack::BackboneFile::open(model, None);
        file.ok()
            .and_then(|file| file.packed_model().map(|packed| packed.id() == id))
            .unwrap_or(false)
    });
    with_id.next().map(|model| model.to_string())
}
