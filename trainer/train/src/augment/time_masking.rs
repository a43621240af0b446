//! A span of the clip replaced by its own background.
//!
//! Zeros would fall below anything that the clip holds and be found by the floor of the
//! spectrogram alone. The span gets noise with the level and the coarse spectrum of the clip's
//! quietest moments instead, and short crossfades at its ends.

use super::config::TimeMaskingConfig;
use super::draw::draw;
use super::level::power;
use mtslvr_audio::Noise;
use rand::{Rng, RngExt};
use std::f32::consts::TAU;

/// Frames among which the quiet ones are looked for, seconds.
const FRAME: f32 = 0.02;
/// Share of frames that are quieter than the one taken for the background.
const QUIET: f32 = 0.1;
/// Order of the all-pole model of the background's spectrum.
pub(crate) const ORDER: usize = 8;
/// Crossfade at each end of the span, seconds.
const CROSSFADE: f32 = 0.005;
/// A span must be this many times (in power) above the background to be worth masking: 6 dB.
pub(crate) const AUDIBLE: f32 = 4.0;
/// Places tried for one.
pub(crate) const DRAWS: usize = 8;

/// A masked span that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeMasking {
    /// Share of the clip.
    pub share: f32,
    /// Places to try, from 0 (the beginning) to 1 (the end).
    pub places: [f32; DRAWS],
    /// Seed of the noise.
    pub seed: u64,
}

impl TimeMasking {
    pub(super) fn draw(config: &TimeMaskingConfig, rng: &mut impl Rng) -> Self {
        Self {
            share: draw(config.share, rng),
            places: [(); DRAWS].map(|()| rng.random()),
            seed: rng.random(),
        }
    }

    /// Returns the samples of the span in a clip of `length` samples, of the frames among which quiet ones are looked
    /// for, and of each crossfade; `None` if the clip is too short for a span.
    pub(crate) fn lengths(self, length: usize, sample_rate: u32) -> Option<[usize; 3]> {
        let span = (self.share * length as f32) as usize;
        let frame = frame_of(length, sample_rate);
        let crossfade = ((CROSSFADE * sample_rate as f32) as usize).min(span / 4) + 1;
        (span > 0 && frame > 2 * ORDER).then_some([span, frame, crossfade])
    }

    /// Returns the first samples of a span of `span` samples at each place.
    pub(crate) fn starts(self, length: usize, span: usize) -> [usize; DRAWS] {
        let last = length - span;
        self.places
            .map(|place| ((place * (last + 1) as f32) as usize).min(last))
    }

    /// Gives the share of the clip that was masked; `None` if no span stands out of the background.
    pub(super) fn apply(
        self,
        sample_rate: u32,
        input: &[f32],
        output: &mut Vec<f32>,
    ) -> Option<f32> {
        let [length, frame, crossfade] = self.lengths(input.len(), sample_rate)?;
        let quiet = quiet_frame(input, frame);
        let floor = power(quiet);
        let mut starts = self.starts(input.len(), length).into_iter();
        let start = starts.find(|&start| power(&input[start..start + length]) > AUDIBLE * floor)?;

        output.extend_from_slice(input);
        let span = &mut output[start..start + length];
        let background = background(quiet, length, self.seed);
        for (index, (sample, noise)) in span.iter_mut().zip(background).enumerate() {
            let from_end = (index + 1).min(length - index).min(crossfade);
            let progress = from_end as f32 / crossfade as f32;
            // Quarters of a sine keep the power steady: what fades and what comes are unrelated.
            *sample = *sample * (0.25 * TAU * (1.0 - progress)).sin()
                + noise * (0.25 * TAU * progress).sin();
        }
        Some(self.share)
    }
}

/// Returns the samples of a frame of a clip of `length` samples.
fn frame_of(length: usize, sample_rate: u32) -> usize {
    ((FRAME * sample_rate as f32) as usize).min(length / 4)
}

/// Returns how many frames a clip of `length` samples has.
pub(crate) fn frames_of(length: usize, sample_rate: u32) -> usize {
    length / frame_of(length, sample_rate).max(1)
}

/// Returns which of `frames` frames, the quietest first, is taken for the background.
pub(crate) fn quiet_rank(frames: usize) -> usize {
    (QUIET * frames as f32) as usize
}

/// The frame of `input` with the power below which lie [`QUIET`] of all frames.
fn quiet_frame(input: &[f32], frame: usize) -> &[f32] {
    let mut frames: Vec<_> = input
        .chunks_exact(frame)
        .map(|part| (power(part), part))
        .collect();
    let rank = quiet_rank(frames.len());
    frames
        .select_nth_unstable_by(rank, |a, b| a.0.total_cmp(&b.0))
        .1
        .1
}

/// `length` samples of noise with the power and the coarse spectrum of `quiet`.
fn background(quiet: &[f32], length: usize, seed: u64) -> Vec<f32> {
    let floor = power(quiet);
    if floor <= 0.0 {
        return vec![0.0; length];
    }
    let predictor = predictor(quiet);
    let mut noise = Noise::from_seed(seed);
    let mut recent = [0.0f32; ORDER];
    let mut next = || {
        let predicted: f32 = recent.iter().zip(&predictor).map(|(x, a)| x * a).sum();
        let sample = noise.normal() + predicted;
        recent.rotate_right(1);
        recent[0] = sample;
        sample
    };
    // The filter rings in before it counts.
    for _ in 0..4 * ORDER {
        next();
    }
    let mut samples: Vec<f32> = (0..length).map(|_| next()).collect();
    let gain = (floor / power(&samples)).sqrt();
    for sample in &mut samples {
        *sample *= gain;
    }
    samples
}

/// Linear-prediction coefficients of `frame`, the weight of the latest sample first: Hann window,
/// autocorrelation, Levinson-Durbin recursion. The synthesis filter they make is stable.
fn predictor(frame: &[f32]) -> [f32; ORDER] {
    let step = TAU / frame.len() as f32;
    let windowed: Vec<f32> = frame
        .iter()
        .enumerate()
        .map(|(n, &sample)| sample * (0.5 - 0.5 * (step * (n as f32 + 0.5)).cos()))
        .collect();
    let correlation: [f32; ORDER + 1] = std::array::from_fn(|lag| {
        windowed
            .iter()
            .zip(&windowed[lag..])
            .map(|(a, b)| a * b)
            .sum()
    });
    let mut weights = [0.0f32; ORDER];
    // A little white noise (-40 dB) keeps a pure tone from making a filter that rings for ever.
    let mut error = correlation[0] * 1.0001;
    if error <= 0.0 {
        return weights;
    }
    for order in 0..ORDER {
        let known: f32 = (0..order)
            .map(|i| weights[i] * correlation[order - i])
            .sum();
        let reflection = ((correlation[order + 1] - known) / error).clamp(-0.999, 0.999);
        let previous = weights;
        for i in 0..order {
            weights[i] = previous[i] - reflection * previous[order - 1 - i];
        }
        weights[order] = reflection;
        error *= 1.0 - reflection * reflection;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Half a second of tone after half a second of faint noise.
    fn clip() -> Vec<f32> {
        let mut noise = Noise::new(&mut ChaCha8Rng::seed_from_u64(8));
        (0..16_000)
            .map(|n| {
                let tone = if n < 8_000 {
                    0.0
                } else {
                    0.3 * (n as f32 * 0.4).sin()
                };
                tone + 0.003 * noise.normal()
            })
            .collect()
    }

    #[test]
    fn the_span_sounds_like_the_background() {
        let clip = clip();
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut output = Vec::new();
            let drawn = TimeMasking::draw(&Default::default(), &mut rng);
            let share = drawn.apply(16_000, &clip, &mut output).unwrap();
            let changed: Vec<_> = (0..16_000).filter(|&n| output[n] != clip[n]).collect();
            let (first, last) = (changed[0], changed[changed.len() - 1]);
            assert!((last - first) as f32 <= share * 16_000.0);
            let inside = power(&output[(first + 80).max(8_000)..last - 80]).sqrt();
            assert!((0.0015..0.006).contains(&inside), "{inside} for 0.003");
            let step = |x: &[f32]| {
                x.windows(2)
                    .map(|w| (w[1] - w[0]).abs())
                    .fold(0.0, f32::max)
            };
            assert!(step(&output) <= step(&clip) * 1.1, "a click");
        }
    }

    #[test]
    fn a_clip_that_is_all_background_is_not_masked() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut noise = Noise::new(&mut rng);
        let clip: Vec<f32> = (0..16_000).map(|_| 0.1 * noise.normal()).collect();
        let drawn = TimeMasking::draw(&Default::default(), &mut rng);
        assert_eq!(drawn.apply(16_000, &clip, &mut Vec::new()), None);
    }

    #[test]
    fn the_model_of_the_background_follows_its_spectrum() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut noise = Noise::new(&mut rng);
        let mut state = 0.0;
        let quiet: Vec<f32> = (0..320)
            .map(|_| {
                state += 0.1 * (noise.normal() - state);
                0.01 * state
            })
            .collect();
        let made = background(&quiet, 16_000, 3);
        let roughness = |x: &[f32]| {
            let steps: Vec<f32> = x.windows(2).map(|w| w[1] - w[0]).collect();
            power(&steps) / power(x)
        };
        assert!((power(&made) / power(&quiet) - 1.0).abs() < 0.05);
        assert!(roughness(&made) < 3.0 * roughness(&quiet));
    }
}
