//! Progress bars on standard error, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Time between two drawings of a line that moves, or of the time left.
const TICK: Duration = Duration::from_millis(100);

/// Most characters of the words before a bar.
const LONGEST: usize = 34;

/// Makes a bar over `count` items, and shows it at once.
pub(super) fn files(count: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(shortened(what));
    bar.set_style(style("{msg:22} [{wide_bar}] {pos}/{len} {eta} left"));
    bar.enable_steady_tick(TICK);
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
    bar.set_style(spinner());
    bar.enable_steady_tick(TICK);
    bar
}

/// Returns the style of a line that moves, cut off at the terminal's edge.
pub(super) fn spinner() -> ProgressStyle {
    style("{spinner} {wide_msg}")
}

/// Returns `what`, cut where it would leave a narrow terminal no room for the bar.
fn shortened(what: &str) -> String {
    if what.chars().count() <= LONGEST {
        return what.to_owned();
    }
    let kept: String = what.chars().take(LONGEST - 1).collect();
    format!("{kept}…")
}

/// Returns the style of a bar.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is valid")
        .progress_chars("=> ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::sync::{Arc, Mutex};

    /// A terminal of a width that keeps what is drawn on it.
    #[derive(Clone, Debug)]
    pub(crate) struct Terminal {
        width: u16,
        drawn: Arc<Mutex<String>>,
    }

    impl Terminal {
        pub(crate) fn new(width: u16) -> Self {
            Self {
                width,
                drawn: Arc::default(),
            }
        }

        pub(crate) fn target(&self) -> ProgressDrawTarget {
            ProgressDrawTarget::term_like(Box::new(self.clone()))
        }

        /// Returns the line that is drawn.
        ///
        /// # Panics
        /// If it is wider than the terminal, or there are several.
        pub(crate) fn line(&self) -> String {
            let drawn = self.drawn.lock().unwrap().trim_end().to_owned();
            assert!(!drawn.contains('\n'), "{drawn}");
            let width = console::measure_text_width(&drawn);
            assert!(width <= self.width.into(), "{width} columns: {drawn}");
            drawn
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            self.width
        }
        fn height(&self) -> u16 {
            20
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.drawn.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.drawn.lock().unwrap().clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_fit_a_narrow_terminal() {
        for width in [60, 100] {
            let terminal = Terminal::new(width);
            let bar = files(
                20_000,
                "embedding philharmonia_recordings with a/very/long/path.onnx",
            );
            // It would draw while the test looks.
            bar.disable_steady_tick();
            bar.set_draw_target(terminal.target());
            bar.set_position(19_999);
            bar.force_draw();
            let drawn = terminal.line();
            for shown in ["philharmonia", "…", "19999/20000", " left"] {
                assert!(drawn.contains(shown), "{drawn}");
            }
            bar.finish_and_clear();
            assert_eq!(terminal.line(), "");

            let line = waiting(&"a long phase ".repeat(20));
            line.disable_steady_tick();
            line.set_draw_target(terminal.target());
            line.force_draw();
            assert!(terminal.line().contains("a long phase"));
        }
    }
}
