//! White noise at a drawn SNR.

use super::config::WhiteNoiseConfig;
use super::draw::draw;
use super::level::power;
use mtslvr_audio::Noise;
use rand::{Rng, RngExt};

/// White noise that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhiteNoise {
    /// Power of the clip over power of the noise, dB.
    pub snr_db: f32,
    /// Seed of the noise.
    pub seed: u64,
}

impl WhiteNoise {
    pub(super) fn draw(config: &WhiteNoiseConfig, rng: &mut impl Rng) -> Self {
        Self {
            snr_db: draw(config.snr_db, rng),
            seed: rng.random(),
        }
    }

    /// Gives the SNR in dB; `None` on a silent clip, which has none.
    pub(super) fn apply(self, input: &[f32], output: &mut Vec<f32>) -> Option<f32> {
        let mut noise = Noise::from_seed(self.seed);
        output.extend(input.iter().map(|_| noise.normal()));
        mix(input, output, self.snr_db)
    }
}

/// Scales the noise in `output` to `snr_db` below `input` by its measured power, and adds `input`.
pub(super) fn mix(input: &[f32], output: &mut [f32], snr_db: f32) -> Option<f32> {
    let (signal, noise) = (power(input), power(output));
    if signal <= 0.0 || noise <= 0.0 {
        return None;
    }
    let gain = (signal / noise).sqrt() * 10f32.powf(-snr_db / 20.0);
    for (out, &sample) in output.iter_mut().zip(input) {
        *out = *out * gain + sample;
    }
    Some(snr_db)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_snr_is_what_it_says() {
        let clip: Vec<f32> = (0..16_000).map(|n| 0.1 * (n as f32 * 0.3).sin()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..10 {
            let mut output = Vec::new();
            let drawn = WhiteNoise::draw(&Default::default(), &mut rng);
            let snr_db = drawn.apply(&clip, &mut output).unwrap();
            let noise: Vec<f32> = output.iter().zip(&clip).map(|(x, y)| x - y).collect();
            let measured = 10.0 * (power(&clip) / power(&noise)).log10();
            assert!((measured - snr_db).abs() < 0.5, "{measured} for {snr_db}");
        }
    }

    #[test]
    fn a_silent_clip_has_no_snr() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn = WhiteNoise::draw(&Default::default(), &mut rng);
        assert_eq!(drawn.apply(&[0.0; 100], &mut Vec::new()), None);
    }
}
