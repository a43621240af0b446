//! Evaluates a model on one set beside controls that learned nothing, on the same tasks.

use super::benchmark::TaskSet;
use super::episodes::{Candidate, EpisodeShape};
use super::features::{ClipFeatures, FeatureChoice, embed_clips};
use super::head::Head;
use super::interval::Accuracy;
use super::mfcc::Standardiser;
use super::results::SetResult;
use anyhow::{Context, Result, anyhow};
use mtslvr_audio::{DecodeCache, LabelledSet, Skipped, synth};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Number of clips of reference audio.
const REFERENCE_CLIPS: usize = 512;
/// Length of each, seconds.
const REFERENCE_SECONDS: f32 = 1.5;
/// Seed of the reference audio: it is the same for every model and every run.
const REFERENCE_SEED: u64 = 0x6d66_6363;

/// Returns sounds of the built-in synthesiser, the same at every call. Controls are centred and
/// standardised with these, so that they see nothing of the clips they are tested on.
pub fn reference_audio(sample_rate: u32) -> Vec<Vec<f32>> {
    let samples = (REFERENCE_SECONDS * sample_rate as f32) as usize;
    (0..REFERENCE_CLIPS)
        .into_par_iter()
        .map(|clip| {
            let mut rng = ChaCha8Rng::seed_from_u64(REFERENCE_SEED);
            rng.set_stream(clip as u64);
            synth::Patch::random(&mut rng).render(samples, sample_rate, &mut rng)
        })
        .collect()
}

/// A labelled set in memory.
#[derive(Clone, Debug)]
pub struct LoadedSet {
    /// Its name.
    pub name: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Class and group of each clip.
    pub candidates: Vec<Candidate>,
    /// Samples of each clip.
    pub clips: Vec<Vec<f32>>,
}

impl LoadedSet {
    /// Loads the clips of `set` at `sample_rate` through `cache`. Clips that cannot be read are missing
    /// from the result and listed beside it. `progress` gets the number of clips finished so far.
    pub fn load(
        set: &LabelledSet,
        sample_rate: u32,
        cache: &DecodeCache,
        progress: impl Fn(usize) + Sync,
    ) -> (Self, Vec<Skipped>) {
        let (loaded, skipped) = set.load_all(sample_rate, cache, progress);
        let candidate = |index: usize| Candidate {
            class: set.clips[index].class,
            group: set.clips[index].group.clone(),
        };
        let loaded = Self {
            name: set.name.clone(),
            classes: set.classes.clone(),
            candidates: loaded.iter().map(|(index, _)| candidate(*index)).collect(),
            clips: loaded.into_iter().map(|(_, samples)| samples).collect(),
        };
        (loaded, skipped)
    }
}

/// Returns the note for a report on `skipped` clips of `set` that could not be read, if there are any.
pub fn missing_note(set: &LabelledSet, skipped: usize) -> Option<String> {
    (skipped > 0).then(|| {
        format!(
            "{}: {skipped} of {} clips could not be read and are missing.",
            set.name,
            set.clips.len()
        )
    })
}

/// Settings of the evaluation of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Ways, shots and queries.
    pub shape: EpisodeShape,
    /// Tasks a set.
    pub tasks: usize,
    /// The classifier, of the model and of the controls.
    pub head: Head,
    /// Parts of the embeddings that the head sees.
    pub features: FeatureChoice,
    /// Seed of the tasks and of the random control's weights.
    pub seed: u64,
}

/// Whatever makes an embedding of each clip of a set: a backbone, as often as there are threads, or a
/// model of waveforms.
pub trait ClipEmbedder: std::fmt::Debug {
    /// Embeds `clips`. `progress` is called once a clip.
    ///
    /// # Errors
    /// The first failure, with the index of its clip.
    fn embed(
        &mut self,
        clips: &[Vec<f32>],
        progress: &(dyn Fn() + Sync),
    ) -> Result<ClipFeatures, (usize, anyhow::Error)>;

    /// Embeds the clips of `set` and keeps the chosen parts. `progress` is called once a clip.
    ///
    /// # Errors
    /// If the model fails, or has no such parts.
    fn features(
        &mut self,
        set: &LoadedSet,
        choice: &FeatureChoice,
        progress: &(dyn Fn() + Sync),
    ) -> Result<ClipFeatures> {
        let features = self.embed(&set.clips, progress).map_err(|(clip, error)| {
            let class = &set.classes[set.candidates[clip].class];
            anyhow!(
                "set `{}`: a clip of class `{class}` cannot be embedded: {error}",
                set.name
            )
        })?;
        features
            .choose(choice)
            .map_err(|error| anyhow!("--parts {choice}: {error}"))
    }
}

impl<B> ClipEmbedder for Vec<B>
where
    B: Backbone + Send + std::fmt::Debug,
    B::Error: Send,
{
    fn embed(
        &mut self,
        clips: &[Vec<f32>],
        progress: &(dyn Fn() + Sync),
    ) -> Result<ClipFeatures, (usize, anyhow::Error)> {
        embed_clips(self, clips, progress).map_err(|(clip, error)| (clip, anyhow!("{error}")))
    }
}

/// The random-weights control of a model. The caller supplies it, because it must build the network.
#[derive(Debug)]
pub enum RandomWeights {
    /// A network of the model's shape with random weights.
    Network(Box<dyn ClipEmbedder>),
    /// There is none; the text ends the sentence "Random: none, because".
    None(&'static str),
}

/// The controls of one model.
#[derive(Debug)]
pub struct Controls {
    mfcc: Standardiser,
    random: Option<Box<dyn ClipEmbedder>>,
    /// Sentences that explain the controls to a reader of the figures.
    pub notes: Vec<String>,
}

impl Controls {
    /// Prepares the controls for a model that takes `frontend`'s features. `random` makes the
    /// random-weights control, with norms and base mean measured on the clips that it is given; where
    /// there is none, a note says why.
    ///
    /// # Errors
    /// If the frontend cannot be used, or `random` fails.
    pub fn new(
        frontend: &FrontendConfig,
        random: impl FnOnce(&[Vec<f32>]) -> Result<RandomWeights>,
    ) -> Result<Self> {
        let reference = reference_audio(frontend.sample_rate);
        let mfcc = Standardiser::measure(&reference, frontend)
            .context("the MFCC control cannot be made")?;
        let mut notes = vec![
            "MFCC: mean, deviation and deviation of differences of 20 coefficients of the model's own log-mel \
             frames, standardised on the built-in synthesiser's sounds, through the same head."
                .to_owned(),
        ];
        let random = random(&reference).context("the random-weights control cannot be made")?;
        let random = match random {
            RandomWeights::Network(network) => {
                notes.push(
                    "Random: a trunk of the same shape with random weights, its norms and base mean measured on \
                     the same sounds, through the same head."
                        .to_owned(),
                );
                Some(network)
            }
            RandomWeights::None(reason) => {
                notes.push(format!("Random: none, because {reason}."));
                None
            }
        };
        Ok(Self {
            mfcc,
            random,
            notes,
        })
    }

    /// Returns how many times the progress of [`evaluate_set`] counts every clip.
    pub fn rounds(&self) -> usize {
        1 + usize::from(self.random.is_some())
    }
}

/// Evaluates a model and its controls on `set`. `progress` is called [`Controls::rounds`] times a clip.
///
/// # Errors
/// If the set cannot give such tasks, a model fails or a head cannot be fitted.
pub fn evaluate_set(
    model: &mut dyn ClipEmbedder,
    controls: &mut Controls,
    set: &LoadedSet,
    settings: &Settings,
    progress: &(dyn Fn() + Sync),
) -> Result<SetResult> {
    // Tasks come first: they tell at once if the set is too small.
    let tasks = TaskSet::draw(
        &set.name,
        &set.classes,
        &set.candidates,
        settings.shape,
        settings.tasks,
        settings.seed,
    )?;
    let accuracy = |features: ClipFeatures| -> Result<Accuracy> {
        tasks
            .accuracy(&features, settings.head)
            .map_err(|error| anyhow!("set `{}`, head {}: {error}", set.name, settings.head))
    };
    let model = accuracy(model.features(set, &settings.features, progress)?)?;
    let mfcc = accuracy(controls.mfcc.features(&set.clips)?)?;
    let random = match &mut controls.random {
        None => None,
        Some(network) => Some(accuracy(network.features(
            set,
            &settings.features,
            progress,
        )?)?),
    };
    Ok(SetResult {
        name: set.name.clone(),
        classes: tasks.classes,
        clips: tasks.clips,
        left_out: tasks.left_out,
        tasks: settings.tasks,
        ways: settings.shape.ways,
        shots: settings.shape.shots,
        head: settings.head.to_string(),
        accuracy: model.mean,
        ci95: model.ci95,
        mfcc: mfcc.mean,
        mfcc_ci95: mfcc.ci95,
        random: random.map(|r| r.mean),
        random_ci95: random.map(|r| r.ci95),
    })
}
