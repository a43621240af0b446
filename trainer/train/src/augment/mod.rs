//! The seven operators that make a view of a clip, and the labels that say which ran.
//!
//! The operators and the order of their labels follow MT-SLVR (Heggan et al. 2023), whose ranges
//! are CLAR's (Al-Tahan and Mohsenzadeh 2021). Every view draws its own operators, so that two
//! views of a clip cannot be matched by the traces that shared operators leave.
//!
//! An [`Environment`] then puts a view where a device might hear it, before a background, quiet or
//! through another microphone. No label tells of that.

mod augmenter;
mod coloured_noise;
mod config;
mod draw;
mod environment;
mod fade;
pub(crate) mod interpolate;
mod level;
mod operator;
pub(crate) mod phase_vocoder;
pub(crate) mod pitch_shift;
mod spectrum;
pub(crate) mod tilt;
pub(crate) mod time_masking;
mod time_shift;
pub(crate) mod time_stretch;
mod white_noise;

pub use augmenter::{Augmenter, Drawn, View};
pub use coloured_noise::ColouredNoise;
pub use config::{
    AugmentConfig, ColouredNoiseConfig, ConfigError, FadeConfig, PitchShiftConfig,
    TimeMaskingConfig, TimeShiftConfig, TimeStretchConfig, WhiteNoiseConfig,
};
pub use environment::{
    Background, BackgroundConfig, Environment, EnvironmentConfig, LevelConfig, ShiftConfig,
    Surroundings, TiltConfig,
};
pub use fade::{Fade, Shape};
pub use operator::{Labels, OPERATORS, Operator};
pub use pitch_shift::PitchShift;
pub use time_masking::TimeMasking;
pub use time_shift::TimeShift;
pub use time_stretch::TimeStretch;
pub use white_noise::WhiteNoise;
