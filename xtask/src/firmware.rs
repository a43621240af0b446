//! The QEMU example firmware: building it around a model, and running it.

use crate::embedded::{self, QEMU, TARGET, Toolchain};
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `firmware-examples/qemu` with the packed model `model` in its flash; returns the ELF file.
pub fn build(toolchain: &Toolchain, model: &Path) -> Result<PathBuf> {
    let model = model
        .canonicalize()
        .with_context(|| format!("cannot read the model {}", model.display()))?;
    let folder = workspace::root().join("firmware-examples/qemu");
    process::run(toolchain.cargo_build(&folder)?.env("MTSLVR_MODEL", model))?;
    Ok(embedded::target_dir()
        .join(TARGET)
        .join("release/mtslvr-qemu"))
}

/// Runs the firmware `elf` in QEMU with its own `args`.
pub fn run(elf: &Path, args: &[String]) -> Result<()> {
    process::run(
        Command::new(QEMU)
            .args(MACHINE)
            .arg("-semihosting-config")
            .arg(semihosting(args))
            .arg("-kernel")
            .arg(elf),
    )
}

/// With `-icount shift=0` each instruction takes one nanosecond of the machine's time, so that the
/// firmware can count them.
const MACHINE: [&str; 7] = [
    "-machine",
    "mps2-an386",
    "-cpu",
    "cortex-m4",
    "-nographic",
    "-icount",
    "shift=0",
];

/// QEMU's semihosting option with the firmware's arguments, in which a comma is written twice and an
/// argument with spaces is quoted (QEMU joins them with spaces).
fn semihosting(args: &[String]) -> String {
    let mut option = "enable=on,target=native,arg=mtslvr-qemu".to_owned();
    for arg in args {
        let quoted = if arg.contains(' ') {
            format!("\"{arg}\"")
        } else {
            arg.clone()
        };
        option.push_str(",arg=");
        option.push_str(&quoted.replace(',', ",,"));
    }
    option
}
