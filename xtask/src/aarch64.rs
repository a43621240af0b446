//! The kernels and the program of aarch64 hosts, compiled for Linux there and run by QEMU's user mode, which has
//! the dot product instructions.

use crate::embedded::{self, Toolchain};
use crate::{process, workspace};
use anyhow::Result;
use std::path::Path;

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Compiler driver that links for [`TARGET`].
const LINKER: &str = "aarch64-linux-gnu-gcc";

/// Runs programs for aarch64.
const EMULATOR: &str = "qemu-aarch64";

/// Folder in which Debian's cross compiler keeps the C library.
const C_LIBRARY: &str = "/usr/aarch64-linux-gnu";

/// Debian's packages of these.
const PACKAGES: [&str; 3] = [
    "qemu-user",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
];

/// Runs the runtime's kernel tests. A machine that is an aarch64 one itself has run them already.
pub fn kernel_tests(toolchain: Toolchain) -> Result<()> {
    test(
        toolchain,
        &[
            "--release",
            "--package",
            "mtslvr-runtime",
            "--features",
            "std",
            "--test",
            "kernels",
            // All but the kernels is here to compile fast.
            "--config",
            "profile.release.package.\"*\".opt-level=0",
            "--config",
            "profile.release.debug=false",
        ],
    )
}

/// Teaches, listens and measures with the program without training, as it is built for small computers.
pub fn program_tests(toolchain: Toolchain) -> Result<()> {
    test(
        toolchain,
        &[
            "--profile",
            "small",
            "--package",
            "mtslvr",
            "--no-default-features",
            "--test",
            "lean",
        ],
    )
}

/// Runs `cargo test` for [`TARGET`] with these arguments.
fn test(toolchain: Toolchain, arguments: &[&str]) -> Result<()> {
    if cfg!(target_arch = "aarch64") {
        return Ok(());
    }
    set_up(toolchain)?;
    let mut command = match toolchain {
        Toolchain::Rustup => workspace::host_cargo()?,
        Toolchain::Debian => embedded::debian_cargo(),
    };
    let runner = format!("{EMULATOR} -L {C_LIBRARY}");
    command
        .current_dir(workspace::root())
        .args(["test", "--locked", "--target", TARGET])
        .args(arguments)
        .env("CARGO_TARGET_DIR", embedded::target_dir())
        .env("RUSTFLAGS", "-D warnings")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &runner)
        // Programs that a test starts need the emulator, too.
        .env("MTSLVR_TEST_RUNNER", &runner);
    if toolchain == Toolchain::Debian {
        command.arg("-Zbuild-std=std,test");
    }
    process::run(&mut command)
}

fn set_up(toolchain: Toolchain) -> Result<()> {
    if toolchain == Toolchain::Rustup {
        embedded::add_target(TARGET)?;
    }
    let there =
        || embedded::starts(EMULATOR) && embedded::starts(LINKER) && Path::new(C_LIBRARY).is_dir();
    let what = format!("{EMULATOR}, {LINKER} or {C_LIBRARY}");
    embedded::provide(&what, there, &PACKAGES)
}
