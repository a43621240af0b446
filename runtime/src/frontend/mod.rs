//! Samples to normalised log-mel frames, streaming.

mod config;

pub use config::{FrontendConfig, FrontendConfigError};
