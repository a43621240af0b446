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

/// Links only if embedding, classifying and listening hold no panic.
pub const NO_PANIC: Program = Program {
    package: "no-panic",
    binary: "mtslvr-no-panic",
};

/// Goes wrong, and tells why after each restart.
pub const CRASH: Program = Program {
    package: "crash",
    binary: "mtslvr-crash",
};

/// Updates the model in flash.
pub const UPDATE: Program = Program {
    package: "update",
    binary: "mtslvr-update",
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

/// The key and the least counter of the models that a firmware takes.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The key that must have signed them, as 64 hexadecimal digits.
    pub public_key: String,
    /// The least version counter.
    pub least_version_counter: u64,
}

impl Trust {
    /// The key of the golden model that is signed, and its counter.
    pub fn golden() -> Result<Self> {
        let path = workspace::root().join("runtime/tests/golden/v1-signed.pub");
        let digits = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            public_key: digits.trim().to_owned(),
            least_version_counter: 2,
        })
    }
}

/// Builds `program` for `board` with the packed model `model` in its flash; returns the ELF file,
/// which stays as it is when the program is built around another model.
pub fn build(
    toolchain: Toolchain,
    board: Board,
    program: Program,
    model: &Path,
) -> Result<PathBuf> {
    build_trusting(toolchain, board, program, model, None)
}

/// [`build`] of a firmware that takes only the models of `trust`, if there is one. Such a program has the feature
/// `signed`.
pub fn build_trusting(
    toolchain: Toolchain,
    board: Board,
    program: Program,
    model: &Path,
    trust: Option<&Trust>,
) -> Result<PathBuf> {
    let folder = workspace::root()
        .join("firmware-examples")
        .join(program.package);
    let mut command = toolchain.cargo_build(board, &folder)?;
    command
        .args(["--bin", program.binary])
        .env("MTSLVR_MODEL", model);
    let mut kind = "";
    if let Some(trust) = trust {
        kind = "-signed";
        let least = trust.least_version_counter.to_string();
        command
            .args(["--features", "signed"])
            .env("MTSLVR_PUBLIC_KEY", &trust.public_key)
            .env("MTSLVR_LEAST_VERSION_COUNTER", least);
    }
    process::run(&mut command)?;
    let built = embedded::target_dir()
        .join(board.target())
        .join("release")
        .join(program.binary);
    let copies = embedded::target_dir().join("elf");
    let model = model.file_stem().unwrap_or_default().to_string_lossy();
    let copy = copies.join(format!("{}{kind}-{}-{model}", program.binary, board.name()));
    fs::create_dir_all(&copies)
        .and_then(|()| fs::copy(&built, &copy))
        .with_context(|| format!("cannot copy {} to {}", built.display(), copy.display()))?;
    Ok(copy)
}

/// Builds the example around the golden model that is signed, so that it takes only models of that key.
pub fn build_golden(toolchain: Toolchain, board: Board) -> Result<PathBuf> {
    let model = workspace::root().join("runtime/tests/golden/v1-signed.slvr");
    let trust = Trust::golden()?;
    build_trusting(toolchain, board, EXAMPLE, &model, Some(&trust))
}

/// Runs the firmware `elf` in QEMU with its own `args`, its UART connected with the port `serial` if there is one.
pub fn run(board: Board, elf: &Path, args: &[String], serial: Option<&str>) -> Result<()> {
    let mut command = qemu::command(board, elf, args);
    if let Some(port) = serial {
        qemu::connect_serial(&mut command, port);
    }
    process::run(&mut command)
}
