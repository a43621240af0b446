//! Shows a training run on standard error: as a bar on a terminal, elsewhere as a line now and then.

use super::progress::style;
use indicatif::ProgressBar;
use mtslvr_train::train::{MetricsRow, Observer};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const QUIET: Duration = Duration::from_secs(15);

/// Shows loss, speed and the time left.
#[derive(Debug)]
pub(super) struct TrainingBar {
    bar: ProgressBar,
    /// Time of this process's first step, and the share of the run that was done then.
    first: Option<(Instant, f64)>,
    spoken: Option<Instant>,
    terminal: bool,
}

impl TrainingBar {
    /// Steps of the bar.
    const LENGTH: u64 = 10_000;

    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(Self::LENGTH);
        bar.set_style(style("training [{bar:30}] {percent:>3}% {msg}"));
        let terminal = std::io::stderr().is_terminal();
        Self {
            bar,
            first: None,
            spoken: None,
            terminal,
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish();
    }

    /// Returns the time left in seconds at `now`; `None` at the first step.
    ///
    /// It counts from this process's first step: teachers hear the recordings before that, and a run
    /// that is resumed was partly done before.
    fn left(&mut self, done: f64, now: Instant) -> Option<f64> {
        let (started, first) = *self.first.get_or_insert((now, done));
        let elapsed = now.duration_since(started).as_secs_f64();
        (done > first).then(|| elapsed * (1.0 - done) / (done - first))
    }
}

impl Observer for TrainingBar {
    fn step(&mut self, done: f64, row: &MetricsRow) {
        let left = self
            .left(done, Instant::now())
            .map_or(String::new(), |left| format!(", {} left", clock(left)));
        let losses = losses(row);
        let message = format!(
            "step {}, loss {:.3} ({losses}), {:.0} patches/s{left}",
            row.step, row.loss, row.images_per_second
        );
        if self.terminal {
            self.bar.set_position((done * Self::LENGTH as f64) as u64);
            self.bar.set_message(message);
        } else if self.spoken.is_none_or(|at| at.elapsed() >= QUIET) {
            self.spoken = Some(Instant::now());
            errln!("training {:>3.0} % {message}", done * 100.0);
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
            errln!("{message}");
        }
    }

    fn note(&mut self, remark: &str) {
        self.bar.suspend(|| errln!("{remark}"));
    }
}

/// Lists the losses that the run has.
fn losses(row: &MetricsRow) -> String {
    let own = [
        ("contrastive", row.contrastive),
        ("predictive", row.predictive),
        ("kept", row.kept),
    ];
    let teachers = row
        .teachers
        .iter()
        .map(|(name, &loss)| (name.as_str(), loss));
    let losses: Vec<String> = own
        .into_iter()
        .chain(teachers)
        .filter(|(_, loss)| loss.is_finite())
        .map(|(name, loss)| format!("{name} {loss:.3}"))
        .collect();
    losses.join(", ")
}

/// Writes seconds as `1:02:03` or `2:03`.
fn clock(seconds: f64) -> String {
    let s = seconds.round().clamp(0.0, 1e7) as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_counts_from_the_first_step_of_this_process() {
        let mut bar = TrainingBar::new();
        bar.hearing("events", 900, 1000);
        // The teachers took half an hour, and the run was half done when it was resumed.
        let first = Instant::now() + Duration::from_secs(1800);
        assert_eq!(bar.left(0.5, first), None);
        let left = bar.left(0.6, first + Duration::from_secs(60)).unwrap();
        assert!((left - 240.0).abs() < 1e-6, "{left}");
        let left = bar.left(0.9, first + Duration::from_secs(240)).unwrap();
        assert!((left - 60.0).abs() < 1e-6, "{left}");
        assert_eq!(bar.left(1.0, first + Duration::from_secs(300)), Some(0.0));
    }
}
