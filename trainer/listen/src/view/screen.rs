//! Redraws lines at the bottom of the terminal.

use super::panel::Panel;
use console::Term;
use std::fmt::Write;

/// Makes terminals that know it show a frame at once and not line by line; others ignore it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Erases from the cursor on.
const ERASE_BELOW: &str = "\x1b[J";
const ERASE_LINE_END: &str = "\x1b[K";

/// Least size of a terminal in which a panel makes sense.
const LEAST_WIDTH: usize = 30;
const LEAST_HEIGHT: usize = 8;

/// Standard output, if it is a terminal. The cursor stands below what was drawn.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Term,
    _unflushed: Unflushed,
    /// Width and number of the lines that are drawn.
    shown: (usize, usize),
}

impl Screen {
    /// Opens standard output; `None` if it is not a terminal that obeys escape sequences, or too small.
    pub fn stdout() -> Option<Self> {
        let terminal = Term::stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        let (height, width) = terminal.size_checked()?;
        let large = usize::from(width) >= LEAST_WIDTH && usize::from(height) >= LEAST_HEIGHT;
        (terminal.is_term() && (cfg!(windows) || !dumb) && large).then_some(Self {
            terminal,
            _unflushed: Unflushed::new(),
            shown: (0, 0),
        })
    }

    /// Draws `panel` over the last drawing.
    pub fn draw(&mut self, panel: &Panel) {
        self.replace("", panel);
    }

    /// Prints a line, and the panel below it.
    pub fn say(&mut self, line: &str, panel: &Panel) {
        self.replace(&format!("{line}{ERASE_LINE_END}\n"), panel);
    }

    fn replace(&mut self, text: &str, panel: &Panel) {
        let (height, width) = self.terminal.size();
        let (height, width) = (usize::from(height), usize::from(width));
        // A character in the last column may or may not move the cursor on.
        let lines = panel.lines(width.saturating_sub(1), height.saturating_sub(2));
        let mut frame = BEGIN.to_owned();
        self.home(&mut frame, width);
        frame += text;
        for line in &lines {
            let _ = writeln!(frame, "{line}{ERASE_LINE_END}");
        }
        frame += ERASE_BELOW;
        frame += END;
        self.shown = (width, lines.len());
        // A terminal that is gone ends the program by a signal.
        let _ = self.terminal.write_str(&frame);
    }

    /// Moves the cursor to where the drawing began. In a terminal that has become narrower, each of
    /// its lines takes several.
    fn home(&self, frame: &mut String, width: usize) {
        let (was, lines) = self.shown;
        let rows = lines * was.saturating_sub(1).max(1).div_ceil(width.max(1));
        if rows > 0 {
            let _ = write!(frame, "\x1b[{rows}A\r");
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut frame = String::new();
        self.home(&mut frame, usize::from(self.terminal.size().1));
        frame += ERASE_BELOW;
        let _ = self.terminal.write_str(&frame);
    }
}

/// While it lives, Ctrl-C does not discard output on its way to the terminal: half a drawing would
/// leave the cursor at an unknown place.
#[derive(Debug)]
struct Unflushed {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Unflushed {
    #[cfg(unix)]
    fn new() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdout()).ok();
        if let Some(mut modes) = before.clone() {
            modes.local_modes |= LocalModes::NOFLSH;
            // A failure only affects the looks.
            let _ = tcsetattr(std::io::stdout(), OptionalActions::Now, &modes);
        }
        Self { before }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for Unflushed {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdout(), OptionalActions::Drain, before);
        }
    }
}
