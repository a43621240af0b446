//! The streaming log-mel frontend.

use super::config::{FrontendConfig, FrontendConfigError};
use super::form::FloorRule;
use super::mel::Filters;
use super::{fft, logarithm};
use crate::parts::{copy, part, part_mut};

/// Largest magnitude of a sample that is taken as it is. Samples are meant to lie in [-1, 1]; one
/// beyond this limit, infinite or not a number is taken as silence and counted in
/// [`Frontend::invalid_samples`], so that a feature is finite whatever comes in.
pub const SAMPLE_LIMIT: f32 = 65_536.0;

/// Turns samples into normalised log-mel frames, in a buffer that the caller owns.
///
/// The frames depend on the samples only, bit for bit, not on how they are cut into calls.
///
/// ```
/// use mtslvr_runtime::frontend::{Frontend, FrontendConfig, FrontendForm};
///
/// const CONFIG: FrontendConfig = FrontendConfig {
///     sample_rate: 16_000, window: 512, hop: 256, mels: 64, frames: 61,
///     f_min: 60.0, f_max: 7800.0, floor: 1e-5, mean: -4.0, scale: 0.25,
///     form: FrontendForm::PLAIN,
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
    filters: Filters<'b>,
    /// The first half of the window and its middle, where the table does not have them; else empty.
    taper: &'b [f32],
    /// The samples of the frame being filled, and where it is computed, in their place.
    work: &'b mut [f32],
    /// Copies of those of its samples that the next frame covers, too.
    kept: &'b mut [f32],
    frame: &'b mut [f32],
    /// Samples in `work`, the zeros before the first one among them.
    filled: usize,
    /// How many of those an earlier frame has already covered, or are zeros before the first sample.
    covered: usize,
    /// A sample has come.
    begun: bool,
    invalid: u32,
    computed: u32,
}

/// Explains why a [`Frontend`] could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrontendError {
    /// A parameter is out of its range.
    #[error(transparent)]
    Config(#[from] FrontendConfigError),
    /// The buffer is shorter than [`FrontendConfig::buffer_len`].
    #[error(
        "the frontend's buffer holds {found} values and {needed} are needed: see \
         FrontendConfig::buffer_len"
    )]
    BufferTooShort {
        /// Values that the frontend needs.
        needed: usize,
        /// Values that the buffer has.
        found: usize,
    },
}

/// Lengths of the buffer's parts.
struct Parts {
    filters: usize,
    taper: usize,
    work: usize,
    kept: usize,
    frame: usize,
}

impl Parts {
    const fn of(config: &FrontendConfig) -> Self {
        let window = config.window as usize;
        Self {
            filters: Filters::buffer_len(config.mels as usize),
            taper: match fft::is_in_table(window) {
                true => 0,
                false => window / 2 + 1,
            },
            work: config.transform_len(),
            kept: window.saturating_sub(config.hop as usize),
            frame: config.mels as usize,
        }
    }

    const fn total(&self) -> usize {
        self.filters + self.taper + self.work + self.kept + self.frame
    }
}

impl FrontendConfig {
    /// Returns the length in `f32` of the buffer that a [`Frontend`] works in:
    /// `transform + window - hop + 3 * mels + 2 + (mels + 3) / 2`, and `window / 2 + 1` more if the window is
    /// no power of two.
    pub const fn buffer_len(&self) -> usize {
        Parts::of(self).total()
    }
}

impl<'b> Frontend<'b> {
    /// Prepares the mel filters in `buffer`, of which the first
    /// [`FrontendConfig::buffer_len`] values are used, whatever they hold.
    ///
    /// # Errors
    /// [`FrontendError`] if a parameter of `config` is out of its range, or `buffer` is shorter than
    /// [`FrontendConfig::buffer_len`].
    pub fn new(config: FrontendConfig, buffer: &'b mut [f32]) -> Result<Self, FrontendError> {
        config.validate()?;
        let parts = Parts::of(&config);
        if buffer.len() < parts.total() {
            return Err(FrontendError::BufferTooShort {
                needed: parts.total(),
                found: buffer.len(),
            });
        }
        let (filters, rest) = buffer.split_at_mut(parts.filters);
        let (taper, rest) = rest.split_at_mut(parts.taper);
        if !taper.is_empty() {
            fft::half_window(taper);
        }
        let (work, rest) = rest.split_at_mut(parts.work);
        let (kept, rest) = rest.split_at_mut(parts.kept);
        let frame = &mut rest[..parts.frame];
        let mut frontend = Self {
            filters: Filters::new(&config, filters),
            config,
            taper,
            work,
            kept,
            frame,
            filled: 0,
            covered: 0,
            begun: false,
            invalid: 0,
            computed: 0,
        };
        frontend.reset();
        Ok(frontend)
    }

    /// Returns the parameters of the features.
    pub fn config(&self) -> &FrontendConfig {
        &self.config
    }

    /// Takes samples, meant to lie in [-1, 1], and calls `on_frame` with each frame (`mels` values)
    /// that they complete.
    pub fn push(&mut self, samples: &[f32], on_frame: impl FnMut(&[f32])) {
        let mut invalid = 0_u32;
        let value = |sample: f32| {
            let valid = Self::is_valid(sample);
            invalid = invalid.saturating_add(u32::from(!valid));
            if valid { sample } else { 0.0 }
        };
        self.take(samples, value, on_frame);
        self.count_invalid(invalid);
    }

    /// Takes samples of 16-bit PCM, as [`Self::push`] does: a sample counts `1 / 32768`.
    pub fn push_i16(&mut self, samples: &[i16], on_frame: impl FnMut(&[f32])) {
        self.take(samples, Self::value_of, on_frame);
    }

    /// Returns whether a sample is taken as it is.
    #[inline(always)]
    pub(crate) fn is_valid(sample: f32) -> bool {
        // False for NaN as well.
        sample.abs() <= SAMPLE_LIMIT
    }

    /// Returns the value of a sample of 16-bit PCM.
    #[inline(always)]
    pub(crate) fn value_of(sample: i16) -> f32 {
        f32::from(sample) * (1.0 / 32_768.0)
    }

    /// Counts samples that were taken as silence.
    pub(crate) fn count_invalid(&mut self, samples: u32) {
        self.invalid = self.invalid.saturating_add(samples);
    }

    /// Returns the number of samples until the next frame is complete.
    pub(crate) fn until_frame(&self) -> usize {
        usize::from(self.config.window).saturating_sub(self.filled)
    }

    /// Computes the frame that ends with the last of `samples`, which come next in the stream, and leaves the stream
    /// where it is: a frame has just been completed. Returns the frame.
    pub(crate) fn peek(&mut self, samples: &[f32]) -> &[f32] {
        let (window, kept) = (usize::from(self.config.window), self.kept.len());
        let _ = part(self.work, 0, kept).and_then(|first| copy(first, self.kept));
        let last = samples.get(samples.len().saturating_sub(window)..);
        let _ = last
            .zip(self.work.get_mut(..window))
            .and_then(|(last, work)| copy(last, work));
        self.compute();
        let _ = part_mut(self.work, 0, kept).and_then(|first| copy(self.kept, first));
        self.frame
    }

    /// Goes on behind `samples`, which come next in the stream, as if their frames had been computed: whole hops, at
    /// least a window of them, where a frame has just been completed.
    pub(crate) fn skip(&mut self, samples: &[f32]) {
        let kept = self.kept.len();
        let last = samples.get(samples.len().saturating_sub(kept)..);
        let _ = last
            .zip(self.work.get_mut(..kept))
            .and_then(|(last, work)| copy(last, work));
    }

    /// Returns the number of samples that no frame has covered yet.
    pub fn pending(&self) -> usize {
        self.filled - self.covered
    }

    /// Returns the number of samples since the last reset that were taken as silence, because they were
    /// not finite or beyond [`SAMPLE_LIMIT`]. The count saturates.
    pub fn invalid_samples(&self) -> u32 {
        self.invalid
    }

    /// Returns how often a frame was computed since the last reset. The count saturates.
    pub fn computed_frames(&self) -> u32 {
        self.computed
    }

    /// Ends the stream: pending samples are padded with zeros to one last frame, or, where frames are
    /// centred, to all frames whose middle is not behind the last sample. A new stream begins after it.
    pub fn flush(&mut self, mut on_frame: impl FnMut(&[f32])) {
        let lead = self.config.lead();
        if lead > 0 {
            while self.begun && self.filled >= lead {
                let filled = self.filled;
                self.fill_up();
                on_frame(self.complete());
                self.filled = filled.saturating_sub(usize::from(self.config.hop));
            }
        } else if self.pending() > 0 {
            self.fill_up();
            on_frame(self.complete());
        }
        self.reset();
    }

    /// Forgets all samples: a new stream begins.
    pub fn reset(&mut self) {
        self.filled = self.config.lead();
        self.covered = self.filled;
        self.begun = false;
        self.invalid = 0;
        self.computed = 0;
        let filled = self.work.iter_mut().take(self.filled);
        filled.for_each(|sample| *sample = 0.0);
    }

    /// Returns the room for the rest of the frame being filled.
    #[inline(always)]
    fn room(&mut self) -> Option<&mut [f32]> {
        self.work
            .get_mut(self.filled..usize::from(self.config.window))
    }

    /// Fills the frame up with zeros.
    fn fill_up(&mut self) {
        if let Some(room) = self.room() {
            room.fill(0.0);
        }
    }

    fn take<T: Copy>(
        &mut self,
        mut samples: &[T],
        mut value: impl FnMut(T) -> f32,
        mut on_frame: impl FnMut(&[f32]),
    ) {
        self.begun |= !samples.is_empty();
        while !samples.is_empty() {
            let Some(room) = self.room() else { return };
            let (now, later) = samples.split_at(samples.len().min(room.len()));
            for (slot, sample) in room.iter_mut().zip(now) {
                *slot = value(*sample);
            }
            self.filled += now.len();
            samples = later;
            if self.filled == usize::from(self.config.window) {
                on_frame(self.complete());
                self.filled = self.kept.len();
                self.covered = self.filled;
            }
        }
    }

    /// Turns the window's samples into a frame, and begins the next one with those that it covers, too.
    fn complete(&mut self) -> &[f32] {
        let (hop, kept) = (usize::from(self.config.hop), self.kept.len());
        let _ = part(self.work, hop, kept).and_then(|covered| copy(covered, self.kept));
        self.compute();
        let _ = part_mut(self.work, 0, kept).and_then(|first| copy(self.kept, first));
        self.frame
    }

    /// Turns the samples in `work`, which are lost, into a frame. Not inlined: a firmware that is
    /// optimised for size would compile it so, too.
    #[inline(never)]
    fn compute(&mut self) {
        self.computed = self.computed.saturating_add(1);
        let window = usize::from(self.config.window);
        let Some((window, zeros)) = self.work.split_at_mut_checked(window) else {
            return;
        };
        match self.taper {
            [] => fft::weigh(window),
            half => fft::weigh_by(half, window),
        }
        zeros.fill(0.0);
        fft::transform(self.work);
        let (spectrum, _) = self.work.as_chunks::<2>();
        self.filters.apply(spectrum, self.frame);
        let FrontendConfig {
            floor, mean, scale, ..
        } = self.config;
        let raised = |value: f32| match self.config.form.floor_rule {
            FloorRule::Added => value + floor,
            FloorRule::Least => value.max(floor),
        };
        for value in self.frame.iter_mut() {
            *value = (logarithm::ln(raised(*value)) - mean) * scale;
        }
    }
}

#[cfg(test)]
mod tests;
