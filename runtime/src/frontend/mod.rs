//! Turns a stream of samples into normalised log-mel frames.
//!
//! Training and every engine make their features here, with the same bits on every target: the
//! arithmetic is microfft, libm (for the edges of the mel filters) and plain `f32` operations, without
//! fused multiply-add.

mod config;
mod fft;
mod form;
mod log_mel;
mod logarithm;
mod mel;
mod patch_norm;

pub use config::{FrontendConfig, FrontendConfigError};
pub use form::{BandNorm, FloorRule, Framing, FrontendForm, MelScale, Spectrum};
pub use log_mel::{Frontend, FrontendError, SAMPLE_LIMIT};
#[cfg(feature = "std")]
pub use mel::BandTables;
pub use patch_norm::{PatchMean, PatchNorm};
