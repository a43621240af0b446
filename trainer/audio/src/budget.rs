//! Limits how much sound a file may decode to.
//!
//! A small file can decode to any length: 30 bytes of FLAC may hold half a million samples. Decoding
//! takes constant memory, so a long recording costs time only; a file beyond these limits is far beyond
//! any recording.

use super::error::{AudioError, BUDGET_VARIABLE};

/// Most that one file may decode to.
///
/// The variable `MTSLVR_MAX_SAMPLES` of the environment, a whole number, takes the place of all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Samples of all channels together.
    pub decoded: u64,
    /// Samples of all channels for each byte of the file, counted from 16 million on.
    pub for_each_byte: u64,
    /// Mono samples at the rate asked for that [`load`](super::load) holds in memory.
    pub held: u64,
}

impl Budget {
    /// 49 hours of 48 kHz stereo; 4096 samples a byte, seven times as many as FLAC takes for silence;
    /// 4.6 hours at 16 kHz in memory, which are 1 GB.
    pub const DEFAULT: Self = Self {
        decoded: 1 << 34,
        for_each_byte: 4096,
        held: 1 << 28,
    };

    /// Returns the default limits, or those of the environment.
    ///
    /// # Errors
    /// [`AudioError::Budget`] if the variable is not a whole number.
    pub fn from_environment() -> Result<Self, AudioError> {
        let Some(text) = std::env::var_os(BUDGET_VARIABLE) else {
            return Ok(Self::DEFAULT);
        };
        let text = text.to_string_lossy();
        let samples = text.trim().parse().map_err(|_| AudioError::Budget {
            found: text.clone().into_owned(),
        })?;
        Ok(Self {
            decoded: samples,
            for_each_byte: u64::MAX,
            held: samples,
        })
    }

    /// Returns the samples that a file of `bytes` bytes may decode to.
    pub(super) fn for_file(&self, bytes: u64) -> u64 {
        /// Any file may have this many.
        const FREE: u64 = 1 << 24;
        let by_size = bytes.saturating_mul(self.for_each_byte).max(FREE);
        self.decoded.min(by_size)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}
