//! A program that runs beside a test, and what it says.
#![cfg(any(feature = "mqtt", all(feature = "mic", target_os = "linux")))]

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time that a line may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with its owner.
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn lines_from(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Waits for a line with `part` in it; returns the lines up to it.
#[track_caller]
pub fn until(lines: &Receiver<String>, part: &str) -> Vec<String> {
    until_all(lines, &[part])
}

/// Waits until each of `parts` has been in a line, in any order; returns the lines.
#[track_caller]
pub fn until_all(lines: &Receiver<String>, parts: &[&str]) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let begin = Instant::now();
    let is_seen = |seen: &[String], part: &str| seen.iter().any(|line| line.contains(part));
    while let Some(part) = parts.iter().find(|part| !is_seen(&seen, part)) {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => seen.push(line),
            Err(error) => panic!("no {part:?} in {seen:#?}: {error}"),
        }
    }
    seen
}
