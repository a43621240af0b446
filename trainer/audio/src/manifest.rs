//! Reads the `manifest.csv` of a data set row by row.

use super::bounded::open_regular;
use super::error::AudioError;
use std::path::{Path, PathBuf};

/// Rows of a manifest; the header names their columns.
pub(super) struct Rows {
    path: PathBuf,
    columns: csv::StringRecord,
    records: csv::StringRecordsIntoIter<std::fs::File>,
}

/// One row of a manifest.
pub(super) struct Row {
    path: PathBuf,
    columns: csv::StringRecord,
    record: csv::StringRecord,
    /// Line in the file, from 1.
    pub line: u64,
}

impl Rows {
    /// Opens the CSV file at `path`, whose header must have the columns `needed`.
    pub fn open(path: &Path, needed: &[&str]) -> Result<Self, AudioError> {
        let file = open_regular(path).map_err(|error| AudioError::Io {
            path: path.to_owned(),
            action: "read",
            error,
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(file);
        let columns = reader
            .headers()
            .map_err(|error| csv_error(path, error))?
            .clone();
        for column in needed {
            if !columns.iter().any(|name| name == *column) {
                let found: Vec<_> = columns.iter().collect();
                return Err(AudioError::Manifest {
                    path: path.to_owned(),
                    line: 1,
                    found: format!("the columns are \"{}\"", found.join(",")),
                    expected: format!("a header with the column {column}"),
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            columns,
            records: reader.into_records(),
        })
    }

    /// Tells whether there is a column of that name.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }
}

impl Iterator for Rows {
    type Item = Result<Row, AudioError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(csv_error(&self.path, error))),
        };
        let line = record.position().map_or(0, csv::Position::line);
        let (path, columns) = (self.path.clone(), self.columns.clone());
        Some(Ok(Row {
            path,
            columns,
            record,
            line,
        }))
    }
}

impl Row {
    /// Returns the cell under `column`; `None` if there is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.record.get(index)
    }

    /// Returns the manifest's folder.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Makes an error at this row.
    pub fn error(&self, found: String, expected: String) -> AudioError {
        AudioError::Manifest {
            path: self.path.clone(),
            line: self.line,
            found,
            expected,
        }
    }
}

fn csv_error(path: &Path, error: csv::Error) -> AudioError {
    let line = error.position().map_or(1, csv::Position::line);
    let path = path.to_owned();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => AudioError::Io {
            path,
            action: "read",
            error,
        },
        csv::ErrorKind::Utf8 { .. } => AudioError::Manifest {
            path,
            line,
            found: "text that is not UTF-8".into(),
            expected: "a CSV file in UTF-8".into(),
        },
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => AudioError::Manifest {
            path,
            line,
            found: format!("{len} cells"),
            expected: format!("{expected_len}, as in the header"),
        },
        other => AudioError::Manifest {
            path,
            line,
            found: format!("{other:?}"),
            expected: "a CSV file".into(),
        },
    }
}
