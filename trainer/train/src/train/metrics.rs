//! The report of a run, one row per log interval, in `metrics.csv`.

use anyhow::{Context, Result};
use mtslvr_audio::open_regular;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// One row: means over the newest 20 steps, which is the interval between two rows; over fewer at the
/// beginning of a process. Values that a run does not measure are `NaN`.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    pub spread: f64,
    /// Augmentation prediction's cross entropy.
    pub predictive: f64,
    /// Share of operator labels predicted right.
    pub label_accuracy: f64,
    /// Squared error of the operators' parameters, each over its range from -1 to 1.
    pub parameter_error: f64,
    /// The loss of the parts that keep what they told when the run began.
    pub kept: f64,
    /// Few-shot accuracy on the held-out sets, percent.
    pub few_shot: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Patches (two for a pair) per second.
    pub images_per_second: f64,
    /// Share of the time spent waiting for data.
    pub waiting: f64,
    /// The loss of each teacher by name: one less the cosine to what it says.
    pub teachers: BTreeMap<String, f64>,
}

/// A column of the file, and the value that it holds.
type Column = (&'static str, fn(&mut MetricsRow) -> &mut f64);

/// The columns but the step and the teachers', in order.
const COLUMNS: [Column; 13] = [
    ("seconds", |row| &mut row.seconds),
    ("loss", |row| &mut row.loss),
    ("contrastive", |row| &mut row.contrastive),
    ("spread", |row| &mut row.spread),
    ("predictive", |row| &mut row.predictive),
    ("label_accuracy", |row| &mut row.label_accuracy),
    ("parameter_error", |row| &mut row.parameter_error),
    ("kept", |row| &mut row.kept),
    ("few_shot", |row| &mut row.few_shot),
    ("learning_rate", |row| &mut row.learning_rate),
    ("gradient_norm", |row| &mut row.gradient_norm),
    ("images_per_second", |row| &mut row.images_per_second),
    ("waiting", |row| &mut row.waiting),
];

/// Begins the name of a teacher's column.
const TEACHER: &str = "teacher.";

impl Default for MetricsRow {
    /// Step 0, with nothing measured.
    fn default() -> Self {
        Self {
            step: 0,
            seconds: 0.0,
            loss: f64::NAN,
            contrastive: f64::NAN,
            spread: f64::NAN,
            predictive: f64::NAN,
            label_accuracy: f64::NAN,
            parameter_error: f64::NAN,
            kept: f64::NAN,
            few_shot: f64::NAN,
            learning_rate: f64::NAN,
            gradient_norm: f64::NAN,
            images_per_second: f64::NAN,
            waiting: f64::NAN,
            teachers: BTreeMap::new(),
        }
    }
}

impl MetricsRow {
    /// Every value but the step, by the name of its column: those of teachers (`teacher.NAME`) come
    /// last.
    pub fn values(&self) -> Vec<(String, f64)> {
        let mut row = self.clone();
        let own = COLUMNS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value(&mut row)));
        let mut values: Vec<(String, f64)> = own.collect();
        let teachers = self.teachers.iter();
        values.extend(teachers.map(|(name, &loss)| (format!("{TEACHER}{name}"), loss)));
        values
    }

    /// Sets the value of a column; one of an unknown name is left out.
    fn set(&mut self, column: &str, value: f64) {
        if let Some(name) = column.strip_prefix(TEACHER) {
            self.teachers.insert(name.to_owned(), value);
        } else if let Some((_, place)) = COLUMNS.iter().find(|(name, _)| *name == column) {
            *place(self) = value;
        }
    }
}

/// Appends rows to `metrics.csv`, each on its way to the disk when [`MetricsLog::add`] returns.
#[derive(Debug)]
pub struct MetricsLog {
    file: csv::Writer<File>,
    /// Names of the columns behind the step.
    columns: Vec<String>,
    rows: Vec<MetricsRow>,
}

impl MetricsLog {
    /// Starts the file anew, with a column for each of `teachers`, or continues it after `resume_at`
    /// steps: later rows, written after the checkpoint that a run resumes from, are dropped.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open<'t>(
        path: &Path,
        teachers: impl IntoIterator<Item = &'t str>,
        resume_at: Option<u64>,
    ) -> Result<Self> {
        let rows: Vec<MetricsRow> = match resume_at {
            Some(step) if path.exists() => {
                read(path)?.into_iter().filter(|r| r.step <= step).collect()
            }
            _ => Vec::new(),
        };
        let name = || format!("cannot write {}", path.display());
        let own = COLUMNS.iter().map(|(column, _)| (*column).to_owned());
        let teachers = teachers.into_iter();
        let columns = own.chain(teachers.map(|name| format!("{TEACHER}{name}")));
        let mut log = Self {
            file: csv::Writer::from_path(path).with_context(name)?,
            columns: columns.collect(),
            rows: Vec::new(),
        };
        let header = std::iter::once("step").chain(log.columns.iter().map(String::as_str));
        log.file.write_record(header).with_context(name)?;
        for row in rows {
            log.add(row).with_context(name)?;
        }
        log.file.flush().with_context(name)?;
        Ok(log)
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, row: MetricsRow) -> Result<()> {
        let cannot = "cannot append to metrics.csv";
        let values: BTreeMap<String, f64> = row.values().into_iter().collect();
        let cells = self.columns.iter().map(|column| {
            let value = values.get(column).copied();
            value.unwrap_or(f64::NAN).to_string()
        });
        let cells = std::iter::once(row.step.to_string()).chain(cells);
        self.file.write_record(cells).context(cannot)?;
        self.file.flush().context(cannot)?;
        self.rows.push(row);
        Ok(())
    }

    /// Returns every row of the run.
    pub fn rows(&self) -> &[MetricsRow] {
        &self.rows
    }
}

/// Reads a `metrics.csv`; a line that was cut off is left out.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<MetricsRow>> {
    let name = || format!("cannot read {}", path.display());
    let mut file = csv::Reader::from_reader(open_regular(path).with_context(name)?);
    let columns = file.headers().with_context(name)?.clone();
    let rows = file.records().filter_map(|record| {
        let record = record.ok()?;
        let mut row = MetricsRow::default();
        for (column, cell) in columns.iter().zip(&record) {
            match column {
                "step" => row.step = cell.parse().ok()?,
                _ => row.set(column, cell.parse().ok()?),
            }
        }
        Some(row)
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> MetricsRow {
        let values = MetricsRow {
            step,
            loss: 0.5,
            seconds: 1.25,
            ..MetricsRow::default()
        };
        let names = values.values().into_iter().map(|(name, _)| name);
        let mut full = values.clone();
        // NaN is not equal to itself.
        for name in names.filter(|name| !["loss", "seconds"].contains(&name.as_str())) {
            full.set(&name, 1.0 / 3.0);
        }
        full
    }

    #[test]
    fn a_resumed_log_drops_rows_after_the_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let mut log = MetricsLog::open(&path, [], None).unwrap();
        for i in 1..=3 {
            log.add(row(i * 10)).unwrap();
        }
        let log = MetricsLog::open(&path, [], Some(20)).unwrap();
        assert_eq!(log.rows(), [row(10), row(20)]);
        assert_eq!(read(&path).unwrap(), log.rows());
    }

    #[test]
    fn columns_are_named_and_may_be_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let mut taught = row(7);
        taught.teachers.insert("events".into(), 0.75);
        let mut log = MetricsLog::open(&path, ["events", "speech"], None).unwrap();
        log.add(taught.clone()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
        assert_eq!(
            lines[0][13..],
            ["waiting", "teacher.events", "teacher.speech"]
        );
        assert_eq!(lines[1][14..], ["0.75", "NaN"]);
        let mut found = read(&path).unwrap().remove(0);
        assert!(found.teachers.remove("speech").unwrap().is_nan());
        assert_eq!(found, taught);

        let old = "step,seconds,loss,contrastive,predictive,label_accuracy,learning_rate,gradient_norm,\
                   images_per_second,waiting,distillation\n20,1,2,3,4,0.5,6,7,8,0.25,9\n40,1,2";
        std::fs::write(&path, old).unwrap();
        let rows = read(&path).unwrap();
        assert_eq!((rows.len(), rows[0].step, rows[0].waiting), (1, 20, 0.25));
        assert!(rows[0].spread.is_nan() && rows[0].teachers.is_empty());
    }
}
