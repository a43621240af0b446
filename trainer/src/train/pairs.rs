//! Pairs of augmented views, batch after batch: recordings and synthesised sounds, cut, augmented
//! and turned into log-mel patches.

use super::config::DataConfig;
use super::teachers::{Answers, Teacher};
use super::windows::{Cut, WindowRule};
use crate::audio::synth::Patch;
use crate::augment::{AugmentConfig, Augmenter, OPERATORS, Operator, View};
use anyhow::{Context, Result};
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
    teachers: Vec<Teacher>,
    /// How recordings are cut, if not anywhere.
    rule: Option<WindowRule>,
}

/// The sound that a view is made of.
#[derive(Debug)]
struct Sound {
    samples: Vec<f32>,
    /// Where it was cut, if teachers have heard such windows.
    cut: Option<Cut>,
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
    /// What the teachers say, a row for each view: for a backbone each half of its embedding.
    pub answers: Vec<Answers>,
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
            teachers: Vec::new(),
            rule: None,
        })
    }

    /// Batch number `step` of `pairs` pairs; the same whatever the number of threads.
    ///
    /// # Errors
    /// If a teacher fails.
    pub fn batch(&self, step: u64, pairs: usize) -> Result<Batch> {
        let views: Vec<[(View, Option<Cut>); 2]> = (0..pairs)
            .into_par_iter()
            .map_init(
                || self.augmenter.clone(),
                |augmenter, index| self.pair(augmenter, &mut self.rng(step, index as u64)),
            )
            .collect();
        let (ordered, cuts): (Vec<&View>, Vec<Option<Cut>>) = (0..2)
            .flat_map(|second| views.iter().map(move |pair| &pair[second]))
            .map(|(view, cut)| (view, *cut))
            .unzip();
        let length = self.frontend.patch_len();
        let mut batch = Batch {
            patches: vec![0.0; ordered.len() * length],
            labels: Vec::with_capacity(ordered.len() * OPERATORS),
            parameters: Vec::with_capacity(ordered.len() * OPERATORS),
            answers: Vec::new(),
        };
        let spans = Operator::ALL.map(|operator| self.augmenter.config().parameter_span(operator));
        batch
            .patches
            .par_chunks_mut(length)
            .zip(&ordered)
            .for_each(|(patch, view)| self.features(&view.samples, patch));
        let samples: Vec<&[f32]> = ordered.iter().map(|view| &view.samples[..]).collect();
        for teacher in &self.teachers {
            batch.answers.extend(teacher.answers(&samples, &cuts)?);
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
                let [sound, _] = self.sounds(&mut rng);
                let mut patch = vec![0.0; self.frontend.patch_len()];
                self.features(&sound.samples, &mut patch);
                patch
            })
            .collect()
    }

    /// The same source, whose batches hold what `teachers` say; recordings are cut into windows by
    /// `rule` where there is one.
    pub(super) fn with_teachers(
        mut self,
        teachers: Vec<Teacher>,
        rule: Option<WindowRule>,
    ) -> Self {
        (self.teachers, self.rule) = (teachers, rule);
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

    fn pair(&self, augmenter: &mut Augmenter, rng: &mut ChaCha8Rng) -> [(View, Option<Cut>); 2] {
        self.sounds(rng)
            .map(|sound| (augmenter.view(&sound.samples, rng), sound.cut))
    }

    /// Two windows of the same sound.
    fn sounds(&self, rng: &mut ChaCha8Rng) -> [Sound; 2] {
        let samples = self.frontend.patch_samples();
        let rate = self.frontend.sample_rate;
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        if total == 0.0 || rng.random::<f64>() < self.data.synth_share {
            let patch = Patch::random(rng);
            return [(); 2].map(|()| {
                let near = patch.perturb(self.data.synth_perturb, rng);
                let samples = near.render(samples, rate, rng);
                Sound { samples, cut: None }
            });
        }
        let drawn = rng.random::<f64>() * total;
        let index = self
            .cumulative
            .partition_point(|&sum| sum <= drawn)
            .min(self.clips.len() - 1);
        let clip = &self.clips[index];
        let cut = |window: usize| {
            let clip = index;
            self.rule.map(|_| Cut { clip, window })
        };
        if clip.len() <= samples {
            // A short clip repeats, from anywhere in it, as the device repeats its frames. Teachers hear
            // it from its beginning.
            let start = rng.random_range(0..clip.len());
            let tiled = |start: usize| Sound {
                samples: clip
                    .iter()
                    .cycle()
                    .skip(start)
                    .take(samples)
                    .copied()
                    .collect(),
                cut: cut(0),
            };
            return [tiled(start), tiled(start)];
        }
        let last = clip.len() - samples;
        let reach = (self.data.positive_offset * f64::from(rate)) as usize;
        if let Some(rule) = self.rule {
            let first = rng.random_range(0..rule.count(clip.len()));
            let (from, to) = rule.near(clip.len(), first, reach);
            let second = rng.random_range(from..=to);
            return [first, second].map(|window| {
                let mut cut_out = Vec::with_capacity(samples);
                rule.append(clip, window, &mut cut_out);
                Sound {
                    samples: cut_out,
                    cut: cut(window),
                }
            });
        }
        let first = rng.random_range(0..=last);
        let second = rng.random_range(first.saturating_sub(reach)..=(first + reach).min(last));
        [first, second].map(|start| Sound {
            samples: clip[start..start + samples].to_vec(),
            cut: None,
        })
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
