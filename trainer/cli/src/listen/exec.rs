//! Runs a command for each recognised sound.

use anyhow::{Context, Result};
use std::process::{Child, Command, Stdio};

/// A command of the shell, and the runs of it that have not ended.
#[derive(Debug)]
pub(super) struct Hook {
    command: String,
    running: Vec<Child>,
}

impl Hook {
    /// Prepares to run `command`.
    pub(super) fn new(command: String) -> Self {
        Self {
            command,
            running: Vec::new(),
        }
    }

    /// Starts the command with these variables in its environment, and does not wait for it. What it
    /// prints goes to standard error, so that lines of JSON stay alone.
    pub(super) fn start(&mut self, variables: &[(&str, String)]) -> Result<()> {
        self.running
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let (shell, flag) = if cfg!(windows) {
            ("cmd", "/C")
        } else {
            ("sh", "-c")
        };
        let mut command = Command::new(shell);
        command.arg(flag).arg(&self.command).stdin(Stdio::null());
        command.stdout(std::io::stderr());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let child = command
            .spawn()
            .with_context(|| format!("--exec {}: cannot be started", self.command))?;
        self.running.push(child);
        Ok(())
    }

    /// Waits for the runs that have not ended.
    pub(super) fn finish(&mut self) {
        for child in &mut self.running {
            // Its status is its own affair.
            let _ = child.wait();
        }
    }
}
