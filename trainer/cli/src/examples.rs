//! Examples below the help of a command.

/// Makes the text of `after_help` from purposes and command lines:
/// `examples!("Train for an hour" => "mtslvr train --data recordings --minutes 60")`.
///
/// The heading has the style that clap gives its own; clap leaves it out where there is no terminal.
macro_rules! examples {
    ($($purpose:literal => $($line:literal)+),+ $(,)?) => {
        concat!(
            "\x1b[1m\x1b[4mExamples:\x1b[0m",
            $("\n  ", $purpose, ":", $("\n    ", $line,)+)+
        )
    };
}
pub(super) use examples;
