//! `mtslvr device`: takes profiles and models to a device over a serial line, and back.

mod install;
mod link;
mod pull;
mod push;
mod show;

use super::examples::examples;
use anyhow::Result;
use clap::Subcommand;

/// Take profiles and models to a device over a serial line, and back
///
/// The firmware must have the link (runtime/LINK.md). A line that loses or flips bytes only takes longer. If the
/// cable or the power goes, the device has what it had before or what was sent, whole, and the same command
/// goes on from what has come already.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "See what is at the other end" => "mtslvr device show --port /dev/ttyACM0",
    "Take your profile to the device" => "mtslvr device push --port /dev/ttyACM0",
    "Fetch what the device was taught" =>
        "mtslvr device pull --port /dev/ttyACM0 --out device.mtss",
))]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Show),
    Push(push::Push),
    Pull(pull::Pull),
    Install(install::Install),
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        match self.command {
            Command::Show(args) => args.run(),
            Command::Push(args) => args.run(),
            Command::Pull(args) => args.run(),
            Command::Install(args) => args.run(),
        }
    }
}
