//! Puts views where a device might hear them: before a background, quiet, through another microphone,
//! a little earlier or later. Nothing of that is predicted.

use super::coloured_noise::NoiseMaker;
use super::config::{Check, ConfigError};
use super::draw::draw;
use super::level::limit;
use super::{tilt, white_noise};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Most that a quiet view is raised by, 60 dB: what is quieter yet is a pause.
const MOST_GAIN: f32 = 1000.0;

/// The `[environment]` table: what happens to every view, each by itself, after its labelled operators
/// have run. All paths and heads hear the same views; a teacher that is a backbone hears them without their
/// environment. Everything is off by default.
///
/// The parts come in this order: shift, background, tilt, level. Each is drawn with its own probability,
/// and switching one on changes no draw of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentConfig {
    /// Another sound mixed in.
    pub background: BackgroundConfig,
    /// Level of the whole.
    pub level: LevelConfig,
    /// Slope of the whole's spectrum.
    pub tilt: TiltConfig,
    /// Shift of a view's beginning.
    pub shift: ShiftConfig,
}

/// `environment.background`: another recording or noise under the view.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackgroundConfig {
    /// Probability that a view has one. A silent view never has.
    pub probability: f32,
    /// Mean power of the view over mean power of the background, both over the whole view, dB; drawn
    /// uniformly.
    pub snr_db: [f32; 2],
    /// Share of backgrounds that are noise, 0 to 1. The others are windows of recordings that training
    /// draws (as often as for views), never of the pair's own nor of their group; of synthesised sounds
    /// where there are no recordings.
    pub noise_share: f32,
    /// Exponent d of the noise's power spectrum 1/f^d, drawn uniformly: 0 is white, 1 pink, 2 brown.
    pub noise_decay: [f32; 2],
    /// Views whose background is louder than this (their SNR is lower) do not count in the predictive
    /// loss: noise that no label names looks like the operators that add noise. Absent: all count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predictive_snr_db: Option<f32>,
}

/// `environment.level`: a gain on the whole view.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelConfig {
    /// Probability that a view's level changes.
    pub probability: f32,
    /// dB, drawn uniformly.
    pub range_db: [f32; 2],
    /// Whether the range is of the view's peak over full scale, whatever its level was; otherwise it is
    /// of the gain. A view is raised by at most 60 dB.
    pub peak: bool,
}

/// `environment.tilt`: a filter with an even slope, which leaves 1 kHz at its level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TiltConfig {
    /// Probability that a view's spectrum is tilted.
    pub probability: f32,
    /// dB for each octave, positive towards high frequencies; drawn uniformly.
    pub db_per_octave: [f32; 2],
}

/// `environment.shift`: a view begins earlier or later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShiftConfig {
    /// Probability that a view is shifted.
    pub probability: f32,
    /// Most seconds, earlier or later alike; drawn uniformly. The window moves within its recording and
    /// stops at the ends; a recording that repeats in the window, and a synthesised sound, come round.
    pub seconds: f32,
}

impl Default for BackgroundConfig {
    fn default() -> Self {
        Self {
            probability: 0.0,
            snr_db: [3.0, 30.0],
            noise_share: 0.5,
            noise_decay: [0.0, 2.0],
            predictive_snr_db: None,
        }
    }
}

impl Default for LevelConfig {
    fn default() -> Self {
        Self {
            probability: 0.0,
            range_db: [-30.0, 0.0],
            peak: true,
        }
    }
}

impl Default for TiltConfig {
    fn default() -> Self {
        Self {
            probability: 0.0,
            db_per_octave: [-1.5, 1.5],
        }
    }
}

impl Default for ShiftConfig {
    fn default() -> Self {
        Self {
            probability: 0.0,
            seconds: 0.1,
        }
    }
}

impl EnvironmentConfig {
    /// Whether no view has an environment.
    pub fn is_off(&self) -> bool {
        let parts = [
            self.background.probability,
            self.level.probability,
            self.tilt.probability,
            self.shift.probability,
        ];
        parts == [0.0; 4]
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first field whose value cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let check = Check("environment");
        let share = |field, found| check.number(field, found, 0.0, 1.0, "a number from 0 to 1");
        share("background.probability", self.background.probability)?;
        share("background.noise_share", self.background.noise_share)?;
        share("level.probability", self.level.probability)?;
        share("tilt.probability", self.tilt.probability)?;
        share("shift.probability", self.shift.probability)?;
        let snr = "[low, high], rising, between -20 and 60 dB";
        let background = &self.background;
        check.range("background.snr_db", background.snr_db, -20.0, 60.0, snr)?;
        let decay = "[low, high], rising, between -4 and 4";
        check.range(
            "background.noise_decay",
            background.noise_decay,
            -4.0,
            4.0,
            decay,
        )?;
        if let Some(least) = background.predictive_snr_db {
            let expected = "a number of dB from -20 to 60, or no such key";
            check.number("background.predictive_snr_db", least, -20.0, 60.0, expected)?;
        }
        let level = &self.level;
        if level.peak {
            let range = "[low, high], rising, between -90 and 0 dB of full scale";
            check.range("level.range_db", level.range_db, -90.0, 0.0, range)?;
        } else {
            let range = "[low, high], rising, between -60 and 60 dB";
            check.range("level.range_db", level.range_db, -60.0, 60.0, range)?;
        }
        let slope = "[low, high], rising, between -6 and 6 dB an octave";
        check.range(
            "tilt.db_per_octave",
            self.tilt.db_per_octave,
            -6.0,
            6.0,
            slope,
        )?;
        let seconds = "0 to 10 seconds";
        check.number("shift.seconds", self.shift.seconds, 0.0, 10.0, seconds)
    }
}

/// Values drawn for one view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Seconds by which the view begins later; 0: not shifted.
    pub shift: f32,
    /// Sound under the view.
    pub background: Option<Background>,
    /// dB for each octave.
    pub tilt: Option<f32>,
    /// dB, see [`LevelConfig::range_db`].
    pub level: Option<f32>,
}

/// A background that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// dB.
    pub snr_db: f32,
    /// Whether it is noise.
    pub noise: bool,
    /// Exponent of the noise, where it is or has to be noise.
    pub decay: f32,
    /// Seed of the noise.
    pub seed: u64,
}

/// Draws environments and puts views into them.
///
/// It holds scratch memory: clone it for each thread. What it does depends on the view and the
/// generator alone.
#[derive(Clone)]
pub struct Environment {
    config: EnvironmentConfig,
    sample_rate: u32,
    noise: NoiseMaker,
    mixed: Vec<f32>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("config", &self.config)
            .field("sample_rate", &self.sample_rate)
            .finish_non_exhaustive()
    }
}

impl Environment {
    /// Makes environments by `config` for views at `sample_rate` Hz.
    ///
    /// # Errors
    /// A value of the configuration that cannot be used.
    pub fn new(config: EnvironmentConfig, sample_rate: u32) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            sample_rate,
            noise: NoiseMaker::new(),
            mixed: Vec::new(),
        })
    }

    /// The configuration that the draws follow.
    pub fn config(&self) -> &EnvironmentConfig {
        &self.config
    }

    /// Draws an environment, always as many numbers whatever is switched on.
    pub fn draw(&self, rng: &mut impl Rng) -> Surroundings {
        let EnvironmentConfig {
            background,
            level,
            tilt,
            shift,
        } = self.config;
        let mut happens = |probability| rng.random::<f32>() < probability;
        let [shifted, behind, noise, tilted, levelled] = [
            happens(shift.probability),
            happens(background.probability),
            happens(background.noise_share),
            happens(tilt.probability),
            happens(level.probability),
        ];
        let seconds = draw([-shift.seconds, shift.seconds], rng);
        let background = Background {
            snr_db: draw(background.snr_db, rng),
            noise,
            decay: draw(background.noise_decay, rng),
            seed: rng.random(),
        };
        let slope = draw(tilt.db_per_octave, rng);
        let gain = draw(level.range_db, rng);
        Surroundings {
            shift: if shifted { seconds } else { 0.0 },
            background: behind.then_some(background),
            tilt: tilted.then_some(slope),
            level: levelled.then_some(gain),
        }
    }

    /// Puts `view` into `surroundings`, the shift apart, which is made where the view is cut.
    /// `recording` is as many samples of another sound; without one the background is noise.
    /// Gives the SNR of the mix in dB; `None` without a background.
    pub fn surround(
        &mut self,
        view: &mut Vec<f32>,
        surroundings: &Surroundings,
        recording: Option<Vec<f32>>,
    ) -> Option<f32> {
        let mut snr_db = None;
        if let Some(background) = surroundings.background {
            match recording.filter(|_| !background.noise) {
                Some(samples) => self.mixed = samples,
                None => {
                    self.mixed.clear();
                    let Background { decay, seed, .. } = background;
                    self.noise.fill(decay, seed, view.len(), &mut self.mixed);
                }
            }
            debug_assert_eq!(self.mixed.len(), view.len());
            snr_db = white_noise::mix(view, &mut self.mixed, background.snr_db);
            if snr_db.is_some() {
                std::mem::swap(view, &mut self.mixed);
            }
        }
        if let Some(slope) = surroundings.tilt {
            tilt::apply(slope, self.sample_rate, view);
        }
        if let Some(db) = surroundings.level {
            let peak = view.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
            let reference = match self.config.level.peak {
                true => peak,
                false => 1.0,
            };
            if reference > 0.0 {
                let gain = (10f32.powf(db / 20.0) / reference).min(MOST_GAIN);
                for sample in &mut *view {
                    *sample *= gain;
                }
            }
        }
        limit(view);
        snr_db
    }
}

#[cfg(test)]
mod tests;
