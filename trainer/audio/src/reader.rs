//! Gives a recording piece by piece, as mono samples at the rate asked for.

use super::bounded::open_regular;
use super::budget::Budget;
use super::compressed::StreamSource;
use super::container::{Container, Kind, describe_start};
use super::error::AudioError;
use super::interleaved::Source;
use super::mix::Mixer;
use super::region::Beginning;
use super::resample::AlignedResampler;
use super::wav::WavSource;
use std::path::{Path, PathBuf};

/// Rates a recording may have, Hz.
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Largest magnitude of a sample (18 dB above full scale). Float files may exceed 1 a little; larger
/// values are integers stored as floats, or damage.
pub const MAX_MAGNITUDE: f32 = 8.0;

/// A recording that is decoded as it is read: mono samples, full scale at 1, in pieces of any length.
///
/// Its memory does not grow with the recording. An error may come after samples, because a file shows
/// only at its end that it was cut short; no piece follows an error.
///
/// ```no_run
/// # use std::path::Path;
/// let mut seconds = 0.0;
/// for piece in mtslvr_audio::Reader::open(Path::new("night.flac"), 16_000)? {
///     seconds += piece?.len() as f64 / 16_000.0;
/// }
/// # Ok::<(), mtslvr_audio::AudioError>(())
/// ```
pub struct Reader {
    path: PathBuf,
    source: Box<dyn Source>,
    mixer: Mixer,
    resampler: AlignedResampler,
    /// Samples of all channels decoded so far.
    decoded: u64,
    /// Most that may be decoded.
    limit: u64,
    /// Length of the file.
    bytes: u64,
    /// Nothing more follows.
    ended: bool,
    /// Room for the samples of all channels.
    interleaved: Vec<f32>,
    /// Room for mono samples at the recording's own rate.
    mono: Vec<f32>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("layout", &self.source.layout())
            .field("decoded", &self.decoded)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the recording at `path`, to be read at `sample_rate` Hz within the
    /// [budget of the environment](Budget::from_environment).
    ///
    /// Formats are told apart by their content, whatever the file is called. The channels that sound
    /// are averaged; of channels that cancel each other, the loudest is taken.
    ///
    /// # Errors
    /// [`AudioError`] with the path: not audio that is read, cut short, damaged, empty, or of a rate
    /// outside 1 to 768 kHz.
    pub fn open(path: &Path, sample_rate: u32) -> Result<Self, AudioError> {
        Self::open_within(path, sample_rate, Budget::from_environment()?)
    }

    /// Opens the recording at `path`, as [`open`](Self::open) does, within `budget`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(path: &Path, sample_rate: u32, budget: Budget) -> Result<Self, AudioError> {
        let io = |error| AudioError::Io {
            path: path.to_owned(),
            action: "read",
            error,
        };
        let mut file = open_regular(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let Beginning { start, bytes: text } = Beginning::find(&mut file).map_err(io)?;
        if text.is_empty() {
            return Err(AudioError::EmptyFile {
                path: path.to_owned(),
            });
        }
        let source: Box<dyn Source> = match Kind::of(&text) {
            Some(Kind::Read(Container::Wav)) => Box::new(WavSource::open(path, file, start)?),
            Some(Kind::Read(container)) if !container.is_built_in() => {
                return Err(AudioError::Unsupported {
                    path: path.to_owned(),
                    found: format!("{} (in this build, without `containers`)", container.name()),
                });
            }
            Some(Kind::Read(container)) => {
                Box::new(StreamSource::open(path, file, container, start)?)
            }
            Some(Kind::Named(name)) => {
                return Err(AudioError::Unsupported {
                    path: path.to_owned(),
                    found: name.to_owned(),
                });
            }
            None => {
                return Err(AudioError::NotAudio {
                    path: path.to_owned(),
                    found: describe_start(&text),
                });
            }
        };
        let layout = source.layout();
        if !SAMPLE_RATES.contains(&layout.rate) {
            return Err(AudioError::SampleRate {
                path: path.to_owned(),
                found: layout.rate,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            source,
            mixer: Mixer::new(layout),
            resampler: AlignedResampler::new(layout.rate, sample_rate),
            decoded: 0,
            limit: budget.for_file(bytes),
            bytes,
            ended: false,
            interleaved: Vec::new(),
            mono: Vec::new(),
        })
    }

    /// Returns the error of a file that is longer than `limit`.
    pub(super) fn too_long(&self, limit: u64, what: &'static str) -> AudioError {
        AudioError::TooLong {
            path: self.path.clone(),
            bytes: self.bytes,
            limit,
            what,
        }
    }

    /// Decodes the next part and returns the samples that it completes: none, while a block fills.
    fn part(&mut self) -> Result<Vec<f32>, AudioError> {
        self.interleaved.clear();
        self.mono.clear();
        let more = self.source.read(&mut self.interleaved)?;
        self.check()?;
        self.mixer.push(&self.interleaved, &mut self.mono);
        let mut samples = Vec::new();
        if !more {
            self.mixer.finish(&self.path, &mut self.mono)?;
            self.ended = true;
        }
        self.resampler.push(&self.mono, &mut samples);
        if !more {
            self.resampler.finish(&mut samples);
        }
        Ok(samples)
    }

    /// Checks the samples that were decoded last.
    fn check(&mut self) -> Result<(), AudioError> {
        // Written so that a NaN fails too.
        let sound = |value: &f32| value.abs() <= MAX_MAGNITUDE;
        if let Some(index) = self.interleaved.iter().position(|value| !sound(value)) {
            return Err(AudioError::SampleValue {
                path: self.path.clone(),
                index: self.decoded + index as u64,
                value: self.interleaved[index],
            });
        }
        self.decoded += self.interleaved.len() as u64;
        if self.decoded > self.limit {
            return Err(self.too_long(self.limit, "samples, all channels counted"));
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<Vec<f32>, AudioError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.part() {
                Ok(samples) if samples.is_empty() => {}
                Ok(samples) => return Some(Ok(samples)),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
