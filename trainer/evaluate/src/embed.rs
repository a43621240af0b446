//! Embeds a whole folder of recordings on all cores, in memory that does not grow with the folder. An
//! interrupted run continues where it stopped.
//!
//! Each core embeds one recording as it is decoded. The embedding is appended to a [`Journal`]
//! at once; [`write_npy`] and [`write_csv`] then make the result from the journal.

mod journal;
mod output;

pub use journal::{Journal, JournalError, Origin, Stamp};
pub use output::{Value, names_path, write_csv, write_npy};

use anyhow::{Context, Result, anyhow};
use mtslvr_audio::ShowPath;
use mtslvr_audio::{self as audio, AudioError, EmbedError, Reader, UnlabelledClip, UnlabelledSet};
use mtslvr_runtime::backbone::Backbone;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Most finished embeddings that may wait for the journal, for each engine.
const WAITING: usize = 4;

/// The recordings of a folder, by their paths relative to it.
#[derive(Clone, Debug)]
pub struct Recordings {
    folder: PathBuf,
    /// Sorted, component by component.
    names: Vec<PathBuf>,
}

/// Result of embedding a folder.
#[derive(Debug, Default)]
pub struct Outcome<'r> {
    /// Recordings that the journal now holds, sorted by name.
    pub finished: Vec<&'r Path>,
    /// How many of them it held before, unchanged since.
    pub kept: usize,
    /// Recordings that could not be read, sorted by name.
    pub skipped: Vec<(PathBuf, AudioError)>,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
}

impl Recordings {
    /// Finds every recording below `folder`, without hidden entries.
    ///
    /// # Errors
    /// As [`UnlabelledSet::open`].
    pub fn find(folder: &Path) -> Result<Self, AudioError> {
        let mut names: Vec<PathBuf> = UnlabelledSet::open(&[folder])?
            .clips
            .into_iter()
            .map(|UnlabelledClip { path, .. }| {
                path.strip_prefix(folder)
                    .map(Path::to_owned)
                    .unwrap_or(path)
            })
            .collect();
        names.sort();
        Ok(Self {
            folder: folder.to_owned(),
            names,
        })
    }

    /// Returns their number.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns their names, sorted.
    pub fn names(&self) -> &[PathBuf] {
        &self.names
    }

    fn is_finished(&self, name: &Path, journal: &Journal) -> bool {
        let now = Stamp::of(&self.folder.join(name));
        now.is_ok_and(|now| journal.stamp(name) == Some(now))
    }

    /// Embeds the recordings that `journal` lacks, with one thread for each engine. `progress` gets
    /// the number of recordings dealt with so far. Once `stop` is set, the recordings begun are
    /// finished and no other is begun.
    ///
    /// # Errors
    /// If an engine fails, or the journal cannot be written. Embeddings made until then stay in the
    /// journal.
    ///
    /// # Panics
    /// If there is no engine.
    pub fn embed<B>(
        &self,
        engines: &mut [B],
        journal: &mut Journal,
        stop: &AtomicBool,
        mut progress: impl FnMut(usize),
    ) -> Result<Outcome<'_>>
    where
        B: Backbone + Send,
        B::Error: Send,
    {
        let rate = engines
            .first()
            .expect("at least one engine")
            .space()
            .frontend()
            .sample_rate;
        let names = self.names.iter().map(PathBuf::as_path);
        let (finished, todo): (Vec<_>, Vec<_>) =
            names.partition(|name| self.is_finished(name, journal));
        let mut outcome = Outcome {
            kept: finished.len(),
            finished,
            ..Outcome::default()
        };
        progress(outcome.kept);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (send, receive) = mpsc::sync_channel(WAITING * engines.len());
        let result = std::thread::scope(|scope| {
            for engine in engines {
                let send = send.clone();
                let (todo, next, failed) = (&todo, &next, &failed);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed) {
                        let Some(name) = todo.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            break;
                        };
                        let done = embed_one(engine, &self.folder.join(name), rate);
                        // The receiver is gone only after a failure.
                        if send.send((*name, done)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let write = || -> Result<()> {
                for (name, done) in receive {
                    match done? {
                        Ok((stamp, embedding)) => {
                            journal.append(name, stamp, &embedding)?;
                            outcome.finished.push(name);
                        }
                        Err(error) => outcome.skipped.push((name.to_owned(), error)),
                    }
                    progress(outcome.finished.len() + outcome.skipped.len());
                }
                Ok(())
            };
            let result = write();
            failed.store(result.is_err(), Ordering::Relaxed);
            result
        });
        result?;
        outcome.skipped.sort_by(|a, b| a.0.cmp(&b.0));
        outcome.finished.sort();
        let dealt_with = outcome.finished.len() + outcome.skipped.len();
        outcome.interrupted = dealt_with < self.names.len();
        Ok(outcome)
    }
}

/// Decodes and embeds one recording. The outer error is the engine's.
fn embed_one<B: Backbone>(
    engine: &mut B,
    path: &Path,
    sample_rate: u32,
) -> Result<Result<(Stamp, Vec<f32>), AudioError>> {
    // The stamp is taken before reading: a file that changes while it is read is read again next time.
    let open = || {
        let stamp = Stamp::of(path).map_err(|error| AudioError::Io {
            path: path.to_owned(),
            action: "read",
            error,
        })?;
        Ok((stamp, Reader::open(path, sample_rate)?))
    };
    let (stamp, reader) = match open() {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    match audio::embed(engine, reader) {
        Ok((embedding, _)) => Ok(Ok((stamp, embedding))),
        Err(EmbedError::Audio(error)) => Ok(Err(error)),
        Err(error) => {
            Err(anyhow!("{error}")).with_context(|| format!("{} cannot be embedded", path.shown()))
        }
    }
}
