//! The log-mel features of a run.

use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use serde::{Deserialize, Serialize};

/// The `[frontend]` table: [`FrontendConfig`], whose normalisation may be left to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontendSection {
    /// Hz.
    pub sample_rate: u32,
    /// Samples per analysis window, a power of two.
    pub window: u16,
    /// Samples from frame to frame.
    pub hop: u16,
    /// Mel bands.
    pub mels: u16,
    /// Frames per patch.
    pub frames: u16,
    /// Lower edge of the lowest band, Hz.
    pub f_min: f32,
    /// Upper edge of the highest band, Hz.
    pub f_max: f32,
    /// Added to the mel power before the logarithm.
    pub floor: f32,
    /// Mean of the log-mel values; measured on the training audio where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f32>,
    /// Reciprocal of their deviation; measured where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
}

impl FrontendSection {
    /// Returns the runtime's parameters; mean 0 and scale 1 where they are still to be measured.
    pub fn to_config(self) -> FrontendConfig {
        FrontendConfig {
            sample_rate: self.sample_rate,
            window: self.window,
            hop: self.hop,
            mels: self.mels,
            frames: self.frames,
            f_min: self.f_min,
            f_max: self.f_max,
            floor: self.floor,
            mean: self.mean.unwrap_or(0.0),
            scale: self.scale.unwrap_or(1.0),
            form: FrontendForm::PLAIN,
        }
    }
}
