//! Command lines that the program prints for the user to go on with.

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
        self.options(name, value.as_slice())
    }

    /// Appends an option with its values, if there are any.
    pub(super) fn options(mut self, name: &str, values: &[impl AsRef<OsStr>]) -> Self {
        if values.is_empty() {
            return self;
        }
        self.words.push(name.into());
        self.words(values)
    }

    /// Appends an option once for each of its values.
    #[cfg(any(feature = "train", test))]
    pub(super) fn options_each(self, name: &str, values: &[impl AsRef<OsStr>]) -> Self {
        let each = |line: Self, value| line.option(name, Some(value));
        values.iter().fold(self, each)
    }

    /// Appends an option without a value, if it is `on`.
    pub(super) fn flag(mut self, name: &str, on: bool) -> Self {
        if on {
            self.words.push(name.into());
        }
        self
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mtslvr")?;
        for word in &self.words {
            let word = word.to_string_lossy();
            // Only a NUL cannot be quoted, and no argument of a process holds one.
            write!(f, " {}", shlex::try_quote(&word).unwrap_or(word.clone()))?;
        }
        Ok(())
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
            .options("--data", &["a b", "$HOME", "plain"])
            .options_each("--teacher", &["a=1", "b=2"])
            .options("--set", &[] as &[&str])
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
            "$HOME",
            "plain",
            "--teacher",
            "a=1",
            "--teacher",
            "b=2",
            "--no-gpl",
        ];
        assert_eq!(shlex::split(&line.to_string()).unwrap(), words);
        assert!(line.to_string().ends_with("'b=2' --no-gpl"), "{line}");
    }
}
