//! Writes text in the colours that the terminal can show.

use super::palette;
use std::env;
use std::fmt::Write;

/// Colours that a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// 24 bits.
    True,
    /// The 6 x 6 x 6 colours of xterm's palette.
    Indexed,
    /// No colours; characters of different density instead.
    None,
}

/// Resets the colours.
pub(super) const RESET: &str = "\x1b[0m";

impl Colours {
    /// Finds the colours of the terminal on standard output, unless the user wants none (`NO_COLOR`).
    pub(super) fn of_terminal() -> Self {
        if !console::colors_enabled() {
            return Self::None;
        }
        if console::true_colors_enabled() {
            Self::True
        } else if cfg!(windows) || env::var("TERM").is_ok_and(|name| name.contains("256color")) {
            Self::Indexed
        } else {
            Self::None
        }
    }

    /// Returns `text` in one of the basic colours, by its SGR number; unchanged if there are no
    /// colours.
    pub(super) fn paint(self, sgr: &str, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::True | Self::Indexed => format!("\x1b[{sgr}m{text}{RESET}"),
        }
    }

    /// Gives the text that follows in `text` the colours of two levels, 0 to 255 (see [`palette`]): one
    /// for the characters, one for the background.
    pub(super) fn switch(self, text: &mut String, front: u8, back: u8) {
        for (layer, level) in [(38, front), (48, back)] {
            let [r, g, b] = palette(level);
            let _ = match self {
                Self::True => write!(text, "\x1b[{layer};2;{r};{g};{b}m"),
                Self::Indexed => write!(text, "\x1b[{layer};5;{}m", indexed([r, g, b])),
                Self::None => Ok(()),
            };
        }
    }
}

/// Returns the nearest colour of xterm's cube.
fn indexed(rgb: [u8; 3]) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| {
        let steps = (0..).zip(STEPS);
        let (step, _) = steps
            .min_by_key(|(_, step)| step.abs_diff(value))
            .expect("there are six");
        step
    };
    let [r, g, b] = rgb.map(nearest);
    16 + 36 * r + 6 * g + b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cube_has_its_corners() {
        assert_eq!(indexed([0, 0, 0]), 16);
        assert_eq!(indexed([255, 255, 255]), 231);
        assert_eq!(indexed([250, 10, 0]), 196);
    }
}
