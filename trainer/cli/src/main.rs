//! `mtslvr`: see [`mtslvr_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    end_with_the_pipe();
    if let Err(error) = watch_for_signals() {
        eprintln!("warning: cannot watch for Ctrl-C: {error}");
    }
    mtslvr_cli::main()
}

/// Ends the program quietly when whoever reads its output has gone, as in `mtslvr inspect FILE | head`.
/// Rust's start-up code ignores that signal, and printing would panic.
#[allow(unsafe_code)]
fn end_with_the_pipe() {
    #[cfg(unix)]
    // SAFETY: restoring a signal's default action touches no memory of this program, and no other
    // thread runs yet.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Watches for the signals that end the program. `nohup` has a program ignore one of them, and it stays
/// ignored.
#[cfg(unix)]
#[allow(unsafe_code)]
fn watch_for_signals() -> Result<(), ctrlc::Error> {
    // SAFETY: ignoring a signal touches no memory of this program, and no other thread runs yet.
    let before = unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    mtslvr_cli::interrupt::watch()?;
    if before == libc::SIG_IGN {
        // SAFETY: as above; the thread that watches only waits.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    }
    Ok(())
}

#[cfg(not(unix))]
fn watch_for_signals() -> Result<(), ctrlc::Error> {
    mtslvr_cli::interrupt::watch()
}
