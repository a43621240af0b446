//! Another device's microphone, as the difference of its frequency response and level from this one's.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2, TAU};

/// Corner of the low cut, Hz: how much bass an enclosure lets through.
const LOW_CUT: [f64; 2] = [50.0, 300.0];
/// Most that the treble above [`SHELF`] is raised or lowered, dB.
const TREBLE: f64 = 6.0;
/// Middle of the slope to the treble, Hz.
const SHELF: f64 = 2500.0;
/// Peaks and dips of an enclosure: number, most dB, and the band that they are in, Hz.
const PEAKS: usize = 3;
const PEAK: f64 = 6.0;
const PEAK_BAND: [f64; 2] = [300.0, 6000.0];
/// Most that the level is raised or lowered, dB.
const LEVEL: f64 = 12.0;

/// A microphone: filters of second order, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Microphone {
    filters: Vec<Biquad>,
    gain: f32,
}

/// A filter of second order by R. Bristow-Johnson's formulas (*Cookbook formulae for audio EQ biquad filter
/// coefficients*), divided by a0.
#[derive(Clone, Copy, Debug)]
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Microphone {
    /// Draws one: its low cut, treble, three peaks or dips, and level.
    pub fn draw(sample_rate: u32, rng: &mut ChaCha8Rng) -> Self {
        let rate = f64::from(sample_rate);
        // Frequencies are drawn by octaves, and lie where a filter of this rate can be.
        let hertz = |[low, high]: [f64; 2], rng: &mut ChaCha8Rng| {
            let high = high.min(0.4 * rate).max(low);
            low * (high / low).powf(rng.random())
        };
        let mut filters = vec![
            Biquad::high_pass(hertz(LOW_CUT, rng) / rate),
            Biquad::high_shelf(
                SHELF.min(0.4 * rate) / rate,
                rng.random_range(-TREBLE..=TREBLE),
            ),
        ];
        for _ in 0..PEAKS {
            let at = hertz(PEAK_BAND, rng) / rate;
            filters.push(Biquad::peak(at, rng.random_range(-PEAK..=PEAK)));
        }
        let level: f64 = rng.random_range(-LEVEL..=LEVEL);
        Self {
            filters,
            gain: 10.0_f64.powf(level / 20.0) as f32,
        }
    }

    /// Gives `samples` as this microphone would have.
    pub fn record(&self, samples: &mut [f32]) {
        for filter in &self.filters {
            filter.run(samples);
        }
        for sample in samples {
            *sample *= self.gain;
        }
    }
}

impl Biquad {
    /// A low cut at `at` of the sampling rate, without a resonance.
    fn high_pass(at: f64) -> Self {
        let (sin, cos) = (TAU * at).sin_cos();
        let alpha = sin / (2.0 * FRAC_1_SQRT_2);
        let b = 0.5 * (1.0 + cos);
        Self::over([b, -2.0 * b, b], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// A peak of `decibels` at `at` of the sampling rate, an octave wide.
    fn peak(at: f64, decibels: f64) -> Self {
        let (sin, cos) = (TAU * at).sin_cos();
        let alpha = sin / (2.0 * SQRT_2);
        let gain = 10.0_f64.powf(decibels / 40.0);
        Self::over(
            [1.0 + alpha * gain, -2.0 * cos, 1.0 - alpha * gain],
            [1.0 + alpha / gain, -2.0 * cos, 1.0 - alpha / gain],
        )
    }

    /// A change of everything above `at` of the sampling rate by `decibels`.
    fn high_shelf(at: f64, decibels: f64) -> Self {
        let (sin, cos) = (TAU * at).sin_cos();
        let gain = 10.0_f64.powf(decibels / 40.0);
        let slope = 2.0 * gain.sqrt() * sin / (2.0 * FRAC_1_SQRT_2);
        let (more, less) = (gain + 1.0, gain - 1.0);
        Self::over(
            [
                gain * (more + less * cos + slope),
                -2.0 * gain * (less + more * cos),
                gain * (more + less * cos - slope),
            ],
            [
                more - less * cos + slope,
                2.0 * (less - more * cos),
                more - less * cos - slope,
            ],
        )
    }

    fn over(b: [f64; 3], [a0, a1, a2]: [f64; 3]) -> Self {
        Self {
            b: b.map(|b| b / a0),
            a: [a1 / a0, a2 / a0],
        }
    }

    /// Filters in place, from silence on (transposed direct form II).
    fn run(&self, samples: &mut [f32]) {
        let [mut first, mut second] = [0.0; 2];
        for sample in samples {
            let x = f64::from(*sample);
            let y = self.b[0] * x + first;
            first = self.b[1] * x - self.a[0] * y + second;
            second = self.b[2] * x - self.a[1] * y;
            *sample = y as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const RATE: u32 = 16_000;

    /// Gain at a frequency, dB, of a tone that has settled.
    fn gain(filter: &Biquad, hertz: f64) -> f64 {
        let tone = |n: usize| (TAU * hertz * n as f64 / f64::from(RATE)).sin() as f32;
        let mut samples: Vec<f32> = (0..16_000).map(tone).collect();
        filter.run(&mut samples);
        let power = samples[8000..]
            .iter()
            .map(|x| f64::from(x * x))
            .sum::<f64>()
            / 8000.0;
        10.0 * (2.0 * power).log10()
    }

    #[test]
    fn filters_do_what_they_are_called() {
        let rate = f64::from(RATE);
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 0.1, "{found} for {expected}");
        };
        let cut = Biquad::high_pass(200.0 / rate);
        close(gain(&cut, 200.0), -3.0);
        close(gain(&cut, 50.0), -24.1);
        close(gain(&cut, 4000.0), 0.0);
        let peak = Biquad::peak(1000.0 / rate, 6.0);
        close(gain(&peak, 1000.0), 6.0);
        assert!(gain(&peak, 100.0).abs() < 0.3 && gain(&peak, 7000.0).abs() < 0.3);
        let shelf = Biquad::high_shelf(2500.0 / rate, -6.0);
        close(gain(&shelf, 2500.0), -3.0);
        close(gain(&shelf, 7500.0), -6.0);
        close(gain(&shelf, 100.0), 0.0);
    }

    #[test]
    fn microphones_differ_and_stay_in_bounds() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut gains = Vec::new();
        for _ in 0..50 {
            let microphone = Microphone::draw(RATE, &mut rng);
            let mut samples: Vec<f32> = (0..4000).map(|n| ((n * n) as f32 * 0.01).sin()).collect();
            let before: f32 = samples.iter().map(|x| x * x).sum();
            microphone.record(&mut samples);
            let after: f32 = samples.iter().map(|x| x * x).sum();
            assert!(samples.iter().all(|sample| sample.is_finite()));
            gains.push(10.0 * (after / before).log10());
        }
        let (least, most) = gains
            .iter()
            .fold((f32::MAX, f32::MIN), |(least, most), gain| {
                (gain.min(least), gain.max(most))
            });
        assert!((-35.0..-6.0).contains(&least), "{least}");
        assert!((6.0..25.0).contains(&most), "{most}");
    }
}
