//! A list of steps with their outcome and time, and the summary at the end.

use crate::workspace;
use anyhow::Result;
use std::fmt;
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
    /// The least room that was left on the target folder's disk after a step.
    least_room: Option<Room>,
}

#[derive(Debug)]
struct Step {
    name: String,
    time: Duration,
    failure: Option<String>,
}

/// Room left on the target folder's disk.
#[derive(Debug)]
struct Room {
    bytes: u64,
    /// The step that it was left after.
    after: String,
}

/// Less room than this makes steps fail: cargo, the tests and their programs write as much.
const SCARCE: u64 = 1_000_000_000;

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
        self.look_at_room(name);
        self.done.push(Step {
            name: name.to_owned(),
            time: start.elapsed(),
            failure,
        });
        result.ok()
    }

    /// Keeps the least room on the disk. A disk that is full makes steps fail for other reasons than theirs.
    fn look_at_room(&mut self, after: &str) {
        let Ok(bytes) = fs4::available_space(workspace::target_dir()) else {
            return;
        };
        if self
            .least_room
            .as_ref()
            .is_none_or(|least| bytes < least.bytes)
        {
            let after = after.to_owned();
            self.least_room = Some(Room { bytes, after });
        }
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
        if let Some(room) = &self.least_room {
            println!("  {room}");
        }
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

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gigabytes = self.bytes as f64 / 1e9;
        write!(
            f,
            "{gigabytes:.1} GB were left on the disk after \"{}\"",
            self.after
        )?;
        if self.bytes < SCARCE {
            f.write_str(
                ": too little room. Make some, or set CARGO_TARGET_DIR to a folder on another disk",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told() {
        let after = "clippy".to_owned();
        let full = Room {
            bytes: 40_000_000,
            after: after.clone(),
        };
        let text = full.to_string();
        assert!(
            text.starts_with("0.0 GB were left on the disk after \"clippy\": too little room.")
        );
        let enough = Room {
            bytes: 7_250_000_000,
            after,
        };
        assert_eq!(
            enough.to_string(),
            "7.2 GB were left on the disk after \"clippy\""
        );
    }

    #[test]
    fn the_least_room_is_kept() {
        let mut steps = Steps::default();
        steps.run("a", || Ok(()));
        let first = steps.least_room.as_ref().unwrap().bytes;
        assert!(first > 0);
        steps.least_room.as_mut().unwrap().bytes = 1;
        steps.run("b", || Ok(()));
        let least = steps.least_room.unwrap();
        assert_eq!((least.bytes, least.after.as_str()), (1, "a"));
    }
}
