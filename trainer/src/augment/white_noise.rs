//! White noise at a drawn SNR.

use super::augmenter::{draw, power};
use super::config::WhiteNoiseConfig;
use crate::audio::Noise;
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
