//! The figures of `mtslvr bench`, as a table or as JSON.

use super::all_cores::AllCores;
use mtslvr_evaluate::timing::Spread;
use serde::Serialize;
use std::fmt;

/// All figures; `--json` prints them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The model's name, or its path.
    pub(super) model: String,
    /// Frames and mels of the patch.
    pub(super) patch: [u16; 2],
    /// Threads of each engine.
    pub(super) threads: usize,
    /// Rounds done.
    pub(super) rounds: usize,
    /// The engines that ran.
    pub(super) engines: Vec<Timed>,
    /// The engines that did not.
    pub(super) absent: Vec<Absent>,
    /// The packed engine on all cores at once.
    pub(super) all_cores: Option<AllCores>,
}

/// The figures of an engine.
#[derive(Debug, Serialize)]
pub(super) struct Timed {
    pub(super) name: &'static str,
    /// `int8` or `float`.
    pub(super) arithmetic: &'static str,
    /// The instruction set of the packed engine's kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kernels: Option<&'static str>,
    #[serde(flatten)]
    pub(super) spread: Spread,
    /// Its median over that of the first packed engine.
    pub(super) times_packed: Option<f64>,
}

/// An engine that was not timed.
#[derive(Debug, Serialize)]
pub(super) struct Absent {
    pub(super) name: &'static str,
    pub(super) reason: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: one patch of {} frames x {} mels, both paths, {} thread, {} rounds",
            self.model, self.patch[0], self.patch[1], self.threads, self.rounds
        )?;
        writeln!(
            f,
            "  {:<8} {:<11} {:<12} {:>10} {:>20} {:>13}",
            "engine", "arithmetic", "kernels", "median ms", "quartiles ms", "times packed"
        )?;
        for engine in &self.engines {
            let s = &engine.spread;
            let quartiles = format!("{:.4} to {:.4}", s.lower_quartile_ms, s.upper_quartile_ms);
            let ratio = engine.times_packed.map(|ratio| format!("{ratio:.2}"));
            writeln!(
                f,
                "  {:<8} {:<11} {:<12} {:>10.4} {quartiles:>20} {:>13}",
                engine.name,
                engine.arithmetic,
                engine.kernels.unwrap_or(""),
                s.median_ms,
                ratio.as_deref().unwrap_or("-")
            )?;
        }
        for Absent { name, reason } in &self.absent {
            writeln!(f, "  {name:<8} not timed: {reason}")?;
        }
        if let Some(all_cores) = &self.all_cores {
            write!(f, "{all_cores}")?;
        }
        Ok(())
    }
}
