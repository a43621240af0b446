//! The committed figures of the firmware, and the rule that they may not grow unseen.

use crate::benchmarks::{self, Boards};
use crate::measured::Measured;
use crate::workspace;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use xtask::board::Board;

/// Growth that is taken without question, percent. Shrinking by more than this is worth accepting,
/// so that it is not lost again.
const TOLERANCE_PERCENT: u64 = 2;

/// The file of figures.
#[derive(Debug, Default, Deserialize, Serialize)]
struct File {
    /// Compiler that the figures were made with: they depend on it.
    compiler: String,
    /// Figures by board.
    boards: BTreeMap<String, Entry>,
}

/// Figures of a board.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Entry {
    /// All that was measured: the tables of `runtime/BENCHMARKS.md` are made from it.
    All(Box<Measured>),
    /// Figures that may not grow, of a board without tables.
    Limits(Figures),
}

impl Entry {
    fn figures(&self) -> Figures {
        match self {
            Self::All(measured) => Figures::of(measured),
            Self::Limits(figures) => *figures,
        }
    }
}

/// Figures that may not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Instructions of a whole inference.
    pub instructions: u64,
    /// Flash of the example firmware, bytes.
    pub flash_bytes: u64,
    /// RAM of the example firmware's statics, bytes.
    pub ram_bytes: u64,
}

impl Figures {
    fn of(measured: &Measured) -> Self {
        Self {
            instructions: measured.instructions,
            flash_bytes: measured.flash_bytes,
            ram_bytes: measured.ram_bytes,
        }
    }
}

/// What came of a comparison.
#[derive(Debug, Default, PartialEq)]
struct Changes {
    grown: Vec<String>,
    shrunk: Vec<String>,
}

impl Figures {
    fn changes(&self, now: &Self) -> Changes {
        let mut changes = Changes::default();
        for (what, was, is) in [
            (
                "instructions of an inference",
                self.instructions,
                now.instructions,
            ),
            (
                "bytes of flash of the example firmware",
                self.flash_bytes,
                now.flash_bytes,
            ),
            (
                "bytes of RAM of the example firmware",
                self.ram_bytes,
                now.ram_bytes,
            ),
        ] {
            let percent = 100.0 * (is as f64 / was as f64 - 1.0);
            let line = format!("{what}: {was} before, {is} now ({percent:+.2} %)");
            if 100 * is > (100 + TOLERANCE_PERCENT) * was {
                changes.grown.push(line);
            } else if 100 * is < (100 - TOLERANCE_PERCENT) * was {
                changes.shrunk.push(line);
            }
        }
        changes
    }
}

/// Compares with the committed figures: growth is an error that says how to accept it. Returns what
/// there is to say of figures that shrank.
pub fn check(measured: &Measured) -> Result<String> {
    let file = read()?;
    let Some(committed) = file.boards.get(measured.board.name()) else {
        bail!(
            "{} has no figures of the board {}: run `{}` and commit the file",
            path().display(),
            measured.board.name(),
            accepting(measured.board)
        );
    };
    let changes = committed.figures().changes(&Figures::of(measured));
    let accepting = accepting(measured.board);
    if !changes.grown.is_empty() {
        let mut message = format!(
            "grew by more than {TOLERANCE_PERCENT} % over {}:\n  {}\n",
            path().display(),
            changes.grown.join("\n  ")
        );
        if file.compiler != measured.compiler {
            let _ = writeln!(
                message,
                "The figures were made with {}, this is {}: that may be why.",
                file.compiler, measured.compiler
            );
        }
        bail!("{message}If this is meant to be, run `{accepting}` and commit the file.");
    }
    Ok(match &changes.shrunk[..] {
        [] => String::new(),
        shrunk => format!(
            "shrank by more than {TOLERANCE_PERCENT} %:\n  {}\nRun `{accepting}` and commit the \
             file, so that it stays so.",
            shrunk.join("\n  ")
        ),
    })
}

/// Writes the measured figures to the file, and the tables of `runtime/BENCHMARKS.md` after them.
pub fn accept(measured: Measured) -> Result<()> {
    let mut file = if path().is_file() {
        read()?
    } else {
        File::default()
    };
    file.compiler.clone_from(&measured.compiler);
    let name = measured.board.name().to_owned();
    file.boards.insert(name, Entry::All(Box::new(measured)));
    let text = serde_json::to_string_pretty(&file)? + "\n";
    fs::write(path(), text).with_context(|| path().display().to_string())?;
    eprintln!("wrote {}", path().display());
    benchmarks::write(&with_tables(file))
}

fn accepting(board: Board) -> String {
    format!(
        "cargo xtask bench-firmware --board {} --accept",
        board.name()
    )
}

fn path() -> PathBuf {
    workspace::root().join("firmware-examples/bench/figures.json")
}

/// Returns the boards that tables are made of.
fn with_tables(file: File) -> Boards {
    let all = file.boards.into_iter();
    all.filter_map(|(name, entry)| match entry {
        Entry::All(measured) => Some((name, *measured)),
        Entry::Limits(_) => None,
    })
    .collect()
}

/// Reads the committed figures of the boards that tables are made of.
#[cfg(test)]
pub fn committed() -> Result<Boards> {
    read().map(with_tables)
}

fn read() -> Result<File> {
    let text = fs::read_to_string(path()).with_context(|| path().display().to_string())?;
    serde_json::from_str(&text).with_context(|| path().display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Figures = Figures {
        instructions: 10_000,
        flash_bytes: 500_000,
        ram_bytes: 80_000,
    };

    #[test]
    fn two_percent_are_taken_without_question() {
        let edges = [
            Figures {
                instructions: 10_200,
                flash_bytes: 510_000,
                ram_bytes: 81_600,
            },
            Figures {
                instructions: 9_800,
                flash_bytes: 490_000,
                ram_bytes: 78_400,
            },
        ];
        for now in edges {
            assert_eq!(BEFORE.changes(&now), Changes::default());
        }
    }

    #[test]
    fn each_figure_that_changes_by_more_is_named() {
        let now = Figures {
            instructions: 10_201,
            flash_bytes: 489_999,
            ram_bytes: 100_000,
        };
        let changes = BEFORE.changes(&now);
        assert_eq!(
            changes.grown,
            [
                "instructions of an inference: 10000 before, 10201 now (+2.01 %)",
                "bytes of RAM of the example firmware: 80000 before, 100000 now (+25.00 %)",
            ]
        );
        assert_eq!(
            changes.shrunk,
            ["bytes of flash of the example firmware: 500000 before, 489999 now (-2.00 %)"]
        );
    }
}
