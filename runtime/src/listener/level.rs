//! Levels by the fourth-power mean over bands, which a tone in one band of 64 moves, too.

/// Returns the sum over bands of the fourth powers of how far a frame is above the background.
pub(super) fn level_above(frame: &[f32], background: &[f32]) -> f32 {
    let mut above = 0.0;
    for (background, value) in background.iter().zip(frame) {
        let excess = (value - background).max(0.0);
        above += excess * excess * (excess * excess);
    }
    above
}

/// Returns the fourth root of `value`.
pub(super) fn fourth_root(value: f32) -> f32 {
    libm::sqrtf(libm::sqrtf(value))
}
