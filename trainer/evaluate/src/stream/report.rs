//! Writes the report as JSON, and as the tables of `models/reports/stream.md`.

use super::figures::{LevelFigures, Point};
use crate::interval::rate_interval;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Cost of the listener on a device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Instructions of an embedding.
    pub embedding: f64,
    /// Instructions of a frame of features.
    pub frame: f64,
    /// Instructions of a decision.
    pub decision: f64,
    /// Instructions of a second in which nothing is heard.
    pub quiet: f64,
    /// The core's clock, Hz.
    pub clock: f64,
    /// Clock cycles that an instruction takes, on average.
    pub cycles: f64,
}

impl Cost {
    /// Returns the instructions a second at so many frames beside those of a quiet second, and so many embeddings.
    pub fn instructions(&self, more_frames: f64, embeddings: f64) -> f64 {
        self.quiet
            + more_frames.max(0.0) * self.frame
            + embeddings * (self.embedding + self.decision)
    }

    /// Returns the percentage of the clock that so many instructions a second take.
    pub fn duty(&self, instructions: f64) -> f64 {
        100.0 * instructions * self.cycles / self.clock
    }
}

/// All figures of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamReport {
    /// The model as it was given: its file or folder, or the name of a shipped backbone.
    pub model: String,
    /// CRC-32 of the model.
    pub checksum: String,
    /// Sounds that are enrolled in a stream.
    pub sounds: usize,
    /// Examples of each.
    pub shots: usize,
    /// Length of a stream, seconds.
    pub seconds: f32,
    /// Sounds heard in a stream that nobody enrolled.
    pub others: usize,
    /// Seconds of the place by which the thresholds were set; 0 for none.
    pub calibration: f32,
    /// Seed of the streams.
    pub seed: u64,
    /// Frames of features a second while a sound is heard.
    pub frames_per_second: f64,
    /// The same while nothing is heard.
    pub quiet_frames_per_second: f64,
    /// Embeddings a second while a sound lasts.
    pub windows_per_second: f64,
    /// Cost on a device.
    pub cost: Cost,
    /// Figures for each level and place of teaching.
    pub levels: Vec<LevelFigures>,
}

impl fmt::Display for StreamReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Model: `{}` ({}). {} sounds with {} examples each; streams of {:.0} minutes in which \
             {} other sounds are heard, too; seed {}.{}\n",
            self.model,
            self.checksum,
            self.sounds,
            self.shots,
            self.seconds / 60.0,
            self.others,
            self.seed,
            match self.calibration / 60.0 {
                0.0 => String::new(),
                minutes =>
                    format!(" The thresholds were set by {minutes:.0} minutes of the place."),
            }
        )?;
        self.outcomes(f)?;
        self.trade_off(f)?;
        self.sets(f)?;
        self.gate(f)?;
        self.duty(f)
    }
}

impl StreamReport {
    fn outcomes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### With the default threshold\n\n\
             | stream | streams, hours | heard | true positives | misses | in single streams | \
             false alarms | an hour (95 % interval) | on background alone | repeats |\n\
             |---|---|---|---|---|---|---|---|---|---|"
        )?;
        for level in &self.levels {
            let Point {
                heard,
                found,
                misses,
                false_alarms,
                ..
            } = level.default;
            let misses_of = level.misses_by_stream.iter().copied();
            let [low, high] = rate_interval(false_alarms).map(|count| count / level.hours);
            writeln!(
                f,
                "| {} | {}, {:.1} | {heard} | {found} | {misses:.1} % | {:.0} to {:.0} % | \
                 {false_alarms} | {:.1} ({low:.1} to {high:.1}) | {} | {} |",
                level.name(),
                level.streams,
                level.hours,
                misses_of.clone().fold(f64::INFINITY, f64::min),
                misses_of.fold(0.0, f64::max),
                level.default.false_alarms_per_hour,
                level.default.false_alarms_on_background,
                level.default.repeats,
            )?;
        }
        writeln!(f)
    }

    fn trade_off(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### With other thresholds\n\n\
             | stream | misses at no more than 1 false alarm an hour | at 5 | at 20 | at 60 | \
             false alarms an hour at no more than 10 % misses | at 50 % |\n|---|---|---|---|---|---|---|"
        )?;
        for level in &self.levels {
            write!(f, "| {} |", level.name())?;
            for most in [1.0, 5.0, 20.0, 60.0] {
                match level.at_false_alarms(most) {
                    Some(point) => write!(f, " {:.1} % |", point.misses)?,
                    None => write!(f, " not reached |")?,
                }
            }
            for most in [10.0, 50.0] {
                match level.at_misses(most) {
                    Some(point) => write!(f, " {:.1} |", point.false_alarms_per_hour)?,
                    None => write!(f, " not reached |")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f)
    }

    fn sets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### Found by set, with the default threshold\n\n| stream | sounds of the set: found of heard |\n|---|---|"
        )?;
        for level in &self.levels {
            let sets = level.by_set.iter();
            let sets = sets.map(|set| format!("{} {} of {}", set.name, set.found, set.heard));
            let sets: Vec<String> = sets.collect();
            writeln!(f, "| {} | {} |", level.name(), sets.join(", "))?;
        }
        writeln!(f)
    }

    fn gate(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "### The gate\n\n\
             | stream | sounds heard | none of their windows judged | found with the gate | without | \
             only with | only without | of those, lost to the gate | false alarms with | without | \
             embeddings a second with | without |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
        )?;
        for level in &self.levels {
            let Some(ungated) = &level.without_gate else {
                continue;
            };
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} | {:.2} |",
                level.name(),
                level.default.heard,
                level.gated_away,
                level.default.found,
                ungated.default.found,
                ungated.only_with_gate,
                ungated.only_without,
                ungated.lost_to_gate,
                level.default.false_alarms,
                ungated.default.false_alarms,
                level.embeddings_per_second,
                ungated.embeddings_per_second,
            )?;
        }
        writeln!(f)
    }

    fn duty(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost {
            embedding,
            frame,
            decision,
            quiet,
            clock,
            cycles,
        } = self.cost;
        writeln!(
            f,
            "### Duty cycle\n\n\
             {embedding:.0} instructions an embedding, {frame:.0} a frame, {decision:.0} a decision, {quiet:.0} a \
             quiet second; a core of {:.0} MHz that takes {cycles} cycles an instruction.\n\n\
             | | frames a second | embeddings a second | million instructions a second | duty cycle |\n\
             |---|---|---|---|---|",
            clock / 1e6
        )?;
        let quiet_frames = self.quiet_frames_per_second;
        let mut row = |what: &str, frames: f64, embeddings: f64| {
            let instructions = self.cost.instructions(frames - quiet_frames, embeddings);
            writeln!(
                f,
                "| {what} | {frames:.1} | {embeddings:.2} | {:.1} | {:.0} % |",
                instructions / 1e6,
                self.cost.duty(instructions)
            )
        };
        row("quiet: the gate closed", quiet_frames, 0.0)?;
        for level in &self.levels {
            let (frames, embeddings) = (level.frames_per_second, level.embeddings_per_second);
            row(&level.name(), frames, embeddings)?;
        }
        let all = self.frames_per_second;
        row("busy: the gate always open", all, self.windows_per_second)
    }
}

impl LevelFigures {
    /// Names the clips that are heard in the stream, and the place of teaching.
    fn name(&self) -> String {
        format!(
            "{} dB, {}, taught {}",
            self.snr,
            self.source.name(),
            self.taught.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_frames_and_embeddings() {
        let cost = Cost {
            embedding: 9e6,
            frame: 4e4,
            decision: 1e6,
            quiet: 5e5,
            clock: 6.4e7,
            cycles: 1.2,
        };
        let open = cost.instructions(50.0, 0.0);
        assert_eq!(open, 2.5e6);
        assert!((cost.duty(open) - 4.6875).abs() < 1e-9);
        assert_eq!(cost.instructions(50.0, 4.0), 42.5e6);
        assert_eq!(cost.instructions(0.0, 0.0), 5e5);
    }
}
