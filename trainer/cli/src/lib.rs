//! The command line of `mtslvr`: one file for each subcommand, with its arguments and a `run`.
//!
//! [`Cli`] is the definition. Through [`clap::CommandFactory`] it gives the whole tree of commands,
//! options and help texts:
//!
//! ```
//! use clap::CommandFactory;
//! let command = mtslvr_cli::Cli::command();
//! assert!(command.get_subcommands().any(|sub| sub.get_name() == "enrol"));
//! ```
//!
//! Built without the feature `train`, there are only the subcommands that packed models are enough for.

#![deny(clippy::print_stdout)]

#[macro_use]
mod stdout;

mod backbone;
mod bench;
mod cache;
#[cfg(feature = "train")]
mod calibration;
mod called;
mod classes;
#[cfg(feature = "train")]
mod cohort;
mod command_line;
mod completions;
#[cfg(feature = "train")]
mod cut;
#[cfg(feature = "train")]
mod demo;
mod device;
mod embed;
mod enrol;
mod eval;
mod examples;
#[cfg(feature = "train")]
mod experiment;
#[cfg(feature = "train")]
mod export;
mod inspect;
pub mod interrupt;
mod keygen;
mod listen;
mod lists;
mod man;
mod microphone;
mod output_place;
#[cfg(feature = "train")]
mod pack;
mod profile;
mod progress;
#[cfg(feature = "train")]
mod recordings;
mod review;
mod sets;
mod sign;
#[cfg(feature = "train")]
mod stream;
mod synth;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod training_bar;
mod trusted_key;
#[cfg(feature = "train")]
mod untrained;
#[cfg(not(feature = "train"))]
#[path = "no_untrained.rs"]
mod untrained;

use clap::{Parser, Subcommand};
use examples::examples;
use mtslvr_audio::Shown;
use mtslvr_runtime::fewshot::steers;
use std::process::ExitCode;

/// Runs the command line of this process and returns its exit status.
///
/// An error is one line on standard error. Whoever calls this watches for signals
/// ([`interrupt::watch`]).
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => refuse(&error),
        // Help and version are what was asked for.
        Err(help) => {
            if let Err(error) = help.print() {
                stdout::fail(&error);
            }
            return ExitCode::SUCCESS;
        }
    };
    let outcome = cli.run();
    if let Err(error) = &outcome {
        errln!("error: {error:#}");
    }
    match outcome {
        _ if interrupt::came() => ExitCode::from(interrupt::INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says what is wrong with the arguments, and ends the program. What steers a terminal in them is shown by its number.
fn refuse(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if !text.chars().any(|c| c != '\n' && steers(c)) {
        error.exit();
    }
    let lines = text.trim_end().lines().map(|line| Shown(line).to_string());
    errln!("{}", lines.collect::<Vec<_>>().join("\n"));
    std::process::exit(error.exit_code());
}

#[cfg_attr(
    feature = "train",
    doc = "Teach devices new sounds from a few examples, and train the backbones they need"
)]
#[cfg_attr(
    not(feature = "train"),
    doc = "Teach devices new sounds from a few examples"
)]
///
/// A backbone turns a sound into an embedding. Two of them, edge-s and edge-m, are part of the program.
/// `mtslvr enrol` learns a sound from one to five clips of it and keeps it in a profile, a file of your
/// own. `mtslvr listen` then recognises the sound. `mtslvr device push` takes a profile to a device.
#[cfg_attr(feature = "train", doc = "")]
#[cfg_attr(
    feature = "train",
    doc = "`mtslvr train` makes a backbone of your own, and `mtslvr demo` shows it all on synthetic sounds."
)]
///
/// Exit status: 0 after success; 1 after an error; 2 for a command line that cannot be understood; 130
/// after Ctrl-C, SIGTERM or SIGHUP.
#[derive(Debug, Parser)]
#[command(
    name = "mtslvr",
    version,
    after_help = examples!(
        "Teach a sound, then listen for it" =>
            "mtslvr enrol kettle kettle1.wav kettle2.wav"
            "mtslvr listen kitchen.wav",
        "Read the help of a command" => "mtslvr help enrol",
    )
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands in the order of the help: first teaching, then making backbones, then measuring.
#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "train")]
    Demo(demo::Args),
    Enrol(enrol::Args),
    Listen(listen::Args),
    Classes(classes::Args),
    Device(device::Args),
    Review(review::Args),
    Synth(synth::Args),
    #[cfg(feature = "train")]
    Train(train::Args),
    #[cfg(feature = "train")]
    Export(export::Args),
    #[cfg(feature = "train")]
    Pack(pack::Args),
    #[cfg(feature = "train")]
    Cut(cut::Args),
    Inspect(inspect::Args),
    Keygen(keygen::Args),
    Sign(sign::Args),
    Eval(Box<eval::Args>),
    #[cfg(feature = "train")]
    Stream(Box<stream::Args>),
    Bench(bench::Args),
    Embed(embed::Args),
    #[cfg(feature = "train")]
    Experiment(experiment::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Runs the subcommand that was asked for.
    ///
    /// # Errors
    /// One error for the whole command, to be printed with its sources in one line.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            #[cfg(feature = "train")]
            Command::Demo(args) => args.run(),
            Command::Enrol(args) => args.run(),
            Command::Listen(args) => args.run(),
            Command::Review(args) => args.run(),
            Command::Classes(args) => args.run(),
            Command::Device(args) => args.run(),
            Command::Synth(args) => args.run(),
            #[cfg(feature = "train")]
            Command::Train(args) => args.run(),
            #[cfg(feature = "train")]
            Command::Export(args) => args.run(),
            #[cfg(feature = "train")]
            Command::Pack(args) => args.run(),
            #[cfg(feature = "train")]
            Command::Cut(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Keygen(args) => args.run(),
            Command::Sign(args) => args.run(),
            Command::Eval(args) => args.run(),
            #[cfg(feature = "train")]
            Command::Stream(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Embed(args) => args.run(),
            #[cfg(feature = "train")]
            Command::Experiment(args) => args.run(),
            Command::Completions(args) => args.run(),
            Command::Man(args) => args.run(),
        }
    }
}
