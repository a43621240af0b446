//! `mtslvr`: see [`mtslvr_trainer::cli`].

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match mtslvr_trainer::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
