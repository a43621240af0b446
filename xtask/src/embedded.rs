//! The compiler for microcontrollers: rustup's targets where there are some, else Debian's packages.

use crate::{process, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::board::Board;

const DEBIAN_PACKAGES: [&str; 6] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "lld",
    "qemu-system-arm",
    "qemu-system-misc",
];

/// Who compiles for the boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The host's own compiler, with the targets' `core` installed.
    Rustup,
    /// Debian's cargo and rustc, which build `core` from Debian's sources.
    Debian,
}

impl Toolchain {
    /// Chooses by `MTSLVR_EMBEDDED`, installs what is missing for `boards`, and checks that QEMU is
    /// there.
    pub fn set_up(boards: &[Board]) -> Result<Self> {
        let choice = env::var("MTSLVR_EMBEDDED").unwrap_or_default();
        let toolchain = match choice.as_str() {
            "debian" => {
                install_debian(&DEBIAN_PACKAGES)?;
                Self::Debian
            }
            "" | "rustup" => {
                for board in boards {
                    let target = board.target();
                    if !target_installed(target)? {
                        process::run(Command::new("rustup").args(["target", "add", target]))
                            .with_context(|| {
                                format!(
                                    "rustup could not add the target {target}; on Debian 12, \
                                     MTSLVR_EMBEDDED=debian takes the compiler from packages \
                                     instead"
                                )
                            })?;
                    }
                }
                Self::Rustup
            }
            other => {
                bail!("MTSLVR_EMBEDDED is {other:?}; expected \"debian\", \"rustup\" or nothing")
            }
        };
        for board in boards {
            let qemu = board.qemu();
            ensure!(
                process::succeeds(Command::new(qemu).arg("--version")),
                "{qemu} is not installed: install it (packages qemu-system-arm and \
                 qemu-system-misc on Debian and Ubuntu, qemu on Homebrew) and run this again"
            );
        }
        eprintln!("compiler for boards: {toolchain:?}");
        Ok(toolchain)
    }

    /// [`Self::cargo_build_for`] an emulated board.
    pub fn cargo_build(self, board: Board, folder: &Path) -> Result<Command> {
        let mut command = self.cargo_build_for(board.target(), board.rustflags(), folder)?;
        command.env("MTSLVR_BOARD", board.name());
        Ok(command)
    }

    /// `cargo build --release` for `target` in `folder`, into [`target_dir`]; more arguments may
    /// follow.
    pub fn cargo_build_for(self, target: &str, rustflags: &str, folder: &Path) -> Result<Command> {
        self.cargo(&["build", "--release"], target, rustflags, folder)
    }

    /// [`Self::cargo_build_for`] with another command than `cargo build --release`.
    pub fn cargo(
        self,
        subcommand: &[&str],
        target: &str,
        rustflags: &str,
        folder: &Path,
    ) -> Result<Command> {
        let mut command = match self {
            Self::Rustup => workspace::host_cargo()?,
            Self::Debian => debian_cargo(),
        };
        command
            .current_dir(folder)
            .args(subcommand)
            .args(["--locked", "--target", target])
            .env("CARGO_TARGET_DIR", target_dir())
            // Warnings fail this build like clippy's do on the host.
            .env("RUSTFLAGS", format!("-D warnings {rustflags}"));
        if self == Self::Debian {
            command.arg("-Zbuild-std=core,alloc");
            // Debian has no rust-lld, the targets' default.
            let target = target.to_uppercase().replace(['-', '.'], "_");
            command.env(format!("CARGO_TARGET_{target}_LINKER"), "ld.lld");
        }
        Ok(command)
    }

    /// The compiler's name and version: figures of code depend on it.
    pub fn version(self) -> Result<String> {
        match self {
            Self::Rustup => process::output(workspace::host_rustc().arg("--version")),
            Self::Debian => process::output(Command::new("/usr/bin/rustc").arg("--version")),
        }
    }
}

/// Returns the folder of builds for boards: apart from the host's, which another compiler makes.
pub fn target_dir() -> PathBuf {
    workspace::target_dir().join("embedded")
}

/// Debian's cargo, in an environment without a trace of the cargo that runs this program.
pub fn debian_cargo() -> Command {
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
        .env("RUSTC_BOOTSTRAP", "1");
    command
}

/// Whether the host's compiler has `core` for `target`.
pub fn target_installed(target: &str) -> Result<bool> {
    let libraries = process::output(workspace::host_rustc().args([
        "--print",
        "target-libdir",
        "--target",
        target,
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
        // Another installation may be under way.
        command.args(["-o", "DPkg::Lock::Timeout=300"]);
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
