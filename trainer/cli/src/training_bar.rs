//! Shows a training run on standard error: as a bar on a terminal, elsewhere as a line now and then.

use super::progress::{spinner, style};
use indicatif::ProgressBar;
use mtslvr_train::train::{MetricsRow, Observer};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const QUIET: Duration = Duration::from_secs(15);

/// Shows the phase, then loss, speed and the time left.
#[derive(Debug)]
pub(super) struct TrainingBar {
    bar: ProgressBar,
    /// Step that the bar counts; empty where a phase has none.
    counted: &'static str,
    /// What the bar says of the newest step.
    said: String,
    /// Time of this process's first step, and the share of the run that was done then.
    first: Option<(Instant, f64)>,
    spoken: Option<Instant>,
    terminal: bool,
}

impl TrainingBar {
    /// Steps of the bar.
    const LENGTH: u64 = 10_000;

    /// Shows at once that something begins.
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(Self::LENGTH);
        bar.set_style(spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            bar,
            counted: "",
            said: String::new(),
            first: None,
            spoken: None,
            terminal,
        }
    }

    /// Ends the bar where training ended: full if it is done, else where it stands.
    pub(super) fn finish(&self, interrupted: bool) {
        self.bar.set_message(self.said.clone());
        if interrupted || self.counted != TRAINING {
            self.bar.abandon();
        } else {
            self.bar.finish();
        }
    }

    /// Shows the share of `counted` that is done.
    fn count(&mut self, counted: &'static str, done: f64, message: String) {
        if self.counted != counted {
            self.counted = counted;
            self.bar.set_prefix(counted);
            self.bar
                .set_style(style("{prefix} {percent:>3} % [{bar:20}] {wide_msg}"));
        }
        self.bar.set_position((done * Self::LENGTH as f64) as u64);
        self.bar.set_message(message);
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
            .map_or(String::new(), |left| format!("{} left, ", clock(left)));
        // The end is cut off on a narrow terminal.
        let message = format!(
            "{left}step {}, loss {:.3}, {:.0} patches/s ({})",
            row.step,
            row.loss,
            row.images_per_second,
            losses(row)
        );
        if self.terminal {
            self.said.clone_from(&message);
            self.count(TRAINING, done, message);
        } else if self.spoken.is_none_or(|at| at.elapsed() >= QUIET) {
            self.spoken = Some(Instant::now());
            errln!("training {:>3.0} % {message}", done * 100.0);
        }
    }

    fn hearing(&mut self, teacher: &str, heard: usize, windows: usize) {
        let message = format!("teacher {teacher}: {heard} of {windows} windows heard");
        if self.terminal {
            self.count("hearing ", heard as f64 / windows.max(1) as f64, message);
        } else if self.spoken.is_none_or(|at| at.elapsed() >= QUIET) {
            self.spoken = Some(Instant::now());
            errln!("{message}");
        }
    }

    fn phase(&mut self, what: &str) {
        if !self.terminal {
            errln!("{what}");
        } else if self.counted != TRAINING {
            self.counted = "";
            self.bar.set_style(spinner());
            self.bar.set_message(what.to_owned());
        } else {
            // The bar keeps its place: what follows the steps is short.
            self.bar.set_message(what.to_owned());
        }
    }

    fn note(&mut self, remark: &str) {
        self.bar.suspend(|| errln!("{remark}"));
    }
}

/// Names the steps that the bar counts.
const TRAINING: &str = "training";

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
    use crate::progress::tests::Terminal;

    /// Makes a bar on a terminal of so many columns.
    fn on_terminal(columns: u16) -> (TrainingBar, Terminal) {
        let terminal = Terminal::new(columns);
        let mut bar = TrainingBar::new();
        bar.terminal = true;
        // It would draw while the test looks.
        bar.bar.disable_steady_tick();
        bar.bar.set_draw_target(terminal.target());
        (bar, terminal)
    }

    fn row() -> MetricsRow {
        MetricsRow {
            step: 123_456,
            loss: 12.345,
            contrastive: 5.678,
            predictive: 0.123,
            images_per_second: 12_345.0,
            teachers: [("speech".to_owned(), 0.5), ("events".to_owned(), 0.25)].into(),
            ..MetricsRow::default()
        }
    }

    #[test]
    fn every_phase_is_shown_on_one_line() {
        for columns in [60, 100] {
            let (mut bar, terminal) = on_terminal(columns);
            let shows = |words: &[&str]| {
                let drawn = terminal.line();
                for word in words {
                    assert!(drawn.contains(word), "{word} in {drawn}");
                }
            };
            bar.phase("opening the teacher events");
            bar.bar.force_draw();
            shows(&["opening the teacher events"]);
            bar.hearing("events", 900, 1000);
            bar.bar.force_draw();
            shows(&["hearing", "90 %", "teacher events"]);
            bar.phase("making the network");
            bar.bar.force_draw();
            shows(&["making the network"]);
            bar.step(0.25, &row());
            bar.step(0.5, &row());
            bar.bar.force_draw();
            shows(&["training  50 %", " left, step 1"]);
        }
    }

    #[test]
    fn an_interrupted_run_leaves_the_bar_where_it_stood() {
        for (interrupted, expected) in [(true, "training  42 %"), (false, "training 100 %")] {
            let (mut bar, terminal) = on_terminal(100);
            bar.step(0.42, &row());
            bar.phase("setting the statistics of the norms from clean sounds");
            bar.finish(interrupted);
            let drawn = terminal.line();
            assert!(
                drawn.contains(expected) && drawn.contains("step 123456"),
                "{drawn}"
            );
        }
    }

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
