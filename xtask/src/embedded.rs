//! The compiler for microcontrollers: rustup's targets where it can add them, else Debian's packages.

use crate::{process, workspace};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::board::Board;

/// Debian's packages of a compiler for the boards: 12 and later have them.
const DEBIAN_COMPILER: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// Who compiles for the boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The host's own compiler, with the targets' `core` installed.
    Rustup,
    /// Debian's cargo and rustc, which build `core` from Debian's sources.
    Debian,
}

impl Toolchain {
    /// Chooses a compiler for `boards`, installs what it and QEMU lack, and checks that both are there.
    ///
    /// `MTSLVR_EMBEDDED` forces a choice. Without it, rustup's targets are taken where they are installed or can
    /// be added, else Debian's packages.
    pub fn set_up(boards: &[Board]) -> Result<Self> {
        let toolchain = choose(
            &env::var("MTSLVR_EMBEDDED").unwrap_or_default(),
            || {
                boards
                    .iter()
                    .try_for_each(|board| add_target(board.target()))
            },
            || install_debian(&DEBIAN_COMPILER),
        )?;
        for board in boards {
            let qemu = board.qemu();
            // Newer releases have RISC-V in a package of its own; every one knows the emulator's name.
            provide(qemu, || starts(qemu), &[qemu])?;
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

/// Adds `core` for `target` to the host's compiler, with rustup, if it is missing.
///
/// # Errors
/// If rustup is missing, cannot reach its server, or belongs to another compiler.
pub fn add_target(target: &str) -> Result<()> {
    if target_installed(target)? {
        return Ok(());
    }
    process::run(Command::new("rustup").args(["target", "add", target]))?;
    ensure!(
        target_installed(target)?,
        "rustup added {target} to another compiler than {:?}, which builds the host code",
        workspace::host_rustc().get_program()
    );
    Ok(())
}

/// Chooses between rustup's targets and Debian's packages; `wish` is `MTSLVR_EMBEDDED`, and the closures
/// install.
fn choose(
    wish: &str,
    rustup: impl FnOnce() -> Result<()>,
    debian: impl FnOnce() -> Result<()>,
) -> Result<Toolchain> {
    match wish {
        "rustup" => rustup().map(|()| Toolchain::Rustup),
        "debian" => debian().map(|()| Toolchain::Debian),
        "" => match rustup() {
            Ok(()) => Ok(Toolchain::Rustup),
            Err(no_targets) => {
                eprintln!(
                    "rustup cannot add the boards' targets ({no_targets:#}): trying Debian's packages"
                );
                debian().map(|()| Toolchain::Debian).map_err(|no_packages| {
                    anyhow!(
                        "no compiler for the boards. Rustup: {no_targets:#}. Debian's packages: {no_packages:#}. \
                         Make one of the two work and run this again"
                    )
                })
            }
        },
        other => {
            bail!("MTSLVR_EMBEDDED is {other:?}; expected \"debian\", \"rustup\" or nothing")
        }
    }
}

/// Whether `program` is installed, asked for its version.
pub fn starts(program: &str) -> bool {
    process::succeeds(Command::new(program).arg("--version"))
}

/// Installs Debian's `packages` unless `what` is `there`, and checks that it is then.
///
/// # Errors
/// If it is missing and cannot be installed: the error says what to type.
pub fn provide(what: &str, there: impl Fn() -> bool, packages: &[&str]) -> Result<()> {
    if there() {
        return Ok(());
    }
    install_debian(packages).with_context(|| format!("{what} is not installed"))?;
    ensure!(
        there(),
        "{what} does not work although {} is installed",
        packages.join(", ")
    );
    Ok(())
}

/// How packages can be installed on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    /// By apt-get, as root.
    Root,
    /// By apt-get through sudo, which asks for no password.
    Sudo,
    /// By the user, who alone may.
    User,
    /// By another system than Debian's.
    Other,
}

impl Installer {
    fn of_this_machine() -> Self {
        let root = || process::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
        let sudo = || process::succeeds(Command::new("sudo").args(["-n", "true"]));
        if !starts("apt-get") {
            Self::Other
        } else if root() {
            Self::Root
        } else if sudo() {
            Self::Sudo
        } else {
            Self::User
        }
    }

    /// Returns the commands that install `packages`.
    ///
    /// # Errors
    /// If the user has to do it: the error says what to type.
    fn commands(self, packages: &[&str]) -> Result<[Vec<String>; 2]> {
        let sudo: &[&str] = match self {
            Self::Root => &[],
            Self::Sudo => &["sudo", "-n"],
            Self::User => bail!(
                "installing needs root, or sudo without a password: run `{}` and then this again",
                by_hand(packages)
            ),
            Self::Other => bail!(
                "there is no apt-get here: install what Debian and Ubuntu call {} (QEMU is qemu on \
                 Homebrew) and run this again",
                packages.join(", ")
            ),
        };
        let apt = |arguments: &[&str]| {
            let environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
            // Another installation may be under way.
            let apt = ["apt-get", "-o", "DPkg::Lock::Timeout=600"];
            let words = [sudo, &environment, &apt, arguments].concat();
            words.into_iter().map(str::to_owned).collect()
        };
        let install = ["install", "-y", "--no-install-recommends"];
        Ok([
            apt(&["update"]),
            apt(&[install.as_slice(), packages].concat()),
        ])
    }
}

/// The command that a user types to install `packages`.
fn by_hand(packages: &[&str]) -> String {
    format!(
        "sudo apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs those of `packages` that are missing, with apt-get.
///
/// # Errors
/// If they cannot be installed: the error says what to type.
pub fn install_debian(packages: &[&str]) -> Result<()> {
    let missing: Vec<_> = packages
        .iter()
        .copied()
        .filter(|package| !debian_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for command in Installer::of_this_machine().commands(&missing)? {
        process::run(Command::new(&command[0]).args(&command[1..]))
            .with_context(|| format!("run `{}` to see why", by_hand(&missing)))?;
    }
    Ok(())
}

fn debian_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f=${db:Status-Status}", package]);
    query.stderr(std::process::Stdio::null());
    query
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works() -> Result<()> {
        Ok(())
    }

    #[test]
    fn without_a_variable_rustup_is_asked_first() {
        let unasked = || -> Result<()> { panic!("Debian's packages are not needed") };
        assert_eq!(choose("", works, unasked).unwrap(), Toolchain::Rustup);
        let offline = || bail!("offline");
        assert_eq!(choose("", offline, works).unwrap(), Toolchain::Debian);
        let said = choose("", offline, || bail!("no apt-get")).unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains("offline") && said.contains("no apt-get"),
            "{said}"
        );
    }

    #[test]
    fn the_variable_forces_a_choice() {
        let unasked = || -> Result<()> { panic!("asked against the user's wish") };
        assert_eq!(choose("debian", unasked, works).unwrap(), Toolchain::Debian);
        assert_eq!(choose("rustup", works, unasked).unwrap(), Toolchain::Rustup);
        assert!(choose("rustup", || bail!("offline"), unasked).is_err());
        let said = choose("Debian", unasked, unasked).unwrap_err().to_string();
        assert!(
            said.contains("\"Debian\"") && said.contains("\"debian\""),
            "{said}"
        );
    }

    #[test]
    fn packages_are_installed_where_that_is_allowed() {
        let packages = ["qemu-system-arm", "lld"];
        let [update, install] = Installer::Root.commands(&packages).unwrap();
        assert_eq!(
            update.join(" "),
            "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 update"
        );
        assert_eq!(
            install.join(" "),
            "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y \
             --no-install-recommends qemu-system-arm lld"
        );
        let [_, install] = Installer::Sudo.commands(&packages).unwrap();
        assert!(install.join(" ").starts_with("sudo -n env DEBIAN_FRONTEND"));
    }

    #[test]
    fn a_user_is_told_what_to_type() {
        let said = Installer::User.commands(&["qemu-system-arm", "lld"]);
        let said = said.unwrap_err().to_string();
        let line = "`sudo apt-get install --no-install-recommends qemu-system-arm lld`";
        assert!(said.contains(line), "{said}");
        let said = Installer::Other.commands(&["lld"]).unwrap_err().to_string();
        assert!(
            said.contains("no apt-get") && said.contains("lld"),
            "{said}"
        );
    }

    #[test]
    fn what_is_there_is_not_installed() {
        provide("a tool", || true, &["no-such-package"]).unwrap();
    }
}
