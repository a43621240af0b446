//! Parameters in [0, 1], and their mapping to real ranges.

use crate::noise::Noise;

/// `N` parameters, each in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Knobs<const N: usize>([f32; N]);

impl<const N: usize> Knobs<N> {
    pub fn random(noise: &mut Noise) -> Self {
        Self(std::array::from_fn(|_| 0.5 + 0.5 * noise.uniform()))
    }

    /// Moves each parameter by a normal number times `share`, and clips it to [0, 1].
    pub fn perturb(&self, share: f32, noise: &mut Noise) -> Self {
        Self(
            self.0
                .map(|value| (value + share * noise.normal()).clamp(0.0, 1.0)),
        )
    }

    /// Returns parameter `index` as it is.
    pub fn raw(&self, index: usize) -> f32 {
        self.0[index]
    }

    /// Maps parameter `index` linearly to `low` to `high`.
    pub fn linear(&self, index: usize, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0[index]
    }

    /// Maps parameter `index` to `low` to `high` so that equal steps are equal ratios.
    pub fn ratio(&self, index: usize, low: f32, high: f32) -> f32 {
        low * (high / low).powf(self.0[index])
    }

    /// Returns how far parameter `index` is past `threshold`, from 0 (at or before it) to 1.
    pub fn beyond(&self, index: usize, threshold: f32) -> f32 {
        ((self.0[index] - threshold) / (1.0 - threshold)).max(0.0)
    }

    /// Chooses one of `choices` by parameter `index`.
    pub fn choice<T: Copy>(&self, index: usize, choices: &[T]) -> T {
        let place = (self.0[index] * choices.len() as f32) as usize;
        choices[place.min(choices.len() - 1)]
    }
}
