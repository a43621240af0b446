//! Time stretch by the phase vocoder, wrapped or cut to the clip's length.

use super::config::TimeStretchConfig;
use super::draw::draw;
use super::phase_vocoder::PhaseVocoder;
use rand::Rng;

/// Overlap of the end and the repeated start of a clip that became too short, seconds.
const CROSSFADE: f32 = 0.01;

/// Draws before a rate is taken as it is: only ranges that barely leave the forbidden middle need
/// more.
const DRAWS: usize = 64;

/// A time stretch that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeStretch {
    /// Speed: 2 is twice as fast.
    pub rate: f32,
}

impl TimeStretch {
    /// `None` if no rate is far enough from 1.
    pub(super) fn draw(config: &TimeStretchConfig, rng: &mut impl Rng) -> Option<Self> {
        (0..DRAWS)
            .map(|_| draw(config.rate, rng))
            .find(|rate| (rate - 1.0).abs() >= config.min_change)
            .map(|rate| Self { rate })
    }

    /// Returns how many of `length` samples are new; where it is fewer than all, they begin again.
    pub(crate) fn length(self, length: usize) -> usize {
        ((length as f32 / self.rate).ceil() as usize).clamp(1, length)
    }

    /// Gives the rate.
    pub(super) fn apply(
        self,
        sample_rate: u32,
        vocoder: &mut PhaseVocoder,
        input: &[f32],
        output: &mut Vec<f32>,
    ) -> f32 {
        let stretched = self.length(input.len());
        stretch(
            vocoder,
            input,
            self.rate,
            stretched,
            crossfade(sample_rate),
            output,
        );
        self.rate
    }
}

/// Returns the samples in which the end of a clip that became too short passes into its beginning, if the clip is long
/// enough.
pub(crate) fn crossfade(sample_rate: u32) -> usize {
    (CROSSFADE * sample_rate as f32) as usize
}

/// Appends `input` at `rate` to `output`: cut where it is longer than `input`, begun again where
/// it is shorter.
fn stretch(
    vocoder: &mut PhaseVocoder,
    input: &[f32],
    rate: f32,
    stretched: usize,
    crossfade: usize,
    output: &mut Vec<f32>,
) {
    let length = input.len();
    vocoder.stretch(input, rate, 1.0, stretched, output);
    let crossfade = crossfade.min(stretched / 4);
    let period = stretched - crossfade;
    if stretched == length {
        return;
    }
    output.truncate(stretched);
    for place in period..length {
        let again = output[place % period];
        if place < stretched {
            let weight = (place - period) as f32 / crossfade as f32;
            output[place] += weight * (again - output[place]);
        } else {
            output.push(again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 1 kHz burst of 100 ms that starts at `onset`.
    fn burst(onset: usize) -> Vec<f32> {
        let mut clip = vec![0.0; 16_000];
        for (n, sample) in clip[onset..onset + 1_600].iter_mut().enumerate() {
            *sample = 0.5 * (n as f32 * std::f32::consts::TAU / 16.0).sin();
        }
        clip
    }

    #[test]
    fn onsets_move_by_the_rate_and_the_pitch_stays() {
        let mut vocoder = PhaseVocoder::new(16_000);
        for rate in [0.5, 0.8, 1.25, 1.5] {
            let mut output = Vec::new();
            let drawn = TimeStretch { rate };
            drawn.apply(16_000, &mut vocoder, &burst(6_000), &mut output);
            assert_eq!(output.len(), 16_000);
            let onset = output
                .iter()
                .position(|sample| sample.abs() > 0.25)
                .unwrap();
            let expected = (6_000.0 / rate) as usize;
            assert!(
                onset.abs_diff(expected) < 512,
                "onset at {onset}, not {expected}"
            );
            let within = &output[onset + 400..onset + 800];
            let crossings = within
                .windows(2)
                .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0);
            let crossings = crossings.count();
            assert!(
                (24..=26).contains(&crossings),
                "{crossings} periods in 25 ms"
            );
        }
    }

    #[test]
    fn a_clip_that_became_too_short_begins_again_without_a_click() {
        let clip: Vec<f32> = (0..16_000).map(|n| 0.5 * (n as f32 * 0.05).sin()).collect();
        let mut output = Vec::new();
        let drawn = TimeStretch { rate: 1.5 };
        drawn.apply(16_000, &mut PhaseVocoder::new(16_000), &clip, &mut output);
        let step = output
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).abs())
            .fold(0.0, f32::max);
        assert!(step < 0.06, "a step of {step}");
        assert!(output[15_000..].iter().any(|sample| sample.abs() > 0.3));
    }
}
