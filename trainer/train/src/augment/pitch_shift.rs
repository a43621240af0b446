//! Pitch shift: stretched by the phase vocoder, then read faster or slower.

use super::config::PitchShiftConfig;
use super::draw::draw_signed;
use super::interpolate::Interpolator;
use super::phase_vocoder::PhaseVocoder;
use rand::Rng;

/// A pitch shift that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PitchShift {
    /// Semitones, positive is up.
    pub semitones: f32,
}

impl PitchShift {
    pub(super) fn draw(config: &PitchShiftConfig, rng: &mut impl Rng) -> Self {
        Self {
            semitones: draw_signed(config.semitones, rng),
        }
    }

    /// Returns the ratio of frequencies.
    pub(crate) fn ratio(self) -> f32 {
        (self.semitones / 12.0).exp2()
    }
}

/// Returns the length of a clip of `length` samples before it is read `ratio` times as fast.
pub(crate) fn stretched_length(length: usize, ratio: f32) -> usize {
    (length as f32 * ratio).ceil() as usize + 1
}

/// Shifts clips, and keeps what that needs.
#[derive(Clone)]
pub(super) struct PitchShifter {
    interpolator: Interpolator,
    stretched: Vec<f32>,
}

impl PitchShifter {
    pub fn new() -> Self {
        Self {
            interpolator: Interpolator::new(),
            stretched: Vec::new(),
        }
    }

    /// Gives the shift in semitones.
    pub fn apply(
        &mut self,
        drawn: PitchShift,
        vocoder: &mut PhaseVocoder,
        input: &[f32],
        output: &mut Vec<f32>,
    ) -> f32 {
        let ratio = drawn.ratio();
        let length = stretched_length(input.len(), ratio);
        self.stretched.clear();
        // What would lie above Nyquist after reading faster is never made.
        let band = (1.0 / ratio).min(1.0);
        vocoder.stretch(input, 1.0 / ratio, band, length, &mut self.stretched);
        self.interpolator
            .read(&self.stretched, ratio, input.len(), output);
        drawn.semitones
    }
}

#[cfg(test)]
mod tests {
    use super::super::spectrum::RealFft;
    use super::*;

    /// Frequency of the strongest bin, Hz.
    fn peak(samples: &[f32]) -> f32 {
        let mut fft = RealFft::new(8_192);
        fft.samples.copy_from_slice(&samples[2_000..10_192]);
        let spectrum = fft.forward();
        let strongest = (1..spectrum.len())
            .max_by(|&a, &b| spectrum[a].norm_sqr().total_cmp(&spectrum[b].norm_sqr()));
        strongest.unwrap() as f32 * 16_000.0 / 8_192.0
    }

    #[test]
    fn semitones_move_the_peak_by_their_ratio() {
        let input: Vec<f32> = (0..16_000)
            .map(|n| 0.5 * (n as f32 / 16_000.0 * std::f32::consts::TAU * 600.0).sin())
            .collect();
        let mut vocoder = PhaseVocoder::new(16_000);
        for semitones in [-12.0, -7.0, -0.5, 0.5, 5.0, 12.0] {
            let mut output = Vec::new();
            PitchShifter::new().apply(PitchShift { semitones }, &mut vocoder, &input, &mut output);
            assert_eq!(output.len(), input.len());
            let expected = 600.0 * (semitones / 12.0).exp2();
            assert!(
                (peak(&output) - expected).abs() < 3.0,
                "{} Hz",
                peak(&output)
            );
            let power = super::super::level::power(&output[2_000..14_000]);
            assert!((power - 0.125).abs() < 0.01, "power {power} at {semitones}");
        }
    }

    #[test]
    fn onsets_stay_where_they_are() {
        let mut input = vec![0.0; 16_000];
        for (n, sample) in input[8_000..].iter_mut().enumerate() {
            *sample = 0.5 * (n as f32 * 0.2).sin();
        }
        let mut vocoder = PhaseVocoder::new(16_000);
        for semitones in [-8.0, 8.0] {
            let mut output = Vec::new();
            PitchShifter::new().apply(PitchShift { semitones }, &mut vocoder, &input, &mut output);
            let onset = output
                .iter()
                .position(|sample| sample.abs() > 0.25)
                .unwrap();
            // Within half a window of the vocoder.
            assert!(onset.abs_diff(8_000) < 512, "onset at {onset}");
        }
    }

    #[test]
    fn nothing_folds_back_from_above_nyquist() {
        let input: Vec<f32> = (0..16_000)
            .map(|n| 0.5 * (n as f32 / 16_000.0 * std::f32::consts::TAU * 6_000.0).sin())
            .collect();
        let mut output = Vec::new();
        PitchShifter::new().apply(
            PitchShift { semitones: 12.0 },
            &mut PhaseVocoder::new(16_000),
            &input,
            &mut output,
        );
        let power = super::super::level::power(&output[1_000..15_000]);
        assert!(power < 1e-6, "power {power}");
    }
}
