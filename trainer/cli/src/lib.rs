//! The command line: one file per subcommand, each with its arguments and a `run`.
//!
//! Without the feature `train` there are the subcommands that need packed models alone.
#![deny(unsafe_code)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    rustdoc::broken_intra_doc_links
)]

mod backbone;
mod bench;
mod cache;
#[cfg(feature = "train")]
mod calibration;
mod classes;
#[cfg(feature = "train")]
mod demo;
mod embed;
mod enroll;
mod eval;
#[cfg(feature = "train")]
mod experiment;
#[cfg(feature = "train")]
mod export;
mod inspect;
mod interrupt;
mod listen;
#[cfg(feature = "train")]
mod pack;
mod progress;
mod sets;
mod stream;
mod synth;
mod taught;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod training;
#[cfg(feature = "train")]
mod training_bar;
#[cfg(feature = "train")]
mod untrained;
#[cfg(not(feature = "train"))]
#[path = "no_untrained.rs"]
mod untrained;

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
    #[cfg(feature = "train")]
    #[command(flatten)]
    Training(training::Command),
    Inspect(inspect::Args),
    Bench(bench::Args),
    Embed(embed::Args),
    Eval(eval::Args),
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
            #[cfg(feature = "train")]
            Command::Training(command) => command.run(),
            Command::Inspect(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Embed(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Stream(args) => args.run(),
            Command::Synth(synth) => synth.run(),
            Command::Enroll(args) => args.run(),
            Command::Listen(args) => args.run(),
            Command::Classes(args) => args.run(),
        }
    }
}
