//! Keeps records in a file that is only appended to, so that finished work survives a crash.
//!
//! The file begins with a line of text that says what its records depend on. Records follow,
//! little-endian: the payload's length and its CRC-32 (4 bytes each), then the payload.

use super::bounded::must_be_regular_or_new;
use mtslvr_runtime::model::Crc32;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes in front of a payload.
const PREFIX: usize = 8;

/// An open file of records, which no other process has open.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    /// Place of the next record.
    end: u64,
    cut_off: u64,
}

/// Explains why a file of records cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecordFileError {
    /// The operating system refused.
    #[error("{path}: cannot be used: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Message of the operating system.
        error: io::Error,
    },
    /// Its records depend on other things.
    #[error("{path}: begins with \"{found}\", expected \"{expected}\"")]
    OtherLine {
        /// The file.
        path: PathBuf,
        /// Its first line, as far as it is compared.
        found: String,
        /// The first line that was asked for.
        expected: String,
    },
    /// Another process has it open.
    #[error("{path}: another process has it open")]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

impl RecordFile {
    /// Opens the file at `path`, or begins it with `line`, which ends in a line feed. `take` gets the
    /// place and the bytes of each payload, in order, and tells whether it understands them.
    ///
    /// A record that was not written whole, or is damaged, or is not understood, ends the file: it and
    /// all behind it is cut off ([`Self::cut_off`]).
    ///
    /// # Errors
    /// [`RecordFileError`] if the file cannot be read or written, begins otherwise, or another process
    /// has it open.
    pub fn open(
        path: &Path,
        line: &str,
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<Self, RecordFileError> {
        let io = |error| RecordFileError::Io {
            path: path.to_owned(),
            error,
        };
        must_be_regular_or_new(path).map_err(io)?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RecordFileError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let mut first = Vec::new();
        let begin = (&file).take(line.len() as u64).read_to_end(&mut first);
        begin.map_err(io)?;
        let mut end = line.len() as u64;
        let len = file.metadata().map_err(io)?.len();
        if first == line.as_bytes() {
            read_records(&file, len, &mut end, &mut take).map_err(io)?;
        } else if line.as_bytes().starts_with(&first) {
            // The file is new, or was cut short before its first record.
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            file.write_all(line.as_bytes()).map_err(io)?;
        } else {
            let found = first.split(|&byte| byte == b'\n').next();
            return Err(RecordFileError::OtherLine {
                path: path.to_owned(),
                found: String::from_utf8_lossy(found.unwrap_or_default()).into_owned(),
                expected: line.trim_end().to_owned(),
            });
        }
        file.set_len(end).map_err(io)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            end,
            cut_off: len.saturating_sub(end),
        })
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of bytes that were cut off when the file was opened.
    pub fn cut_off(&self) -> u64 {
        self.cut_off
    }

    /// Appends a record and returns the place of its payload.
    ///
    /// # Errors
    /// [`io::Error`] if the file cannot be written. What was appended before stays.
    pub fn append(&mut self, payload: &[u8]) -> io::Result<u64> {
        let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let mut record = Vec::with_capacity(PREFIX + payload.len());
        record.extend(len.to_le_bytes());
        record.extend(Crc32::new().update(payload).finish().to_le_bytes());
        record.extend(payload);
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&record)?;
        let place = self.end + PREFIX as u64;
        self.end += record.len() as u64;
        Ok(place)
    }

    /// Fills `bytes` with those from `place` on.
    ///
    /// # Errors
    /// [`io::Error`] if the file cannot be read or ends before.
    pub fn read(&mut self, place: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(place))?;
        self.file.read_exact(bytes)
    }

    /// Deletes the file; for when its records have been written elsewhere.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// Reads the records of `file`, `len` bytes long, up to the first that is damaged or that `take` does
/// not understand; `end` becomes the end of the last whole one.
fn read_records(
    file: &File,
    len: u64,
    end: &mut u64,
    take: &mut impl FnMut(u64, &[u8]) -> bool,
) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut prefix = [0; PREFIX];
    let mut payload = Vec::new();
    while len - *end >= PREFIX as u64 {
        reader.read_exact(&mut prefix)?;
        let [size, crc] = prefix.as_chunks().0 else {
            break;
        };
        let place = *end + PREFIX as u64;
        let size = u32::from_le_bytes(*size);
        if u64::from(size) > len - place {
            break;
        }
        payload.resize(size as usize, 0);
        reader.read_exact(&mut payload)?;
        let whole = Crc32::new().update(&payload).finish() == u32::from_le_bytes(*crc);
        if !whole || !take(place, &payload) {
            break;
        }
        *end = place + u64::from(size);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "a line\n";

    fn open(path: &Path) -> (RecordFile, Vec<Vec<u8>>) {
        let mut records = Vec::new();
        let file = RecordFile::open(path, LINE, |_, payload| {
            records.push(payload.to_vec());
            payload != b"strange"
        });
        (file.unwrap(), records)
    }

    /// Returns the bytes of a file with the records `payloads`.
    fn written(path: &Path, payloads: &[&[u8]]) -> Vec<u8> {
        let _ = std::fs::remove_file(path);
        let (mut file, _) = open(path);
        for payload in payloads {
            file.append(payload).unwrap();
        }
        std::fs::read(path).unwrap()
    }

    /// Wherever the file ends or a bit of it is wrong, whole records before it are kept, the rest is
    /// cut off, and appending goes on from there.
    #[test]
    fn damage_costs_what_follows_it_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let whole = written(&path, &[b"one", b"", b"three"]);
        let ends = [LINE.len() + 11, LINE.len() + 19, whole.len()];
        let check = |bytes: &[u8], damage: usize| {
            std::fs::write(&path, bytes).unwrap();
            let (mut file, records) = open(&path);
            let kept = ends.iter().filter(|&&end| end <= damage).count();
            assert_eq!(records, [&b"one"[..], b"", b"three"][..kept], "{damage}");
            let end = ends[..kept].last().map_or(LINE.len(), |&end| end);
            assert_eq!(file.cut_off(), bytes.len().saturating_sub(end) as u64);
            let place = file.append(b"new").unwrap();
            drop(file);
            let (mut file, records) = open(&path);
            assert_eq!(records.last().unwrap(), b"new", "{damage}");
            assert_eq!((records.len(), file.cut_off()), (kept + 1, 0));
            let mut bytes = [0; 3];
            file.read(place, &mut bytes).unwrap();
            assert_eq!(&bytes, b"new");
        };
        for cut in 0..=whole.len() {
            check(&whole[..cut], cut);
        }
        for bit in 8 * LINE.len()..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            check(&damaged, bit / 8);
        }
    }

    #[test]
    fn a_record_that_is_not_understood_ends_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        written(&path, &[b"one", b"strange", b"three"]);
        let (file, records) = open(&path);
        assert_eq!(records, [&b"one"[..], b"strange"]);
        assert_eq!(file.cut_off(), 15 + 13);
    }

    #[test]
    fn a_file_that_begins_otherwise_or_is_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let before = written(&path, &[b"one"]);
        let other = RecordFile::open(&path, "another line\n", |_, _| true).unwrap_err();
        let text = other.to_string();
        assert!(
            text.contains("\"a line\"") && text.contains("\"another line\""),
            "{text}"
        );
        let (held, _) = open(&path);
        let locked = RecordFile::open(&path, LINE, |_, _| true);
        assert!(matches!(locked, Err(RecordFileError::Locked { .. })));
        drop(held);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        open(&path).0.remove().unwrap();
        assert!(!path.exists());
    }
}
