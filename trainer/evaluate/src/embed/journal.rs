//! Keeps embeddings as they come, so that an interrupted run loses none.
//!
//! It is a [`RecordFile`] whose first line names the origin of its embeddings ([`Origin`]). The payload
//! of a record, little-endian: the recording's size in bytes (8), the first half of the SHA-256 of its
//! bytes (16), the embedding (4 for each value), and the recording's name (the rest).

use mtslvr_audio::{RecordFile, RecordFileError, file_hash};
use mtslvr_runtime::space::BackboneId;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

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
    file: RecordFile,
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

    /// Opens the journal at `path`, or begins one. A damaged end is cut off ([`Self::cut_off`]).
    ///
    /// # Errors
    /// [`JournalError`] if the file cannot be read or written, was begun with other settings, or another
    /// process appends to it.
    pub fn open(path: &Path, origin: &Origin) -> Result<Self, JournalError> {
        let mut entries = HashMap::new();
        let take = |place, payload: &[u8]| {
            let Some((name, stamp)) = entry(payload, origin.dim) else {
                return false;
            };
            let at = place + STAMP as u64;
            entries.insert(name, Entry { stamp, at });
            true
        };
        let file = RecordFile::open(path, &origin.line(), take)?;
        Ok(Self {
            file,
            dim: origin.dim,
            entries,
        })
    }

    /// Returns the number of bytes that were cut off when the journal was opened, because they were
    /// damaged or behind damage. The recordings that they were of are embedded again.
    pub fn cut_off(&self) -> u64 {
        self.file.cut_off()
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
        let mut payload = Vec::from(stamp.size.to_le_bytes());
        payload.extend(stamp.content);
        payload.extend(embedding.iter().flat_map(|value| value.to_le_bytes()));
        // A name that is not Unicode is never found again: its recording is embedded again.
        payload.extend(name.to_string_lossy().as_bytes());
        let place = self.file.append(&payload).map_err(|error| self.io(error))?;
        let at = place + STAMP as u64;
        self.entries.insert(name.to_owned(), Entry { stamp, at });
        Ok(())
    }

    /// Reads the embedding of recording `name` back; `None` if there is none.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the file cannot be read.
    pub fn read(&mut self, name: &Path, embedding: &mut [f32]) -> Result<Option<()>, JournalError> {
        let Some(&Entry { at, .. }) = self.entries.get(name) else {
            return Ok(None);
        };
        let mut bytes = vec![0; 4 * self.dim];
        let read = self.file.read(at, &mut bytes);
        read.map_err(|error| self.io(error))?;
        for (value, bytes) in embedding.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(Some(()))
    }

    /// Deletes the file; for when its embeddings have been written elsewhere.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the file cannot be removed.
    pub fn remove(self) -> Result<(), JournalError> {
        let path = self.file.path().to_owned();
        let removed = self.file.remove();
        removed.map_err(|error| JournalError::Io { path, error })
    }

    fn io(&self, error: io::Error) -> JournalError {
        JournalError::Io {
            path: self.file.path().to_owned(),
            error,
        }
    }
}

impl From<RecordFileError> for JournalError {
    fn from(error: RecordFileError) -> Self {
        match error {
            RecordFileError::Io { path, error } => Self::Io { path, error },
            RecordFileError::OtherLine {
                path,
                found,
                expected,
            } => Self::Origin {
                path,
                found,
                expected,
            },
            RecordFileError::Locked { path } => Self::Locked { path },
        }
    }
}

/// Reads name and stamp from a payload with an embedding of `dim` values.
fn entry(payload: &[u8], dim: usize) -> Option<(PathBuf, Stamp)> {
    let (size, rest) = payload.split_first_chunk()?;
    let (content, rest) = rest.split_first_chunk()?;
    let name = rest.get(4 * dim..)?;
    let stamp = Stamp {
        size: u64::from_le_bytes(*size),
        content: *content,
    };
    let name = String::from_utf8_lossy(name).into_owned();
    (name.len() <= LONGEST_NAME).then(|| (name.into(), stamp))
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

    #[test]
    fn a_damaged_end_is_embedded_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        three_records(&path);
        let whole = std::fs::read(&path).unwrap();
        let record = (whole.len() - origin().line().len()) / 3;
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let journal = Journal::open(&path, &origin()).unwrap();
        assert_eq!(journal.stamp(Path::new("a")), Some(stamp(0)));
        assert!((record - 3..=record + 3).contains(&(journal.cut_off() as usize)));
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
