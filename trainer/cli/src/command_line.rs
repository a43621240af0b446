//! Command lines that the program prints for the user to go on with.

use super::called::{NAME, called, quoted};
use std::ffi::{OsStr, OsString};
use std::fmt;

/// A command line of this program, printed with quotes where a POSIX shell needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    words: Vec<OsString>,
}

impl CommandLine {
    /// Begins with a subcommand.
    pub(super) fn new(subcommand: &[&str]) -> Self {
        Self {
            words: subcommand.iter().map(OsString::from).collect(),
        }
    }

    /// Returns the command line that this process was started with.
    pub(super) fn of_this_process() -> Self {
        Self {
            words: std::env::args_os().skip(1).collect(),
        }
    }

    /// Appends words as they are.
    pub(super) fn words(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let words = words.into_iter();
        self.words
            .extend(words.map(|word| word.as_ref().to_owned()));
        self
    }

    /// Appends an option with its value, if there is one.
    pub(super) fn option(self, name: &str, value: Option<impl AsRef<OsStr>>) -> Self {
        self.options(name, value)
    }

    /// Appends an option once for each of its values.
    pub(super) fn options(
        self,
        name: &str,
        values: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Self {
        let each = |line: Self, value| line.words([OsStr::new(name)]).words([value]);
        values.into_iter().fold(self, each)
    }

    /// Appends an option without a value, if it is `on`.
    pub(super) fn flag(mut self, name: &str, on: bool) -> Self {
        if on {
            self.words.push(name.into());
        }
        self
    }
}

impl CommandLine {
    /// Returns the line for a document, which may be read where the program is called otherwise.
    pub(super) fn for_document(&self) -> String {
        format!("{NAME}{}", self.arguments())
    }

    /// Returns the words behind the program's, each with a space before it.
    fn arguments(&self) -> String {
        let words = self.words.iter().map(|word| word.to_string_lossy());
        words.map(|word| format!(" {}", quoted(&word))).collect()
    }
}

/// Writes the line with the words that this process was called by.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", called(), self.arguments())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_line_gives_the_same_words_to_a_shell() {
        let line = CommandLine::new(&["train", "--resume"])
            .option("--out", Some("my runs/it's"))
            .option("--cache", None::<&str>)
            .options("--data", ["a b", "$HOME", "plain"])
            .options("--teacher", ["a=1", "b=2"])
            .options("--set", [] as [&str; 0])
            .flag("--no-gpl", true)
            .flag("--json", false);
        let words = [
            "mtslvr",
            "train",
            "--resume",
            "--out",
            "my runs/it's",
            "--data",
            "a b",
            "--data",
            "$HOME",
            "--data",
            "plain",
            "--teacher",
            "a=1",
            "--teacher",
            "b=2",
            "--no-gpl",
        ];
        assert_eq!(shlex::split(&line.for_document()).unwrap(), words);
        let called = shlex::split(&line.to_string()).unwrap();
        assert_eq!(called[1..], words[1..]);
        assert!(line.to_string().ends_with("'b=2' --no-gpl"), "{line}");
    }
}
