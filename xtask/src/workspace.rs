//! Places in the repository, and the host's cargo.

use crate::process;
use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Asked of the cargo that runs this program: one that was built in another checkout with the same
/// target folder would name that one.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let manifest = env::var_os("CARGO_MANIFEST_DIR");
    let folder = manifest.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    folder
        .parent()
        .expect("xtask lies in a folder of the workspace")
        .to_owned()
});

/// The repository's root.
pub fn root() -> &'static Path {
    &ROOT
}

/// The host build's target folder; everything that xtask makes lies in or under it.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs this program, as [`host_command`].
pub fn host_cargo() -> Result<Command> {
    host_command(&cargo())
}

/// A program that builds with the cargo that runs this one, in the root, with that cargo's own compiler first in the
/// search path: installing a distribution's Rust must not change what builds the host code.
pub fn host_command(program: &Path) -> Result<Command> {
    let cargo = cargo();
    let mut command = Command::new(program);
    command.current_dir(root());
    command.env("CARGO_TARGET_DIR", target_dir());
    if let Some(bin) = cargo.parent().filter(|bin| bin.is_absolute()) {
        let old = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(bin.to_owned()).chain(env::split_paths(&old)))
            .context("PATH cannot hold cargo's folder")?;
        command.env("PATH", path);
    }
    Ok(command)
}

/// Returns the program `name` in `version`, which cargo builds into the target folder at the first call.
pub fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let tools = target_dir().join("tools");
    let root = tools.join(format!("{name}-{version}"));
    let program = root
        .join("bin")
        .join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if !program.is_file() {
        process::run(
            host_cargo()?
                .args(["install", "--locked", name, "--version", version])
                .arg("--root")
                .arg(&root)
                .env("CARGO_TARGET_DIR", tools.join("build")),
        )?;
    }
    Ok(program)
}

fn cargo() -> PathBuf {
    PathBuf::from(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The compiler beside that cargo.
pub fn host_rustc() -> Command {
    let beside = env::var_os("CARGO").map(|cargo| PathBuf::from(cargo).with_file_name("rustc"));
    let mut command = match beside.filter(|rustc| rustc.is_file()) {
        Some(rustc) => Command::new(rustc),
        None => Command::new("rustc"),
    };
    command.current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The `rust-version` that a manifest states.
    fn promised(manifest: &str) -> String {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("rust-version = "));
        line.expect(manifest).trim_matches('"').to_owned()
    }

    #[test]
    fn the_rust_versions_that_are_promised_are_those_that_are_checked_and_stated() {
        let [runtime, workspace] = ["runtime/Cargo.toml", "Cargo.toml"].map(promised);
        let workflow = fs::read_to_string(root().join(".github/workflows/ci.yml")).unwrap();
        let checked = workflow
            .lines()
            .filter_map(|l| l.trim().strip_prefix("rust: "));
        let checked: Vec<_> = checked.map(|version| version.trim_matches('"')).collect();
        assert_eq!(checked, [&*runtime, &*runtime, &*workspace]);
        for manifest in ["firmware-examples/Cargo.toml", "trainer/python/Cargo.toml"] {
            assert_eq!(promised(manifest), workspace, "{manifest}");
        }
        let stated = format!("Minimum Rust version: {runtime}.");
        let of_workspace = format!("stable Rust ({workspace} or newer)");
        for (page, stated) in [
            ("runtime/README.md", &stated),
            ("trainer/python/README.md", &of_workspace),
            ("README.md", &of_workspace),
            ("docs/src/try.md", &of_workspace),
        ] {
            let text = fs::read_to_string(root().join(page)).unwrap();
            assert!(text.contains(stated), "{page} does not state {stated:?}");
        }
    }
}
