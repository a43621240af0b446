//! What a run reports, one row per log interval, in `metrics.csv`.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;

/// One row: means over the steps since the row before. What a run does not measure is `NaN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// Optimiser steps taken.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Joint loss.
    pub loss: f64,
    /// The contrastive loss.
    pub contrastive: f64,
    /// Spread of the contrastive projections, see [`crate::ssl::spread`]: near 0, the features have
    /// collapsed.
    #[serde(default = "not_measured")]
    pub spread: f64,
    /// Augmentation prediction's cross entropy.
    pub predictive: f64,
    /// Share of operator labels predicted right.
    pub label_accuracy: f64,
    /// Squared error of the operators' parameters, each over its range from -1 to 1.
    #[serde(default = "not_measured")]
    pub parameter_error: f64,
    /// The distillation loss: one less the cosine to what the teacher says.
    #[serde(default = "not_measured")]
    pub distillation: f64,
    /// Few-shot accuracy on the held-out sets, percent.
    #[serde(default = "not_measured")]
    pub few_shot: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Patches (two for a pair) per second.
    pub images_per_second: f64,
    /// Share of the time spent waiting for data.
    pub waiting: f64,
}

/// A column that the file of an earlier version lacks.
fn not_measured() -> f64 {
    f64::NAN
}

impl MetricsRow {
    /// Every value but the step, by the name of its column.
    pub fn values(&self) -> [(&'static str, f64); 13] {
        [
            ("seconds", self.seconds),
            ("loss", self.loss),
            ("contrastive", self.contrastive),
            ("spread", self.spread),
            ("predictive", self.predictive),
            ("label_accuracy", self.label_accuracy),
            ("parameter_error", self.parameter_error),
            ("distillation", self.distillation),
            ("few_shot", self.few_shot),
            ("learning_rate", self.learning_rate),
            ("gradient_norm", self.gradient_norm),
            ("images_per_second", self.images_per_second),
            ("waiting", self.waiting),
        ]
    }
}

/// Appends rows to `metrics.csv`, each on its way to the disk when [`MetricsLog::add`] returns.
#[derive(Debug)]
pub struct MetricsLog {
    file: csv::Writer<File>,
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
        let file = File::create(path).with_context(name)?;
        let mut log = Self {
            file: csv::WriterBuilder::new()
                .has_headers(false)
                .from_writer(file),
            rows: Vec::new(),
        };
        let columns = MetricsRow::default().values().map(|(column, _)| column);
        let header = std::iter::once("step").chain(columns);
        log.file.write_record(header).with_context(name)?;
        for row in rows {
            log.add(row).with_context(name)?;
        }
        log.file.flush().with_context(name)?;
        Ok(log)
    }

    /// Appends a row.
    pub fn add(&mut self, row: MetricsRow) -> Result<()> {
        let cannot = "cannot append to metrics.csv";
        self.file.serialize(row).context(cannot)?;
        self.file.flush().context(cannot)?;
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
    let mut file =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(file.deserialize().filter_map(Result::ok).collect())
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

    #[test]
    fn columns_are_in_the_order_of_the_header_and_may_be_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let mut row = MetricsRow {
            few_shot: f64::NAN,
            waiting: 0.5,
            ..MetricsRow::default()
        };
        MetricsLog::open(&path, None).unwrap().add(row).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
        for ((column, value), (name, cell)) in row
            .values()
            .iter()
            .zip(lines[0].iter().zip(&lines[1]).skip(1))
        {
            assert_eq!(
                (column, &value.to_string()),
                (name, &f64::to_string(&cell.parse().unwrap()))
            );
        }
        let old = "step,seconds,loss,contrastive,predictive,label_accuracy,learning_rate,gradient_norm,\
                   images_per_second,waiting\n20,1,2,3,4,0.5,6,7,8,0.25\n40,1,2";
        std::fs::write(&path, old).unwrap();
        let rows = read(&path).unwrap();
        assert_eq!((rows.len(), rows[0].step, rows[0].waiting), (1, 20, 0.25));
        row = rows[0];
        assert!(row.spread.is_nan() && row.few_shot.is_nan());
    }
}
