//! Ends the program in order on Ctrl-C, SIGTERM and SIGHUP, which are the same to it.
//!
//! A command that asks for the flag stops at its next safe point; a second signal ends it at once. Any
//! other command ends at once. No unfinished file stays behind, and the exit status is
//! [`INTERRUPTED`] either way.

use mtslvr_audio::atomic_file::remove_own_unfinished;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status after an interrupt, as shells give it.
pub const INTERRUPTED: u8 = 130;

/// Set by the first signal.
static STOP: AtomicBool = AtomicBool::new(false);
/// The command looks at [`STOP`].
static ASKED: AtomicBool = AtomicBool::new(false);
/// The command need not tell the user that it stops soon.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Begins to watch for signals, in a thread of its own.
///
/// # Errors
/// If the system does not let it.
pub fn watch() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        let first = !STOP.swap(true, Ordering::Relaxed);
        if !first || !ASKED.load(Ordering::Relaxed) {
            end(INTERRUPTED);
        }
        if !QUIET.load(Ordering::Relaxed) {
            errln!("\nStopping after this step; Ctrl-C again stops at once.");
        }
    })
}

/// Tells whether a signal came.
pub fn came() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Returns the flag that the first signal sets. The user is told that the command stops soon.
pub(super) fn on_ctrl_c() -> &'static AtomicBool {
    ASKED.store(true, Ordering::Relaxed);
    &STOP
}

/// Returns the flag that the first signal sets, for a command that looks at it all the time and so
/// need not tell the user.
pub(super) fn quietly_on_ctrl_c() -> &'static AtomicBool {
    QUIET.store(true, Ordering::Relaxed);
    on_ctrl_c()
}

/// Ends the program at once, without its unfinished files.
pub(super) fn end(status: u8) -> ! {
    remove_own_unfinished();
    std::process::exit(status.into())
}
