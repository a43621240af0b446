//! The parameters of the log-mel features. They travel inside the model, so that training and
//! device cannot disagree about them.

use super::fft::LONGEST;
use super::form::{Framing, FrontendForm};

/// Parameters of the log-mel frontend.
///
/// Frame `i` covers samples `[i * hop, i * hop + window)`, weighted by a periodic Hann window of
/// `window` samples. Its power spectrum passes through `mels` triangular filters that are equally
/// spaced on the HTK mel scale between `f_min` and `f_max`, with unit peaks (no area
/// normalisation). A feature is `(ln(mel_power + floor) - mean) * scale`. `form` changes that for
/// backbones that others have trained.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrontendConfig {
    /// Samples per second of the input.
    pub sample_rate: u32,
    /// Samples per analysis window and length of the FFT: a power of two from 64 to 512, or to 4096
    /// with the crate's feature `long-windows`, which every host has. With a `form.transform`, that is
    /// the length of the FFT, and a window is any even number of samples up to it.
    pub window: u16,
    /// Samples from one frame to the next, 1 to `window`.
    pub hop: u16,
    /// Mel bands, 1 to 256.
    pub mels: u16,
    /// Frames per patch, which the backbone sees at once.
    pub frames: u16,
    /// Lower edge of the lowest band, Hz.
    pub f_min: f32,
    /// Upper edge of the highest band, Hz; at most half the sample rate.
    pub f_max: f32,
    /// Added to the mel power before the logarithm; positive, at most `1e6`.
    pub floor: f32,
    /// Subtracted from the log-mel value (natural logarithm); at most `1e4` in magnitude.
    pub mean: f32,
    /// Multiplies the centred log-mel value; positive, at most `1e4`.
    pub scale: f32,
    /// How all that differs from the above; [`FrontendForm::PLAIN`] if it does not.
    pub form: FrontendForm,
}

/// Explains why a [`FrontendConfig`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrontendConfigError {
    /// `sample_rate` is zero or above 384 kHz.
    #[error("sample_rate must be from 1 to 384000 Hz")]
    SampleRate,
    /// `window`, or the length of the transform, is not a power of two from 64 to 4096 (512 without the
    /// feature `long-windows`).
    #[error("{WINDOW_RULE}")]
    Window,
    /// `window` is longer than `form.transform`, odd or zero.
    #[error("with a transform of its own length, window must be even, and from 2 to that length")]
    ShortWindow,
    /// `hop` is zero or longer than the window.
    #[error("hop must be from 1 to the window's length")]
    Hop,
    /// `mels` is zero or above 256.
    #[error("mels must be from 1 to 256")]
    Mels,
    /// `frames` is zero or above 4096.
    #[error("frames must be from 1 to 4096")]
    Frames,
    /// Not `0 <= f_min < f_max <= sample_rate / 2`.
    #[error("0 <= f_min < f_max <= sample_rate / 2 must hold")]
    Range,
    /// `floor` is not positive, or above `1e6`.
    #[error("floor must be positive and at most 1e6")]
    Floor,
    /// A choice in `form` has a number that this version does not know.
    #[error("the form of the features is of a later version")]
    Form,
    /// `mean` is above `1e4` in magnitude, or `scale` not positive or above `1e4`.
    #[error("mean must be from -1e4 to 1e4, and scale positive and at most 1e4")]
    Normalisation,
}

/// Lengths that the window may have.
const WINDOW_RULE: &str = if cfg!(feature = "long-windows") {
    "window, or else transform, must be a power of two from 64 to 4096 samples"
} else {
    "window, or else transform, must be a power of two from 64 to 512 samples, or to 4096 with the feature \
     long-windows of mtslvr-runtime"
};

impl FrontendConfig {
    /// Checks every parameter's range.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn validate(&self) -> Result<(), FrontendConfigError> {
        use FrontendConfigError as E;
        let check = |ok: bool, error: E| if ok { Ok(()) } else { Err(error) };
        check((1..=384_000).contains(&self.sample_rate), E::SampleRate)?;
        let transform = self.transform_len();
        check(
            transform.is_power_of_two() && (64..=LONGEST).contains(&transform),
            E::Window,
        )?;
        let window = usize::from(self.window);
        check(
            window.is_multiple_of(2) && (2..=transform).contains(&window),
            E::ShortWindow,
        )?;
        check((1..=self.window).contains(&self.hop), E::Hop)?;
        check((1..=256).contains(&self.mels), E::Mels)?;
        check((1..=4096).contains(&self.frames), E::Frames)?;
        let nyquist = self.sample_rate as f32 / 2.0;
        check(
            0.0 <= self.f_min && self.f_min < self.f_max && self.f_max <= nyquist,
            E::Range,
        )?;
        // The upper limits keep every feature finite, whatever the samples are.
        check(self.floor > 0.0 && self.floor <= 1e6, E::Floor)?;
        check(
            (-1e4..=1e4).contains(&self.mean) && self.scale > 0.0 && self.scale <= 1e4,
            E::Normalisation,
        )
    }

    /// Returns the length of the Fourier transform, samples.
    pub const fn transform_len(&self) -> usize {
        match self.form.transform {
            Some(len) => len as usize,
            None => self.window as usize,
        }
    }

    /// Returns the number of zeros that lie before the first sample of a stream.
    pub(super) const fn lead(&self) -> usize {
        match self.form.framing {
            Framing::Begin => 0,
            Framing::Centre => self.window as usize / 2,
        }
    }

    /// Returns the number of values in a patch: `frames * mels`.
    pub const fn patch_len(&self) -> usize {
        self.frames as usize * self.mels as usize
    }

    /// Returns the number of frames in a second of sound: `sample_rate / hop`.
    pub const fn frames_per_second(&self) -> f32 {
        self.sample_rate as f32 / self.hop as f32
    }

    /// Returns the number of samples that one patch covers: `(frames - 1) * hop + window`.
    pub const fn patch_samples(&self) -> usize {
        (self.frames as usize).saturating_sub(1) * self.hop as usize + self.window as usize
    }
}
