//! The control that learns nothing: statistics of mel-frequency cepstral coefficients.
//!
//! A clip becomes the mean, the deviation, and the deviation of the first differences of its first 20
//! cepstral coefficients over time. They come from the same log-mel frames that the model sees, made by
//! the runtime's frontend, through an orthonormal DCT-II. So a model's lead over this control is
//! learned. Every value is standardised by its mean and deviation over *reference* audio that is not
//! evaluated.

use super::features::ClipFeatures;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{Frontend, FrontendConfig, FrontendError};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};
use rayon::prelude::*;
use std::f64::consts::PI;

/// Cepstral coefficients kept, the zeroth (the level) among them; fewer where the frontend has
/// fewer bands.
pub const COEFFICIENTS: usize = 20;

/// Computes the statistics of one clip: means, deviations and deviations of differences, as many of
/// each as there are coefficients.
///
/// # Errors
/// If the frontend's parameters cannot be used.
pub fn statistics(samples: &[f32], frontend: &FrontendConfig) -> Result<Vec<f32>, FrontendError> {
    // Raw logarithms: the model's normalisation is not part of the control.
    let config = FrontendConfig {
        mean: 0.0,
        scale: 1.0,
        ..*frontend
    };
    let mut buffer = vec![0.0; config.buffer_len()];
    let mut frames = Frontend::new(config, &mut buffer)?;
    let kept = COEFFICIENTS.min(config.mels.into());
    let table = dct_table(kept, config.mels.into());
    let mut cepstra: Vec<Vec<f64>> = Vec::new();
    let mut transform = |frame: &[f32]| {
        let coefficient = |row: &[f64]| row.iter().zip(frame).map(|(c, &v)| c * f64::from(v)).sum();
        cepstra.push(table.chunks(frame.len()).map(coefficient).collect());
    };
    frames.push(samples, &mut transform);
    if samples.len() < config.window.into() {
        frames.flush(&mut transform);
    }
    let mut out = vec![0.0; 3 * kept];
    for k in 0..kept {
        let (mean, deviation) = moments(cepstra.iter().map(|c| c[k]));
        let (_, differences) = moments(cepstra.windows(2).map(|pair| pair[1][k] - pair[0][k]));
        out[k] = mean as f32;
        out[kept + k] = deviation as f32;
        out[2 * kept + k] = differences as f32;
    }
    Ok(out)
}

/// Returns the first `kept` rows of the orthonormal DCT-II of `bands` values.
fn dct_table(kept: usize, bands: usize) -> Vec<f64> {
    let n = bands as f64;
    (0..kept)
        .flat_map(|k| {
            let gain = if k == 0 { 1.0 / n } else { 2.0 / n }.sqrt();
            (0..bands).map(move |m| gain * (PI / n * (m as f64 + 0.5) * k as f64).cos())
        })
        .collect()
}

/// Returns mean and deviation; zeros for no values.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Means and deviations of the statistics over reference audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardiser {
    frontend: FrontendConfig,
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Standardiser {
    /// Measures `clips` of reference audio at the frontend's sample rate.
    ///
    /// # Errors
    /// If the frontend's parameters cannot be used.
    pub fn measure(clips: &[Vec<f32>], frontend: &FrontendConfig) -> Result<Self, FrontendError> {
        let rows = all_statistics(clips, frontend)?;
        let dim = rows.first().map_or(0, Vec::len);
        let column = |d: usize| moments(rows.iter().map(move |row| f64::from(row[d])));
        // A value that never varies in the reference has no scale and stays as it is.
        let scale = |d: usize| match column(d).1 as f32 {
            deviation if deviation > 1e-6 => deviation,
            _ => 1.0,
        };
        Ok(Self {
            frontend: *frontend,
            mean: (0..dim).map(|d| column(d).0 as f32).collect(),
            deviation: (0..dim).map(scale).collect(),
        })
    }

    /// Returns the standardised statistics of `clips`, with a base mean of zero.
    ///
    /// # Errors
    /// If the frontend's parameters cannot be used.
    pub fn features(&self, clips: &[Vec<f32>]) -> Result<ClipFeatures, FrontendError> {
        let rows = all_statistics(clips, &self.frontend)?;
        let dim = self.mean.len();
        let standardise = |row: Vec<f32>| -> Vec<f32> {
            (0..dim)
                .map(|d| (row[d] - self.mean[d]) / self.deviation[d])
                .collect()
        };
        let statistics = Part {
            name: "statistics",
            len: dim,
            share: 1.0,
        };
        let parts = Parts::new([statistics]).expect("one part of a few dozen values");
        let id = BackboneId::new([0; BackboneId::LEN]);
        // The reference is not measured: the control is compared only where no threshold counts.
        let reference = Reference::assumed(0.5);
        let mean = vec![0.0; dim];
        let space = EmbeddingSpace::new(id, self.frontend, parts, &mean, reference);
        Ok(ClipFeatures {
            space: space.expect("a mean for each value").into_owned(),
            rows: rows.into_iter().flat_map(standardise).collect(),
        })
    }
}

fn all_statistics(
    clips: &[Vec<f32>],
    frontend: &FrontendConfig,
) -> Result<Vec<Vec<f32>>, FrontendError> {
    clips
        .par_iter()
        .map(|clip| statistics(clip, frontend))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONTEND: FrontendConfig = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: 40,
        frames: 61,
        f_min: 50.0,
        f_max: 8000.0,
        floor: 1e-4,
        mean: -3.0,
        scale: 0.2,
        form: mtslvr_runtime::frontend::FrontendForm::PLAIN,
    };

    fn tone(hz: f32, samples: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * hz / 16_000.0;
        (0..samples)
            .map(|i| 0.3 * (step * i as f32).sin())
            .collect()
    }

    #[test]
    fn the_transform_is_orthonormal() {
        let table = dct_table(COEFFICIENTS, 40);
        for a in 0..COEFFICIENTS {
            for b in 0..COEFFICIENTS {
                let dot: f64 = (0..40).map(|m| table[a * 40 + m] * table[b * 40 + m]).sum();
                let expected = if a == b { 1.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_zeroth_coefficient_is_the_level() {
        // With every band far above the floor, twice the amplitude adds ln 4 to each of them.
        let noise: Vec<f32> = (0..16_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
            .collect();
        let loud: Vec<f32> = noise.iter().map(|v| 2.0 * v).collect();
        let quiet = statistics(&noise, &FRONTEND).unwrap();
        let loud = statistics(&loud, &FRONTEND).unwrap();
        let expected = 40f32.sqrt() * 4f32.ln();
        assert!((loud[0] - quiet[0] - expected).abs() < 0.01);
        for (a, b) in loud.iter().zip(&quiet).skip(1) {
            assert!((a - b).abs() < 0.05, "{a} {b}");
        }
    }

    #[test]
    fn clips_of_any_length_have_finite_statistics() {
        for samples in [0, 1, 100, 512, 513, 700] {
            let statistics = statistics(&tone(900.0, samples), &FRONTEND).unwrap();
            assert!(statistics.iter().all(|v| v.is_finite()), "{samples}");
        }
    }

    #[test]
    fn the_reference_itself_becomes_standard() {
        let clips: Vec<_> = (1..30).map(|i| tone(97.0 * i as f32, 4000)).collect();
        let standard = Standardiser::measure(&clips, &FRONTEND).unwrap();
        let features = standard.features(&clips).unwrap();
        for d in 0..COEFFICIENTS {
            let (mean, deviation) =
                moments((0..clips.len()).map(|i| f64::from(features.row(i)[d])));
            assert!(mean.abs() < 1e-4 && (deviation - 1.0).abs() < 1e-3);
        }
    }
}
