//! Stretches a sound in time at the same pitch.
//!
//! Each output frame takes its magnitudes from the input frame at the corresponding time. Its
//! phases go on from the previous output frame by the advance that the input itself shows over one
//! synthesis hop, measured between two input frames that lie exactly one hop apart. No frequency
//! has to be estimated and no phase unwrapped, so every bin's advance is right at every rate, and at
//! rate 1 the input comes back. Phases are those of each bin's sum with its neighbours, which keeps
//! the bins of one partial together (loose phase locking: Puckette, "Phase-locked vocoder", 1995).

use super::spectrum::RealFft;
use realfft::num_complex::Complex32;
use std::f32::consts::TAU;

/// Frames overlap by three quarters: squared Hann windows then add up to [`OVERLAP_SUM`].
const OVERLAP: usize = 4;
const OVERLAP_SUM: f32 = 1.5;

/// Products of magnitudes below this (their squares, of full scale) have no phase to speak of.
const NO_PHASE: f32 = 1e-30;

/// Returns the samples of a frame: about 64 ms, long enough to part the partials of a low voice.
pub(crate) fn frame_length(sample_rate: u32) -> usize {
    (sample_rate as usize / 20).next_power_of_two().max(64)
}

/// Returns the weights of a frame's samples.
pub(crate) fn frame_window(size: usize) -> Vec<f32> {
    (0..size)
        .map(|n| 0.5 - 0.5 * (TAU * n as f32 / size as f32).cos())
        .collect()
}

#[derive(Clone)]
pub(super) struct PhaseVocoder {
    fft: RealFft,
    window: Vec<f32>,
    hop: usize,
    /// Spectrum of the input one hop before the current frame.
    before: Vec<Complex32>,
    /// Spectrum of the last output frame.
    last: Vec<Complex32>,
}

impl PhaseVocoder {
    /// Makes a vocoder of sounds at `sample_rate` Hz.
    pub fn new(sample_rate: u32) -> Self {
        let size = frame_length(sample_rate);
        let window = frame_window(size);
        let fft = RealFft::new(size);
        let bins = vec![Complex32::default(); size / 2 + 1];
        Self {
            fft,
            window,
            hop: size / OVERLAP,
            before: bins.clone(),
            last: bins,
        }
    }

    /// Appends `length` samples to `output`: sample n is what `input` has around sample n * `rate`.
    /// Before its start and after its end the input is silent. Frequencies above `band` (a share of
    /// Nyquist) are left out, for a caller who means to decimate.
    pub fn stretch(
        &mut self,
        input: &[f32],
        rate: f32,
        band: f32,
        length: usize,
        output: &mut Vec<f32>,
    ) {
        let (size, hop) = (self.fft.len(), self.hop);
        let bins = size / 2 + 1;
        let kept = ((band * (bins - 1) as f32) as usize + 1).min(bins);
        let begin = output.len();
        output.resize(begin + length, 0.0);
        let gain = 1.0 / (OVERLAP_SUM * size as f32);
        // The first frame is centred one hop before the output starts, so that all of the output
        // lies under a full sum of windows.
        for frame in 0..=(length / hop + 2) {
            let centre = (frame * hop) as isize - hop as isize;
            let source = (centre as f32 * rate).round() as isize;
            if frame > 0 {
                self.analyse(input, source - hop as isize);
                self.before.copy_from_slice(&self.fft.spectrum);
            }
            self.analyse(input, source);
            if frame > 0 {
                continue_phases(&mut self.fft.spectrum[..kept], &self.before, &self.last);
            }
            self.fft.spectrum[kept..].fill(Complex32::default());
            self.last.copy_from_slice(&self.fft.spectrum);
            let samples = self.fft.inverse();

            let start = centre - (size / 2) as isize;
            let skipped = (-start).max(0) as usize;
            let place = start.max(0) as usize;
            let sum = &mut output[begin..];
            if skipped < size && place < sum.len() {
                for ((out, sample), window) in sum[place..]
                    .iter_mut()
                    .zip(&samples[skipped..])
                    .zip(&self.window[skipped..])
                {
                    *out += sample * window * gain;
                }
            }
        }
    }

    /// Spectrum of the windowed input around sample `centre`, which may lie outside of it.
    fn analyse(&mut self, input: &[f32], centre: isize) {
        let size = self.fft.len() as isize;
        let start = centre - size / 2;
        let first = (-start).clamp(0, size) as usize;
        let end = (input.len() as isize - start).clamp(first as isize, size) as usize;
        let samples = &mut self.fft.samples;
        samples[..first].fill(0.0);
        samples[end..].fill(0.0);
        if first < end {
            let from = (start + first as isize) as usize;
            for ((sample, &value), window) in samples[first..end]
                .iter_mut()
                .zip(&input[from..])
                .zip(&self.window[first..end])
            {
                *sample = value * window;
            }
        }
        self.fft.forward();
    }
}

/// Turns each bin of `frame`, an input spectrum, by as much as `last`, the previous output spectrum,
/// is turned against `before`, the input one hop earlier: the output goes on as the input did.
fn continue_phases(frame: &mut [Complex32], before: &[Complex32], last: &[Complex32]) {
    for (bin, value) in frame.iter_mut().enumerate() {
        let turn = locked(last, bin) * locked(before, bin).conj();
        let square = turn.norm_sqr();
        if square > NO_PHASE {
            *value *= turn * (1.0 / square.sqrt());
        }
    }
}

/// Sum of a bin with its neighbours, which are of opposite sign because frames count time from
/// their edge and not from their centre.
#[inline]
fn locked(spectrum: &[Complex32], bin: usize) -> Complex32 {
    let neighbour = |bin: usize| spectrum.get(bin).copied().unwrap_or_default();
    spectrum[bin] - neighbour(bin.wrapping_sub(1)) - neighbour(bin + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, length: usize) -> Vec<f32> {
        (0..length)
            .map(|n| 0.5 * (std::f64::consts::TAU * frequency * n as f64 / 16_000.0).sin() as f32)
            .collect()
    }

    #[test]
    fn at_rate_one_the_sound_comes_back() {
        let input: Vec<f32> = tone(440.0, 8_000)
            .iter()
            .zip(tone(3_111.0, 8_000))
            .map(|(a, b)| a + 0.3 * b)
            .collect();
        let mut output = Vec::new();
        PhaseVocoder::new(16_000).stretch(&input, 1.0, 1.0, 8_000, &mut output);
        for (n, (before, after)) in input.iter().zip(&output).enumerate().take(6_900) {
            assert!((before - after).abs() < 2e-3, "{before} and {after} at {n}");
        }
    }

    #[test]
    fn a_tone_stays_a_pure_tone_of_its_level_at_every_rate() {
        let frequency = 523.7;
        let input = tone(frequency, 32_000);
        let mut vocoder = PhaseVocoder::new(16_000);
        for rate in [0.5, 0.83, 1.17, 1.5, 2.0] {
            let mut output = Vec::new();
            vocoder.stretch(&input, rate, 1.0, 10_000, &mut output);
            // What a tone of the same frequency, fitted in phase and level, does not explain.
            let part = &output[1_500..9_500];
            let (mut re, mut im, mut power) = (0.0f64, 0.0, 0.0);
            for (n, &sample) in part.iter().enumerate() {
                let angle = std::f64::consts::TAU * frequency * n as f64 / 16_000.0;
                re += f64::from(sample) * angle.cos();
                im += f64::from(sample) * angle.sin();
                power += f64::from(sample * sample);
            }
            let count = part.len() as f64;
            let amplitude = 2.0 * (re * re + im * im).sqrt() / count;
            let rest = power / count - 0.5 * amplitude * amplitude;
            assert!(
                (amplitude - 0.5).abs() < 0.02,
                "amplitude {amplitude} at rate {rate}"
            );
            assert!(rest < 1e-4, "rest {rest} at rate {rate}");
        }
    }
}
