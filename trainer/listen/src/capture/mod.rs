//! Captures sound from a pipe, the microphone or a file, and cuts a stream into sounds.

mod course;
mod error;
#[cfg(feature = "mic")]
mod microphone;
mod pcm;
mod pieces;
mod sound;
mod take;

pub use course::course;
pub use error::CaptureError;
pub use pcm::PcmShape;
pub use pieces::{Piece, Pieces};
pub use sound::SoundCutter;
pub use take::{Cut, Take};

use mtslvr_audio::Reader;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Most chunks that may wait for the listener. A pipe or a file is read no faster than that.
const WAITING: usize = 16;

/// Samples of a chunk, of 100 ms at 16 kHz.
const CHUNK: usize = 1600;

/// A source of mono samples in chunks of any length, at the rate that was asked for; full scale is 1.
///
/// Another thread waits for them, so that the listener can work meanwhile.
#[derive(Debug)]
pub struct Capture {
    chunks: Receiver<Chunk>,
    /// Keeps the device open.
    #[cfg(feature = "mic")]
    microphone: Option<microphone::Microphone>,
}

type Chunk = Result<Vec<f32>, CaptureError>;

/// Result of [`Capture::next`].
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The samples that follow.
    Samples(Vec<f32>),
    /// No samples yet.
    Nothing,
    /// The end of the source.
    End,
}

impl Capture {
    /// Reads raw 16-bit little-endian PCM from `input`: one channel, assumed to be at the rate wanted.
    pub fn pcm(input: impl Read + Send + 'static) -> Self {
        Self::spawn(move |chunks| pcm::read(input, &chunks, |samples| samples))
    }

    /// Reads raw 16-bit little-endian PCM of another shape from `input` and converts it to one channel at
    /// `sample_rate` Hz; several channels are averaged.
    pub fn pcm_of(input: impl Read + Send + 'static, shape: PcmShape, sample_rate: u32) -> Self {
        Self::spawn(move |chunks| {
            let mut converter = pcm::Converter::new(shape, sample_rate);
            pcm::read(input, &chunks, |samples| converter.push(&samples));
        })
    }

    /// Decodes the recording at `path`, piece by piece, and converts it to `sample_rate` Hz; with `real_time`, no faster
    /// than it would play.
    ///
    /// # Errors
    /// As [`Reader::open`]. What is wrong further on in the recording comes from [`Self::next`].
    pub fn file(path: &Path, sample_rate: u32, real_time: bool) -> Result<Self, CaptureError> {
        let reader = Reader::open(path, sample_rate)?;
        Ok(Self::spawn(move |chunks| {
            let mut samples = Vec::new();
            for piece in reader {
                match piece {
                    Ok(mut piece) => samples.append(&mut piece),
                    Err(error) => {
                        // The listener may have gone, here and below.
                        let _ = chunks.send(Ok(samples));
                        let _ = chunks.send(Err(error.into()));
                        return;
                    }
                }
                let whole = samples.len() / CHUNK * CHUNK;
                let left = samples.split_off(whole);
                for chunk in std::mem::replace(&mut samples, left).chunks(CHUNK) {
                    if real_time {
                        let seconds = chunk.len() as f64 / f64::from(sample_rate);
                        std::thread::sleep(Duration::from_secs_f64(seconds));
                    }
                    if chunks.send(Ok(chunk.to_vec())).is_err() {
                        return;
                    }
                }
            }
            let _ = chunks.send(Ok(samples));
        }))
    }

    /// Captures the default microphone, converted to `sample_rate` Hz; several channels are averaged.
    ///
    /// # Errors
    /// [`CaptureError`] if there is none, it refuses, or this program was built without `mic`.
    pub fn microphone(sample_rate: u32) -> Result<Self, CaptureError> {
        #[cfg(feature = "mic")]
        {
            let (send, chunks) = sync_channel(microphone::WAITING);
            let microphone = microphone::Microphone::open(sample_rate, send)?;
            Ok(Self {
                chunks,
                microphone: Some(microphone),
            })
        }
        #[cfg(not(feature = "mic"))]
        Err(CaptureError::NoMicrophone { sample_rate })
    }

    fn spawn(read: impl FnOnce(SyncSender<Chunk>) + Send + 'static) -> Self {
        let (send, chunks) = sync_channel(WAITING);
        std::thread::spawn(move || read(send));
        Self {
            chunks,
            #[cfg(feature = "mic")]
            microphone: None,
        }
    }

    /// Returns the next samples, if some come within `patience`.
    ///
    /// # Errors
    /// [`CaptureError`] if the source fails, or is not of the form expected.
    pub fn next(&mut self, patience: Duration) -> Result<Heard, CaptureError> {
        match self.chunks.recv_timeout(patience) {
            Ok(Ok(samples)) => Ok(Heard::Samples(samples)),
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(Heard::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Heard::End),
        }
    }

    /// Returns the samples that were lost so far: a microphone does not wait for a listener that falls back by
    /// ten seconds.
    pub fn lost(&self) -> u64 {
        #[cfg(feature = "mic")]
        return self
            .microphone
            .as_ref()
            .map_or(0, microphone::Microphone::lost);
        #[cfg(not(feature = "mic"))]
        0
    }

    /// Returns all samples until the end.
    ///
    /// # Errors
    /// [`CaptureError`], as [`Self::next`].
    pub fn all(self) -> Result<Vec<f32>, CaptureError> {
        let mut samples = Vec::new();
        for chunk in self.chunks {
            samples.extend(chunk?);
        }
        Ok(samples)
    }
}
