//! Noise whose power falls or rises as a power of frequency.

use super::config::ColouredNoiseConfig;
use super::draw::{draw, draw_signed};
use super::spectrum::RealFft;
use super::white_noise;
use mtslvr_audio::Noise;
use rand::{Rng, RngExt};

/// Below this share of the sample rate (16 Hz at 16 kHz) the spectrum is level: the power of brown
/// noise would otherwise lie where nobody hears it, and its SNR mean nothing.
pub(crate) const LEVEL_BELOW: f32 = 1e-3;

/// Coloured noise that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColouredNoise {
    /// Power of the clip over power of the noise, dB.
    pub snr_db: f32,
    /// Exponent d of the power spectrum 1/f^d.
    pub decay: f32,
    /// Seed of the noise.
    pub seed: u64,
}

impl ColouredNoise {
    pub(super) fn draw(config: &ColouredNoiseConfig, rng: &mut impl Rng) -> Self {
        Self {
            snr_db: draw(config.snr_db, rng),
            decay: draw_signed(config.decay, rng),
            seed: rng.random(),
        }
    }
}

/// Makes noise by one inverse FFT, and keeps what that needs.
#[derive(Clone)]
pub(super) struct NoiseMaker {
    fft: Option<RealFft>,
    /// ln(f / Nyquist) of each bin.
    log_frequency: Vec<f32>,
}

impl NoiseMaker {
    pub fn new() -> Self {
        Self {
            fft: None,
            log_frequency: Vec::new(),
        }
    }

    /// Gives the SNR in dB; `None` on a silent clip, which has none.
    pub fn apply(
        &mut self,
        drawn: ColouredNoise,
        input: &[f32],
        output: &mut Vec<f32>,
    ) -> Option<f32> {
        self.fill(drawn.decay, drawn.seed, input.len(), output);
        white_noise::mix(input, output, drawn.snr_db)
    }

    /// Puts `length` samples with the power spectrum 1/f^`decay` into `output`, at no certain level.
    pub fn fill(&mut self, decay: f32, seed: u64, length: usize, output: &mut Vec<f32>) {
        let size = length.next_power_of_two().max(2);
        if self.fft.as_ref().is_none_or(|fft| fft.len() != size) {
            self.fft = Some(RealFft::new(size));
            let bins = size / 2 + 1;
            self.log_frequency = (0..bins)
                .map(|bin| (bin as f32 / size as f32).max(LEVEL_BELOW).ln() - 0.5f32.ln())
                .collect();
        }
        let fft = self.fft.as_mut().expect("made above if it was not there");
        let mut noise = Noise::from_seed(seed);
        for (value, log_frequency) in fft.spectrum.iter_mut().zip(&self.log_frequency) {
            // Amplitude is the root of power.
            let gain = (-0.5 * decay * log_frequency).exp();
            value.re = gain * noise.normal();
            value.im = gain * noise.normal();
        }
        output.extend_from_slice(&fft.inverse()[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_spectrum_falls_as_it_should() {
        let mut maker = NoiseMaker::new();
        for decay in [-2.0, -1.0, 0.0, 1.0, 2.0] {
            let mut fft = RealFft::new(16_384);
            let mut noise = Vec::new();
            maker.fill(decay, 1, 16_384, &mut noise);
            fft.samples.copy_from_slice(&noise);
            let spectrum = fft.forward();
            let band = |low: usize, high: usize| {
                let power: f32 = spectrum[low..high]
                    .iter()
                    .map(realfft::num_complex::Complex::norm_sqr)
                    .sum();
                10.0 * (power / (high - low) as f32).log10()
            };
            // Three octaves apart.
            let fall = band(400, 800) - band(3200, 6400);
            let expected = decay * 10.0 * 8f32.log10();
            assert!((fall - expected).abs() < 1.0, "{fall} dB for {expected} dB");
        }
    }

    #[test]
    fn the_snr_is_what_it_says_at_any_length() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut maker = NoiseMaker::new();
        for length in [1, 2, 1000, 16_000, 70_001] {
            let clip: Vec<f32> = (0..length)
                .map(|n| 0.1 * (n as f32 * 0.3 + 1.0).sin())
                .collect();
            let mut output = Vec::new();
            let drawn = ColouredNoise::draw(&Default::default(), &mut rng);
            let snr_db = maker.apply(drawn, &clip, &mut output).unwrap();
            let noise: Vec<f32> = output.iter().zip(&clip).map(|(x, y)| x - y).collect();
            let power = super::super::level::power;
            let measured = 10.0 * (power(&clip) / power(&noise)).log10();
            assert!(
                (measured - snr_db).abs() < 0.5,
                "{measured} for {snr_db} at {length}"
            );
        }
    }
}
