//! A filter whose gain rises or falls evenly with the octave, as microphones and rooms differ.

use std::f32::consts::TAU;

/// Pairs of a pole and a zero.
pub(crate) const SECTIONS: usize = 6;

/// Middle of the lowest pair, Hz; that of the highest lies at half the sample rate.
const LOWEST: f32 = 30.0;

/// Frequency that the filter leaves at its level, Hz.
pub(super) const PIVOT: f32 = 1000.0;

/// Runs over `samples` in place, from silence, a filter whose gain is `slope` dB for each octave above
/// 1 kHz, and as much the other way below; `slope` is between -6 and 6.
///
/// Poles and zeros alternate along the axis of frequency at even distances in octaves: between a zero
/// and the next pole the gain rises by 6 dB an octave, elsewhere it is level, and the distance between
/// the two sets the mean (Smith, *Spectral Audio Signal Processing*, "Spectrum Analysis Windows":
/// exponentially distributed real poles and zeros). The filter is causal and holds six values, so that
/// it could run on a stream. For each dB of the slope the gain is within 0.1 dB from 60 Hz to 2 kHz,
/// 0.3 dB up to a quarter of the sample rate and 0.65 dB up to half of it.
pub(super) fn apply(slope: f32, sample_rate: u32, samples: &mut [f32]) {
    let filter = Filter::new(slope, sample_rate as f32);
    let mut state = [0.0; SECTIONS];
    for sample in samples {
        let mut value = *sample * filter.gain;
        for ((state, zero), pole) in state.iter_mut().zip(filter.zeros).zip(filter.poles) {
            // Transposed direct form: y = x + s, s' = -zero x + pole y.
            let out = value + *state;
            *state = pole * out - zero * value;
            value = out;
        }
        *sample = value;
    }
}

/// Sections `(1 - zero/z) / (1 - pole/z)`, and a gain.
pub(crate) struct Filter {
    pub(crate) zeros: [f32; SECTIONS],
    pub(crate) poles: [f32; SECTIONS],
    pub(crate) gain: f32,
}

impl Filter {
    pub(crate) fn new(slope: f32, sample_rate: f32) -> Self {
        // 6.02 dB an octave is the amplitude's first power.
        let power = slope / (20.0 * 2f32.log10());
        let ratio = (0.5 * sample_rate / LOWEST).powf(1.0 / (SECTIONS - 1) as f32);
        // The value of z^-1 whose decay is that of a corner at `frequency`.
        let root = |frequency: f32| (-TAU * frequency / sample_rate).exp();
        let middle = |section: usize| LOWEST * ratio.powi(section as i32);
        let apart = ratio.powf(0.5 * power);
        let mut filter = Self {
            zeros: std::array::from_fn(|section| root(middle(section) / apart)),
            poles: std::array::from_fn(|section| root(middle(section) * apart)),
            gain: 1.0,
        };
        filter.gain = filter.response(PIVOT / sample_rate).recip();
        filter
    }

    /// Gain at `frequency`, a share of the sample rate.
    fn response(&self, frequency: f32) -> f32 {
        let (sin, cos) = (TAU * frequency).sin_cos();
        let length = |root: f32| (1.0 - root * cos).hypot(root * sin);
        let pairs = self.zeros.iter().zip(self.poles);
        pairs.fold(self.gain, |gain, (&zero, pole)| {
            gain * length(zero) / length(pole)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain in dB of a tone of `hz` through the filter, its start left out.
    fn measured(slope: f32, rate: u32, hz: f32) -> f32 {
        let mut tone: Vec<f32> = (0..rate)
            .map(|n| (f64::from(n) * f64::from(hz) / f64::from(rate) * std::f64::consts::TAU).sin())
            .map(|x| 0.01 * x as f32)
            .collect();
        let power = |samples: &[f32]| {
            let settled = &samples[rate as usize / 2..];
            settled.iter().map(|&x| f64::from(x * x)).sum::<f64>()
        };
        let before = power(&tone);
        apply(slope, rate, &mut tone);
        10.0 * (power(&tone) / before).log10() as f32
    }

    #[test]
    fn the_gain_is_a_line_over_the_octaves() {
        for slope in [-6.0, -3.0, -1.0, 0.0, 0.5, 2.0, 6.0f32] {
            for (hz, error) in [
                (60.0, 0.1),
                (125.0, 0.1),
                (250.0, 0.1),
                (500.0, 0.1),
                (1000.0, 0.001),
                (2000.0, 0.1),
                (4000.0, 0.3),
                (6000.0, 0.65),
                (7900.0, 0.65),
            ] {
                let (got, wanted) = (measured(slope, 16_000, hz), slope * (hz / PIVOT).log2());
                assert!(
                    (got - wanted).abs() <= error * slope.abs() + 0.02,
                    "{got} dB at {hz} Hz for {wanted} dB"
                );
            }
        }
        let at_8_khz = measured(-3.0, 8_000, 250.0);
        assert!((at_8_khz - 6.0).abs() < 0.4, "{at_8_khz}");
    }

    #[test]
    fn no_slope_changes_nothing_and_an_impulse_dies_away() {
        let tone: Vec<f32> = (0..500).map(|n| (n as f32 * 0.3).sin()).collect();
        let mut same = tone.clone();
        apply(0.0, 16_000, &mut same);
        let worst = |a: &[f32], b: &[f32]| {
            let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            differences.fold(0.0, f32::max)
        };
        assert!(worst(&tone, &same) < 1e-5);
        for slope in [-6.0, 6.0] {
            let mut impulse = vec![0.0; 16_000];
            impulse[0] = 1.0;
            apply(slope, 16_000, &mut impulse);
            assert!(impulse[4_000..].iter().all(|x| x.abs() < 1e-6));
        }
    }
}
