//! Ctrl-C asks a long command to stop at the next safe point; a second one stops it at once.

use anyhow::{Context, Result};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// The flag that the first Ctrl-C sets, which it says.
pub(super) fn on_ctrl_c() -> Result<&'static AtomicBool> {
    install(|| eprintln!("\nStopping after this step; press Ctrl-C again to stop at once."))
}

/// The flag that the first Ctrl-C sets, for a command that looks at it all the time.
pub(super) fn quietly_on_ctrl_c() -> Result<&'static AtomicBool> {
    install(|| {})
}

fn install(say: impl Fn() + Send + 'static) -> Result<&'static AtomicBool> {
    if INSTALLED.set(()).is_ok() {
        ctrlc::set_handler(move || {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            say();
        })
        .context("cannot watch for Ctrl-C")?;
    }
    Ok(&STOP)
}
