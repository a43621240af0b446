//! `cargo xtask release`: the program as it is handed to users, in one archive.

use crate::supply::{self, Selection};
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Shells that completions are made for, and the files that hold them.
const SHELLS: [(&str, &str); 4] = [
    ("bash", "mtslvr.bash"),
    ("zsh", "_mtslvr"),
    ("fish", "mtslvr.fish"),
    ("powershell", "mtslvr.ps1"),
];

/// Files of the repository that go along as they are.
const FILES: [&str; 6] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "CHANGELOG.md",
    "models/CREDITS.md",
    "packaging/systemd/mtslvr-listen.service",
    "README.md",
];

/// Builds the program for this machine, with `features` beside its default ones, and packs it with its
/// completions, manual pages and notices. Returns the path of the archive.
pub fn archive(features: &str) -> Result<PathBuf> {
    let mut build = workspace::host_cargo()?;
    build.args(["build", "--release", "--locked", "--package", "mtslvr"]);
    if !features.is_empty() {
        build.args(["--features", features]);
    }
    process::run(&mut build)?;
    let program = format!("mtslvr{}", env::consts::EXE_SUFFIX);
    let program = workspace::target_dir().join("release").join(program);
    pack(&program, features)
}

/// Packs `program`, which was built with `features`.
pub fn pack(program: &Path, features: &str) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("mtslvr-{version}-{}", host()?);
    let releases = workspace::target_dir().join("releases");
    let folder = releases.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)
        .with_context(|| format!("cannot make {}", completions.display()))?;
    let copy = |from: &Path, to: PathBuf| {
        fs::copy(from, &to)
            .map(drop)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
    };
    let file_name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
    copy(program, folder.join(file_name(program)))?;
    for file in FILES {
        let from = workspace::root().join(file);
        copy(&from, folder.join(file_name(&from)))?;
    }
    for (shell, file) in SHELLS {
        let script = process::output(Command::new(program).args(["completions", shell]))?;
        write(&completions.join(file), &format!("{script}\n"))?;
    }
    process::run(
        Command::new(program)
            .arg("man")
            .arg(folder.join("man"))
            .stdout(Stdio::null()),
    )?;
    let selection = Selection::of_program(features);
    write(&folder.join("NOTICES.md"), &supply::notices(&selection)?)?;
    write(&folder.join("sbom.cdx.json"), &supply::sbom(&selection)?)?;
    let archive = releases.join(format!("{name}.tar.gz"));
    process::run(
        Command::new("tar")
            .arg("-czf")
            .arg(&archive)
            .arg("-C")
            .arg(&releases)
            .arg(&name),
    )?;
    Ok(archive)
}

/// Returns the name of this machine's target.
fn host() -> Result<String> {
    let facts = process::output(workspace::host_rustc().arg("-vV"))?;
    let mut lines = facts.lines();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc -vV does not name its host")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
