//! The program for Windows, built with Debian's mingw: code that does not compile there shows on Linux.

use crate::{embedded, process, workspace};
use anyhow::Result;

const TARGET: &str = "x86_64-pc-windows-gnu";

/// Compiler driver that links for [`TARGET`].
const LINKER: &str = "x86_64-w64-mingw32-gcc";

/// Debian's package of it.
const PACKAGE: &str = "gcc-mingw-w64-x86-64";

/// Whether the host's compiler has the target, which rustup is asked for: Debian has no standard library for it.
pub fn can_build() -> bool {
    embedded::add_target(TARGET).is_ok()
}

/// Builds and links the program without training.
pub fn build() -> Result<()> {
    embedded::provide(LINKER, || embedded::starts(LINKER), &[PACKAGE])?;
    process::run(
        workspace::host_cargo()?
            .args(["build", "--locked", "--target", TARGET])
            .args(["--package", "mtslvr", "--no-default-features"])
            // Nothing of it runs: it is here to compile fast.
            .args(["--profile", "dev", "--config", "profile.dev.debug=false"])
            .env("CARGO_TARGET_DIR", embedded::target_dir())
            .env("RUSTFLAGS", "-D warnings")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", LINKER),
    )
}
