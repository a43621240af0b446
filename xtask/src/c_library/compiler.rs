//! The C compilers for devices.

use crate::{embedded, process};
use anyhow::Result;
use std::process::Command;

/// Debian's packages of the compilers.
const PACKAGES: [&str; 3] = [
    "gcc-arm-none-eabi",
    "libnewlib-arm-none-eabi",
    "gcc-riscv64-unknown-elf",
];

/// A C compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// For Arm's microcontrollers, with newlib.
    Arm,
    /// For RISC-V, without a C library.
    RiscV,
}

/// Flags of all code: what is wrong in it fails.
const FLAGS: [&str; 5] = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffunction-sections",
];

impl Compiler {
    /// Begins a command of one of its tools.
    pub fn tool(self, name: &str) -> Command {
        let prefix = match self {
            Self::Arm => "arm-none-eabi",
            Self::RiscV => "riscv64-unknown-elf",
        };
        Command::new(format!("{prefix}-{name}"))
    }

    /// Begins a command that compiles C for a processor.
    pub fn command(self, flags: &[&str]) -> Command {
        let mut command = self.tool("gcc");
        command.args(FLAGS).args(flags);
        command
    }
}

/// Installs the compilers, from Debian's packages, if they are missing.
///
/// # Errors
/// If they are missing and cannot be installed.
pub fn set_up() -> Result<()> {
    let compiles = |compiler: Compiler| process::succeeds(compiler.tool("gcc").arg("--version"));
    // newlib is a package of its own.
    let newlib = || {
        process::succeeds(
            Compiler::Arm
                .tool("gcc")
                .args(["--specs=rdimon.specs", "-v"]),
        )
    };
    let there = || compiles(Compiler::Arm) && compiles(Compiler::RiscV) && newlib();
    embedded::provide("gcc for Arm (with newlib) or RISC-V", there, &PACKAGES)
}
