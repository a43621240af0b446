//! Settings of a listener.

use crate::frontend::FrontendConfig;

/// Settings of a [`Listener`](super::Listener). `hop` and `hold` are rounded to whole frames, at least one.
///
/// The defaults were chosen on streams composed of pretraining recordings; the project's
/// `models/reports/stream.md` has figures for others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ListenerConfig {
    /// Seconds from one judged window to the next while a sound lasts; no more than a patch.
    pub hop: f32,
    /// Windows of one sound over which embeddings are averaged: the mean over all up to this many,
    /// then an exponential one with the weight `1 / smoothing` for the newest. 1 is no smoothing.
    pub smoothing: u16,
    /// Similarity that an event needs above the threshold of its class to begin.
    pub margin: f32,
    /// An event goes on until the similarity is below its beginning's threshold by more than this.
    pub hysteresis: f32,
    /// Judgements in a row that have to agree before an event begins; at least 1.
    pub agreeing: u16,
    /// Seconds after an event's last recognised window in which no other event of its class begins.
    pub refractory: f32,
    /// Level that a frame needs above the background for the backbone to run, dB. The level is the
    /// fourth-power mean over bands of the excess over the background's mean, less its usual value.
    /// Negative infinity judges every window.
    pub gate: f32,
    /// Seconds for which the gate stays open after the last such frame; no more than half a patch,
    /// so that a sound's last window holds some of it.
    pub hold: f32,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Returns the whole frames in so many seconds, rounded, at least one.
pub(super) fn frames_in(seconds: f32, frames_per_second: f32) -> u32 {
    ((seconds * frames_per_second + 0.5) as u32).max(1)
}

/// Explains why a [`ListenerConfig`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ListenerConfigError {
    /// `hop` is not from 0 (exclusive) to 60 seconds.
    #[error("hop must be above 0 and at most 60 s")]
    Hop,
    /// `smoothing` or `agreeing` is zero.
    #[error("smoothing and agreeing must be at least 1")]
    Count,
    /// `margin` or `hysteresis` is not finite, or `hysteresis` negative or above 2.
    #[error("margin must be finite, and hysteresis from 0 to 2")]
    Threshold,
    /// `refractory` or `hold` is not from 0 to 3600 seconds.
    #[error("refractory and hold must be from 0 to 3600 s")]
    Duration,
    /// `gate` is not a number.
    #[error("gate must be a number of dB, or negative infinity for none")]
    Gate,
}

impl ListenerConfig {
    /// The default settings.
    pub const DEFAULT: Self = Self {
        hop: 0.5,
        smoothing: 4,
        margin: 0.0,
        hysteresis: 0.1,
        agreeing: 1,
        refractory: 0.5,
        gate: 6.0,
        hold: 0.5,
    };

    /// Returns the frames of `frontend` for which the gate stays open: [`Self::hold`].
    pub(super) fn hold_frames(&self, frontend: &FrontendConfig) -> u32 {
        frames_in(self.hold, frontend.frames_per_second())
            .min(u32::from(frontend.frames).div_ceil(2))
    }

    /// Checks every setting's range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), ListenerConfigError> {
        use ListenerConfigError as E;
        let check = |ok: bool, error: E| if ok { Ok(()) } else { Err(error) };
        check(self.hop > 0.0 && self.hop <= 60.0, E::Hop)?;
        check(self.smoothing > 0 && self.agreeing > 0, E::Count)?;
        check(
            self.margin.is_finite() && (0.0..=2.0).contains(&self.hysteresis),
            E::Threshold,
        )?;
        let duration = |seconds: f32| (0.0..=3600.0).contains(&seconds);
        check(
            duration(self.refractory) && duration(self.hold),
            E::Duration,
        )?;
        check(!self.gate.is_nan(), E::Gate)
    }
}
