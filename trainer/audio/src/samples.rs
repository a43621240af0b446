//! Holds decoded samples in 16 bits each: half the memory of `f32`, and the format of most recordings.

/// Mono samples as integers of one step, a power of two chosen by the loudest sample.
///
/// A 16-bit recording that was neither resampled nor mixed down comes back bit for bit. In any other, a
/// sample is off by at most half a step: 90 dB below the peak or less, however quiet the recording is.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    values: Box<[i16]>,
    /// Value of one step.
    step: f32,
}

/// Steps from 0 to the power of two at or above the peak.
const STEPS: f32 = 32_768.0;

/// Smallest power of two taken for a peak, so that a step is never subnormal.
const LEAST_PEAK: f32 = 1e-20;

impl Samples {
    /// Step of [`Self::at_full_scale`], full scale being 1.
    pub const FULL_SCALE_STEP: f32 = 1.0 / STEPS;

    /// Rounds samples to 16 bits of full scale, however quiet they are; those beyond it are clipped.
    pub fn at_full_scale(samples: &[f32]) -> Self {
        let round = |x: &f32| (x * STEPS).round().clamp(-STEPS, STEPS - 1.0) as i16;
        Self {
            values: samples.iter().map(round).collect(),
            step: Self::FULL_SCALE_STEP,
        }
    }

    /// Makes samples of `values` in units of `step`, as a cache keeps them.
    pub(super) fn from_steps(values: Box<[i16]>, step: f32) -> Self {
        Self { values, step }
    }

    /// Returns the samples in steps.
    pub fn values(&self) -> &[i16] {
        &self.values
    }

    /// Returns the value of one step, full scale being 1.
    pub fn step(&self) -> f32 {
        self.step
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Tells whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns all samples, full scale at 1.
    pub fn to_vec(&self) -> Vec<f32> {
        self.values
            .iter()
            .map(|&v| f32::from(v) * self.step)
            .collect()
    }

    /// Returns `length` samples from number `start` on. A recording that ends too early is repeated, as
    /// the device repeats the frames of a short clip.
    ///
    /// # Panics
    /// If `start` is not within the recording.
    pub fn cut(&self, start: usize, length: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(length);
        let mut from = start;
        while out.len() < length {
            let part = &self.values[from..];
            let part = &part[..part.len().min(length - out.len())];
            out.extend(part.iter().map(|&v| f32::from(v) * self.step));
            from = 0;
        }
        out
    }
}

impl From<&[f32]> for Samples {
    /// Rounds finite samples to the nearest step.
    fn from(samples: &[f32]) -> Self {
        let peak = samples.iter().fold(LEAST_PEAK, |peak, x| peak.max(x.abs()));
        // The power of two at or above the peak: its exponent, plus one if any bit of the mantissa is
        // set.
        let mut ceiling = f32::from_bits((peak.to_bits() + 0x007f_ffff) & 0x7f80_0000);
        // The largest integer is one step below the magnitude of the smallest.
        let highest = samples.iter().fold(0.0f32, |highest, &x| highest.max(x));
        if (highest * (STEPS / ceiling)).round() >= STEPS {
            ceiling *= 2.0;
        }
        let (step, inverse) = (ceiling / STEPS, STEPS / ceiling);
        Self {
            values: samples
                .iter()
                .map(|x| (x * inverse).round() as i16)
                .collect(),
            step,
        }
    }
}

impl From<Vec<f32>> for Samples {
    fn from(samples: Vec<f32>) -> Self {
        Self::from(&samples[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_16_bits_come_back_bit_for_bit() {
        let all: Vec<f32> = (i16::MIN..=i16::MAX)
            .map(|v| f32::from(v) / 32_768.0)
            .collect();
        assert_eq!(Samples::from(&all[..]).to_vec(), all);
        // The peak is a power of two, at either end.
        for exact in [&[0.5f32, 0.25][..], &[-0.5, 0.25], &[1.0, -1.0], &[2.0]] {
            assert_eq!(Samples::from(exact).to_vec(), exact);
        }
        let quiet = &all[32_768 - 100..32_768 + 101];
        assert_eq!(Samples::from(quiet).to_vec(), quiet);
    }

    #[test]
    fn full_scale_has_one_step_for_quiet_and_loud_samples() {
        let samples = Samples::at_full_scale(&[0.25, -1.0, 1.0, 3e-5, 1e-6]);
        let wanted = [0.25, -1.0, 32_767.0 / 32_768.0, 1.0 / 32_768.0, 0.0];
        assert_eq!(samples.to_vec(), wanted);
        assert_eq!(samples.step(), Samples::FULL_SCALE_STEP);
    }

    #[test]
    fn any_other_sample_is_off_by_half_a_step() {
        for peak in [1e-6f32, 0.013, 0.5, 0.75, 1.0, 7.9] {
            let samples: Vec<f32> = (0..5_000)
                .map(|n| peak * (n as f32 * 0.7).sin() * (n as f32 / 5_000.0))
                .collect();
            let held = Samples::from(&samples[..]);
            let worst = held
                .to_vec()
                .iter()
                .zip(&samples)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                worst <= 0.5 * held.step,
                "{worst} of steps of {}",
                held.step
            );
            assert!(held.step <= 2.0 * peak / STEPS, "{} for {peak}", held.step);
        }
        assert_eq!(Samples::from(&[0.0f32, -0.0][..]).to_vec(), [0.0; 2]);
    }

    #[test]
    fn a_cut_beyond_the_end_begins_again() {
        let held = Samples::from(vec![0.25, 0.5, -0.5]);
        assert_eq!(held.cut(1, 2), [0.5, -0.5]);
        assert_eq!(held.cut(2, 6), [-0.5, 0.25, 0.5, -0.5, 0.25, 0.5]);
        assert_eq!(held.cut(0, 0), [0.0; 0]);
    }
}
