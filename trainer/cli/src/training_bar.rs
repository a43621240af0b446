//! A training run on standard error: a bar on a terminal, a line now and then elsewhere.

use super::progress::style;
use indicatif::ProgressBar;
use mtslvr_train::train::{MetricsRow, Observer};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const QUIET: Duration = Duration::from_secs(15);

/// Shows a training run: loss, images per second, time left.
#[derive(Debug)]
pub(super) struct TrainingBar {
    bar: ProgressBar,
    started: Instant,
    /// Share that was already done at the first step, when a run is resumed.
    first: Option<f64>,
    spoken: Option<Instant>,
    terminal: bool,
}

impl TrainingBar {
    /// Parts of the bar.
    const LENGTH: u64 = 10_000;

    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(Self::LENGTH);
        bar.set_style(style("training [{bar:30}] {percent:>3}% {msg}"));
        let terminal = std::io::stderr().is_terminal();
        Self {
            bar,
            started: Instant::now(),
            first: None,
            spoken: None,
            terminal,
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish();
    }
}

impl Observer for TrainingBar {
    fn step(&mut self, done: f64, row: &MetricsRow) {
        let first = *self.first.get_or_insert(done);
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = elapsed * (1.0 - done) / (done - first).max(1e-9);
        let left = if done > first {
            format!("{} left", clock(left))
        } else {
            String::new()
        };
        let parts = [
            ("contrastive", row.contrastive),
            ("predictive", row.predictive),
            ("kept", row.kept),
        ];
        let teachers = row
            .teachers
            .iter()
            .map(|(name, &loss)| (name.as_str(), loss));
        let parts = parts.into_iter().chain(teachers);
        let parts: Vec<String> = parts
            .filter(|(_, loss)| loss.is_finite())
            .map(|(name, loss)| format!("{name} {loss:.3}"))
            .collect();
        let message = format!(
            "step {}, loss {:.3} ({}), {:.0} images/s, {left}",
            row.step,
            row.loss,
            parts.join(", "),
            row.images_per_second
        );
        if self.terminal {
            self.bar.set_position((done * Self::LENGTH as f64) as u64);
            self.bar.set_message(message);
        } else if self.spoken.is_none_or(|at| at.elapsed() >= QUIET) {
            self.spoken = Some(Instant::now());
            eprintln!("training {:>3.0} % {message}", done * 100.0);
        }
    }

    fn hearing(&mut self, teacher: &str, heard: usize, windows: usize) {
        let message = format!("teacher {teacher}: {heard} of {windows} windows heard");
        if self.terminal {
            self.bar
                .set_position(Self::LENGTH * heard as u64 / windows.max(1) as u64);
            self.bar.set_message(message);
        } else if self.spoken.is_none_or(|at| at.elapsed() >= QUIET) {
            self.spoken = Some(Instant::now());
            eprintln!("{message}");
        }
    }

    fn note(&mut self, remark: &str) {
        self.bar.suspend(|| eprintln!("{remark}"));
    }
}

/// Seconds as `1:02:03` or `2:03`.
fn clock(seconds: f64) -> String {
    let s = seconds.round().clamp(0.0, 1e7) as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}
