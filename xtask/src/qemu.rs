//! Firmwares in QEMU.

use crate::board::Board;
use std::path::Path;
use std::process::Command;

/// The command that runs the firmware `elf` on `board` with its own `args`. It ends when the firmware
/// does, and succeeds if that did.
pub fn command<S: AsRef<str>>(board: Board, elf: &Path, args: &[S]) -> Command {
    let mut command = Command::new(board.qemu());
    command
        .args(["-machine", board.machine(), "-nographic"])
        .args(board.qemu_arguments())
        // Each instruction takes one nanosecond of the machine's time: the firmware can count them.
        .args(["-icount", "shift=0"])
        .arg("-semihosting-config")
        .arg(semihosting(args))
        .arg("-kernel")
        .arg(elf);
    command
}

/// Connects the board's first UART with `port`, as QEMU's option `-serial` names it (`pty`, `tcp:HOST:PORT`).
pub fn connect_serial(command: &mut Command, port: &str) {
    // Without a monitor, which QEMU would put where the firmware's console is.
    command.args(["-monitor", "none", "-serial", port]);
}

/// QEMU's semihosting option with the firmware's arguments, in which a comma is written twice and an
/// argument with spaces is quoted (QEMU joins them with spaces).
fn semihosting<S: AsRef<str>>(args: &[S]) -> String {
    let mut option = "enable=on,target=native,arg=mtslvr-qemu".to_owned();
    for arg in args {
        let arg = arg.as_ref().replace(',', ",,");
        option.push_str(",arg=");
        if arg.contains(' ') {
            option.push_str(&format!("\"{arg}\""));
        } else {
            option.push_str(&arg);
        }
    }
    option
}

#[cfg(test)]
mod tests {
    #[test]
    fn commas_and_spaces_reach_the_firmware() {
        assert_eq!(
            super::semihosting(&["support:dog=a,b.wav", "query=c d.wav"]),
            "enable=on,target=native,arg=mtslvr-qemu,arg=support:dog=a,,b.wav,arg=\"query=c d.wav\""
        );
    }
}
