//! The tables of microcontrollers in `runtime/BENCHMARKS.md`, made from the committed figures.

use crate::bench_firmware::memory_rows;
use crate::measured::{Layer, Measured};
use crate::workspace;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use xtask::board::Board;
use xtask::document::{grouped, with_table};

/// Head whose work the first table gives.
const HEAD: &str = "ridge";

/// Instructions for each multiply-accumulate of CMSIS-NN's kernels on the shapes that the firmware
/// counts: GCC 12.2 `-Ofast`, Cortex-M4, int8 per channel.
const CMSIS_NN: [(&str, f64); 8] = [
    ("3x3 32x32 16->16", 2.33),
    ("3x3 16x16 32->32", 1.93),
    ("3x3 8x8 64->64", 1.76),
    ("3x3 s2 32x32 16->32", 2.14),
    ("1x1 16x16 64->64", 2.07),
    ("1x1 s2 32x32 16->32", 4.29),
    ("3x3 s2 64x64 1->16", 10.5),
    ("depthwise 3x3 32x32 64", 8.75),
];

/// Figures of the boards, by their names.
pub type Boards = BTreeMap<String, Measured>;

/// Writes the tables into the document.
///
/// # Errors
/// If the document cannot be read or written, or a table's markers are missing in it.
pub fn write(boards: &Boards) -> Result<()> {
    let text = with_tables(&read()?, boards)?;
    fs::write(path(), text).with_context(|| path().display().to_string())?;
    eprintln!("wrote {}", path().display());
    Ok(())
}

fn path() -> PathBuf {
    workspace::root().join("runtime/BENCHMARKS.md")
}

fn read() -> Result<String> {
    fs::read_to_string(path()).with_context(|| path().display().to_string())
}

/// Returns `document` with every table replaced by the one that the figures make.
fn with_tables(document: &str, boards: &Boards) -> Result<String> {
    let [m4, m55] = [Board::An386, Board::An547].map(|board| boards.get(board.name()));
    let mut text = document.to_owned();
    for (name, table) in [
        ("boards", all_boards(boards)),
        ("layers-an386", m4.map(layers).unwrap_or_default()),
        ("layers-an547", m55.map(layers).unwrap_or_default()),
        ("shapes", m4.map(|m4| shapes(m4, m55)).unwrap_or_default()),
        ("paths", m4.map(paths).unwrap_or_default()),
        ("memory", m4.map(memory).unwrap_or_default()),
        ("runtime", all_runtimes(boards)),
    ] {
        text = with_table(&text, name, &table)?;
    }
    Ok(text)
}

/// Boards that have figures, in the order of [`Board::ALL`].
fn in_order(boards: &Boards) -> impl Iterator<Item = &Measured> {
    Board::ALL
        .into_iter()
        .filter_map(|board| boards.get(board.name()))
}

fn all_boards(boards: &Boards) -> String {
    let mut table = String::from(
        "| board | core | inference | per MAC | opening the model | preparing the frontend | \
         features of a frame | ridge, fit | ridge, decision |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for board in in_order(boards) {
        let head = board.heads.iter().find(|head| head.name == HEAD);
        let [fit, decision] = [
            head.map(|head| head.fit_instructions),
            head.map(|head| head.decide_instructions),
        ]
        .map(|instructions| instructions.map(grouped).unwrap_or_default());
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {} | {} | {fit} | {decision} |",
            board.board.name(),
            board.board.core(),
            grouped(board.instructions),
            per_mac(board.instructions, board.macs),
            grouped(board.open_instructions),
            grouped(board.frontend.set_up_instructions),
            grouped(board.frontend.instructions_per_frame),
        );
    }
    table
}

fn layers(board: &Measured) -> String {
    let mut table =
        String::from("| layer | MAC | instructions | instructions per MAC |\n|---|---|---|---|\n");
    for layer in &board.layers {
        let (instructions, ratio) = counted(layer);
        let name = layer.name.replace("->", "→");
        let macs = grouped(layer.macs);
        let _ = writeln!(table, "| {name} | {macs} | {instructions} | {ratio} |");
    }
    table
}

fn shapes(m4: &Measured, m55: Option<&Measured>) -> String {
    let mut table = String::from(
        "| layer | MAC | instructions, Cortex-M4F | per MAC | CMSIS-NN, per MAC | Helium, per MAC |\n\
         |---|---|---|---|---|---|\n",
    );
    for layer in &m4.shapes {
        let (instructions, ratio) = counted(layer);
        let other = CMSIS_NN.iter().find(|(name, _)| *name == layer.name);
        let other = other
            .map(|(_, ratio)| ratio.to_string())
            .unwrap_or_default();
        let same = |found: &&Layer| found.name == layer.name;
        let helium = m55.and_then(|m55| m55.shapes.iter().find(same));
        let helium = helium.map(|layer| counted(layer).1).unwrap_or_default();
        let name = layer.name.replace("->", "→");
        let macs = grouped(layer.macs);
        let _ = writeln!(
            table,
            "| {name} | {macs} | {instructions} | {ratio} | {other} | {helium} |"
        );
    }
    table
}

/// Returns the instructions of a layer and their ratio to its multiply-accumulates, as text.
fn counted(layer: &Layer) -> (String, String) {
    let instructions = layer.instructions;
    (grouped(instructions), per_mac(instructions, layer.macs))
}

/// Returns the ratio with two digits; nothing for a layer that multiplies nothing.
fn per_mac(instructions: u64, macs: u64) -> String {
    match macs {
        0 => String::new(),
        _ => format!("{:.2}", instructions as f64 / macs as f64),
    }
}

fn paths(board: &Measured) -> String {
    let mut table = String::from(
        "| 1x1 layer over two maps | one after the other | together |\n|---|---|---|\n",
    );
    for paths in &board.paths {
        let name = paths.name.replace("->", "→");
        let [apart, together] = [paths.one_after_the_other, paths.together].map(grouped);
        let _ = writeln!(table, "| {name} | {apart} | {together} |");
    }
    table
}

fn memory(board: &Measured) -> String {
    let mut table = String::from("| | bytes |\n|---|---|\n");
    for (part, bytes) in memory_rows(board) {
        let _ = writeln!(table, "| {part} | {} |", grouped(bytes));
    }
    table
}

fn all_runtimes(boards: &Boards) -> String {
    let mut table = String::from("| board | core | bytes of flash |\n|---|---|---|\n");
    for board in in_order(boards) {
        let (name, core) = (board.board.name(), board.board.core());
        let bytes = grouped(board.memory.runtime_bytes);
        let _ = writeln!(table, "| `{name}` | {core} | {bytes} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_of_the_figures() {
        let document = read().unwrap();
        let expected = with_tables(&document, &crate::figures::committed().unwrap()).unwrap();
        assert!(
            document == expected,
            "runtime/BENCHMARKS.md differs from the figures: run `cargo xtask bench-firmware --board an386 --accept`"
        );
    }
}
