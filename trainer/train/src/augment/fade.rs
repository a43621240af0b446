//! Fade in and out.

use super::config::FadeConfig;
use super::draw::draw;
use rand::{Rng, RngExt};

/// Steepness of the curved shapes: the exponential reaches 1/e^4 (-35 dB) of its way at the start.
const CURVATURE: f32 = 4.0;

/// Course of a gain from silence to full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Even.
    Linear,
    /// Quick at first.
    Logarithmic,
    /// Slow at first.
    Exponential,
}

/// A fade that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fade {
    /// Course of both ends.
    pub shape: Shape,
    /// Shares of the clip that the fade-in and the fade-out take.
    pub shares: [f32; 2],
}

impl Fade {
    pub(super) fn draw(config: &FadeConfig, rng: &mut impl Rng) -> Self {
        Self {
            shape: [Shape::Linear, Shape::Logarithmic, Shape::Exponential][rng.random_range(0..3)],
            shares: [(); 2].map(|()| draw(config.share, rng)),
        }
    }

    /// Returns how many of `length` samples are faded in, and how many out.
    pub(crate) fn lengths(self, length: usize) -> [usize; 2] {
        self.shares.map(|share| (share * length as f32) as usize)
    }

    /// Returns the share of a clip of `length` samples that is under a fade.
    pub(crate) fn share(self, length: usize) -> f32 {
        let [fade_in, fade_out] = self.lengths(length);
        (fade_in + fade_out) as f32 / length as f32
    }

    /// Appends the faded clip to `output`.
    pub(super) fn apply(self, input: &[f32], output: &mut Vec<f32>) -> f32 {
        let [fade_in, fade_out] = self.lengths(input.len());
        output.extend_from_slice(input);
        ramp(self.shape, output[..fade_in].iter_mut());
        ramp(
            self.shape,
            output[input.len() - fade_out..].iter_mut().rev(),
        );
        self.share(input.len())
    }
}

impl Shape {
    /// Gain at `progress` from 0 (silent) to 1 (full).
    fn gain(self, progress: f32) -> f32 {
        match self {
            Self::Linear => progress,
            Self::Logarithmic => (progress * CURVATURE.exp_m1()).ln_1p() / CURVATURE,
            Self::Exponential => (progress * CURVATURE).exp_m1() / CURVATURE.exp_m1(),
        }
    }
}

/// Fades `samples` in, in the order in which they come. The gain is computed every 8 samples and
/// runs straight between: at that distance the curves are straight to 1 %.
fn ramp<'a>(shape: Shape, samples: impl ExactSizeIterator<Item = &'a mut f32>) {
    const STEP: usize = 8;
    let length = samples.len() as f32;
    let (mut gain, mut next, mut slope) = (0.0, 0.0, 0.0);
    for (index, sample) in samples.enumerate() {
        if index % STEP == 0 {
            gain = next;
            next = shape.gain(((index + STEP) as f32 / length).min(1.0));
            slope = (next - gain) / STEP as f32;
        }
        *sample *= gain;
        gain += slope;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_rise_from_silence_to_full() {
        let half = [Shape::Exponential, Shape::Linear, Shape::Logarithmic].map(|shape| {
            assert!(shape.gain(0.0).abs() < 1e-6 && (shape.gain(1.0) - 1.0).abs() < 1e-6);
            shape.gain(0.5)
        });
        assert!(half[0] < 0.2 && half[1] == 0.5 && half[2] > 0.8, "{half:?}");
    }

    #[test]
    fn a_ramp_follows_its_shape() {
        for shape in [Shape::Linear, Shape::Logarithmic, Shape::Exponential] {
            let mut samples = vec![1.0; 1000];
            ramp(shape, samples.iter_mut());
            for (index, sample) in samples.iter().enumerate() {
                assert!((sample - shape.gain(index as f32 / 1000.0)).abs() < 0.01);
            }
        }
    }
}
