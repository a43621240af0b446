//! The caller's side of a training run: progress and remarks.

use super::metrics::MetricsRow;

/// Receives what a training run reports.
pub trait Observer {
    /// Called after every step on the processor, and every 20 steps on a GPU, with the share of the run that is done
    /// (0 to 1) and the newest averages.
    fn step(&mut self, done: f64, row: &MetricsRow);
    /// Called as a teacher hears the recordings before training, with how many of the windows that it
    /// has not heard in an earlier run are done.
    fn hearing(&mut self, _teacher: &str, _heard: usize, _windows: usize) {}
    /// Called as a phase begins that takes no steps: what it does, such as `reading the checkpoint`.
    fn phase(&mut self, _what: &str) {}
    /// A remark worth a line: a skipped batch, a written checkpoint that failed.
    fn note(&mut self, remark: &str);
}
