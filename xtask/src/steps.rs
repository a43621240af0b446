//! A list of steps with their outcome and time, and the summary at the end.

use anyhow::Result;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Outcomes of the steps so far.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<Step>,
    /// Steps that were not asked for, and how to ask for them.
    not_asked: Vec<(String, String)>,
    /// Findings of steps that did not make them fail.
    notes: Vec<(String, String)>,
}

#[derive(Debug)]
struct Step {
    name: String,
    time: Duration,
    failure: Option<String>,
}

impl Steps {
    /// Runs a step. A failure is printed and remembered, and later steps still run; they get
    /// `None` where they need this one's result.
    pub fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        eprintln!("\n==> {name}");
        let start = Instant::now();
        let result = step();
        let failure = result.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            eprintln!("error: {failure}");
        }
        self.done.push(Step {
            name: name.to_owned(),
            time: start.elapsed(),
            failure,
        });
        result.ok()
    }

    /// Records a step that cannot run because an earlier one failed: it fails, too.
    pub fn blocked(&mut self, name: &str, by: &str) {
        self.done.push(Step {
            name: name.to_owned(),
            time: Duration::ZERO,
            failure: Some(format!("not run: needs \"{by}\"")),
        });
    }

    /// Adds something to the summary that a step found and that does not make it fail.
    pub fn note(&mut self, name: &str, note: &str) {
        self.notes.push((name.to_owned(), note.to_owned()));
    }

    /// Names an optional step that nobody asked for.
    pub fn not_asked(&mut self, name: &str, how: &str) {
        self.not_asked.push((name.to_owned(), how.to_owned()));
    }

    /// Prints the table and the count; failure if any step failed.
    pub fn summary(&self) -> ExitCode {
        println!("\nSteps of cargo xtask test:");
        for step in &self.done {
            let seconds = step.time.as_secs_f64();
            match &step.failure {
                None => println!("  ok      {seconds:7.1} s  {}", step.name),
                Some(failure) => println!("  FAILED  {seconds:7.1} s  {}: {failure}", step.name),
            }
        }
        for (name, how) in &self.not_asked {
            println!("  not asked for    {name}: {how}");
        }
        for (name, note) in &self.notes {
            println!("  note    {name}: {note}");
        }
        let failed = self.done.iter().filter(|s| s.failure.is_some()).count();
        let total: Duration = self.done.iter().map(|s| s.time).sum();
        println!("  {:.1} s in all", total.as_secs_f64());
        println!(
            "xtask steps: {} passed, {failed} failed",
            self.done.len() - failed
        );
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
