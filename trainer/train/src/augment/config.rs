//! Configuration of the operators that make views.

use super::operator::{OPERATORS, Operator};
use serde::{Deserialize, Serialize};

/// Operators, their ranges, and how many a view gets. Ranges are `[low, high]`, drawn uniformly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Probability that a view is the clip itself. Without such views the network would meet clean
    /// sound for the first time when it is used.
    pub clean: f32,
    /// Most operators in a view; the number is uniform between 1 and this.
    pub max_operators: usize,
    /// Pitch shift.
    pub pitch_shift: PitchShiftConfig,
    /// Fades.
    pub fade: FadeConfig,
    /// White noise.
    pub white_noise: WhiteNoiseConfig,
    /// Coloured noise.
    pub coloured_noise: ColouredNoiseConfig,
    /// Masked spans.
    pub time_masking: TimeMaskingConfig,
    /// Time stretch.
    pub time_stretch: TimeStretchConfig,
    /// Circular shift.
    pub time_shift: TimeShiftConfig,
}

/// Ranges of the pitch shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PitchShiftConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Size of the shift in semitones, up or down alike. Starts above 0: a shift too small to be
    /// heard would be a label that no network could learn.
    pub semitones: [f32; 2],
}

/// Ranges of the fades.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FadeConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Length of the fade-in and, drawn by itself, of the fade-out, as a share of the clip.
    pub share: [f32; 2],
}

/// Ranges of the white noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhiteNoiseConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Power of the clip over power of the noise, dB.
    pub snr_db: [f32; 2],
}

/// Ranges of the coloured noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColouredNoiseConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Power of the clip over power of the noise, dB.
    pub snr_db: [f32; 2],
    /// Size of the exponent d of the noise's power spectrum 1/f^d, rising or falling alike: 1 is
    /// pink or blue, 2 brown or violet. Starts above 0, which would be white noise.
    pub decay: [f32; 2],
}

/// Ranges of the masked span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeMaskingConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Length of the span as a share of the clip.
    pub share: [f32; 2],
}

/// Ranges of the time stretch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeStretchConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Speed: 2 is twice as fast.
    pub rate: [f32; 2],
    /// Rates closer to 1 than this are not drawn.
    pub min_change: f32,
}

/// Ranges of the circular shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeShiftConfig {
    /// Whether the operator is drawn.
    pub enabled: bool,
    /// Size of the shift as a share of the clip, later or earlier alike.
    pub share: [f32; 2],
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            clean: 0.1,
            max_operators: OPERATORS,
            pitch_shift: PitchShiftConfig::default(),
            fade: FadeConfig::default(),
            white_noise: WhiteNoiseConfig::default(),
            coloured_noise: ColouredNoiseConfig::default(),
            time_masking: TimeMaskingConfig::default(),
            time_stretch: TimeStretchConfig::default(),
            time_shift: TimeShiftConfig::default(),
        }
    }
}

impl Default for PitchShiftConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            // Wider shifts move formants too far to tell voices and words by (models/RESULTS.md).
            semitones: [0.5, 5.0],
        }
    }
}

impl Default for FadeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            share: [0.0, 0.5],
        }
    }
}

impl Default for WhiteNoiseConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            snr_db: [3.0, 30.0],
        }
    }
}

impl Default for ColouredNoiseConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            snr_db: [3.0, 30.0],
            decay: [0.5, 2.0],
        }
    }
}

impl Default for TimeMaskingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            share: [0.02, 0.125],
        }
    }
}

impl Default for TimeStretchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            rate: [0.5, 1.5],
            min_change: 0.05,
        }
    }
}

impl Default for TimeShiftConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            share: [0.02, 0.5],
        }
    }
}

/// A value that no view can be made with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{table}.{field} is {found}; expected {expected}")]
pub struct ConfigError {
    /// The table, `augment` or `environment`.
    pub table: &'static str,
    /// The field, by its path below the table.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// Values that it may have.
    pub expected: &'static str,
}

/// Checks values of the table of this name.
pub(super) struct Check(pub &'static str);

impl Check {
    /// A rising range within `min` to `max`.
    pub fn range(
        &self,
        field: &'static str,
        [low, high]: [f32; 2],
        min: f32,
        max: f32,
        expected: &'static str,
    ) -> Result<(), ConfigError> {
        // Written so that a NaN fails too.
        if min <= low && low <= high && high <= max {
            return Ok(());
        }
        Err(ConfigError {
            table: self.0,
            field,
            found: format!("[{low}, {high}]"),
            expected,
        })
    }

    /// A number within `min` to `max`.
    pub fn number(
        &self,
        field: &'static str,
        found: f32,
        min: f32,
        max: f32,
        expected: &'static str,
    ) -> Result<(), ConfigError> {
        if min <= found && found <= max {
            return Ok(());
        }
        Err(ConfigError {
            table: self.0,
            field,
            found: found.to_string(),
            expected,
        })
    }
}

impl AugmentConfig {
    /// Whether `operator` may be drawn.
    pub fn enabled(&self, operator: Operator) -> bool {
        match operator {
            Operator::PitchShift => self.pitch_shift.enabled,
            Operator::Fade => self.fade.enabled,
            Operator::WhiteNoise => self.white_noise.enabled,
            Operator::ColouredNoise => self.coloured_noise.enabled,
            Operator::TimeMasking => self.time_masking.enabled,
            Operator::TimeStretch => self.time_stretch.enabled,
            Operator::TimeShift => self.time_shift.enabled,
        }
    }

    /// Least and greatest parameter of a view by `operator`, in the unit of
    /// [`Operator::parameter`].
    pub fn parameter_span(&self, operator: Operator) -> [f32; 2] {
        let either_sign = |[_, high]: [f32; 2]| [-high, high];
        match operator {
            Operator::PitchShift => either_sign(self.pitch_shift.semitones),
            // Fade-in and fade-out together.
            Operator::Fade => self.fade.share.map(|share| 2.0 * share),
            Operator::WhiteNoise => self.white_noise.snr_db,
            Operator::ColouredNoise => self.coloured_noise.snr_db,
            Operator::TimeMasking => self.time_masking.share,
            Operator::TimeStretch => self.time_stretch.rate,
            Operator::TimeShift => either_sign(self.time_shift.share),
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first field whose value cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let check = Check("augment");
        let probability = "a probability between 0 and 1";
        check.number("clean", self.clean, 0.0, 1.0, probability)?;
        if !(1..=OPERATORS).contains(&self.max_operators) {
            return Err(ConfigError {
                table: "augment",
                field: "max_operators",
                found: self.max_operators.to_string(),
                expected: "1 to 7 (switch augmentation off with clean = 1)",
            });
        }
        let semitones = "[low, high], rising, between 0 and 24 semitones";
        let half = "[low, high], rising, between 0 and 0.5 of the clip";
        let snr = "[low, high], rising, between -20 and 60 dB";
        let decay = "[low, high], rising, between 0 and 4";
        let rate = "[low, high], rising, between 0.25 and 4";
        let (white, coloured) = (&self.white_noise, &self.coloured_noise);
        let (pitch, stretch) = (&self.pitch_shift, &self.time_stretch);
        for (field, found, min, max, expected) in [
            (
                "pitch_shift.semitones",
                pitch.semitones,
                0.0,
                24.0,
                semitones,
            ),
            ("fade.share", self.fade.share, 0.0, 0.5, half),
            ("white_noise.snr_db", white.snr_db, -20.0, 60.0, snr),
            ("coloured_noise.snr_db", coloured.snr_db, -20.0, 60.0, snr),
            ("coloured_noise.decay", coloured.decay, 0.0, 4.0, decay),
            (
                "time_masking.share",
                self.time_masking.share,
                0.0,
                0.5,
                half,
            ),
            ("time_stretch.rate", stretch.rate, 0.25, 4.0, rate),
            ("time_shift.share", self.time_shift.share, 0.0, 0.5, half),
        ] {
            check.range(field, found, min, max, expected)?;
        }
        let [slow, fast] = stretch.rate;
        let reach = (1.0 - slow).max(fast - 1.0).max(0.0);
        let change = "at least 0, and less than how far the rate may be from 1";
        let field = "time_stretch.min_change";
        check.number(field, stretch.min_change, 0.0, reach, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_name_some_fields_and_no_others() {
        let text = "clean = 0.2\n[pitch_shift]\nsemitones = [1, 3]\n[fade]\nenabled = false\n";
        let config: AugmentConfig = toml::from_str(text).unwrap();
        assert_eq!(config.pitch_shift.semitones, [1.0, 3.0]);
        assert!(!config.enabled(Operator::Fade) && config.enabled(Operator::TimeShift));
        assert_eq!(config.white_noise, WhiteNoiseConfig::default());
        let error = toml::from_str::<AugmentConfig>("[fade]\nsahre = [0, 1]").unwrap_err();
        assert!(error.to_string().contains("sahre"));
        let written = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<AugmentConfig>(&written).unwrap(), config);
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        AugmentConfig::default().check().unwrap();
        let error = |change: fn(&mut AugmentConfig)| {
            let mut config = AugmentConfig::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(error(|c| c.clean = 1.5).contains("augment.clean is 1.5"));
        assert!(error(|c| c.max_operators = 0).contains("max_operators is 0"));
        assert!(error(|c| c.max_operators = 8).contains("1 to 7"));
        assert!(error(|c| c.white_noise.snr_db = [30.0, 3.0]).contains("[30, 3]"));
        assert!(error(|c| c.fade.share = [0.0, f32::NAN]).contains("fade.share"));
        assert!(error(|c| c.time_stretch.rate = [0.0, 1.0]).contains("time_stretch.rate"));
        assert!(error(|c| c.time_stretch.min_change = 0.6).contains("min_change is 0.6"));
    }
}
