//! `mtslvr`: see [`mtslvr_cli`].

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    end_with_the_pipe();
    match mtslvr_cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
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
