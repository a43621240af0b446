//! The firmwares of `firmware-examples`: building them around a model, and running the example.

use crate::embedded::{self, Toolchain};
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use xtask::board::Board;
use xtask::qemu;

/// The absolute path of a model that is there: asked before anything is set up for it.
pub fn find_model(model: &Path) -> Result<PathBuf> {
    model
        .canonicalize()
        .with_context(|| format!("cannot read the model {}", model.display()))
}

/// `model`, or `edge-s` if there is none.
pub fn model_or_shipped(model: Option<&Path>) -> Result<PathBuf> {
    match model {
        Some(model) => find_model(model),
        None => find_model(&workspace::root().join("models/edge-s/model.slvr")),
    }
}

/// A program of `firmware-examples`.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its folder.
    package: &'static str,
    /// Its binary.
    binary: &'static str,
}

/// Enrols and recognises the host's recordings.
pub const EXAMPLE: Program = Program {
    package: "qemu",
    binary: "mtslvr-qemu",
};

/// The least device: listens, learns at the press of a button, keeps what it learned.
pub const MINIMAL: Program = Program {
    package: "minimal",
    binary: "mtslvr-minimal",
};

/// Counts instructions.
pub const BENCH: Program = Program {
    package: "bench",
    binary: "mtslvr-bench",
};

/// The runtime and as little else as can be.
pub const FOOTPRINT: Program = Program {
    package: "bench",
    binary: "mtslvr-footprint",
};

/// Compares kernels with the portable ones.
pub const KERNELS: Program = Program {
    package: "kernels",
    binary: "mtslvr-kernels",
};

/// Builds `program` for `board` with the packed model `model` in its flash; returns the ELF file,
/// which stays as it is when the program is built around another model.
pub fn build(
    toolchain: Toolchain,
    board: Board,
    program: Program,
    model: &Path,
) -> Result<PathBuf> {
    let folder = workspace::root()
        .join("firmware-examples")
        .join(program.package);
    process::run(
        toolchain
            .cargo_build(board, &folder)?
            .args(["--bin", program.binary])
            .env("MTSLVR_MODEL", model),
    )?;
    let built = embedded::target_dir()
        .join(board.target())
        .join("release")
        .join(program.binary);
    let copies = embedded::target_dir().join("elf");
    let model = model.file_stem().unwrap_or_default().to_string_lossy();
    let copy = copies.join(format!("{}-{}-{model}", program.binary, board.name()));
    fs::create_dir_all(&copies)
        .and_then(|()| fs::copy(&built, &copy))
        .with_context(|| format!("cannot copy {} to {}", built.display(), copy.display()))?;
    Ok(copy)
}

/// Runs the firmware `elf` in QEMU with its own `args`.
pub fn run(board: Board, elf: &Path, args: &[String]) -> Result<()> {
    process::run(&mut qemu::command(board, elf, args))
}
