//! Text of others, such as the name of a file, made safe to print.

use mtslvr_runtime::fewshot::steers;
use std::fmt;
use std::path::Path;

/// Displays text with each character that steers a terminal or turns the direction of text
/// ([`steers`]) as `\u` and four digits. In JSON that is the same text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(steers) {
            return f.pad(self.0);
        }
        write_shown(f, self.0, steers)
    }
}

/// Displays text as [`Shown`] does, for a cell of CSV: a spreadsheet would compute what begins with `=`, `+`, `-` or `@`,
/// so an apostrophe stands before that.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a>(pub &'a str);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.starts_with(['=', '+', '-', '@']) {
            f.write_str("'")?;
        }
        Shown(self.0).fmt(f)
    }
}

/// Writes `text` to `out` with each character that is `hidden` as `\u` and four digits.
///
/// # Errors
/// Those of `out`.
pub fn write_shown(
    out: &mut impl fmt::Write,
    text: &str,
    hidden: impl Fn(char) -> bool,
) -> fmt::Result {
    let mut rest = text;
    while let Some((at, found)) = rest.char_indices().find(|(_, c)| hidden(*c)) {
        let (before, after) = rest.split_at(at);
        out.write_str(before)?;
        write!(out, "\\u{:04x}", u32::from(found))?;
        rest = &after[found.len_utf8()..];
    }
    out.write_str(rest)
}

/// Counts things in words: `1 class`, `3 classes`, `0 clips`. `noun` is what one of them is called.
pub fn counted(count: usize, noun: &str) -> String {
    let ending = match count {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

/// Displays a path as [`Shown`] does.
#[derive(Clone, Copy, Debug)]
pub struct ShownPath<'a>(&'a Path);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0.to_string_lossy()).fmt(f)
    }
}

/// Gives paths a form that is safe to print.
pub trait ShowPath {
    /// Returns the path as text in which nothing steers a terminal.
    fn shown(&self) -> ShownPath<'_>;
}

impl ShowPath for Path {
    fn shown(&self) -> ShownPath<'_> {
        ShownPath(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_by_its_number() {
        for (text, expected) in [
            ("kettle.wav", "kettle.wav"),
            ("T\u{fc}r \u{1f514}", "T\u{fc}r \u{1f514}"),
            ("a\u{1b}[31mb\n", "a\\u001b[31mb\\u000a"),
            ("gnp\u{202e}vaw.", "gnp\\u202evaw."),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
            assert_eq!(Path::new(text).shown().to_string(), expected);
        }
        assert_eq!(format!("{:>4}|", Shown("ab")), "  ab|");
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("@\u{1b}", "'@\\u001b"),
            ("-a", "'-a"),
            ("+a", "'+a"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(Cell(text).to_string(), expected);
        }
    }
}
