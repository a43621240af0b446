//! From a WAV file to an embedding: frontend and backbone, fed a few milliseconds at a time.

use crate::model::EMBEDDING_DIM;
use core::fmt;
use mtslvr_board::instructions::Instructions;
use mtslvr_board::semihosting::{File, HostError};
use mtslvr_runtime::backbone::{EmbedError, PackedBackbone};
use mtslvr_runtime::clip::{ClipEmbedder, ClipError};
use mtslvr_runtime::fewshot::{Limits, Refusal};
use mtslvr_wav::{WavError, WavReader};

/// Samples taken at once: 10 ms, as a microphone's DMA would give them.
const CHUNK: usize = 160;

/// The model at work.
pub struct Device<'a> {
    /// Runs the model.
    pub backbone: PackedBackbone<'a>,
    /// Cuts recordings into patches.
    pub clip: ClipEmbedder<'a>,
    /// Counts the work.
    pub instructions: Instructions,
}

/// What came of one recording.
pub struct Embedded {
    /// Samples in the file.
    pub samples: usize,
    /// Patches that the embedding is the mean of.
    pub patches: u32,
    /// The embedding.
    pub embedding: [f32; EMBEDDING_DIM],
    /// Instructions from the first sample to the embedding, without reading the file.
    pub instructions: u64,
}

/// Why a recording could not be embedded.
pub enum RecordingError {
    /// It cannot be opened.
    Open(HostError),
    /// It cannot be read.
    Wav(WavError<HostError>),
    /// Its sample rate is not the model's.
    SampleRate {
        /// The file's.
        found: u32,
        /// The model's.
        expected: u32,
    },
    /// It cannot be embedded.
    Clip(ClipError<EmbedError>),
    /// It is to be learnt from, and not fit for it.
    Unfit(Refusal),
}

/// What a recording is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An example of a class: it must be fit to be learnt from.
    Support,
    /// A sound to recognise.
    Query,
}

impl Device<'_> {
    /// Embeds the WAV file at `path`.
    pub fn embed(&mut self, path: &str, purpose: Purpose) -> Result<Embedded, RecordingError> {
        let result = self.stream(path, purpose);
        if result.is_err() {
            // What came before the fault does not belong to the next recording.
            self.clip.reset();
        }
        result
    }

    fn stream(&mut self, path: &str, purpose: Purpose) -> Result<Embedded, RecordingError> {
        let file = File::open(path).map_err(RecordingError::Open)?;
        let mut wav = WavReader::open(file).map_err(RecordingError::Wav)?;
        let (found, expected) = (
            wav.sample_rate(),
            self.backbone.model().frontend().sample_rate,
        );
        if found != expected {
            return Err(RecordingError::SampleRate { found, expected });
        }
        let mut embedded = Embedded {
            samples: 0,
            patches: 0,
            embedding: [0.0; EMBEDDING_DIM],
            instructions: 0,
        };
        let mut chunk = [0; CHUNK];
        loop {
            let count = wav.read(&mut chunk).map_err(RecordingError::Wav)?;
            if count == 0 {
                break;
            }
            let start = self.instructions.now();
            self.clip
                .push_i16(&mut self.backbone, &chunk[..count])
                .map_err(RecordingError::Clip)?;
            embedded.instructions += self.instructions.now() - start;
            embedded.samples += count;
        }
        if purpose == Purpose::Support {
            Limits::default()
                .check_levels(self.clip.levels(), expected)
                .map_err(RecordingError::Unfit)?;
        }
        let start = self.instructions.now();
        embedded.patches = self
            .clip
            .finish(&mut self.backbone, &mut embedded.embedding)
            .map_err(RecordingError::Clip)?;
        embedded.instructions += self.instructions.now() - start;
        Ok(embedded)
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Wav(error) => error.fmt(f),
            Self::SampleRate { found, expected } => {
                write!(
                    f,
                    "{found} Hz, expected the model's {expected} Hz: resample it"
                )
            }
            Self::Clip(error) => error.fmt(f),
            Self::Unfit(error) => error.fmt(f),
        }
    }
}
