//! Draws a listener at the bottom of the terminal: level, spectrogram, scores.
//!
//! The panel is redrawn in place, below ordinary lines. So events stay in the terminal's history, and
//! when the program ends, however it does, the terminal can be used as before.

mod bar;
mod colour;
mod palette;
mod panel;
mod screen;
mod strip;

pub use palette::palette;

use colour::Colours;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::Window;
use panel::Panel;
use screen::Screen;
use std::time::{Duration, Instant};

/// Time between two drawings.
const PERIOD: Duration = Duration::from_millis(50);

/// The panel on the terminal.
#[derive(Debug)]
pub struct View {
    screen: Screen,
    panel: Panel,
    drawn: Option<Instant>,
}

impl View {
    /// Opens a view of sounds with features of `frontend`, recognised as one of `classes`, by their
    /// names; `None` if standard output is not a terminal that can show it.
    pub fn new(frontend: &FrontendConfig, classes: Vec<String>) -> Option<Self> {
        Some(Self {
            screen: Screen::stdout()?,
            panel: Panel::new(frontend, classes, Colours::of_terminal()),
            drawn: None,
        })
    }

    /// Shows other classes from now on.
    pub fn rename(&mut self, classes: Vec<String>) {
        self.panel.rename(classes);
    }

    /// Takes samples, for the level.
    pub fn hear(&mut self, samples: &[f32]) {
        self.panel.hear(samples);
    }

    /// Takes a window of the listener.
    pub fn window(&mut self, window: &Window) {
        self.panel.window(window);
    }

    /// Prints a line above the panel, where it stays.
    pub fn say(&mut self, line: &str) {
        self.screen.say(line, &self.panel);
    }

    /// Draws the panel, unless it was just drawn.
    pub fn draw(&mut self) {
        if self.drawn.is_none_or(|at| at.elapsed() >= PERIOD) {
            self.drawn = Some(Instant::now());
            self.screen.draw(&self.panel);
        }
    }
}
