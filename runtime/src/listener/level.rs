//! Levels by the fourth-power mean over bands, which a tone in one band of 64 moves, too.

/// Returns how far a frame is above a background, by the fourth-power mean over bands of what is above it, and the
/// sum over bands of the whole difference; both in units of features. Not inlined, so that every firmware runs the
/// same code.
#[inline(never)]
pub(super) fn excess(frame: &[f32], background: &[f32]) -> (f32, f32) {
    let (mut above, mut sum) = (0.0, 0.0);
    for (background, value) in background.iter().zip(frame) {
        let excess = value - background;
        sum += excess;
        // Not `max`, which is a call on a microcontroller.
        let above_it = if excess > 0.0 { excess } else { 0.0 };
        let square = above_it * above_it;
        above += square * square;
    }
    (fourth_root(above / frame.len() as f32), sum)
}

/// Returns the fourth root of `value`.
pub(super) fn fourth_root(value: f32) -> f32 {
    libm::sqrtf(libm::sqrtf(value))
}
