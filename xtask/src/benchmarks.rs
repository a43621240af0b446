//! The tables of microcontrollers in the runtime's documents, made from the committed figures.

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

/// A layer of CMSIS-NN's kernels: name, instructions for each multiply-accumulate on a Cortex-M4, and the same on a
/// Cortex-M55.
type Peer = (&'static str, f64, f64);

/// CMSIS-NN on the shapes that the firmware counts: GCC 12.2 `-Ofast`, int8 per channel.
const CMSIS_NN: [Peer; 8] = [
    ("3x3 32x32 16->16", 2.33, 0.39),
    ("3x3 16x16 32->32", 1.93, 0.25),
    ("3x3 8x8 64->64", 1.76, 0.21),
    ("3x3 s2 32x32 16->32", 2.14, 0.33),
    ("1x1 16x16 64->64", 2.07, 0.39),
    ("1x1 s2 32x32 16->32", 4.29, 1.08),
    ("3x3 s2 64x64 1->16", 10.5, 3.77),
    ("depthwise 3x3 32x32 64", 8.75, 2.30),
];

/// Figures of the boards, by their names.
pub type Boards = BTreeMap<String, Measured>;

/// A document with tables.
struct Document {
    path: &'static str,
    /// Returns the tables by the names of their markers.
    tables: fn(&Boards) -> Vec<(&'static str, String)>,
}

const DOCUMENTS: [Document; 2] = [
    Document {
        path: "runtime/BENCHMARKS.md",
        tables: benchmarks,
    },
    Document {
        path: "runtime/README.md",
        tables: |boards| vec![("sizes", sizes(boards))],
    },
];

/// Writes the tables into the documents.
///
/// # Errors
/// If a document cannot be read or written, or a table's markers are missing in it.
pub fn write(boards: &Boards) -> Result<()> {
    for document in &DOCUMENTS {
        let path = document.full_path();
        let text = document.with_tables(&document.read()?, boards)?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

impl Document {
    fn full_path(&self) -> PathBuf {
        workspace::root().join(self.path)
    }

    fn read(&self) -> Result<String> {
        let path = self.full_path();
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Returns `text` with every table replaced by the one that the figures make.
    fn with_tables(&self, text: &str, boards: &Boards) -> Result<String> {
        let mut text = text.to_owned();
        for (name, table) in (self.tables)(boards) {
            text = with_table(&text, name, &table).context(self.path)?;
        }
        Ok(text)
    }
}

fn benchmarks(boards: &Boards) -> Vec<(&'static str, String)> {
    let [m4, m55] = [Board::An386, Board::An547].map(|board| boards.get(board.name()));
    vec![
        ("boards", all_boards(boards)),
        ("layers-an386", m4.map(layers).unwrap_or_default()),
        ("layers-an547", m55.map(layers).unwrap_or_default()),
        ("shapes", m4.map(|m4| shapes(m4, m55)).unwrap_or_default()),
        ("paths", m4.map(paths).unwrap_or_default()),
        ("memory", m4.map(memory).unwrap_or_default()),
        ("runtime", all_runtimes(boards)),
        ("signed", signed(boards)),
    ]
}

/// Boards that have figures, in the order of [`Board::ALL`].
fn in_order(boards: &Boards) -> impl Iterator<Item = &Measured> {
    Board::ALL
        .into_iter()
        .filter_map(|board| boards.get(board.name()))
}

fn all_boards(boards: &Boards) -> String {
    let mut table = String::from(
        "| board | core | inference | per MAC | opening the model | with a known checksum | \
         preparing the frontend | features of a frame | a quiet second | ridge, fit | ridge, decision |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
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
            "| `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {fit} | {decision} |",
            board.board.name(),
            board.board.core(),
            grouped(board.instructions),
            per_mac(board.instructions, board.macs),
            grouped(board.open_instructions),
            grouped(board.open_known_instructions),
            grouped(board.frontend.set_up_instructions),
            grouped(board.frontend.instructions_per_frame),
            grouped(board.idle.instructions),
        );
    }
    table
}

fn signed(boards: &Boards) -> String {
    let mut table = String::from(
        "| board | core | bytes of flash | hash of the model | its signature |\n|---|---|---|---|---|\n",
    );
    for board in in_order(boards) {
        if let Some(signed) = &board.signed {
            let [flash, hash, signature] = [
                signed.flash_bytes,
                signed.hash_instructions,
                signed.signature_instructions,
            ]
            .map(grouped);
            let (name, core) = (board.board.name(), board.board.core());
            let _ = writeln!(
                table,
                "| `{name}` | {core} | {flash} | {hash} | {signature} |"
            );
        }
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
        "| layer | MAC | Cortex-M4F | CMSIS-NN | Cortex-M55 | CMSIS-NN |\n\
         |---|---|---|---|---|---|\n",
    );
    for layer in &m4.shapes {
        let ratio = counted(layer).1;
        let peer = CMSIS_NN.iter().find(|(name, ..)| *name == layer.name);
        let [peer_m4, peer_m55] = match peer {
            Some((_, m4, m55)) => [m4, m55].map(|ratio| format!("{ratio:.2}")),
            None => Default::default(),
        };
        let same = |found: &&Layer| found.name == layer.name;
        let helium = m55.and_then(|m55| m55.shapes.iter().find(same));
        let helium = helium.map(|layer| counted(layer).1).unwrap_or_default();
        let name = layer.name.replace("->", "→");
        let macs = grouped(layer.macs);
        let _ = writeln!(
            table,
            "| {name} | {macs} | {ratio} | {peer_m4} | {helium} | {peer_m55} |"
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

/// Returns what a device needs for the shipped model, on each kind of core.
fn sizes(boards: &Boards) -> String {
    let mut table = String::from(
        "| core | flash: model | flash: runtime | RAM | instructions for a second of sound |\n|---|---|---|---|---|\n",
    );
    for board in in_order(boards) {
        let memory = &board.memory;
        let ram = memory.arena_bytes + memory.frontend_bytes + memory.head_bytes;
        let [model, runtime, ram, instructions] = [
            memory.model_bytes,
            memory.runtime_bytes,
            ram,
            board.instructions,
        ]
        .map(grouped);
        let core = board.board.core();
        let _ = writeln!(
            table,
            "| {core} | {model} | {runtime} | {ram} | {instructions} |"
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_of_the_figures() {
        let figures = crate::figures::committed().unwrap();
        for document in &DOCUMENTS {
            let text = document.read().unwrap();
            let expected = document.with_tables(&text, &figures).unwrap();
            assert!(
                text == expected,
                "{} differs from the figures: run `cargo xtask bench-firmware --board an386 --accept`. Expected:\n{}",
                document.path,
                expected
            );
        }
    }
}
