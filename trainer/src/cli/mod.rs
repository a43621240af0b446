//! The command line: one file per subcommand, each with its arguments and a `run`.

mod backbone;
mod bench;
mod cache;
mod calibration;
mod classes;
mod demo;
mod embed;
mod enroll;
mod eval;
mod experiment;
mod export;
mod inspect;
mod interrupt;
mod listen;
mod pack;
mod progress;
mod sets;
mod stream;
mod synth;
mod taught;
mod train;

use clap::{Parser, Subcommand};

/// Learn audio backbones from unlabelled sound, put them on small devices, teach them new sounds there.
#[derive(Debug, Parser)]
#[command(name = "mtslvr", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Train(train::Args),
    Export(export::Args),
    Pack(pack::Args),
    Inspect(inspect::Args),
    Bench(bench::Args),
    Embed(embed::Args),
    Eval(eval::Args),
    Experiment(experiment::Args),
    Stream(Box<stream::Args>),
    Synth(synth::Synth),
    Enroll(enroll::Args),
    Listen(listen::Args),
    Classes(classes::Args),
}

impl Cli {
    /// Runs the subcommand that was asked for.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(args) => args.run(),
            Command::Train(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Pack(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Embed(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Experiment(args) => args.run(),
            Command::Stream(args) => args.run(),
            Command::Synth(synth) => synth.run(),
            Command::Enroll(args) => args.run(),
            Command::Listen(args) => args.run(),
            Command::Classes(args) => args.run(),
        }
    }
}
