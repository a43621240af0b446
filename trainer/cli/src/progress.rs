//! Progress bars on standard error, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

/// Makes a bar over `count` items.
pub(super) fn files(count: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(what.to_owned());
    bar.set_style(style("{msg:22} [{bar:30}] {pos}/{len} {eta} left"));
    bar
}

/// Returns the style of a bar.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is valid")
        .progress_chars("=> ")
}
