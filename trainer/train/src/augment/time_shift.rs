//! Circular shift in time.

use super::config::TimeShiftConfig;
use super::draw::draw_signed;
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn samples_come_round() {
        let clip: Vec<f32> = (0..1000).map(|n| n as f32).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20 {
            let mut output = Vec::new();
            let share = apply(&Default::default(), &clip, &mut output, &mut rng).unwrap();
            let shift = (share * 1000.0).round() as isize;
            for (n, sample) in output.iter().enumerate() {
                assert_eq!(
                    *sample,
                    clip[(n as isize - shift).rem_euclid(1000) as usize]
                );
            }
        }
    }

    #[test]
    fn less_than_a_sample_is_no_shift() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let config = TimeShiftConfig {
            share: [0.0, 0.1],
            ..Default::default()
        };
        assert_eq!(apply(&config, &[1.0, 2.0], &mut Vec::new(), &mut rng), None);
    }
}
