//! Pairs of augmented views, batch after batch: recordings and synthesised sounds, cut, augmented,
//! put into an environment and turned into log-mel patches.

mod feed;
mod weights;

pub use feed::Feed;

use super::config::{DataConfig, PairsConfig, RunConfig};
use super::teachers::{Answers, Teacher};
use super::windows::{Cut, WindowRule};
use crate::augment::{Augmenter, Drawn, Environment, OPERATORS, Operator, Surroundings, View};
use anyhow::{Result, bail};
use mtslvr_audio::Recordings;
use mtslvr_audio::synth::Patch;
use mtslvr_runtime::clip::patches;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::Arc;
use weights::{Cumulative, group_weights, recording_weights};

/// Draws of a background before noise stands in for it.
const BACKGROUND_DRAWS: usize = 8;

/// Least mean power of a background, -70 dB of full scale: raising a pause would mix in the noise of
/// a converter.
const LEAST_BACKGROUND: f32 = 1e-7;

/// Sets the generators of environments apart from those of pairs, so that views are the same with and
/// without an environment.
const ENVIRONMENT_SEED: u64 = 0x656e_7669_726f_6e73;

/// Pairs whose order, cuts, augmentations and environments follow from the seed alone.
#[derive(Debug)]
pub struct PairSource {
    recordings: Arc<Recordings>,
    /// Running sum of the recordings' weights.
    clips: Cumulative,
    /// The same of groups.
    groups: Cumulative,
    /// The group of each recording that has one.
    group_of: Vec<Option<u32>>,
    data: DataConfig,
    pairs: PairsConfig,
    frontend: FrontendConfig,
    augmenter: Augmenter,
    environment: Environment,
    seed: u64,
    teachers: Vec<Teacher>,
    /// Rule by which views begin, if they may not begin anywhere.
    rule: Option<WindowRule>,
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
    /// `[2N]`, power of each view over that of the background mixed into it, dB; infinite without one.
    pub snr_db: Vec<f32>,
    /// Answers of the teachers, a row for each view: of a backbone, for each part of its embedding, on the
    /// view before its environment; of a teacher of a part, on the clean window that the view was made of.
    pub answers: Vec<Answers>,
}

/// Place that a view is cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// Index of the recording.
    clip: usize,
    /// First sample; a recording shorter than the window repeats from there.
    start: usize,
    /// Number of the window among those of the recording that teachers have heard, if there are such
    /// teachers.
    number: Option<usize>,
}

impl Window {
    /// Returns the key to what teachers have said of it.
    fn cut(self) -> Option<Cut> {
        let clip = self.clip;
        self.number.map(|window| Cut { clip, window })
    }
}

/// Sound that a view is made of, or that is mixed into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Recorded(Window),
    Made(Made),
}

/// A sound of the synthesiser: the first or the second of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Made {
    /// Seed of the pair.
    seed: u64,
    second: bool,
}

impl Sound {
    /// Returns the key to what teachers have said of it; `None` if it was synthesised.
    fn cut(self) -> Option<Cut> {
        match self {
            Self::Recorded(window) => window.cut(),
            Self::Made(_) => None,
        }
    }
}

/// All that is drawn for a view.
#[derive(Clone, Debug)]
struct PlannedView {
    sound: Sound,
    /// Samples by which it begins later.
    shift: isize,
    operators: Vec<Drawn>,
    surroundings: Surroundings,
    /// Another sound behind it, where its background is one.
    background: Option<Sound>,
}

/// A view, and what its environment did to it.
struct Heard {
    view: View,
    snr_db: Option<f32>,
    /// The view before its environment, where a teacher hears it.
    clear: Option<Vec<f32>>,
    /// The window that it was made of, where teachers have heard it.
    cut: Option<Cut>,
}

/// Plans and scratch memory of each thread.
#[derive(Clone)]
struct Makers {
    augmenter: Augmenter,
    environment: Environment,
}

impl PairSource {
    /// Makes a source over `recordings` (at the frontend's rate), which may hold none.
    ///
    /// # Errors
    /// A value of the configuration that cannot be used; pairs of one thing are asked for, and a
    /// manifest's column `same` names no two recordings of one.
    pub fn new(recordings: Arc<Recordings>, config: &RunConfig) -> Result<Self> {
        let frontend = config.frontend.to_config();
        let mut group_of = vec![None; recordings.clips.len()];
        for (index, group) in recordings.groups.iter().enumerate() {
            for member in &group.members {
                group_of[member.clip] = Some(index as u32);
            }
        }
        let source = Self {
            clips: Cumulative::new(recording_weights(&recordings, config.data)),
            groups: Cumulative::new(group_weights(&recordings, config.pairs)),
            group_of,
            data: config.data,
            pairs: config.pairs,
            frontend,
            augmenter: Augmenter::new(config.augment.clone(), frontend.sample_rate)?,
            environment: Environment::new(config.environment, frontend.sample_rate)?,
            seed: config.train.seed,
            teachers: Vec::new(),
            rule: None,
            recordings,
        };
        let mut manifests = source.recordings.manifests.iter();
        if let Some(manifest) = manifests.find(|manifest| manifest.same)
            && source.lacks_groups()
        {
            bail!(
                "pairs.same is {}, but in {} no two recordings that are trained on have the same value in the \
                 column `same`; fill it in, or set pairs.same=0",
                config.pairs.same,
                manifest.path.display()
            );
        }
        Ok(source)
    }

    /// Whether pairs of one thing are asked for and cannot be had.
    fn lacks_groups(&self) -> bool {
        self.pairs.same > 0.0 && self.recordings.groups.is_empty()
    }

    /// Returns a sentence where pairs of one thing are asked for and no manifest names any.
    pub fn remark(&self) -> Option<String> {
        let recordings = &self.recordings;
        let why = match (&recordings.manifests[..], recordings.clips.is_empty()) {
            _ if !self.lacks_groups() => return None,
            (_, true) => "there are no recordings".to_owned(),
            ([], false) => "no folder of recordings has a manifest.csv".to_owned(),
            ([first, ..], false) => format!("{} has no column `same`", first.path.display()),
        };
        Some(format!(
            "pairs.same is {}, but {why}: every pair is two views of one sound",
            self.pairs.same
        ))
    }

    /// Makes batch number `step` of `pairs` pairs; it is the same for any number of threads.
    ///
    /// # Errors
    /// If a teacher fails.
    pub fn batch(&self, step: u64, pairs: usize) -> Result<Batch> {
        let makers = self.makers();
        let heard: Vec<[Heard; 2]> = (0..pairs)
            .into_par_iter()
            .map_init(
                || makers.clone(),
                |makers, index| {
                    let plans = self.plan(step, index as u64);
                    plans.map(|plan| self.make(makers, &plan))
                },
            )
            .collect();
        let ordered: Vec<&Heard> = (0..2)
            .flat_map(|second| heard.iter().map(move |pair| &pair[second]))
            .collect();
        let length = self.frontend.patch_len();
        let mut batch = Batch {
            patches: vec![0.0; ordered.len() * length],
            labels: Vec::with_capacity(ordered.len() * OPERATORS),
            parameters: Vec::with_capacity(ordered.len() * OPERATORS),
            snr_db: Vec::with_capacity(ordered.len()),
            answers: Vec::new(),
        };
        batch
            .patches
            .par_chunks_mut(length)
            .zip(&ordered)
            .for_each(|(patch, heard)| self.features(&heard.view.samples, patch));
        let clear = ordered.iter();
        let clear = clear.map(|heard| heard.clear.as_ref().unwrap_or(&heard.view.samples));
        let clear: Vec<&[f32]> = clear.map(|samples| &samples[..]).collect();
        let cuts: Vec<Option<Cut>> = ordered.iter().map(|heard| heard.cut).collect();
        for teacher in &self.teachers {
            batch.answers.extend(teacher.answers(&clear, &cuts)?);
        }
        for Heard { view, snr_db, .. } in ordered {
            batch
                .labels
                .extend(view.labels.iter().map(|&ran| if ran { 1.0 } else { 0.0 }));
            let parameters = view.parameters.iter().zip(Operator::ALL);
            let told = parameters.map(|(value, operator)| match value {
                Some(value) => self.told(operator, *value),
                None => 0.0,
            });
            batch.parameters.extend(told);
            batch.snr_db.push(snr_db.unwrap_or(f32::INFINITY));
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
                self.features(&self.samples(sound, 0), &mut patch);
                patch
            })
            .collect()
    }

    /// `count` pairs of patches as a device hears them: two windows of one recording, two recordings of one
    /// thing, or one patch of the synthesiser twice, each in an environment and none augmented. Never the
    /// same draws as a batch's.
    pub fn heard_pairs(&self, count: usize) -> Vec<[Vec<f32>; 2]> {
        let makers = self.makers();
        (0..count)
            .into_par_iter()
            .map_init(
                || makers.clone(),
                |makers, index| {
                    let plans = self.plan(u64::MAX - 1, index as u64);
                    plans.map(|mut plan| {
                        plan.operators.clear();
                        let heard = self.make(makers, &plan);
                        let mut patch = vec![0.0; self.frontend.patch_len()];
                        self.features(&heard.view.samples, &mut patch);
                        patch
                    })
                },
            )
            .collect()
    }

    /// The same source, whose batches hold what `teachers` say; views of recordings begin where `rule`
    /// has a window begin, if there is one.
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

    /// Returns a generator for one draw, independent of all others.
    fn rng(&self, step: u64, index: u64) -> ChaCha8Rng {
        let mut rng =
            ChaCha8Rng::seed_from_u64(self.seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.set_stream(index);
        rng
    }

    /// The generator of the environments of the same draw.
    fn environment_rng(&self, step: u64, index: u64) -> ChaCha8Rng {
        let step = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ ENVIRONMENT_SEED ^ step);
        rng.set_stream(index);
        rng
    }

    /// Returns the plans and scratch memory of a thread.
    fn makers(&self) -> Makers {
        Makers {
            augmenter: self.augmenter.clone(),
            environment: self.environment.clone(),
        }
    }

    /// Draws pair number `index` of batch number `step`.
    fn plan(&self, step: u64, index: u64) -> [PlannedView; 2] {
        let mut rng = self.rng(step, index);
        let sounds = self.sounds(&mut rng);
        let mut around = self.environment_rng(step, index);
        let own = sounds.map(|sound| match sound {
            Sound::Recorded(window) => Some(window.clip),
            Sound::Made(_) => None,
        });
        sounds.map(|sound| {
            let surroundings = self.environment.draw(&mut around);
            let shift = surroundings.shift * self.frontend.sample_rate as f32;
            let behind = surroundings
                .background
                .filter(|background| !background.noise);
            PlannedView {
                sound,
                shift: shift.round() as isize,
                operators: self.augmenter.draw(&mut rng),
                background: behind.and_then(|_| self.background(own, &mut around)),
                surroundings,
            }
        })
    }

    /// Makes a view as it was drawn.
    fn make(&self, makers: &mut Makers, plan: &PlannedView) -> Heard {
        let samples = self.samples(plan.sound, plan.shift);
        let mut view = makers.augmenter.run_all(&samples, &plan.operators);
        let hears_views = self.teachers.iter().any(Teacher::hears_views);
        let is_off = self.environment.config().is_off();
        let clear = (hears_views && !is_off).then(|| view.samples.clone());
        let background = plan.background.map(|sound| self.samples(sound, 0));
        let environment = &mut makers.environment;
        let snr_db = match is_off {
            true => None,
            false => environment.surround(&mut view.samples, &plan.surroundings, background),
        };
        Heard {
            view,
            snr_db,
            clear,
            cut: plan.sound.cut(),
        }
    }

    /// Draws what the two views of a pair are made of: two windows of one recording, two recordings of
    /// one thing, or one patch of the synthesiser twice.
    fn sounds(&self, rng: &mut ChaCha8Rng) -> [Sound; 2] {
        let rate = self.frontend.sample_rate;
        let synth = self.data.synth_share;
        let share = match self.clips.is_empty() {
            true => 0.0,
            false => rng.random::<f64>(),
        };
        if self.clips.is_empty() || share < synth {
            let seed = rng.random();
            return [false, true].map(|second| Sound::Made(Made { seed, second }));
        }
        if share < synth + self.pairs.same && !self.groups.is_empty() {
            let group = &self.recordings.groups[self.groups.draw(rng)];
            let first = rng.random_range(0..group.members.len());
            let partners = group.partners(first);
            let second = partners[rng.random_range(0..partners.len())];
            return [first, second].map(|member| {
                let clip = group.members[member].clip;
                Sound::Recorded(self.window(clip, rng))
            });
        }
        let clip = self.clips.draw(rng);
        let first = self.window(clip, rng);
        let reach = (self.data.positive_offset * f64::from(rate)) as usize;
        let second = match (self.repeats(clip), self.rule.zip(first.number)) {
            (true, _) => first,
            (false, None) => {
                let (from, to) = (first.start.saturating_sub(reach), first.start + reach);
                let start = rng.random_range(from..=to.min(self.last_start(clip)));
                Window { start, ..first }
            }
            (false, Some((rule, number))) => {
                let length = self.recordings.clips[clip].len();
                let (from, to) = rule.near(length, number, reach);
                let number = rng.random_range(from..=to);
                Window {
                    start: rule.start(length, number),
                    number: Some(number),
                    ..first
                }
            }
        };
        [first, second].map(Sound::Recorded)
    }

    /// Draws a window of a recording: anywhere in it or, where teachers have heard windows, one of
    /// these. Of a recording that is repeated they have heard one, from its beginning; the views begin
    /// anywhere all the same.
    fn window(&self, clip: usize, rng: &mut ChaCha8Rng) -> Window {
        let length = self.recordings.clips[clip].len();
        match self.rule {
            Some(rule) if !self.repeats(clip) => {
                let number = rng.random_range(0..rule.count(length));
                Window {
                    clip,
                    start: rule.start(length, number),
                    number: Some(number),
                }
            }
            rule => Window {
                clip,
                start: rng.random_range(0..=self.last_start(clip)),
                number: rule.map(|_| 0),
            },
        }
    }

    /// Whether a recording is no longer than a window, which then begins anywhere in it and repeats it,
    /// as the device repeats its frames.
    fn repeats(&self, clip: usize) -> bool {
        self.recordings.clips[clip].len() <= self.frontend.patch_samples()
    }

    /// The last sample that a window of a recording may begin at.
    fn last_start(&self, clip: usize) -> usize {
        let length = self.recordings.clips[clip].len();
        match self.repeats(clip) {
            true => length - 1,
            false => length - self.frontend.patch_samples(),
        }
    }

    /// Samples of a view, begun `shift` samples later.
    fn samples(&self, sound: Sound, shift: isize) -> Vec<f32> {
        match sound {
            Sound::Made(made) => {
                let mut samples = self.rendered(made);
                let by = shift.rem_euclid(samples.len() as isize) as usize;
                samples.rotate_left(by);
                samples
            }
            Sound::Recorded(window) => {
                let samples = &self.recordings.clips[window.clip];
                samples.cut(self.shifted(window, shift), self.frontend.patch_samples())
            }
        }
    }

    /// The first sample of a window that begins `shift` samples later.
    fn shifted(&self, window: Window, shift: isize) -> usize {
        let Window { clip, start, .. } = window;
        let wanted = start as isize + shift;
        let first = match self.repeats(clip) {
            true => wanted.rem_euclid(self.recordings.clips[clip].len() as isize),
            false => wanted.clamp(0, self.last_start(clip) as isize),
        };
        first as usize
    }

    /// Renders a sound of the synthesiser.
    fn rendered(&self, made: Made) -> Vec<f32> {
        let generator = |stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(made.seed);
            rng.set_stream(stream);
            rng
        };
        let patch = Patch::random(&mut generator(0));
        let mut rng = generator(1 + u64::from(made.second));
        let near = patch.perturb(self.data.synth_perturb, &mut rng);
        let samples = self.frontend.patch_samples();
        near.render(samples, self.frontend.sample_rate, &mut rng)
    }

    /// Draws a window of a recording that is none of `own` and of no group of theirs; a synthesised sound
    /// where there are no recordings. `None` if only silence was drawn.
    fn background(&self, own: [Option<usize>; 2], rng: &mut ChaCha8Rng) -> Option<Sound> {
        if self.clips.is_empty() {
            let (seed, second) = (rng.random(), false);
            return Some(Sound::Made(Made { seed, second }));
        }
        (0..BACKGROUND_DRAWS).find_map(|_| {
            let clip = self.clips.draw(rng);
            let start = rng.random_range(0..=self.last_start(clip));
            let related = own.into_iter().flatten().any(|own| {
                own == clip
                    || (self.group_of[own].is_some() && self.group_of[own] == self.group_of[clip])
            });
            if related {
                return None;
            }
            let samples = self.recordings.clips[clip].cut(start, self.frontend.patch_samples());
            let power = samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32;
            let number = None;
            let window = Window {
                clip,
                start,
                number,
            };
            (power >= LEAST_BACKGROUND).then_some(Sound::Recorded(window))
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

#[cfg(test)]
mod tests;
