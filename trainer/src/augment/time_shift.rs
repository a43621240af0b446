//! Circular shift in time.

use super::augmenter::draw_signed;
use super::config::TimeShiftConfig;
use rand::Rng;

/// Gives the shift as a share of the clip, positive being later; `None` if it is less than a
/// sample.
pub(super) fn apply(
    config: &TimeShiftConfig,
    input: &[f32],
    output: &mut Vec<f32>,
    rng: &mut impl Rng,
) -> Option<f32> {
    let share = draw_signed(config.share, rng);
    let shift = (share * input.len() as f32).round() as isize;
    let split = (-shift).rem_euclid(input.len() as isize) as usize;
    output.extend_from_slice(&input[split..]);
    output.extend_from_slice(&input[..split]);
    (split != 0).then_some(share)
}
