//! Prints results on standard output and remarks on standard error.
//!
//! Both go through [`write_shown`]: no name in them steers the terminal. A result that cannot be printed
//! ends the command with an error; a remark that cannot be printed is lost.

use super::called::as_called;
use mtslvr_audio::write_shown;
use mtslvr_runtime::fewshot::steers;
use std::fmt::{self, Arguments};
use std::io::{self, Write};

/// Prints a line on standard output; see [`print`].
macro_rules! outln {
    () => { $crate::stdout::print(format_args!("\n")) };
    ($($text:tt)*) => { $crate::stdout::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text on standard output; see [`print`].
macro_rules! out {
    ($($text:tt)*) => { $crate::stdout::print(format_args!($($text)*)) };
}

/// Prints a line on standard error; see [`remark`].
macro_rules! errln {
    ($($text:tt)*) => { $crate::stdout::remark(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text on standard error; see [`remark`].
macro_rules! err {
    ($($text:tt)*) => { $crate::stdout::remark(format_args!($($text)*)) };
}

/// Writes `text` to standard output at once. Where that fails, such as on a full disk, the program ends
/// with a message and exit status 1; where the reader has gone, a signal has ended it already.
pub(super) fn print(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = write(&mut out, text).and_then(|()| out.flush()) {
        drop(out);
        fail(&error);
    }
}

/// Writes bytes that are no text to standard output; fails as [`print`] does.
pub(super) fn write_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        drop(out);
        fail(&error);
    }
}

/// Writes `text` to standard error. Command lines that it quotes call the program as this process was called.
pub(super) fn remark(text: Arguments<'_>) {
    let text = text.to_string();
    let text = as_called(&text);
    // There is nowhere to tell of an error.
    let _ = write(&mut io::stderr().lock(), format_args!("{text}"));
}

/// Ends the program because standard output cannot be written.
pub(super) fn fail(error: &io::Error) -> ! {
    errln!("error: standard output cannot be written: {error}");
    super::interrupt::end(1)
}

fn write(out: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    let mut safe = Safe { out, error: None };
    let _ = fmt::write(&mut safe, text);
    safe.error.map_or(Ok(()), Err)
}

/// Passes text on, without what steers a terminal; lines may end.
struct Safe<'w, W> {
    out: &'w mut W,
    error: Option<io::Error>,
}

impl<W: Write> fmt::Write for Safe<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let hidden = |c: char| steers(c) && !matches!(c, '\n' | '\t');
        if text.contains(hidden) {
            let mut shown = String::new();
            write_shown(&mut shown, text, hidden)?;
            return self.write_plain(&shown);
        }
        self.write_plain(text)
    }
}

impl<W: Write> Safe<'_, W> {
    fn write_plain(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_steer_nothing_and_a_full_disk_is_an_error() {
        let mut out = Vec::new();
        write(
            &mut out,
            format_args!("{}\t{:>3}\n", "a\u{1b}[2J\u{202e}", "b"),
        )
        .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\\u001b[2J\\u202e\t  b\n");
        let mut full = &mut [0_u8; 2][..];
        write(&mut full, format_args!("abc")).unwrap_err();
    }
}
