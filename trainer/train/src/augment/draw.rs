//! Uniform draws from ranges.

use rand::{Rng, RngExt};

/// Draws uniformly between the ends of `range`.
pub(super) fn draw([low, high]: [f32; 2], rng: &mut impl Rng) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

/// Draws a size uniformly between the ends of `range`, and its sign.
pub(super) fn draw_signed(range: [f32; 2], rng: &mut impl Rng) -> f32 {
    let size = draw(range, rng);
    if rng.random() { size } else { -size }
}
