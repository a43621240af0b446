//! The commands of the README, run as they are written there.

use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Folders that a reader brings along. They are filled with made-up sounds.
const BROUGHT: [&str; 2] = ["recordings", "labelled"];

/// Runs the demo, and then all that the README shows of `program`, training included, in an empty folder below the
/// target folder.
///
/// # Errors
/// If a command fails or there is none.
pub fn run_commands(program: &Path) -> Result<()> {
    let folder = workspace::target_dir().join("readme");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let bin = program.parent().context("a program lies in a folder")?;
    let old = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(bin.to_owned()).chain(env::split_paths(&old)))?;
    let shell = |line: &str| {
        process::run(
            Command::new("sh")
                .args(["-c", line])
                .current_dir(&folder)
                .env("PATH", &path)
                // The profile goes here, too.
                .env("XDG_DATA_HOME", &folder),
        )
        .with_context(|| format!("README.md: {line}"))
    };
    for brought in BROUGHT {
        shell(&format!("mtslvr synth {brought}"))?;
    }
    shell("mtslvr demo")?;
    let readme = workspace::root().join("README.md");
    let readme = fs::read_to_string(&readme).with_context(|| readme.display().to_string())?;
    let commands = commands(&readme);
    ensure!(!commands.is_empty(), "README.md shows no command of mtslvr");
    commands.into_iter().try_for_each(shell)
}

/// Returns the lines of shell in `readme` that begin with the program's name.
fn commands(readme: &str) -> Vec<&str> {
    let mut shell = false;
    let mut commands = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            shell = line == "```sh";
        } else if shell && line.starts_with("mtslvr ") {
            commands.push(line);
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_shell_are_taken() {
        let readme =
            "mtslvr no\n```sh\ncargo build\nmtslvr synth a  # ten\n```\n```rust\nmtslvr no\n```\n";
        assert_eq!(commands(readme), ["mtslvr synth a  # ten"]);
        let readme = fs::read_to_string(workspace::root().join("README.md")).unwrap();
        let all = commands(&readme);
        for start in [
            "mtslvr enrol ",
            "mtslvr listen ",
            "mtslvr train ",
            "mtslvr eval ",
        ] {
            assert!(all.iter().any(|line| line.starts_with(start)), "{start}");
        }
    }
}
