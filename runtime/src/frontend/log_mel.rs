//! The streaming log-mel frontend.

use super::{FrontendConfig, FrontendConfigError, fft, mel};

/// Largest magnitude of a sample that is taken as it is. Samples are meant to lie in [-1, 1]; one
/// beyond this limit, infinite or not a number is taken as silence and counted in
/// [`Frontend::invalid_samples`], so that a feature is finite whatever comes in.
pub const SAMPLE_LIMIT: f32 = 65_536.0;

/// Samples in, normalised log-mel frames out, in a buffer that the caller owns.
///
/// The frames depend on the samples only, bit for bit, not on how they are cut into calls.
///
/// ```
/// use mtslvr_runtime::frontend::{Frontend, FrontendConfig};
///
/// const CONFIG: FrontendConfig = FrontendConfig {
///     sample_rate: 16_000, window: 512, hop: 256, mels: 64, frames: 61,
///     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
/// };
/// let mut buffer = [0.0; CONFIG.buffer_len()];
/// let mut frontend = Frontend::new(CONFIG, &mut buffer).unwrap();
/// let mut frames = 0;
/// frontend.push(&[0.1; 1000], |frame| {
///     assert_eq!(frame.len(), 64);
///     frames += 1;
/// });
/// assert_eq!(frames, 2); // samples 0..512 and 256..768
/// assert_eq!(frontend.pending(), 1000 - 768);
/// ```
#[derive(Debug)]
pub struct Frontend<'b> {
    config: FrontendConfig,
    /// First half of the Hann window.
    hann: &'b [f32],
    /// First FFT bin at or above each mel edge.
    first_bins: &'b [u32],
    /// Position of each FFT bin between its mel edges.
    rises: &'b [f32],
    /// The samples of the frame being filled.
    history: &'b mut [f32],
    spectrum: &'b mut [f32],
    frame: &'b mut [f32],
    /// Samples in `history`.
    filled: usize,
    /// How many of those an earlier frame has already covered.
    covered: usize,
    invalid: u32,
}

/// Why a [`Frontend`] could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontendError {
    /// A parameter is out of its range.
    Config(FrontendConfigError),
    /// The buffer is shorter than [`FrontendConfig::buffer_len`].
    BufferTooShort {
        /// Values that the frontend needs.
        needed: usize,
        /// Values that the buffer has.
        found: usize,
    },
}

/// Lengths of the buffer's parts.
pub(super) struct Parts {
    hann: usize,
    first_bins: usize,
    rises: usize,
    history: usize,
    spectrum: usize,
    frame: usize,
}

impl Parts {
    pub(super) const fn of(config: &FrontendConfig) -> Self {
        let (window, mels) = (config.window as usize, config.mels as usize);
        Self {
            hann: window / 2 + 1,
            first_bins: mels + 2,
            rises: window / 2,
            history: window,
            spectrum: window,
            frame: mels,
        }
    }

    pub(super) const fn total(&self) -> usize {
        self.hann + self.first_bins + self.rises + self.history + self.spectrum + self.frame
    }
}

impl<'b> Frontend<'b> {
    /// Prepares the window and the mel filters in `buffer`, of which the first
    /// [`FrontendConfig::buffer_len`] values are used; what it held does not matter.
    pub fn new(config: FrontendConfig, buffer: &'b mut [f32]) -> Result<Self, FrontendError> {
        config.validate().map_err(FrontendError::Config)?;
        let parts = Parts::of(&config);
        if buffer.len() < parts.total() {
            return Err(FrontendError::BufferTooShort {
                needed: parts.total(),
                found: buffer.len(),
            });
        }
        let (hann, rest) = buffer.split_at_mut(parts.hann);
        let (first_bins, rest) = rest.split_at_mut(parts.first_bins);
        let (rises, rest) = rest.split_at_mut(parts.rises);
        let (history, rest) = rest.split_at_mut(parts.history);
        let (spectrum, rest) = rest.split_at_mut(parts.spectrum);
        let frame = &mut rest[..parts.frame];

        let first_bins = bytemuck::cast_slice_mut(first_bins);
        fft::hann(hann);
        mel::filters(&config, first_bins, rises);
        Ok(Self {
            config,
            hann,
            first_bins,
            rises,
            history,
            spectrum,
            frame,
            filled: 0,
            covered: 0,
            invalid: 0,
        })
    }

    /// The parameters of the features.
    pub fn config(&self) -> &FrontendConfig {
        &self.config
    }

    /// Takes samples, meant to lie in [-1, 1], and calls `on_frame` with each frame (`mels` values)
    /// that they complete.
    pub fn push(&mut self, samples: &[f32], on_frame: impl FnMut(&[f32])) {
        self.take(samples, |sample| sample, on_frame);
    }

    /// [`Self::push`] for 16-bit PCM: a sample counts `1 / 32768`.
    pub fn push_i16(&mut self, samples: &[i16], on_frame: impl FnMut(&[f32])) {
        self.take(samples, |sample| f32::from(sample) / 32_768.0, on_frame);
    }

    /// Samples that no frame has covered yet.
    pub fn pending(&self) -> usize {
        self.filled - self.covered
    }

    /// Samples since the last reset that were taken as silence, because they were not finite or
    /// beyond [`SAMPLE_LIMIT`]. The count saturates.
    pub fn invalid_samples(&self) -> u32 {
        self.invalid
    }

    /// Ends the stream: pending samples are padded with zeros to one last frame. A new stream
    /// begins after it.
    pub fn flush(&mut self, mut on_frame: impl FnMut(&[f32])) {
        if self.pending() > 0 {
            self.history[self.filled..].fill(0.0);
            self.emit(&mut on_frame);
        }
        self.reset();
    }

    /// Forgets all samples: a new stream begins.
    pub fn reset(&mut self) {
        self.filled = 0;
        self.covered = 0;
        self.invalid = 0;
    }

    fn take<T: Copy>(
        &mut self,
        mut samples: &[T],
        value: impl Fn(T) -> f32,
        mut on_frame: impl FnMut(&[f32]),
    ) {
        while !samples.is_empty() {
            let room = &mut self.history[self.filled..];
            let (now, later) = samples.split_at(samples.len().min(room.len()));
            let mut invalid = 0;
            for (slot, sample) in room.iter_mut().zip(now) {
                let sample = value(*sample);
                // False for NaN as well.
                let valid = sample.abs() <= SAMPLE_LIMIT;
                *slot = if valid { sample } else { 0.0 };
                invalid += u32::from(!valid);
            }
            self.invalid = self.invalid.saturating_add(invalid);
            self.filled += now.len();
            samples = later;
            if self.filled == self.history.len() {
                self.emit(&mut on_frame);
                let hop = usize::from(self.config.hop);
                self.history.copy_within(hop.., 0);
                self.filled -= hop;
                self.covered = self.filled;
            }
        }
    }

    /// Turns the full history into a frame.
    fn emit(&mut self, on_frame: &mut impl FnMut(&[f32])) {
        fft::weigh(self.history, self.hann, self.spectrum);
        fft::transform(self.spectrum);
        mel::apply(self.spectrum, self.first_bins, self.rises, self.frame);
        let FrontendConfig {
            floor, mean, scale, ..
        } = self.config;
        for value in self.frame.iter_mut() {
            *value = (libm::logf(*value + floor) - mean) * scale;
        }
        on_frame(self.frame);
    }
}

impl core::fmt::Display for FrontendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Config(error) => write!(f, "frontend parameters: {error}"),
            Self::BufferTooShort { needed, found } => write!(
                f,
                "the frontend's buffer holds {found} values and {needed} are needed: see \
                 FrontendConfig::buffer_len"
            ),
        }
    }
}

impl core::error::Error for FrontendError {}

#[cfg(test)]
mod tests;
