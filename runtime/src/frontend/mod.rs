//! Samples to normalised log-mel frames, streaming.
//!
//! Training and every engine make their features here, with the same bits on every target: the
//! arithmetic of a frame is plain `f32` operations in a fixed order, without fused multiply-add; only
//! the edges of the mel filters come from libm, in `f64`.

mod config;
mod fft;
mod log_mel;
mod logarithm;
mod mel;

pub use config::{FrontendConfig, FrontendConfigError};
pub use log_mel::{Frontend, FrontendError, SAMPLE_LIMIT};
