//! `firmware-examples/crash` in QEMU: whatever goes wrong, the firmware starts again and tells why, and a stack that
//! is too deep changes no static.

use anyhow::{Context, Result};
use std::env;
use xtask::board::Board;
use xtask::qemu;

#[test]
fn a_fault_is_told_after_the_restart() -> Result<()> {
    let elves = env::var_os("MTSLVR_TEST_CRASH").context(
        "MTSLVR_TEST_CRASH is not set: run `cargo xtask test`, which builds the firmware",
    )?;
    // Armv7-M guards the stack by its MPU, Armv8-M by its stack limit.
    let boards = [(Board::An386, "00000092"), (Board::An505, "00100000")];
    let elves: Vec<_> = env::split_paths(&elves).collect();
    assert_eq!(elves.len(), boards.len());
    for (elf, (board, too_deep)) in elves.iter().zip(boards) {
        let output = qemu::command::<&str>(board, elf, &[]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let expected = format!(
            "started\n\
             told: index out of bounds: the len is 3 but the index is 3, line 22\n\
             told: the stack is too small (fault {too_deep})\n\
             told: a fault of the processor, 00010000\n"
        );
        assert_eq!(text, expected, "{}", board.name());
        // Statics are as they were, and a reason is told once.
        assert!(output.status.success(), "{}", board.name());
    }
    Ok(())
}
