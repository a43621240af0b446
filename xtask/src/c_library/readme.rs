//! The parts of `runtime/c/README.md` that are made: the example, and tables.

use super::{model, sources};
use crate::workspace;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use xtask::document::{grouped, with_table};

/// Returns the README's path.
pub fn path() -> PathBuf {
    sources().join("README.md")
}

/// Reads the README.
pub fn read() -> Result<String> {
    fs::read_to_string(path()).with_context(|| path().display().to_string())
}

/// Returns `document` with the parts that follow from the sources alone: the example, and the memory that
/// the shipped model asks for.
pub fn made_from_sources(document: &str) -> Result<String> {
    let example = workspace::root().join("firmware-examples/c/recognise.c");
    let example = fs::read_to_string(&example).with_context(|| example.display().to_string())?;
    let mut memory = String::from("| | bytes |\n|---|---|\n");
    for size in model::shipped_memory()? {
        let what = size.what.trim_end_matches('.');
        let _ = writeln!(memory, "| {what} | {} |", grouped(size.value as u64));
    }
    let document = with_table(document, "example", &format!("```c\n{example}```\n"))?;
    with_table(&document, "memory", &memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_is_current() -> Result<()> {
        let document = read()?;
        let current = made_from_sources(&document)?;
        if std::env::var_os("MTSLVR_WRITE_TABLES").is_some() {
            fs::write(path(), current)?;
            return Ok(());
        }
        assert!(
            document == current,
            "{} is not current: write it anew with MTSLVR_WRITE_TABLES=1",
            path().display()
        );
        Ok(())
    }
}
