//! Writes finished embeddings as a file for other programs.

use super::journal::Journal;
use anyhow::{Context, Result};
use mtslvr_audio::atomic_file::{Together, write_atomically};
use mtslvr_audio::{Cell, ShowPath};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A value of an embedding that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Place in the embedding.
    pub place: usize,
    /// Its part, an underscore, and its number within that.
    pub name: String,
}

/// Returns the path of the names of the rows of an `.npy` file: `x.npy` has `x.names.csv`.
pub fn names_path(npy: &Path) -> PathBuf {
    npy.with_extension("names.csv")
}

/// Writes NumPy's format 1.0: float32, little-endian, `[names, values]`, with a row for each of `names`
/// in their order and a column for each of `values`; and beside it [`names_path`], a CSV file with the
/// columns `row` and `path`. Where the `.npy` file is, it has the names that belong to it.
///
/// # Errors
/// If the journal cannot be read or one of the two files cannot be written.
///
/// # Panics
/// If the journal lacks one of the names.
pub fn write_npy(
    path: &Path,
    names: &[&Path],
    journal: &mut Journal,
    values: &[Value],
) -> Result<()> {
    let sidecar = names_path(path);
    let mut files = Together::default();
    files
        .write(&sidecar, |neighbour| -> Result<()> {
            let mut csv = csv::Writer::from_path(neighbour)?;
            csv.write_record(["row", "path"])?;
            for (row, name) in names.iter().enumerate() {
                csv.write_record([row.to_string(), Cell(&name.to_string_lossy()).to_string()])?;
            }
            Ok(csv.flush()?)
        })
        .with_context(|| format!("cannot write {}", sidecar.shown()))?;
    let rows = |neighbour: &Path| -> Result<()> {
        let mut file = BufWriter::new(File::create(neighbour)?);
        file.write_all(&npy_header(names.len(), values.len()))?;
        each(names, journal, |_, embedding| {
            for value in values {
                file.write_all(&embedding[value.place].to_le_bytes())?;
            }
            Ok(())
        })?;
        Ok(file.flush()?)
    };
    let written = files.write(path, rows).and_then(|()| Ok(files.commit()?));
    written.with_context(|| format!("cannot write {}", path.shown()))
}

/// Writes a CSV file with the column `path` and one for each of `values`, such as `invariant_0`, and a
/// row for each of `names` in their order.
///
/// # Errors
/// If the journal cannot be read or the file cannot be written.
///
/// # Panics
/// If the journal lacks one of the names.
pub fn write_csv(
    path: &Path,
    names: &[&Path],
    journal: &mut Journal,
    values: &[Value],
) -> Result<()> {
    write_atomically(path, |neighbour| -> Result<()> {
        let mut csv = csv::Writer::from_path(neighbour)?;
        let columns = values.iter().map(|value| value.name.as_str());
        csv.write_record(std::iter::once("path").chain(columns))?;
        each(names, journal, |name, embedding| {
            let name = Cell(&name.to_string_lossy()).to_string();
            let row = values
                .iter()
                .map(|value| embedding[value.place].to_string());
            Ok(csv.write_record(std::iter::once(name).chain(row))?)
        })?;
        Ok(csv.flush()?)
    })
    .with_context(|| format!("cannot write {}", path.shown()))
}

/// Reads one embedding after the other.
fn each(
    names: &[&Path],
    journal: &mut Journal,
    mut write: impl FnMut(&Path, &[f32]) -> Result<()>,
) -> Result<()> {
    let mut embedding = vec![0.0; journal.dim()];
    for name in names {
        let found = journal.read(name, &mut embedding)?;
        found.expect("the journal holds every name");
        write(name, &embedding)?;
    }
    Ok(())
}

/// Returns magic, version 1.0, and a dictionary padded so that the data begins at a multiple of 64
/// bytes: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
fn npy_header(rows: usize, columns: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    const BEFORE: usize = 10;
    let len = (BEFORE + text.len() + 1).next_multiple_of(64) - BEFORE;
    text.push_str(&" ".repeat(len - text.len() - 1));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((len as u16).to_le_bytes());
    header.extend(text.bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_where_the_data_must_begin() {
        for (rows, columns) in [(0, 1), (7, 256), (123_456_789, 98_765)] {
            let header = npy_header(rows, columns);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(header.last(), Some(&b'\n'));
            assert_eq!(
                usize::from(header[8]) + 256 * usize::from(header[9]) + 10,
                header.len()
            );
        }
    }
}
