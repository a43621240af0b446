//! Normalises a whole patch before the network reads it.

/// Normalises the frames of a patch: value `x` of a band becomes `(x - m - mean) * scale`, where `m` is a mean
/// of the patch itself, and `mean` and `scale` are the band's own.
///
/// Few backbones need it. Frames stay as the frontend makes them, so that a stream is cut into patches the
/// same way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchNorm<'a> {
    /// The mean of the patch itself that is subtracted.
    pub mean: PatchMean,
    /// Mean and scale of each band; empty where they are 0 and 1.
    pub bands: &'a [[f32; 2]],
}

/// A mean of a patch that is subtracted from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum PatchMean {
    /// None.
    #[default]
    None = 0,
    /// The mean of all its values.
    Patch = 1,
    /// The mean of each band over time.
    Band = 2,
}

impl PatchMean {
    /// Every choice, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::None, Self::Patch, Self::Band];

    /// Returns the name in a description of a frontend.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Band => "band",
        }
    }

    /// Returns the choice with this number in a packed model, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&it| it as u8 == number)
    }
}

impl PatchNorm<'_> {
    /// Returns whether there is a mean and a scale for each of `mels` bands or for none, every mean at most
    /// `1e4` in magnitude, and every scale too, and not zero.
    pub fn fits(&self, mels: usize) -> bool {
        let usable =
            |[mean, scale]: &[f32; 2]| mean.abs() <= 1e4 && scale.abs() <= 1e4 && *scale != 0.0;
        (self.bands.is_empty() || self.bands.len() == mels) && self.bands.iter().all(usable)
    }

    /// Calls `on_value` with the index and the normalised value of each place of `patch`, whose frames have
    /// `mels` values, one band after the other.
    ///
    /// A mean over time is the sum in `f32`, frame by frame, divided by the number of frames; that of a patch
    /// is made of the bands' means in the same way.
    pub fn apply(&self, patch: &[f32], mels: usize, mut on_value: impl FnMut(usize, f32)) {
        let step = mels.max(1);
        let band_mean = |band: usize| mean(patch.iter().skip(band).step_by(step).copied());
        let patch_mean = match self.mean {
            PatchMean::Patch => mean((0..mels).map(band_mean)),
            PatchMean::None | PatchMean::Band => 0.0,
        };
        for band in 0..mels {
            let own = match self.mean {
                PatchMean::Band => band_mean(band),
                PatchMean::None | PatchMean::Patch => patch_mean,
            };
            let &[mean, scale] = self.bands.get(band).unwrap_or(&[0.0, 1.0]);
            for (at, value) in patch.iter().enumerate().skip(band).step_by(step) {
                on_value(at, (value - own - mean) * scale);
            }
        }
    }
}

/// Returns the mean; 0 of nothing.
fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (mut sum, mut count) = (0.0f32, 0_u32);
    for value in values {
        sum += value;
        count += 1;
    }
    sum / count.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn normalised(norm: &PatchNorm<'_>, patch: &[f32]) -> Vec<f32> {
        let mut values = std::vec![f32::NAN; patch.len()];
        norm.apply(patch, 2, |at, value| values[at] = value);
        values
    }

    #[test]
    fn means_are_of_what_they_say() {
        // Three frames of two bands.
        let patch = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        let norm = |mean| PatchNorm { mean, bands: &[] };
        assert_eq!(normalised(&norm(PatchMean::None), &patch), patch);
        assert_eq!(
            normalised(&norm(PatchMean::Patch), &patch),
            [-10.0, -1.0, -9.0, 9.0, -8.0, 19.0]
        );
        assert_eq!(
            normalised(&norm(PatchMean::Band), &patch),
            [-1.0, -10.0, 0.0, 0.0, 1.0, 10.0]
        );
        let bands = PatchNorm {
            mean: PatchMean::Band,
            bands: &[[1.0, 2.0], [-10.0, -0.5]],
        };
        assert_eq!(
            normalised(&bands, &patch),
            [-4.0, 0.0, -2.0, -5.0, 0.0, -10.0]
        );
    }

    #[test]
    fn bands_that_cannot_be_are_found() {
        let fits = |bands: &[[f32; 2]]| {
            let mean = PatchMean::None;
            PatchNorm { mean, bands }.fits(2)
        };
        assert!(fits(&[]) && fits(&[[0.0, 1.0], [1e4, -1e4]]));
        for wrong in [
            &[[0.0, 1.0]][..],
            &[[0.0, 0.0]; 2],
            &[[f32::NAN, 1.0]; 2],
            &[[0.0, f32::INFINITY]; 2],
            &[[-2e4, 1.0]; 2],
        ] {
            assert!(!fits(wrong), "{wrong:?}");
        }
    }
}
