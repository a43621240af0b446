//! Loudness, clipping and length of a clip.

use crate::frontend::SAMPLE_LIMIT;

/// Levels of a clip's samples, gathered as they pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Levels {
    samples: u32,
    peak: f32,
    clipped: u32,
    /// Samples in a row at full scale, and on which side.
    run: (u32, f32),
}

/// From here on a sample is at full scale.
const FULL_SCALE: f32 = 0.999;

/// As many samples in a row at full scale, on one side, are clipped; fewer may be a true peak.
const CLIPPED_RUN: u32 = 3;

impl Levels {
    /// Takes samples, full scale being 1. Samples that the frontend takes as silence are silence here
    /// too.
    pub fn push(&mut self, samples: &[f32]) {
        for sample in samples {
            self.add(*sample);
        }
    }

    /// Takes samples of 16-bit PCM, as [`Self::push`] does.
    pub fn push_i16(&mut self, samples: &[i16]) {
        for sample in samples {
            self.add(f32::from(*sample) / 32_768.0);
        }
    }

    fn add(&mut self, sample: f32) {
        self.samples = self.samples.saturating_add(1);
        let magnitude = sample.abs();
        if magnitude > SAMPLE_LIMIT || magnitude.is_nan() {
            self.run.0 = 0;
            return;
        }
        self.peak = self.peak.max(magnitude);
        if magnitude < FULL_SCALE {
            self.run.0 = 0;
            return;
        }
        let side = sample.signum();
        let length = if self.run.1 == side {
            self.run.0.saturating_add(1)
        } else {
            1
        };
        self.run = (length, side);
        let newly = match length.cmp(&CLIPPED_RUN) {
            core::cmp::Ordering::Less => 0,
            core::cmp::Ordering::Equal => CLIPPED_RUN,
            core::cmp::Ordering::Greater => 1,
        };
        self.clipped = self.clipped.saturating_add(newly);
    }

    /// Returns the number of samples.
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// Returns the largest magnitude of a sample, full scale being 1.
    pub fn peak(&self) -> f32 {
        self.peak
    }

    /// Returns the share of samples that are clipped: three or more in a row at full scale.
    pub fn clipped(&self) -> f32 {
        self.clipped as f32 / self.samples.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_not_clipped_and_a_plateau_is() {
        let mut levels = Levels::default();
        levels.push(&[0.0, 1.0, 1.0, 0.5, -1.0, -1.0, 1.0, 0.2]);
        assert_eq!(
            (levels.samples(), levels.peak(), levels.clipped()),
            (8, 1.0, 0.0)
        );
        // However they are cut into calls.
        levels.push_i16(&[32_767, 32_767]);
        levels.push_i16(&[i16::MAX, i16::MAX, 0, -32_768, -32_768, -32_768]);
        assert_eq!(levels.clipped(), 7.0 / 16.0);
        levels.push(&[f32::NAN, f32::INFINITY, -1e9]);
        assert_eq!((levels.samples(), levels.peak()), (19, 1.0));
    }
}
