//! `cargo xtask`: sets up what the tests need, runs them all, and builds the example firmware.

mod embedded;
mod firmware;
mod onnxruntime;
mod process;
mod steps;
mod suite;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Sets up, tests and builds this repository.
///
/// Environment: MTSLVR_EMBEDDED=debian takes the Cortex-M compiler and QEMU from Debian's packages
/// (and installs them), MTSLVR_EMBEDDED=rustup takes the compiler from rustup; unset, the installed
/// target is used, or added by rustup. MTSLVR_DATA=DIR also tests on the recordings in DIR/eval.
/// ORT_DYLIB_PATH=FILE takes that ONNX Runtime library instead of the one from PyPI.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sets up and runs every check: format, clippy, host tests, no_std builds, firmware in QEMU.
    Test,
    /// Only sets up what `test` needs: Cortex-M compiler, QEMU, ONNX Runtime.
    Setup,
    /// Builds the QEMU example firmware around a packed model, and runs it if asked to.
    Firmware {
        /// The packed model (.slvr) to put into flash.
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
        /// Run it in QEMU, with the arguments behind `--`.
        #[arg(long)]
        run: bool,
        /// The firmware's own arguments, such as `support:dog=a.wav query=b.wav`
        /// (firmware-examples/qemu/README.md lists them).
        #[arg(last = true, requires = "run", value_name = "ARG")]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Test => return Ok(suite::test()),
        Command::Setup => {
            embedded::Toolchain::set_up()?;
            let library = onnxruntime::set_up()?;
            println!("ONNX Runtime: ORT_DYLIB_PATH={}", library.display());
        }
        Command::Firmware { model, run, args } => {
            let model = firmware::find_model(&model)?;
            let elf = firmware::build(&embedded::Toolchain::set_up()?, &model)?;
            println!("{}", elf.display());
            if run {
                firmware::run(&elf, &args)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
