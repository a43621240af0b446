//! Converts the sample rate of a stream by a windowed sinc, one set of weights for each place between two
//! samples. The resampler of `mtslvr` works by Fourier transforms, which would double the code of a page.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side, at the lower of the two rates. The window's transition is then
/// a ninth of the lower Nyquist frequency wide.
const CROSSINGS: f64 = 48.0;

/// Where the filter is down to a half, of the lower Nyquist frequency: nothing of what would alias is left
/// 3 % above it.
const CUTOFF: f64 = 0.95;

/// Converts a stream; its output lags behind by 3 ms at 16 kHz.
#[derive(Debug)]
pub struct Resampler {
    /// Samples that come for each `to` that go: without a common divisor.
    from: usize,
    to: usize,
    /// Weights of each phase, `[phase][tap]`; none where the rates are the same.
    weights: Vec<f32>,
    taps: usize,
    /// The last samples: those under the filter, and those that did not fill it yet.
    waiting: Vec<f32>,
    /// Place of the next output between two samples, in `to`ths.
    phase: usize,
}

impl Resampler {
    /// Starts a conversion from `from` to `to` Hz, both above 0.
    pub fn new(from: u32, to: u32) -> Self {
        let divisor = greatest_common_divisor(from, to);
        let (from, to) = ((from / divisor) as usize, (to / divisor) as usize);
        let mut resampler = Self {
            from,
            to,
            weights: Vec::new(),
            taps: 0,
            waiting: Vec::new(),
            phase: 0,
        };
        if from != to {
            resampler.design();
        }
        resampler
    }

    /// Computes the weights.
    fn design(&mut self) {
        // The lower rate, as a share of the one that comes.
        let low = (self.to as f64 / self.from as f64).min(1.0);
        let half = CROSSINGS / low;
        self.taps = 2 * half.ceil() as usize;
        for phase in 0..self.to {
            let centre = half.ceil() - 1.0 + phase as f64 / self.to as f64;
            let weight = |tap: usize| {
                let at = tap as f64 - centre;
                let x = PI * CUTOFF * low * at;
                let sinc = if x == 0.0 { 1.0 } else { libm::sin(x) / x };
                sinc * blackman(at / half)
            };
            let sum: f64 = (0..self.taps).map(weight).sum();
            self.weights
                .extend((0..self.taps).map(|tap| (weight(tap) / sum) as f32));
        }
        // The first output is the first sample.
        self.waiting = vec![0.0; half.ceil() as usize - 1];
    }

    /// Takes samples and returns those that are due.
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        if self.from == self.to {
            return samples.to_vec();
        }
        self.waiting.extend_from_slice(samples);
        let (mut start, mut out) = (0, Vec::new());
        while let Some(under) = self.waiting.get(start..start + self.taps) {
            let weights = &self.weights[self.phase * self.taps..][..self.taps];
            out.push(under.iter().zip(weights).map(|(x, w)| x * w).sum());
            let next = self.phase + self.from;
            start += next / self.to;
            self.phase = next % self.to;
        }
        self.waiting.drain(..start.min(self.waiting.len()));
        out
    }
}

/// Returns the Blackman window at `at`, which is 0 in the middle and 1 at the end.
fn blackman(at: f64) -> f64 {
    if at.abs() >= 1.0 {
        return 0.0;
    }
    0.42 + 0.5 * libm::cos(PI * at) + 0.08 * libm::cos(2.0 * PI * at)
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, rate: u32, samples: usize) -> Vec<f32> {
        let step = 2.0 * PI * frequency / f64::from(rate);
        (0..samples)
            .map(|n| (0.5 * libm::sin(step * n as f64)) as f32)
            .collect()
    }

    /// Resamples pieces of an odd length, as a browser may send them.
    fn resampled(samples: &[f32], from: u32) -> Vec<f32> {
        let mut resampler = Resampler::new(from, 16_000);
        samples
            .chunks(1001)
            .flat_map(|piece| resampler.push(piece))
            .collect()
    }

    #[test]
    fn tones_keep_time_and_level_at_every_rate_of_a_browser() {
        for rate in [8_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000] {
            for frequency in [100.0, 1_000.0, 3_000.0, 7_000.0] {
                if 2.2 * frequency > f64::from(rate) {
                    continue;
                }
                let found = resampled(&tone(frequency, rate, rate as usize), rate);
                assert!(
                    found.len().abs_diff(16_000) < 200,
                    "{rate}: {}",
                    found.len()
                );
                let expected = tone(frequency, 16_000, found.len());
                let inner = 200..found.len() - 200;
                for (found, expected) in found[inner.clone()].iter().zip(&expected[inner]) {
                    let error = (found - expected).abs();
                    assert!(error < 0.002, "{rate} Hz, tone of {frequency} Hz: {error}");
                }
            }
        }
    }

    #[test]
    fn nothing_aliases() {
        for rate in [44_100, 48_000] {
            for frequency in [8_300.0, 9_000.0, 12_000.0, 20_000.0] {
                let found = resampled(&tone(frequency, rate, rate as usize), rate);
                let inner = &found[200..found.len() - 200];
                let peak = inner.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
                assert!(peak < 0.5e-3, "{rate} Hz, tone of {frequency} Hz: {peak}");
            }
        }
    }

    #[test]
    fn the_same_rate_changes_nothing() {
        let samples = tone(440.0, 16_000, 5_000);
        assert_eq!(resampled(&samples, 16_000), samples);
    }
}
