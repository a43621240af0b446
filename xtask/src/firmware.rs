//! The QEMU example firmware: building it around a model, and running it.

use crate::embedded::{self, TARGET, Toolchain};
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use xtask::qemu;

/// The absolute path of a model that is there: asked before anything is set up for it.
pub fn find_model(model: &Path) -> Result<PathBuf> {
    model
        .canonicalize()
        .with_context(|| format!("cannot read the model {}", model.display()))
}

/// Builds `firmware-examples/qemu` with the packed model `model` in its flash; returns the ELF file.
pub fn build(toolchain: &Toolchain, model: &Path) -> Result<PathBuf> {
    let folder = workspace::root().join("firmware-examples/qemu");
    process::run(toolchain.cargo_build(&folder)?.env("MTSLVR_MODEL", model))?;
    Ok(embedded::target_dir()
        .join(TARGET)
        .join("release/mtslvr-qemu"))
}

/// Runs the firmware `elf` in QEMU with its own `args`.
pub fn run(elf: &Path, args: &[String]) -> Result<()> {
    process::run(&mut qemu::command(elf, args))
}
