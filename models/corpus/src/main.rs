//! `mtslvr-corpus`: makes a folder of recordings for training from Debian's packages and rendering
//! programs, and sorts recordings into sets to choose settings on. README.md tells more.

mod audio;
mod batch;
mod clip;
mod copyright;
mod drum;
mod licence;
mod make;
mod manifest;
mod package;
mod pretrain;
mod program;
mod proxy;
mod same;
mod sources;
mod words;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes folders of recordings for training, and sets for choosing settings.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a corpus, or what is missing of it.
    ///
    /// Fetches Debian packages with `apt-get download` and renders with espeak-ng, flite, festival
    /// and fluidsynth. Whatever is not installed is left out, and named at the end. A run that was
    /// stopped goes on where it was.
    Make {
        /// Folder of the corpus.
        out: PathBuf,
        /// Makes this source only, and leaves what there is of others; may be given several times.
        #[arg(long, value_name = "SOURCE")]
        only: Vec<String>,
        /// Hours of rendered sound, about: 60 % words, 25 % notes and drums, 15 % synthesiser.
        #[arg(long, default_value_t = 10.0)]
        hours: f64,
        /// Takes in the recordings of this folder, which has a manifest.csv with the columns path,
        /// source, seconds, kind and gpl.
        #[arg(long, value_name = "DIR")]
        pretrain: Option<PathBuf>,
        /// Folder for unpacked packages [default: OUT/.packages]
        #[arg(long, value_name = "DIR")]
        packages: Option<PathBuf>,
        /// Uses only packages that are installed or unpacked already.
        #[arg(long)]
        offline: bool,
    },
    /// Sorts recordings into labelled sets by their file names.
    ///
    /// Makes links to recordings whose names tell what they hold, in folders that
    /// `mtslvr eval --data` reads. Accuracy on them ranks settings; it is no result, since
    /// training hears the same recordings.
    Sort {
        /// Folder of recordings with a manifest.csv, or a corpus that has taken them in.
        pretrain: PathBuf,
        /// Folder for the sets.
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let stopped = error.is::<batch::Stopped>();
            ExitCode::from(if stopped { 130 } else { 1 })
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Make {
            out,
            only,
            hours,
            pretrain,
            packages,
            offline,
        } => {
            let options = make::Options {
                packages: packages.unwrap_or_else(|| out.join(".packages")),
                out,
                only,
                hours,
                pretrain,
                fetch: !offline,
            };
            make::make(&options, stop_on_ctrl_c()?)
        }
        Command::Sort { pretrain, out } => {
            for set in proxy::sort(&pretrain, &out)? {
                let counts: Vec<_> = set
                    .classes
                    .iter()
                    .map(|(class, clips)| format!("{class} {}", clips.len()))
                    .collect();
                println!(
                    "{}: {} classes ({})",
                    set.set,
                    counts.len(),
                    counts.join(", ")
                );
            }
            Ok(())
        }
    }
}

/// The flag that the first Ctrl-C sets; a second one ends the program.
fn stop_on_ctrl_c() -> Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nStopping after what is being made; press Ctrl-C again to stop at once.");
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(&STOP)
}
