//! Errors of reading recordings and folders of recordings.

use crate::shown::ShowPath;
use std::path::PathBuf;

/// Formats that are read, for messages.
pub(super) const READ: &str = match cfg!(feature = "containers") {
    true => "WAV, FLAC, MP3, AAC, ALAC, Vorbis, Opus, AIFF, CAF or WebM",
    false => "WAV, FLAC, MP3 or Ogg Vorbis",
};

/// Variable of the environment that raises the limits of decoding.
pub(super) const BUDGET_VARIABLE: &str = "MTSLVR_MAX_SAMPLES";

/// Explains why audio could not be read or written. Every message names the file, what was found, what was
/// expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The operating system refused.
    #[error("{path}: could not be {action}: {error}; check that the path exists and may be {action}", path = path.shown())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Action that failed: `read` or `written`.
        action: &'static str,
        /// Message of the operating system.
        error: std::io::Error,
    },
    /// The file is empty.
    #[error("{path}: the file has 0 bytes; expected a recording; copy it again from where it was recorded", path = path.shown())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A valid sound file holds no samples.
    #[error("{path}: holds 0 samples; expected at least 1; record it again, and let the recorder finish", path = path.shown())]
    NoSamples {
        /// The file.
        path: PathBuf,
    },
    /// The first bytes are those of no format that is read here.
    #[error("{path}: not audio that can be read: it starts with {found}; expected {READ}; convert it (for example `ffmpeg -i IN OUT.flac`) or move it out of the folder", path = path.shown())]
    NotAudio {
        /// The file.
        path: PathBuf,
        /// The first bytes, as text.
        found: String,
    },
    /// The container is known, but not the codec or sample format in it.
    #[error("{path}: {found} is not read; expected {READ}; convert it, for example with `ffmpeg -i IN OUT.flac`", path = path.shown())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Contents found.
        found: String,
    },
    /// The header promises more than the file holds.
    #[error("{path}: cut short: {found}, expected {expected}; copy or download it again", path = path.shown())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Contents found.
        found: String,
        /// Contents that the header promises.
        expected: String,
    },
    /// Bytes in the middle cannot be decoded.
    #[error("{path}: damaged: {found}; expected a stream that decodes from start to end; copy it again, or save what is whole with `ffmpeg -i IN OUT.flac`", path = path.shown())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Fault that the decoder found.
        found: String,
    },
    /// The header says that there is no channel.
    #[error("{path}: the header says 0 channels; expected 1 or more; write the file again with a sound editor", path = path.shown())]
    ZeroChannels {
        /// The file.
        path: PathBuf,
    },
    /// The sample rate is outside the range of recordings.
    #[error("{path}: the sample rate is {found} Hz; expected 1000 to 768000 Hz; correct the header, for example with `sox -r RATE IN OUT.wav`", path = path.shown())]
    SampleRate {
        /// The file.
        path: PathBuf,
        /// The rate in its header.
        found: u32,
    },
    /// A float sample is not a number, or far outside full scale.
    #[error("{path}: sample {index} is {value}; expected finite samples with full scale at 1; export it again with full scale at 1 and without gaps, for example as 16-bit PCM", path = path.shown())]
    SampleValue {
        /// The file.
        path: PathBuf,
        /// Index of the sample, all channels counted.
        index: u64,
        /// Its value.
        value: f32,
    },
    /// The channels cancel each other, so that their average is nearly silent.
    #[error("{path}: its {channels} channels cancel each other for most of its length, and one is to be chosen; channel {loudest} is the loudest (counted from 0); write it alone with `ffmpeg -i IN -af pan=mono|c0=c{loudest} OUT.flac`", path = path.shown())]
    Cancelled {
        /// The file.
        path: PathBuf,
        /// Number of its channels.
        channels: usize,
        /// The loudest of them, counted from 0.
        loudest: usize,
    },
    /// The file decodes to more than the budget allows.
    #[error("{path}: its {bytes} bytes decode to more than {limit} {what}; expected a recording of fewer; cut it into parts, or set {variable}=N in the environment to read up to N samples", path = path.shown(), variable = BUDGET_VARIABLE)]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        /// Greatest number allowed.
        limit: u64,
        /// Counted quantity.
        what: &'static str,
    },
    /// The budget in the environment is not a number.
    #[error("{variable} is \"{found}\"; expected a whole number of samples, such as 20000000000; correct it or unset it", variable = BUDGET_VARIABLE)]
    Budget {
        /// Its value.
        found: String,
    },
    /// A data set's folder is missing, or is no folder.
    #[error("{path}: no such folder; expected {expected}; check the spelling, or make one with `mtslvr synth DIR`", path = path.shown())]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// Contents expected.
        expected: &'static str,
    },
    /// The folder holds no recordings.
    #[error("{path}: no audio files found; expected {expected}; check the path, or make sounds with `mtslvr synth DIR`", path = path.shown())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// Contents expected.
        expected: &'static str,
    },
    /// A line of `manifest.csv` is wrong.
    #[error("{path}: line {line}: {found}; expected {expected}; correct that line, or delete the manifest to use the folder as it is", path = path.shown())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// Contents found.
        found: String,
        /// Contents expected.
        expected: String,
    },
    /// The manifest names a file that is not there.
    #[error("{path}: line {line} names {missing}, which does not exist; expected every clip of the manifest to be there; restore the file or delete its line", path = path.shown(), missing = missing.shown())]
    ManifestFile {
        /// The manifest.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// The file that is not there.
        missing: PathBuf,
    },
    /// Recordings are to be chosen by licence, but no manifest states the licences.
    #[error("{path}: no manifest.csv; expected one with the columns path and gpl or licence, to keep only recordings that are not under the GPL; add it, or use recordings of any licence", path = path.shown())]
    NoLicences {
        /// The folder.
        path: PathBuf,
    },
    /// The number or length of the sounds asked for is impossible.
    #[error("{path}: {what} is {found}; expected {expected}", path = path.shown())]
    Request {
        /// The folder to be written.
        path: PathBuf,
        /// Quantity that is wrong.
        what: &'static str,
        /// Its value.
        found: String,
        /// Values that it may have.
        expected: &'static str,
    },
}
