//! Progress bars on standard error, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Makes a bar over `count` items.
pub(super) fn files(count: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(what.to_owned());
    bar.set_style(style("{msg:22} [{bar:30}] {pos}/{len} {eta} left"));
    bar
}

/// Makes a bar over `count` items of a long step, called `items`. Where standard error is no terminal, a line
/// says that the step begins.
pub(super) fn step(count: u64, items: &str, what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        errln!("{what}: {count} {items}");
    }
    files(count, what)
}

/// Makes a bar over bytes that are transferred; their number is told later.
pub(super) fn bytes(what: &str) -> ProgressBar {
    let bar = files(0, what);
    bar.set_style(style(
        "{msg:24} [{bar:30}] {bytes}/{total_bytes} {eta} left",
    ));
    bar
}

/// Shows that a step without anything to count is under way: a line that moves on a terminal, elsewhere one
/// that stands.
pub(super) fn waiting(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        errln!("{what}");
    }
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Returns the style of a bar.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is valid")
        .progress_chars("=> ")
}
