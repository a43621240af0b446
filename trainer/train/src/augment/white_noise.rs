//! White noise at a drawn SNR.

use super::config::WhiteNoiseConfig;
use super::draw::draw;
use super::level::power;
use mtslvr_audio::Noise;
use rand::Rng;

/// Gives the SNR in dB; `None` on a silent clip, which has none.
pub(super) fn apply(
    config: &WhiteNoiseConfig,
    input: &[f32],
    output: &mut Vec<f32>,
    rng: &mut impl Rng,
) -> Option<f32> {
    let snr_db = draw(config.snr_db, rng);
    let mut noise = Noise::new(rng);
    output.extend(input.iter().map(|_| noise.normal()));
    mix(input, output, snr_db)
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
            let snr_db = apply(&Default::default(), &clip, &mut output, &mut rng).unwrap();
            let noise: Vec<f32> = output.iter().zip(&clip).map(|(x, y)| x - y).collect();
            let measured = 10.0 * (power(&clip) / power(&noise)).log10();
            assert!((measured - snr_db).abs() < 0.5, "{measured} for {snr_db}");
        }
    }

    #[test]
    fn a_silent_clip_has_no_snr() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let config = WhiteNoiseConfig::default();
        assert_eq!(apply(&config, &[0.0; 100], &mut Vec::new(), &mut rng), None);
    }
}
