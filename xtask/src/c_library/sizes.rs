//! Bytes of code that a linked program needs of the library, by processor.

use super::{PROCESSORS, Processor, build, made, readme, set_up, sources};
use crate::embedded::Toolchain;
use crate::{elf, process};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use xtask::board::Board;
use xtask::document::{grouped, with_table};

/// Name of the table in the README.
const TABLE: &str = "sizes";

/// Growth that is taken without question, percent.
const TOLERANCE_PERCENT: u64 = 2;

/// Bytes of one processor's programs, by what they do: see `runtime/c/sizes/uses.c`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    /// A clip is enrolled and another recognised.
    clips: u64,
    /// A stream is listened to as well.
    listening: u64,
    /// Everything, flash and snapshots among it.
    all: u64,
}

/// Uses that are measured: how the program is told.
const USES: [&str; 3] = ["-DCLIPS", "-DLISTENING", "-DALL"];

/// Links programs with the library and measures them.
fn measure(processor: &Processor, library: &Path) -> Result<Sizes> {
    let [clips, listening, all] = USES.map(|used| linked(processor, library, used));
    Ok(Sizes {
        clips: clips?,
        listening: listening?,
        all: all?,
    })
}

/// Links a program that does nothing but call the library, and returns its bytes of code, constants and
/// start values.
fn linked(processor: &Processor, library: &Path, used: &str) -> Result<u64> {
    let elf = made().join(processor.name).join(format!("uses{used}.elf"));
    let mut command = processor.compiler.command(processor.flags);
    command
        .args(["-Os", "-ffreestanding", "-nostdlib", used, "-o"])
        .arg(&elf)
        .arg("-I")
        .arg(sources().join("include"))
        .arg(sources().join("sizes/uses.c"))
        .arg(library)
        // What the library does not bring along itself: the compiler's own arithmetic.
        .args(["-lgcc", "-Wl,--gc-sections,--entry=uses,-z,noexecstack"]);
    process::run(&mut command)?;
    Ok(elf::sizes(&elf)?.flash)
}

fn row(processor: &Processor, sizes: &Sizes) -> String {
    let [clips, listening, all] = [sizes.clips, sizes.listening, sizes.all].map(grouped);
    format!(
        "| {} | `{}` | {clips} | {listening} | {all} |\n",
        processor.shown, processor.target
    )
}

/// Builds and measures for all processors, and writes all tables into the README.
pub fn write_sizes() -> Result<()> {
    let toolchain = Toolchain::set_up(&[Board::An386])?;
    set_up(&PROCESSORS, toolchain)?;
    let mut table = String::from(
        "| processor | target | clips | and listening | and flash, snapshots: all |\n|---|---|---|---|---|\n",
    );
    for processor in &PROCESSORS {
        let library = build(toolchain, processor)?;
        let _ = write!(table, "{}", row(processor, &measure(processor, &library)?));
    }
    let _ = writeln!(table, "\nCompiled by {}.", toolchain.version()?);
    let path = readme::path();
    let named = || path.display().to_string();
    let text = with_table(&readme::read()?, TABLE, &table).with_context(named)?;
    fs::write(&path, readme::made_from_sources(&text)?).with_context(named)?;
    print!("{table}");
    Ok(())
}

/// Checks that a processor's programs have not grown over what the README says.
pub fn check(processor: &Processor, library: &Path) -> Result<()> {
    let text = readme::read()?;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("| {} |", processor.shown)))
        .with_context(|| {
            format!(
                "no size of {} in {}",
                processor.shown,
                readme::path().display()
            )
        })?;
    let stated = numbers(line);
    let now = measure(processor, library)?;
    let now = [now.clips, now.listening, now.all];
    ensure!(
        stated.len() == now.len(),
        "the table of {} has other columns: run `cargo xtask c-sizes`",
        readme::path().display()
    );
    for (stated, now) in stated.into_iter().zip(now) {
        let apart = stated.abs_diff(now);
        ensure!(
            100 * apart <= TOLERANCE_PERCENT * stated,
            "a program for {} takes {now} bytes, and {} says {stated}: run `cargo xtask c-sizes` and \
             commit the file",
            processor.shown,
            readme::path().display()
        );
    }
    Ok(())
}

/// Returns the numbers in a row's cells behind the target's.
fn numbers(row: &str) -> Vec<u64> {
    let cells = row.split('|').skip(3);
    cells
        .filter_map(|cell| cell.trim().replace(',', "").parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_is_written() {
        let sizes = Sizes {
            clips: 70_001,
            listening: 80_002,
            all: 100_003,
        };
        let row = row(&PROCESSORS[0], &sizes);
        assert_eq!(numbers(&row), [70_001, 80_002, 100_003]);
    }

    #[test]
    fn the_readme_states_every_processor() -> Result<()> {
        let text = readme::read()?;
        for processor in PROCESSORS {
            let start = format!("| {} | `{}` |", processor.shown, processor.target);
            let row = text.lines().find(|line| line.starts_with(&start));
            let row = row.with_context(|| format!("no row {start}: run `cargo xtask c-sizes`"))?;
            assert_eq!(numbers(row).len(), USES.len(), "{row}");
        }
        Ok(())
    }
}
