//! Measures how loud a sound is, without its pauses.

use std::ops::Range;

/// Seconds over which power is measured.
const FRAME: f32 = 0.02;
/// A frame whose power is below the loudest one's by more than this factor (20 dB) is a pause.
const PAUSE: f32 = 0.01;

/// Mean power and extent of the sound in a clip.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Activity {
    /// Mean power of the frames outside pauses; 0 for digital silence.
    pub power: f32,
    /// Samples from the first outside a pause to the last.
    pub extent: Range<usize>,
}

impl Activity {
    pub fn of(samples: &[f32], sample_rate: u32) -> Self {
        let length = ((FRAME * sample_rate as f32) as usize).max(1);
        let power = |frame: &[f32]| frame.iter().map(|x| x * x).sum::<f32>() / frame.len() as f32;
        let powers: Vec<f32> = samples.chunks(length).map(power).collect();
        let loudest = powers.iter().copied().fold(0.0, f32::max);
        let is_heard = |power: &f32| *power > 0.0 && *power >= PAUSE * loudest;
        let heard: Vec<f32> = powers.iter().copied().filter(is_heard).collect();
        let first = powers.iter().position(is_heard).unwrap_or(0);
        let end = powers.iter().rposition(is_heard).map_or(0, |last| last + 1);
        Self {
            power: heard.iter().sum::<f32>() / heard.len().max(1) as f32,
            extent: first * length..(end * length).min(samples.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_do_not_count() {
        let mut samples = vec![0.0; 16_000];
        samples[3200..6400].fill(0.5);
        samples[9600..9920].fill(-0.5);
        samples[0..320].fill(0.01);
        let activity = Activity::of(&samples, 16_000);
        assert_eq!(activity.extent, 3200..9920);
        assert!((activity.power - 0.25).abs() < 1e-6);
        let silence = Activity::of(&[0.0; 100], 16_000);
        assert_eq!((silence.power, silence.extent), (0.0, 0..0));
    }
}
