//! The subcommands that train, export and pack: those that need the float network.

use super::{demo, experiment, export, pack, train};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Demo(demo::Args),
    Train(train::Args),
    Export(export::Args),
    Pack(pack::Args),
    Experiment(experiment::Args),
}

impl Command {
    /// Runs the subcommand that was asked for.
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Demo(args) => args.run(),
            Self::Train(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Pack(args) => args.run(),
            Self::Experiment(args) => args.run(),
        }
    }
}
