//! Takes the memory map and the clock of the board that the firmware is built for.

use std::path::PathBuf;
use std::{env, fs};

/// Boards: name, the clock that their counter counts, MHz, and the address of their first UART. RISC-V counts
/// instructions, which take a nanosecond each.
const BOARDS: [(&str, u32, u32); 6] = [
    ("an385", 25, 0x4000_4000),
    ("an386", 25, 0x4000_4000),
    ("an500", 25, 0x4000_4000),
    ("an505", 20, 0x5020_0000),
    ("an547", 32, 0x5930_3000),
    ("virt", 1_000, 0x1000_0000),
];

fn main() {
    println!("cargo::rerun-if-env-changed=MTSLVR_BOARD");
    let board = env::var("MTSLVR_BOARD").unwrap_or_else(|_| "an386".to_owned());
    let Some((board, clock, uart)) = BOARDS.iter().find(|(name, ..)| *name == board) else {
        let names: Vec<_> = BOARDS.iter().map(|(name, ..)| *name).collect();
        println!(
            "cargo::error=MTSLVR_BOARD is {board:?}, expected one of: {}",
            names.join(", ")
        );
        return;
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let memory = format!("memory/{board}.x");
    println!("cargo::rerun-if-changed={memory}");
    fs::copy(&memory, out.join("memory.x")).expect("cannot copy the memory map");
    println!("cargo::rustc-link-search={}", out.display());
    let constants = format!(
        "/// The board.\n\
         pub const BOARD: &str = {board:?};\n\
         /// Clock of the counter, MHz.\n\
         pub const CLOCK_MHZ: u64 = {clock};\n\
         /// Address of the first UART.\n\
         pub const UART: usize = {uart:#x};\n"
    );
    fs::write(out.join("board.rs"), constants).expect("cannot write board.rs");
}
