//! Pairs of augmented views, batch after batch: recordings and synthesised sounds, cut, augmented
//! and turned into log-mel patches.

use super::config::DataConfig;
use super::teacher::Teacher;
use crate::augment::{AugmentConfig, Augmenter, OPERATORS, Operator, View};
use anyhow::{Context, Result};
use mtslvr_audio::synth::Patch;
use mtslvr_runtime::clip::patches;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::Arc;

/// Pairs whose order, cuts and augmentations follow from the seed alone.
#[derive(Debug)]
pub struct PairSource {
    clips: Arc<Vec<Vec<f32>>>,
    /// Running sum of the clips' weights; a longer clip is drawn more often, but less than in
    /// proportion, so that a few long ones do not drown the rest.
    cumulative: Vec<f64>,
    data: DataConfig,
    frontend: FrontendConfig,
    augmenter: Augmenter,
    seed: u64,
    teacher: Option<Teacher>,
}

/// `2N` patches: the first views of `N` clips, then their second views in the same order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[2N, frames, mels]`
    pub patches: Vec<f32>,
    /// `[2N, OPERATORS]`, 1 where the operator made this view.
    pub labels: Vec<f32>,
    /// `[2N, OPERATORS]`, the parameter of each operator that ran, from -1 at the lowest to 1 at the
    /// highest value that its configuration allows; 0 for the others.
    pub parameters: Vec<f32>,
    /// For each half of the teacher's embedding `[2N, dim]`, its direction for each view; none without a
    /// teacher.
    pub targets: Vec<Vec<f32>>,
}

impl PairSource {
    /// A source over `clips` (samples at the frontend's rate), which may be empty.
    pub fn new(
        clips: Arc<Vec<Vec<f32>>>,
        data: DataConfig,
        augment: AugmentConfig,
        frontend: FrontendConfig,
        seed: u64,
    ) -> Result<Self> {
        let mut sum = 0.0;
        let weight = |clip: &Vec<f32>| (clip.len() as f64).sqrt();
        let cumulative = clips
            .iter()
            .map(|clip| {
                sum += weight(clip);
                sum
            })
            .collect();
        let augmenter = Augmenter::new(augment, frontend.sample_rate).context("[augment]")?;
        Ok(Self {
            clips,
            cumulative,
            data,
            frontend,
            augmenter,
            seed,
            teacher: None,
        })
    }

    /// Batch number `step` of `pairs` pairs; the same whatever the number of threads.
    ///
    /// # Errors
    /// If the teacher fails.
    pub fn batch(&self, step: u64, pairs: usize) -> Result<Batch> {
        let views: Vec<[View; 2]> = (0..pairs)
            .into_par_iter()
            .map_init(
                || self.augmenter.clone(),
                |augmenter, index| self.pair(augmenter, &mut self.rng(step, index as u64)),
            )
            .collect();
        let ordered: Vec<&View> = (0..2)
            .flat_map(|second| views.iter().map(move |pair| &pair[second]))
            .collect();
        let length = self.frontend.patch_len();
        let mut batch = Batch {
            patches: vec![0.0; ordered.len() * length],
            labels: Vec::with_capacity(ordered.len() * OPERATORS),
            parameters: Vec::with_capacity(ordered.len() * OPERATORS),
            targets: Vec::new(),
        };
        let spans = Operator::ALL.map(|operator| self.augmenter.config().parameter_span(operator));
        batch
            .patches
            .par_chunks_mut(length)
            .zip(&ordered)
            .for_each(|(patch, view)| self.features(&view.samples, patch));
        if let Some(teacher) = &self.teacher {
            let clips: Vec<&[f32]> = ordered.iter().map(|view| &view.samples[..]).collect();
            batch.targets = teacher.directions(&clips)?;
        }
        for view in ordered {
            batch
                .labels
                .extend(view.labels.iter().map(|&ran| if ran { 1.0 } else { 0.0 }));
            let parameters = view.parameters.iter().zip(spans);
            batch
                .parameters
                .extend(parameters.map(|(value, [low, high])| match value {
                    Some(value) if high > low => 2.0 * (value - low) / (high - low) - 1.0,
                    _ => 0.0,
                }));
        }
        Ok(batch)
    }

    /// `count` patches of unaugmented sounds from the same sources, for normalisation and
    /// calibration: never the same draws as a batch's.
    pub fn clean_patches(&self, count: usize) -> Vec<Vec<f32>> {
        (0..count)
            .into_par_iter()
            .map(|index| {
                let mut rng = self.rng(u64::MAX, index as u64);
                let [samples, _] = self.sounds(&mut rng);
                let mut patch = vec![0.0; self.frontend.patch_len()];
                self.features(&samples, &mut patch);
                patch
            })
            .collect()
    }

    /// The same source, whose batches hold what `teacher` says of the views.
    pub(super) fn with_teacher(mut self, teacher: Teacher) -> Self {
        self.teacher = Some(teacher);
        self
    }

    /// The same source with other frontend parameters.
    pub fn with_frontend(mut self, frontend: FrontendConfig) -> Self {
        self.frontend = frontend;
        self
    }

    /// A generator for one draw, independent of all others.
    fn rng(&self, step: u64, index: u64) -> ChaCha8Rng {
        let mut rng =
            ChaCha8Rng::seed_from_u64(self.seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.set_stream(index);
        rng
    }

    fn pair(&self, augmenter: &mut Augmenter, rng: &mut ChaCha8Rng) -> [View; 2] {
        self.sounds(rng)
            .map(|samples| augmenter.view(&samples, rng))
    }

    /// Two windows of the same sound.
    fn sounds(&self, rng: &mut ChaCha8Rng) -> [Vec<f32>; 2] {
        let samples = self.frontend.patch_samples();
        let rate = self.frontend.sample_rate;
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        if total == 0.0 || rng.random::<f64>() < self.data.synth_share {
            let patch = Patch::random(rng);
            return [(); 2].map(|()| {
                let near = patch.perturb(self.data.synth_perturb, rng);
                near.render(samples, rate, rng)
            });
        }
        let drawn = rng.random::<f64>() * total;
        let clip = &self.clips[self
            .cumulative
            .partition_point(|&sum| sum <= drawn)
            .min(self.clips.len() - 1)];
        if clip.len() <= samples {
            // A short clip repeats, from anywhere in it, as the device repeats its frames.
            let start = rng.random_range(0..clip.len());
            let tiled = |start: usize| {
                clip.iter()
                    .cycle()
                    .skip(start)
                    .take(samples)
                    .copied()
                    .collect()
            };
            return [tiled(start), tiled(start)];
        }
        let last = clip.len() - samples;
        let reach = (self.data.positive_offset * f64::from(rate)) as usize;
        let first = rng.random_range(0..=last);
        let second = rng.random_range(first.saturating_sub(reach)..=(first + reach).min(last));
        [first, second].map(|start| clip[start..start + samples].to_vec())
    }

    /// The one patch that `patch_samples()` samples make.
    fn features(&self, samples: &[f32], out: &mut [f32]) {
        patches(self.frontend, samples, |patch| out.copy_from_slice(patch))
            .expect("the configuration was checked when the source was made");
    }
}

/// Mean and reciprocal deviation of patches made with mean 0 and scale 1.
pub fn normalisation(patches: &[Vec<f32>]) -> (f32, f32) {
    let values = || patches.iter().flatten().map(|&x| f64::from(x));
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    (mean as f32, (1.0 / variance.max(1e-6).sqrt()) as f32)
}
