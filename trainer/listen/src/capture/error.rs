//! Errors of capturing sound.

use mtslvr_audio::AudioError;
use std::io;

/// Explains why sound could not be captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The recording cannot be read.
    #[error(transparent)]
    File(#[from] AudioError),
    /// Standard input cannot be read.
    #[error("standard input cannot be read: {0}")]
    Pipe(io::Error),
    /// Standard input is a file with a header.
    #[error(
        "standard input starts with {found}, the header of a file; expected raw 16-bit little-endian \
         PCM, one channel; give arecord `-t raw`, or name the file instead of `-`"
    )]
    Header {
        /// The first bytes.
        found: String,
    },
    /// Standard input held nothing, or not one whole sample.
    #[error(
        "standard input ended after {bytes} bytes; expected raw 16-bit little-endian PCM, one \
         channel; check the command before the pipe"
    )]
    Empty {
        /// Number of bytes that came.
        bytes: usize,
    },
    /// This program was built without the feature `mic`.
    #[error(
        "this program was built without a microphone; build it with `cargo build --release --features \
         mic`, or pipe one in: `arecord -f S16_LE -c 1 -r {sample_rate} -t raw | mtslvr listen -`"
    )]
    NoMicrophone {
        /// The rate that the pipe must have.
        sample_rate: u32,
    },
    /// There is no microphone, or it refuses.
    #[error(
        "the microphone cannot be {action}: {reason}; check that one is plugged in and chosen as the \
         system's default, and that no other program holds it"
    )]
    Microphone {
        /// Action that failed, as a participle.
        action: &'static str,
        /// Message of the operating system.
        reason: String,
    },
}
