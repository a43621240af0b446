//! The compiler for Cortex-M: rustup's target where there is one, else Debian's packages.

use crate::{process, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::qemu::QEMU;

/// Cortex-M4 and M7 with a single-precision FPU.
pub const TARGET: &str = "thumbv7em-none-eabihf";

const DEBIAN_PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "lld",
    "qemu-system-arm",
];

/// Who compiles for [`TARGET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The host's own compiler, with the target's `core` installed.
    Rustup,
    /// Debian's cargo and rustc, which build `core` from Debian's sources.
    Debian,
}

impl Toolchain {
    /// Chooses by `MTSLVR_EMBEDDED`, installs what is missing, and checks that QEMU is there.
    pub fn set_up() -> Result<Self> {
        let choice = env::var("MTSLVR_EMBEDDED").unwrap_or_default();
        let toolchain = match choice.as_str() {
            "debian" => {
                install_debian(&DEBIAN_PACKAGES)?;
                Self::Debian
            }
            "" | "rustup" => {
                if !target_installed()? {
                    process::run(Command::new("rustup").args(["target", "add", TARGET])).context(
                        "rustup could not add the Cortex-M target; on Debian 12, \
                         MTSLVR_EMBEDDED=debian takes the compiler from packages instead",
                    )?;
                }
                Self::Rustup
            }
            other => {
                bail!("MTSLVR_EMBEDDED is {other:?}; expected \"debian\", \"rustup\" or nothing")
            }
        };
        ensure!(
            process::succeeds(Command::new(QEMU).arg("--version")),
            "{QEMU} is not installed: install it (package qemu-system-arm on Debian and Ubuntu, \
             qemu on Homebrew) and run this again"
        );
        println!("Cortex-M compiler: {toolchain:?}; emulator: {QEMU}");
        Ok(toolchain)
    }

    /// `cargo build --release` for [`TARGET`] in `folder`, into [`target_dir`]; more arguments may
    /// follow.
    pub fn cargo_build(self, folder: &Path) -> Result<Command> {
        let mut command = match self {
            Self::Rustup => workspace::host_cargo()?,
            Self::Debian => debian_cargo(),
        };
        command
            .current_dir(folder)
            .args(["build", "--release", "--locked", "--target", TARGET])
            .env("CARGO_TARGET_DIR", target_dir())
            // Warnings fail this build like clippy's do on the host.
            .env("RUSTFLAGS", "-D warnings");
        if self == Self::Debian {
            command.arg("-Zbuild-std=core");
        }
        Ok(command)
    }
}

/// Where Cortex-M builds go: apart from the host's, which another compiler makes.
pub fn target_dir() -> PathBuf {
    workspace::target_dir().join("embedded")
}

/// Debian's cargo, in an environment without a trace of the cargo that runs this program.
fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        // CARGO_HOME, CARGO_HTTP_*, CARGO_NET_* and CARGO_REGISTRIES_* say how to fetch crates:
        // they stay.
        let foreign = text == "CARGO"
            || text == "RUSTFLAGS"
            || text == "LD_LIBRARY_PATH"
            || text == "DYLD_FALLBACK_LIBRARY_PATH"
            || [
                "CARGO_MANIFEST",
                "CARGO_PKG_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY",
                "CARGO_TARGET_",
                "CARGO_BUILD_",
                "CARGO_ENCODED_",
                "CARGO_PROFILE_",
                "CARGO_INCREMENTAL",
                "RUSTC",
                "RUSTDOC",
                "RUSTUP_",
                "RUST_RECURSION_COUNT",
            ]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if foreign {
            command.env_remove(&name);
        }
    }
    let old = env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&old));
    command
        .env("PATH", env::join_paths(path).unwrap_or(old))
        .env("RUSTC", "/usr/bin/rustc")
        // -Zbuild-std is unstable; Debian's compiler is a stable release.
        .env("RUSTC_BOOTSTRAP", "1")
        // Debian has no rust-lld, the target's default.
        .env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", "ld.lld");
    command
}

/// Whether the host's compiler has `core` for [`TARGET`].
fn target_installed() -> Result<bool> {
    let libraries = process::output(workspace::host_rustc().args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    Ok(std::fs::read_dir(libraries).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    }))
}

/// Installs those of `packages` that are missing, with apt-get.
pub fn install_debian(packages: &[&str]) -> Result<()> {
    let missing: Vec<_> = packages
        .iter()
        .copied()
        .filter(|package| !debian_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    ensure!(
        process::succeeds(Command::new("apt-get").arg("--version")),
        "{} missing and there is no apt-get: MTSLVR_EMBEDDED=debian needs Debian 12 or later",
        missing.join(", ")
    );
    let root = process::output(Command::new("id").arg("-u"))? == "0";
    ensure!(
        root || process::succeeds(Command::new("sudo").args(["-n", "true"])),
        "{} missing, and installing needs root or sudo without a password: run `{by_hand}` as root",
        missing.join(", ")
    );
    let apt = || {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    };
    process::run(apt().arg("update"))?;
    process::run(
        apt()
            .args(["install", "-y", "--no-install-recommends"])
            .args(&missing),
    )
    .with_context(|| format!("run `{by_hand}` as root to see why"))
}

fn debian_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f=${db:Status-Status}", package]);
    query.stderr(std::process::Stdio::null());
    query
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}
