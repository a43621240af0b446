//! Keeps embeddings as they come, in a file that is only appended to.
//!
//! The file begins with a line of text that names the origin of its embeddings ([`Origin`]). Records
//! follow, little-endian: the payload's length and its CRC-32 (4 bytes each), then the payload: the
//! recording's size in bytes (8), the first half of the SHA-256 of its bytes (16), the
//! embedding (4 for each value), and the recording's name (the rest). When the journal is opened again,
//! an incomplete record at its end is cut off.

use mtslvr_audio::file_hash;
use mtslvr_runtime::model::Crc32;
use mtslvr_runtime::space::BackboneId;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes in front of a payload.
const PREFIX: usize = 8;

/// Bytes of a payload in front of the embedding.
const STAMP: usize = 24;

/// Longest name in a payload.
const LONGEST_NAME: usize = 1 << 16;

/// Things that embeddings depend on beside the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The model.
    pub model: BackboneId,
    /// The engine that runs it.
    pub engine: String,
    /// Length of an embedding.
    pub dim: usize,
}

impl Origin {
    fn line(&self) -> String {
        format!(
            "mtslvr {} embeddings: model {}, engine {}, {} values\n",
            env!("CARGO_PKG_VERSION"),
            self.model,
            self.engine,
            self.dim
        )
    }
}

/// Size and hash of a recording, by which a change is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// The first half of the SHA-256 of the bytes.
    pub content: [u8; 16],
}

impl Stamp {
    /// Reads the stamp of the file at `path`.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let (size, hash) = file_hash(path)?;
        let mut content = [0; 16];
        content.copy_from_slice(&hash[..16]);
        Ok(Self { size, content })
    }
}

/// Explains why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system refused.
    #[error("{path}: cannot be used: {error}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// Message of the operating system.
        error: io::Error,
    },
    /// It was begun with other settings.
    #[error(
        "{path}: begun with other settings (found \"{found}\", expected \"{expected}\"); finish with those settings, or delete the file to begin again"
    )]
    Origin {
        /// The journal.
        path: PathBuf,
        /// Its first line.
        found: String,
        /// First line that these settings give.
        expected: String,
    },
    /// Another process appends to it.
    #[error(
        "{path}: another `mtslvr embed` is writing to it; wait for it, or choose another --out"
    )]
    Locked {
        /// The journal.
        path: PathBuf,
    },
}

/// An append-only file of embeddings.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Place of the next record.
    end: u64,
    dim: usize,
    entries: HashMap<PathBuf, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    stamp: Stamp,
    /// Place of the embedding in the file.
    at: u64,
}

impl Journal {
    /// Returns the length of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Opens the journal at `path`, or begins one. A damaged end is cut off.
    ///
    /// # Errors
    /// [`JournalError`] if the file cannot be read or written, was begun with other settings, or another
    /// process appends to it.
    pub fn open(path: &Path, origin: &Origin) -> Result<Self, JournalError> {
        let io = |error| JournalError::Io {
            path: path.to_owned(),
            error,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let expected = origin.line();
        let mut journal = Self {
            path: path.to_owned(),
            file,
            end: expected.len() as u64,
            dim: origin.dim,
            entries: HashMap::new(),
        };
        let mut found = vec![0; expected.len()];
        let read = read_up_to(&mut journal.file, &mut found).map_err(io)?;
        found.truncate(read);
        if found == expected.as_bytes() {
            journal.read_records().map_err(io)?;
        } else if expected.as_bytes().starts_with(&found) {
            // The file is new, or was cut short before its first record.
            journal.file.seek(SeekFrom::Start(0)).map_err(io)?;
            journal.file.write_all(expected.as_bytes()).map_err(io)?;
        } else {
            let line = found
                .split(|&byte| byte == b'\n')
                .next()
                .unwrap_or_default();
            return Err(JournalError::Origin {
                path: path.to_owned(),
                found: String::from_utf8_lossy(line).into_owned(),
                expected: expected.trim_end().to_owned(),
            });
        }
        journal.file.set_len(journal.end).map_err(io)?;
        Ok(journal)
    }

    /// Indexes the records up to the first damaged one, or the end.
    fn read_records(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let (least, most) = (STAMP + 4 * self.dim, STAMP + 4 * self.dim + LONGEST_NAME);
        let mut prefix = [0; PREFIX];
        let mut payload = Vec::new();
        loop {
            if read_up_to(&mut reader, &mut prefix)? < PREFIX {
                return Ok(());
            }
            let [len, crc] = [0, 4].map(|at| word(&prefix[at..]));
            let len = len as usize;
            if !(least..=most).contains(&len) {
                return Ok(());
            }
            payload.resize(len, 0);
            if read_up_to(&mut reader, &mut payload)? < len
                || Crc32::new().update(&payload).finish() != crc
            {
                return Ok(());
            }
            let (stamp, rest) = payload.split_at(STAMP);
            let (size, content) = stamp.split_at(8);
            let stamp = Stamp {
                size: u64::from_le_bytes(size.try_into().expect("8 bytes")),
                content: content.try_into().expect("16 bytes"),
            };
            let at = self.end + (PREFIX + STAMP) as u64;
            let name = String::from_utf8_lossy(&rest[4 * self.dim..]).into_owned();
            self.entries.insert(name.into(), Entry { stamp, at });
            self.end += (PREFIX + len) as u64;
        }
    }

    /// Returns the stamp of recording `name`, if it is in the journal.
    pub fn stamp(&self, name: &Path) -> Option<Stamp> {
        self.entries.get(name).map(|entry| entry.stamp)
    }

    /// Appends a recording's embedding; it replaces an earlier one under the same name.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the file cannot be written.
    ///
    /// # Panics
    /// If the embedding is not as long as the journal's.
    pub fn append(
        &mut self,
        name: &Path,
        stamp: Stamp,
        embedding: &[f32],
    ) -> Result<(), JournalError> {
        assert_eq!(embedding.len(), self.dim, "length of the embedding");
        let mut record = vec![0; PREFIX];
        record.extend(stamp.size.to_le_bytes());
        record.extend(stamp.content);
        record.extend(embedding.iter().flat_map(|value| value.to_le_bytes()));
        // A name that is not Unicode is never found again: its recording is embedded again.
        record.extend(name.to_string_lossy().as_bytes());
        let payload = &record[PREFIX..];
        let (len, crc) = (payload.len() as u32, Crc32::new().update(payload).finish());
        record[..4].copy_from_slice(&len.to_le_bytes());
        record[4..PREFIX].copy_from_slice(&crc.to_le_bytes());
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&record)
        };
        write().map_err(|error| JournalError::Io {
            path: self.path.clone(),
            error,
        })?;
        let at = self.end + (PREFIX + STAMP) as u64;
        self.entries.insert(name.to_owned(), Entry { stamp, at });
        self.end += record.len() as u64;
        Ok(())
    }

    /// Reads the embedding of recording `name` back; `None` if there is none.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the file cannot be read.
    pub fn read(&mut self, name: &Path, embedding: &mut [f32]) -> Result<Option<()>, JournalError> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        let mut bytes = vec![0; 4 * self.dim];
        let mut read = || {
            self.file.seek(SeekFrom::Start(entry.at))?;
            self.file.read_exact(&mut bytes)
        };
        read().map_err(|error| JournalError::Io {
            path: self.path.clone(),
            error,
        })?;
        for (value, bytes) in embedding.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_bits(word(bytes));
        }
        Ok(Some(()))
    }

    /// Deletes the file; for when its embeddings have been written elsewhere.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the file cannot be removed.
    pub fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(|error| JournalError::Io {
            path: self.path,
            error,
        })
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Fills `buffer` as far as the file goes.
fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match from.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            model: BackboneId::new([0xab; 32]),
            engine: "packed".into(),
            dim: 3,
        }
    }

    fn stamp(size: u64) -> Stamp {
        Stamp {
            size,
            content: [5; 16],
        }
    }

    fn three_records(path: &Path) {
        let mut journal = Journal::open(path, &origin()).unwrap();
        for (i, name) in ["a", "b/c", "a"].into_iter().enumerate() {
            let embedding = [i as f32, 0.5, f32::MIN];
            journal
                .append(Path::new(name), stamp(i as u64), &embedding)
                .unwrap();
        }
    }

    #[test]
    fn what_was_appended_is_read_back_and_the_last_of_a_name_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        three_records(&path);
        let mut journal = Journal::open(&path, &origin()).unwrap();
        assert_eq!(journal.stamp(Path::new("a")), Some(stamp(2)));
        assert_eq!(journal.stamp(Path::new("b/c")), Some(stamp(1)));
        assert_eq!(journal.stamp(Path::new("c")), None);
        let mut embedding = [0.0; 3];
        journal
            .read(Path::new("a"), &mut embedding)
            .unwrap()
            .unwrap();
        assert_eq!(embedding, [2.0, 0.5, f32::MIN]);
        assert_eq!(journal.read(Path::new("c"), &mut embedding).unwrap(), None);
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    /// Wherever the file ends or a byte of it is wrong, whole records before it are kept, and
    /// appending goes on from there.
    #[test]
    fn a_torn_end_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        three_records(&path);
        let whole = std::fs::read(&path).unwrap();
        let first = origin().line().len();
        let record = PREFIX + STAMP + 12 + 1;
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path, &origin()).unwrap();
            let kept = cut >= first + record;
            assert_eq!(
                journal.stamp(Path::new("a")),
                kept.then(|| stamp(0)),
                "{cut}"
            );
            journal
                .append(Path::new("new"), stamp(9), &[7.0; 3])
                .unwrap();
            drop(journal);
            let journal = Journal::open(&path, &origin()).unwrap();
            assert_eq!(journal.stamp(Path::new("new")), Some(stamp(9)), "{cut}");
        }
        for at in first..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&path, &damaged).unwrap();
            let journal = Journal::open(&path, &origin()).unwrap();
            assert_ne!(journal.stamp(Path::new("a")), Some(stamp(2)), "{at}");
        }
    }

    #[test]
    fn a_journal_of_another_model_or_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        three_records(&path);
        let before = std::fs::read(&path).unwrap();
        let other = Origin {
            model: BackboneId::new([1; 32]),
            ..origin()
        };
        let error = Journal::open(&path, &other).unwrap_err().to_string();
        assert!(
            error.contains("abababab") && error.contains("01010101"),
            "{error}"
        );
        let held = Journal::open(&path, &origin()).unwrap();
        assert!(matches!(
            Journal::open(&path, &origin()),
            Err(JournalError::Locked { .. })
        ));
        drop(held);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
