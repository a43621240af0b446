//! The course of an example, for a verifier.

use mtslvr_runtime::frontend::{Frontend, FrontendConfig, FrontendError};
use mtslvr_runtime::verifier::Course;

/// Computes the course of a sound from its samples, as a listener with features of `frontend` does from its
/// frames.
///
/// # Errors
/// If the features cannot be computed.
pub fn course(samples: &[f32], frontend: &FrontendConfig) -> Result<Course, FrontendError> {
    let mut buffer = vec![0.0; frontend.buffer_len()];
    let mut frames = Vec::new();
    let mut features = Frontend::new(*frontend, &mut buffer)?;
    features.push(samples, |frame| frames.extend_from_slice(frame));
    if frames.is_empty() {
        features.flush(|frame| frames.extend_from_slice(frame));
    }
    Ok(Course::of(&frames, frontend.mels.into()))
}
