//! Keeps the sound of events and near misses, for `mtslvr review`.

use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_audio::write_wav;
use mtslvr_runtime::clip;
use mtslvr_runtime::fewshot::Limits;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds that are kept before a sound and after it.
const BEFORE: f64 = 0.5;
const AFTER: f64 = 0.25;

/// Longest sound that is kept, seconds; of a longer one the beginning.
const LONGEST: f64 = 3.0;

/// Seconds of the stream that are remembered.
const MEMORY: f64 = 8.0;

/// Why a sound was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// It was recognised.
    Event,
    /// Its score was just below the threshold.
    NearMiss,
}

/// A sound that was kept, as the file beside its clip says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) kind: Kind,
    pub(crate) class: String,
    /// Seconds from the beginning of the stream.
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) score: f32,
    pub(crate) threshold: f32,
    /// Path of the recording, if it is of one.
    pub(crate) file: Option<String>,
    /// Seconds since 1970 when it was kept.
    pub(crate) unix_time: f64,
    /// The answer of `mtslvr review`, if there is one.
    pub(crate) answer: Option<String>,
    /// The clip became an example by that answer.
    #[serde(default)]
    pub(crate) learnt: bool,
}

/// Keeps clips in a folder, which never grows beyond a limit: the oldest go first.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    /// Most bytes of clips.
    limit: u64,
    rate: u32,
    /// The last samples, the first of them being number `first` of the stream.
    samples: Vec<f32>,
    first: u64,
}

impl Keeper {
    /// Makes the folder, if it is not there.
    pub(super) fn new(folder: &Path, limit: u64) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("--capture {}: cannot be made", folder.shown()))?;
        Ok(Self {
            folder: folder.to_owned(),
            limit,
            rate: 1,
            samples: Vec::new(),
            first: 0,
        })
    }

    /// Begins a stream of `rate` samples a second.
    pub(super) fn begin(&mut self, rate: u32) {
        self.rate = rate;
        self.samples.clear();
        self.first = 0;
    }

    /// Takes samples of the stream.
    pub(super) fn hear(&mut self, samples: &[f32]) {
        self.samples.extend_from_slice(samples);
        let memory = (MEMORY * f64::from(self.rate)) as usize;
        // Moved rarely, because all of it is.
        if self.samples.len() > 2 * memory {
            let gone = self.samples.len() - memory;
            self.samples.drain(..gone);
            self.first += gone as u64;
        }
    }

    /// Writes the clip of a sound and the file beside it, after making room for them. A near miss that
    /// nothing could be learnt from, as it is too quiet or clipped, is left out.
    pub(super) fn keep(&mut self, kept: &Kept) -> Result<()> {
        let place = |seconds: f64| {
            let sample = (seconds * f64::from(self.rate)).max(0.0) as u64;
            (sample.saturating_sub(self.first) as usize).min(self.samples.len())
        };
        let from = place(kept.start - BEFORE);
        let to = place(kept.end.min(kept.start + LONGEST) + AFTER);
        let samples = &self.samples[from..to.max(from)];
        let is_fit = || {
            Limits::default()
                .check_levels(&clip::levels(samples), self.rate)
                .is_ok()
        };
        if kept.kind == Kind::NearMiss && !is_fit() {
            return Ok(());
        }
        // 32 bits a sample, and the header.
        self.make_room(4 * samples.len() as u64 + 128)?;
        let millis = (1000.0 * kept.unix_time) as u64;
        let path = (0..)
            .map(|number| self.folder.join(format!("{millis:013}-{number:03}.wav")))
            .find(|path| !path.exists())
            .expect("numbers do not end");
        write_wav(&path, samples, self.rate)?;
        kept.write(&path)
    }

    /// Deletes the oldest clips until `bytes` more are within the limit.
    fn make_room(&self, bytes: u64) -> Result<()> {
        let clips = clips(&self.folder)?;
        let size = |clip: &PathBuf| std::fs::metadata(clip).map_or(0, |file| file.len());
        let mut total: u64 = clips.iter().map(size).sum();
        for clip in &clips {
            if total + bytes <= self.limit {
                break;
            }
            total -= size(clip).min(total);
            for path in [clip.clone(), clip.with_extension("json")] {
                // The next clip makes room again if this one stays.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}

impl Kept {
    /// Returns the present moment for [`Self::unix_time`].
    pub(super) fn now() -> f64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0.0, |now| now.as_secs_f64())
    }

    /// Reads what is known about the clip at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let path = path.with_extension("json");
        let bytes = std::fs::read(&path);
        let bytes = bytes.with_context(|| format!("{}: cannot be read", path.shown()))?;
        let kept = serde_json::from_slice(&bytes);
        kept.with_context(|| format!("{}: not written by `mtslvr listen`", path.shown()))
    }

    /// Writes it beside the clip at `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let path = path.with_extension("json");
        let json = serde_json::to_vec_pretty(self)?;
        write_bytes(&path, &json).with_context(|| format!("{}: cannot be written", path.shown()))
    }
}

/// Returns the clips in `folder` that have a file beside them, the oldest first.
pub(crate) fn clips(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.with_context(|| format!("{}: cannot be read", folder.shown()))?;
    let mut clips = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_clip = path.extension().is_some_and(|extension| extension == "wav");
        if is_clip && path.with_extension("json").is_file() {
            clips.push(path);
        }
    }
    clips.sort();
    Ok(clips)
}
