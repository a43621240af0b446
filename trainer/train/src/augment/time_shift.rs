//! Circular shift in time.

use super::config::TimeShiftConfig;
use super::draw::draw_signed;
use rand::Rng;

/// A circular shift that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeShift {
    /// Share of the clip, positive being later.
    pub share: f32,
}

impl TimeShift {
    pub(super) fn draw(config: &TimeShiftConfig, rng: &mut impl Rng) -> Self {
        Self {
            share: draw_signed(config.share, rng),
        }
    }

    /// Returns which of `length` samples comes first.
    pub(crate) fn first(self, length: usize) -> usize {
        let shift = (self.share * length as f32).round() as isize;
        (-shift).rem_euclid(length as isize) as usize
    }

    /// Gives the shift as a share of the clip; `None` if it is less than a sample.
    pub(super) fn apply(self, input: &[f32], output: &mut Vec<f32>) -> Option<f32> {
        let first = self.first(input.len());
        output.extend_from_slice(&input[first..]);
        output.extend_from_slice(&input[..first]);
        (first != 0).then_some(self.share)
    }
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
            let drawn = TimeShift::draw(&Default::default(), &mut rng);
            let share = drawn.apply(&clip, &mut output).unwrap();
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
        let drawn = TimeShift::draw(&config, &mut rng);
        assert_eq!(drawn.apply(&[1.0, 2.0], &mut Vec::new()), None);
    }
}
