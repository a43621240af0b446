//! Time stretch by the phase vocoder, wrapped or cut to the clip's length.

use super::augmenter::draw;
use super::config::TimeStretchConfig;
use super::phase_vocoder::PhaseVocoder;
use rand::Rng;

/// Overlap of the end and the repeated start of a clip that became too short, seconds.
const CROSSFADE: f32 = 0.01;

/// Draws before a rate is taken as it is: only ranges that barely leave the forbidden middle need
/// more.
const DRAWS: usize = 64;

/// Gives the rate.
pub(super) fn apply(
    config: &TimeStretchConfig,
    sample_rate: u32,
    vocoder: &mut PhaseVocoder,
    input: &[f32],
    output: &mut Vec<f32>,
    rng: &mut impl Rng,
) -> Option<f32> {
    let rate = (0..DRAWS)
        .map(|_| draw(config.rate, rng))
        .find(|rate| (rate - 1.0).abs() >= config.min_change)?;
    let crossfade = (CROSSFADE * sample_rate as f32) as usize;
    stretch(vocoder, input, rate, crossfade, output);
    Some(rate)
}

/// Appends `input` at `rate` to `output`: cut where it is longer than `input`, begun again where
/// it is shorter.
fn stretch(
    vocoder: &mut PhaseVocoder,
    input: &[f32],
    rate: f32,
    crossfade: usize,
    output: &mut Vec<f32>,
) {
    let length = input.len();
    let stretched = ((length as f32 / rate).ceil() as usize).clamp(1, length);
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
