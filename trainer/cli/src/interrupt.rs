//! Ctrl-C asks a long command to stop at the next safe point; a second one stops it at once.

use anyhow::{Context, Result};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// Returns the flag that the first Ctrl-C sets. The user is told that the command stops soon.
pub(super) fn on_ctrl_c() -> Result<&'static AtomicBool> {
    install(|| eprintln!("\nStopping after this step; press Ctrl-C again to stop at once."))
}

/// Returns the flag that the first Ctrl-C sets, for a command that looks at it all the time and so
/// need not tell the user.
pub(super) fn quietly_on_ctrl_c() -> Result<&'static AtomicBool> {
    install(|| {})
}

fn install(notify: impl Fn() + Send + 'static) -> Result<&'static AtomicBool> {
    if INSTALLED.set(()).is_ok() {
        ctrlc::set_handler(move || {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            notify();
        })
        .context("cannot watch for Ctrl-C")?;
    }
    Ok(&STOP)
}
