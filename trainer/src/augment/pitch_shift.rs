//! Pitch shift: stretched by the phase vocoder, then read faster or slower.

use super::augmenter::draw_signed;
use super::config::PitchShiftConfig;
use super::interpolate::Interpolator;
use super::phase_vocoder::PhaseVocoder;
use rand::Rng;

#[derive(Clone)]
pub(super) struct PitchShift {
    interpolator: Interpolator,
    stretched: Vec<f32>,
}

impl PitchShift {
    pub fn new() -> Self {
        Self {
            interpolator: Interpolator::new(),
            stretched: Vec::new(),
        }
    }

    /// Gives the shift in semitones.
    pub fn apply(
        &mut self,
        config: &PitchShiftConfig,
        vocoder: &mut PhaseVocoder,
        input: &[f32],
        output: &mut Vec<f32>,
        rng: &mut impl Rng,
    ) -> Option<f32> {
        let semitones = draw_signed(config.semitones, rng);
        self.shift(vocoder, input, semitones, output);
        Some(semitones)
    }

    fn shift(
        &mut self,
        vocoder: &mut PhaseVocoder,
        input: &[f32],
        semitones: f32,
        output: &mut Vec<f32>,
    ) {
        let ratio = (semitones / 12.0).exp2();
        let length = (input.len() as f32 * ratio).ceil() as usize + 1;
        self.stretched.clear();
        // What would lie above Nyquist after reading faster is never made.
        let band = (1.0 / ratio).min(1.0);
        vocoder.stretch(input, 1.0 / ratio, band, length, &mut self.stretched);
        self.interpolator
            .read(&self.stretched, ratio, input.len(), output);
    }
}
