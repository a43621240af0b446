//! What a run reports, one row per log interval, in `metrics.csv`.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// One row: means over the steps since the row before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// Optimiser steps taken.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Joint loss.
    pub loss: f64,
    /// NT-Xent.
    pub contrastive: f64,
    /// Augmentation prediction's cross entropy.
    pub predictive: f64,
    /// Share of operator labels predicted right.
    pub label_accuracy: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Patches (two for a pair) per second.
    pub images_per_second: f64,
    /// Share of the time spent waiting for data.
    pub waiting: f64,
}

const HEADER: &str = "step,seconds,loss,contrastive,predictive,label_accuracy,learning_rate,gradient_norm,images_per_second,waiting";

impl MetricsRow {
    fn fields(&self) -> [f64; 9] {
        [
            self.seconds,
            self.loss,
            self.contrastive,
            self.predictive,
            self.label_accuracy,
            self.learning_rate,
            self.gradient_norm,
            self.images_per_second,
            self.waiting,
        ]
    }

    fn to_line(self) -> String {
        let fields: Vec<String> = self.fields().iter().map(|f| format!("{f:.6}")).collect();
        format!("{},{}", self.step, fields.join(","))
    }

    fn from_line(line: &str) -> Option<Self> {
        let (step, rest) = line.split_once(',')?;
        let fields: Vec<f64> = rest
            .split(',')
            .map(|f| f.parse().ok())
            .collect::<Option<_>>()?;
        let [
            seconds,
            loss,
            contrastive,
            predictive,
            label_accuracy,
            learning_rate,
            gradient_norm,
            images_per_second,
            waiting,
        ] = fields[..]
        else {
            return None;
        };
        Some(Self {
            step: step.parse().ok()?,
            seconds,
            loss,
            contrastive,
            predictive,
            label_accuracy,
            learning_rate,
            gradient_norm,
            images_per_second,
            waiting,
        })
    }
}

/// Appends rows to `metrics.csv`, each on the disk when [`MetricsLog::add`] returns.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    rows: Vec<MetricsRow>,
}

impl MetricsLog {
    /// Starts the file anew, or continues it after `resume_at` steps: later rows, written after the
    /// checkpoint that a run resumes from, are dropped.
    pub fn open(path: &Path, resume_at: Option<u64>) -> Result<Self> {
        let rows: Vec<MetricsRow> = match resume_at {
            Some(step) if path.exists() => {
                read(path)?.into_iter().filter(|r| r.step <= step).collect()
            }
            _ => Vec::new(),
        };
        let name = || format!("cannot write {}", path.display());
        let mut file = File::create(path).with_context(name)?;
        writeln!(file, "{HEADER}").with_context(name)?;
        for row in &rows {
            writeln!(file, "{}", row.to_line()).with_context(name)?;
        }
        Ok(Self { file, rows })
    }

    /// Appends a row.
    pub fn add(&mut self, row: MetricsRow) -> Result<()> {
        writeln!(self.file, "{}", row.to_line()).context("cannot append to metrics.csv")?;
        self.rows.push(row);
        Ok(())
    }

    /// Every row of the run so far.
    pub fn rows(&self) -> &[MetricsRow] {
        &self.rows
    }
}

/// Reads a `metrics.csv`; a last line that was cut off is left out.
pub fn read(path: &Path) -> Result<Vec<MetricsRow>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text
        .lines()
        .skip(1)
        .filter_map(MetricsRow::from_line)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_drops_rows_after_the_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let row = |step| MetricsRow {
            step,
            loss: 0.5,
            seconds: 1.25,
            ..MetricsRow::default()
        };
        let mut log = MetricsLog::open(&path, None).unwrap();
        (1..=3).for_each(|i| log.add(row(i * 10)).unwrap());
        let log = MetricsLog::open(&path, Some(20)).unwrap();
        assert_eq!(log.rows(), [row(10), row(20)]);
        assert_eq!(read(&path).unwrap(), log.rows());
    }
}
