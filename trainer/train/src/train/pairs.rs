//! Pairs of augmented views, batch after batch: recordings and synthesised sounds, cut, augmented,
//! put into an environment and turned into log-mel patches.

use super::config::{DataConfig, PairsConfig, RunConfig};
use super::teachers::{Answers, Teacher};
use super::windows::{Cut, WindowRule};
use crate::augment::{Augmenter, Environment, OPERATORS, Operator, View};
use anyhow::{Result, bail};
use mtslvr_audio::synth::Patch;
use mtslvr_audio::{Member, Recordings};
use mtslvr_runtime::clip::patches;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Running sum of the recordings' weights; a longer one is drawn more often, but less than in
    /// proportion, so that a few long ones do not drown the rest.
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
    /// Where views may begin, if not anywhere.
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
    /// What the teachers say, a row for each view: a backbone, for each part of its embedding, of the
    /// view before its environment; a teacher of a part of the clean window that the view was made of.
    pub answers: Vec<Answers>,
}

/// Where a view is cut from.
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
    /// Where to look up what teachers have said of it.
    fn cut(self) -> Option<Cut> {
        let clip = self.clip;
        self.number.map(|window| Cut { clip, window })
    }
}

/// What a view is made of.
enum Sound {
    Recorded(Window),
    Made(Vec<f32>),
}

impl Sound {
    /// Where to look up what teachers have said of it: nowhere if it was synthesised.
    fn cut(&self) -> Option<Cut> {
        match self {
            Self::Recorded(window) => window.cut(),
            Self::Made(_) => None,
        }
    }
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

/// What each thread makes views with.
#[derive(Clone)]
struct Makers {
    augmenter: Augmenter,
    environment: Environment,
}

impl PairSource {
    /// A source over `recordings` (at the frontend's rate), which may hold none.
    ///
    /// # Errors
    /// A value of the configuration that cannot be used; pairs of one thing are asked for, and a
    /// manifest's column `same` names no two recordings of one.
    pub fn new(recordings: Arc<Recordings>, config: &RunConfig) -> Result<Self> {
        let frontend = config.frontend.to_config();
        let lengths = recordings.clips.iter().map(|clip| clip.len() as f64);
        let mut group_of = vec![None; recordings.clips.len()];
        for (index, group) in recordings.groups.iter().enumerate() {
            for member in &group.members {
                group_of[member.clip] = Some(index as u32);
            }
        }
        let source = Self {
            clips: Cumulative::new(lengths.map(f64::sqrt)),
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

    /// A sentence where pairs of one thing are asked for and no manifest tells of any.
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

    /// Batch number `step` of `pairs` pairs; the same whatever the number of threads.
    ///
    /// # Errors
    /// If a teacher fails.
    pub fn batch(&self, step: u64, pairs: usize) -> Result<Batch> {
        let makers = Makers {
            augmenter: self.augmenter.clone(),
            environment: self.environment.clone(),
        };
        let heard: Vec<[Heard; 2]> = (0..pairs)
            .into_par_iter()
            .map_init(
                || makers.clone(),
                |makers, index| self.pair(makers, step, index as u64),
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
        let spans = Operator::ALL.map(|operator| self.augmenter.config().parameter_span(operator));
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
            let parameters = view.parameters.iter().zip(spans);
            batch
                .parameters
                .extend(parameters.map(|(value, [low, high])| match value {
                    Some(value) if high > low => 2.0 * (value - low) / (high - low) - 1.0,
                    _ => 0.0,
                }));
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

    /// A generator for one draw, independent of all others.
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

    /// Pair number `index` of batch number `step`.
    fn pair(&self, makers: &mut Makers, step: u64, index: u64) -> [Heard; 2] {
        let mut rng = self.rng(step, index);
        let sounds = self.sounds(&mut rng);
        if self.environment.config().is_off() {
            return sounds.map(|sound| Heard {
                cut: sound.cut(),
                view: makers.augmenter.view(&self.samples(sound, 0), &mut rng),
                snr_db: None,
                clear: None,
            });
        }
        let mut around = self.environment_rng(step, index);
        let own = [0, 1].map(|view| match &sounds[view] {
            Sound::Recorded(window) => Some(window.clip),
            Sound::Made(_) => None,
        });
        let hears_views = self.teachers.iter().any(Teacher::hears_views);
        sounds.map(|sound| {
            let cut = sound.cut();
            let surroundings = makers.environment.draw(&mut around);
            let shift = surroundings.shift * self.frontend.sample_rate as f32;
            let samples = self.samples(sound, shift.round() as isize);
            let mut view = makers.augmenter.view(&samples, &mut rng);
            let clear = hears_views.then(|| view.samples.clone());
            let recording = |rng: &mut ChaCha8Rng| self.background(own, rng);
            let environment = &mut makers.environment;
            let snr_db =
                environment.surround(&mut view.samples, &surroundings, recording, &mut around);
            Heard {
                view,
                snr_db,
                clear,
                cut,
            }
        })
    }

    /// Draws what the two views of a pair are made of: two windows of one recording, two recordings of
    /// one thing, or one patch of the synthesiser twice.
    fn sounds(&self, rng: &mut ChaCha8Rng) -> [Sound; 2] {
        let samples = self.frontend.patch_samples();
        let rate = self.frontend.sample_rate;
        let synth = self.data.synth_share;
        let share = match self.clips.is_empty() {
            true => 0.0,
            false => rng.random::<f64>(),
        };
        if self.clips.is_empty() || share < synth {
            let patch = Patch::random(rng);
            return [(); 2].map(|()| {
                let near = patch.perturb(self.data.synth_perturb, rng);
                Sound::Made(near.render(samples, rate, rng))
            });
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
            Sound::Made(mut samples) => {
                let by = shift.rem_euclid(samples.len() as isize) as usize;
                samples.rotate_left(by);
                samples
            }
            Sound::Recorded(Window { clip, start, .. }) => {
                let samples = &self.recordings.clips[clip];
                let wanted = start as isize + shift;
                let start = match self.repeats(clip) {
                    true => wanted.rem_euclid(samples.len() as isize),
                    false => wanted.clamp(0, self.last_start(clip) as isize),
                };
                samples.cut(start as usize, self.frontend.patch_samples())
            }
        }
    }

    /// A window of a recording that is none of `own` and of no group of theirs; a synthesised sound
    /// where there are no recordings. `None` if only silence was drawn.
    fn background(&self, own: [Option<usize>; 2], rng: &mut ChaCha8Rng) -> Option<Vec<f32>> {
        if self.clips.is_empty() {
            let samples = self.frontend.patch_samples();
            return Some(Patch::random(rng).render(samples, self.frontend.sample_rate, rng));
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
            (power >= LEAST_BACKGROUND).then_some(samples)
        })
    }

    /// The one patch that `patch_samples()` samples make.
    fn features(&self, samples: &[f32], out: &mut [f32]) {
        patches(self.frontend, samples, |patch| out.copy_from_slice(patch))
            .expect("the configuration was checked when the source was made");
    }
}

/// Weights to draw by.
#[derive(Clone, Debug)]
struct Cumulative {
    /// Running sum.
    sums: Vec<f64>,
}

impl Cumulative {
    fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let sums = weights.map(|weight| {
            sum += weight;
            sum
        });
        Self {
            sums: sums.collect(),
        }
    }

    /// Whether there is nothing to draw.
    fn is_empty(&self) -> bool {
        self.sums.last().is_none_or(|&sum| sum == 0.0)
    }

    /// An index, as often as its weight says.
    fn draw(&self, rng: &mut ChaCha8Rng) -> usize {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let drawn = rng.random::<f64>() * total;
        let index = self.sums.partition_point(|&sum| sum <= drawn);
        index.min(self.sums.len() - 1)
    }
}

/// The weight of each group, see [`PairsConfig`].
fn group_weights(recordings: &Recordings, config: PairsConfig) -> impl Iterator<Item = f64> {
    let groups = recordings.groups.iter();
    let by_size = move |members: &[Member]| (members.len() as f64).powf(config.size_power);
    let mut kinds: BTreeMap<&str, f64> = BTreeMap::new();
    for group in groups.clone() {
        *kinds.entry(&group.kind).or_default() += by_size(&group.members);
    }
    groups.map(move |group| {
        by_size(&group.members) * kinds[&group.kind[..]].powf(config.kind_power - 1.0)
    })
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
mod tests {
    use super::*;
    use crate::augment::EnvironmentConfig;
    use crate::train::PRESETS;
    use mtslvr_audio::{DecodeCache, Licences, UnlabelledSet, write_wav};
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Frequency of recording `clip` of group `group`, Hz: each its own.
    fn hertz(group: usize, clip: usize) -> f32 {
        200.0 + 450.0 * group as f32 + 70.0 * clip as f32
    }

    /// Groups of tones, `sizes` of them in each, the first half of the groups drums and the others
    /// words; long and short ones take turns.
    fn write_groups(dir: &Path, sizes: &[usize]) {
        let mut manifest = "path,kind,same\n".to_owned();
        for (group, &size) in sizes.iter().enumerate() {
            let kind = if 2 * group < sizes.len() {
                "drum"
            } else {
                "word"
            };
            for clip in 0..size {
                let length = [9_000, 40_000][(group + clip) % 2];
                let step = hertz(group, clip) * std::f32::consts::TAU / 16_000.0;
                let tone: Vec<f32> = (0..length).map(|n| 0.3 * (n as f32 * step).sin()).collect();
                let name = format!("{group}-{clip}.wav");
                write_wav(&dir.join(&name), &tone, 16_000).unwrap();
                manifest += &format!("{name},{kind},thing {group}\n");
            }
        }
        std::fs::write(dir.join("manifest.csv"), manifest).unwrap();
    }

    fn load(dir: &Path) -> Arc<Recordings> {
        let set = UnlabelledSet::for_training(&[dir], Licences::Any).unwrap();
        let (recordings, skipped) = set.load_all(16_000, &DecodeCache::NONE, |_| ());
        assert!(skipped.is_empty());
        Arc::new(recordings)
    }

    fn config(settings: &[&str]) -> RunConfig {
        let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
        RunConfig::from_toml(PRESETS[0].1, &settings).unwrap()
    }

    fn source(recordings: &Arc<Recordings>, settings: &[&str]) -> PairSource {
        PairSource::new(recordings.clone(), &config(settings)).unwrap()
    }

    const EVERYWHERE: [&str; 6] = [
        "environment.background.probability=0.7",
        "environment.tilt.probability=0.5",
        "environment.level.probability=0.5",
        "environment.shift.probability=0.5",
        "pairs.same=0.375",
        "frontend.frames=17",
    ];

    #[test]
    fn pairs_of_one_thing_are_two_recordings_of_one_group() {
        let directory = tempfile::tempdir().unwrap();
        write_groups(directory.path(), &[2, 3, 9, 4]);
        let recordings = load(directory.path());
        let source = source(&recordings, &["pairs.same=0.375", "data.synth_share=0.25"]);
        let (mut same, mut made, mut drawn) = (0, 0, BTreeSet::new());
        const PAIRS: u64 = 4_000;
        for index in 0..PAIRS {
            match source.sounds(&mut source.rng(1, index)) {
                [Sound::Recorded(first), Sound::Recorded(second)] => {
                    let groups = [first, second].map(|window| source.group_of[window.clip]);
                    assert!(groups[0].is_some() && groups[0] == groups[1]);
                    if first.clip != second.clip {
                        same += 1;
                        drawn.insert((first.clip, second.clip));
                    }
                }
                [Sound::Made(first), Sound::Made(second)] => {
                    assert_eq!(first.len(), second.len());
                    made += 1;
                }
                _ => panic!("a pair of two kinds"),
            }
        }
        let share = |count: i32| f64::from(count) / PAIRS as f64;
        assert!((share(same) - 0.375).abs() < 0.025, "{same}");
        assert!((share(made) - 0.25).abs() < 0.025, "{made}");
        // Every ordered pair of different recordings of a group turns up.
        let all: usize = [2, 3, 9, 4].iter().map(|size| size * (size - 1)).sum();
        assert_eq!(drawn.len(), all);
    }

    #[test]
    fn groups_are_drawn_by_size_and_kind_as_configured() {
        let directory = tempfile::tempdir().unwrap();
        // Drums: groups of 4 and 2 recordings; words: of 9 and 9.
        write_groups(directory.path(), &[4, 2, 9, 9]);
        let recordings = load(directory.path());
        let weights = |settings: &[&str]| -> Vec<f64> {
            let weights = group_weights(&recordings, config(settings).pairs);
            let weights: Vec<f64> = weights.collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        };
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close(&weights(&["pairs.size_power=0"]), &[0.25; 4]));
        let by_size = weights(&["pairs.size_power=1"]);
        assert!(close(&by_size, &[4.0, 2.0, 9.0, 9.0].map(|n| n / 24.0)));
        let root = 2.0 + 2f64.sqrt() + 6.0;
        let expected = [2.0, 2f64.sqrt(), 3.0, 3.0].map(|n| n / root);
        assert!(close(&weights(&[]), &expected));
        let even = weights(&["pairs.size_power=1", "pairs.kind_power=0"]);
        assert!(close(&even, &[2.0 / 6.0, 1.0 / 6.0, 0.25, 0.25]));
        // They are drawn as they weigh.
        let source = source(&recordings, &["pairs.size_power=1", "pairs.kind_power=0"]);
        let mut counts = [0.0; 4];
        let mut rng = source.rng(0, 0);
        (0..4_000).for_each(|_| counts[source.groups.draw(&mut rng)] += 1.0 / 4_000.0);
        for (count, weight) in counts.iter().zip(even) {
            assert!((count - weight).abs() < 0.03, "{counts:?}");
        }
    }

    #[test]
    fn pairs_that_cannot_be_had_are_an_error_or_a_remark() {
        let directory = tempfile::tempdir().unwrap();
        write_groups(directory.path(), &[1, 1]);
        let make = |same: &str| PairSource::new(load(directory.path()), &config(&[same]));
        let error = make("pairs.same=0.375").unwrap_err().to_string();
        let manifest = directory.path().join("manifest.csv");
        for named in [
            "pairs.same is 0.375",
            manifest.to_str().unwrap(),
            "column `same`",
        ] {
            assert!(error.contains(named), "{error}");
        }
        assert_eq!(make("pairs.same=0").unwrap().remark(), None);
        std::fs::write(&manifest, "path,kind\n0-0.wav,word\n").unwrap();
        let remark = make("pairs.same=0.375").unwrap().remark().unwrap();
        assert!(
            remark.contains("manifest.csv has no column `same`"),
            "{remark}"
        );
        std::fs::remove_file(&manifest).unwrap();
        let source = make("pairs.same=0.375").unwrap();
        let remark = source.remark().unwrap();
        assert!(
            remark.contains("no folder of recordings has a manifest.csv"),
            "{remark}"
        );
        // They are then two views of one recording.
        for index in 0..50 {
            let sounds = source.sounds(&mut source.rng(1, index));
            if let [Sound::Recorded(first), Sound::Recorded(second)] = sounds {
                assert_eq!(first.clip, second.clip);
            }
        }
        let none = PairSource::new(Arc::default(), &config(&["pairs.same=0.5"])).unwrap();
        assert!(none.remark().unwrap().contains("there are no recordings"));
    }

    #[test]
    fn an_environment_changes_patches_and_neither_labels_nor_parameters() {
        let directory = tempfile::tempdir().unwrap();
        write_groups(directory.path(), &[3, 3]);
        let recordings = load(directory.path());
        let plain = source(&recordings, &["frontend.frames=17"])
            .batch(3, 24)
            .unwrap();
        assert!(plain.snr_db.iter().all(|snr| *snr == f32::INFINITY));
        let settings = [
            "frontend.frames=17",
            "environment.background={ probability = 0.5, snr_db = [0, 20] }",
            "environment.level.probability=0.5",
            "environment.tilt.probability=0.5",
        ];
        let around = source(&recordings, &settings).batch(3, 24).unwrap();
        assert_eq!(plain.labels, around.labels);
        assert_eq!(plain.parameters, around.parameters);
        let mixed = around.snr_db.iter().filter(|snr| snr.is_finite());
        let count = mixed.clone().count();
        assert!(
            (12..36).contains(&count),
            "{count} of 48 views have a background"
        );
        assert!(mixed.clone().all(|snr| (0.0..=20.0).contains(snr)));
        let length = plain.patches.len() / 48;
        let patches = plain
            .patches
            .chunks(length)
            .zip(around.patches.chunks(length));
        let same = patches.filter(|(a, b)| a == b).count();
        assert!(
            (1..20).contains(&same),
            "{same} of 48 views have no environment"
        );
        // Off is off.
        let off = "environment.background={ probability = 0, snr_db = [0, 20] }";
        let off = source(&recordings, &["frontend.frames=17", off]);
        assert_eq!(off.batch(3, 24).unwrap(), plain);
    }

    #[test]
    fn a_background_is_another_thing() {
        let directory = tempfile::tempdir().unwrap();
        write_groups(directory.path(), &[2, 2, 2]);
        let recordings = load(directory.path());
        let source = source(&recordings, &[]);
        let mut heard = BTreeSet::new();
        for seed in 0..200 {
            // Of a pair of two recordings of the first group.
            let samples = source.background([Some(0), Some(1)], &mut source.rng(9, seed));
            let samples = samples.expect("tones are no pause");
            assert_eq!(samples.len(), source.frontend.patch_samples());
            let crossings = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
            let hz = crossings.count() as f32 * 16_000.0 / samples.len() as f32;
            let tones = (0..3).flat_map(|group| (0..2).map(move |clip| (group, clip)));
            let nearest = tones.min_by_key(|&(g, c)| (hertz(g, c) - hz).abs() as u32);
            heard.insert(nearest.unwrap());
        }
        let others: Vec<_> = heard.into_iter().collect();
        assert_eq!(others, [(1, 0), (1, 1), (2, 0), (2, 1)]);
        // Where there is nothing else, nothing is drawn, and noise stands in.
        let alone = Recordings::from(vec![vec![0.1; 5_000]]);
        let alone = PairSource::new(Arc::new(alone), &config(&EVERYWHERE)).unwrap();
        assert_eq!(
            alone.background([Some(0), None], &mut alone.rng(1, 1)),
            None
        );
        let silent = Recordings::from(vec![vec![0.1; 5_000], vec![1e-5; 5_000]]);
        let silent = PairSource::new(Arc::new(silent), &config(&EVERYWHERE)).unwrap();
        assert_eq!(
            silent.background([Some(0), None], &mut silent.rng(1, 1)),
            None
        );
        let batch = alone.batch(1, 12).unwrap();
        assert!(batch.snr_db.iter().any(|snr| snr.is_finite()));
        // The synthesiser alone mixes its own sounds.
        let made = PairSource::new(Arc::default(), &config(&EVERYWHERE)).unwrap();
        let sound = made.background([None; 2], &mut made.rng(1, 1)).unwrap();
        assert_eq!(sound.len(), made.frontend.patch_samples());
    }

    #[test]
    fn where_teachers_have_heard_windows_views_are_those() {
        let directory = tempfile::tempdir().unwrap();
        write_groups(directory.path(), &[3, 2, 4]);
        let recordings = load(directory.path());
        let source = source(&recordings, &["pairs.same=0.5", "data.synth_share=0.0"]);
        let rule = WindowRule {
            samples: source.frontend.patch_samples(),
            hop: 5_000,
        };
        let source = source.with_teachers(Vec::new(), Some(rule));
        let (mut apart, mut near, mut numbers) = (0, 0, BTreeSet::new());
        for index in 0..500 {
            let sounds = source.sounds(&mut source.rng(1, index));
            let windows = sounds.each_ref().map(|sound| match sound {
                Sound::Recorded(window) => *window,
                Sound::Made(_) => panic!("nothing is synthesised"),
            });
            for (sound, window) in sounds.iter().zip(windows) {
                let number = window.number.expect("all windows are heard");
                assert_eq!(
                    sound.cut(),
                    Some(Cut {
                        clip: window.clip,
                        window: number
                    })
                );
                let length = recordings.clips[window.clip].len();
                assert!(number < rule.count(length));
                if !source.repeats(window.clip) {
                    assert_eq!(window.start, rule.start(length, number));
                    numbers.insert(number);
                }
            }
            let [first, second] = windows;
            if first.clip != second.clip {
                apart += 1;
            } else if !source.repeats(first.clip) {
                assert!(first.start.abs_diff(second.start) <= 8_000);
                near += usize::from(first.start != second.start);
            }
        }
        assert!((200..300).contains(&apart) && near > 10, "{apart}, {near}");
        assert_eq!(numbers, BTreeSet::from_iter(0..rule.count(40_000)));
        let batch = source.batch(2, 8).unwrap();
        assert!(batch.answers.is_empty());
    }

    #[test]
    fn a_shift_moves_the_window_within_its_recording() {
        let ramp =
            |length: usize| -> Vec<f32> { (0..length).map(|n| n as f32 / 32_768.0).collect() };
        let recordings = Recordings::from(vec![ramp(20_000), ramp(100)]);
        let source = source(&Arc::new(recordings), &[]);
        let samples = source.frontend.patch_samples();
        let first = |clip, start, shift| -> usize {
            let number = None;
            let window = Window {
                clip,
                start,
                number,
            };
            let cut = source.samples(Sound::Recorded(window), shift);
            assert_eq!(cut.len(), samples);
            (cut[0] * 32_768.0) as usize
        };
        assert_eq!(first(0, 500, 30), 530);
        assert_eq!(first(0, 500, -501), 0);
        assert_eq!(first(0, 500, 19_000), 20_000 - samples);
        assert_eq!(first(1, 90, 30), 20);
        assert_eq!(first(1, 10, -30), 80);
        let made = source.samples(Sound::Made(ramp(samples)), -1);
        assert_eq!((made[0] * 32_768.0) as usize, samples - 1);
        assert_eq!(made[1], 0.0);
    }

    #[test]
    fn batches_are_the_same_for_any_number_of_threads() {
        let directory = tempfile::tempdir().unwrap();
        write_groups(directory.path(), &[3, 2, 4]);
        let recordings = load(directory.path());
        let source = source(&recordings, &EVERYWHERE);
        let batch = |threads: usize, step: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| source.batch(step, 16)).unwrap()
        };
        let one = batch(1, 7);
        assert_eq!(one, batch(2, 7));
        assert_eq!(one, batch(5, 7));
        assert_ne!(one.patches, batch(1, 8).patches);
        // A pair does not depend on how many there are.
        let more = source.batch(7, 20).unwrap();
        let length = source.frontend.patch_len();
        assert_eq!(one.patches[..16 * length], more.patches[..16 * length]);
        assert_eq!(one.snr_db[..16], more.snr_db[..16]);
        let other_seed = PairSource::new(
            recordings.clone(),
            &config(&[&EVERYWHERE[..], &["train.seed=43"]].concat()),
        );
        assert_ne!(other_seed.unwrap().batch(7, 16).unwrap().snr_db, one.snr_db);
        assert!(!EnvironmentConfig::is_off(source.environment.config()));
    }
}
