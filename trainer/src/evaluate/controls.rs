//! A model on one set, beside controls that learned nothing, on the same tasks.

use super::benchmark::TaskSet;
use super::episodes::{Candidate, EpisodeShape};
use super::features::{ClipFeatures, FeatureChoice, embed_clips};
use super::head::Head;
use super::interval::Accuracy;
use super::mfcc::Standardiser;
use super::results::SetResult;
use super::trunk_backbone::TrunkBackbone;
use crate::audio::{DecodeCache, LabelledSet, Skipped, synth};
use crate::net::BackboneSpec;
use anyhow::{Context, Result, anyhow};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Clips of reference audio.
const REFERENCE_CLIPS: usize = 512;
/// Length of each, seconds.
const REFERENCE_SECONDS: f32 = 1.5;
/// Seed of the reference audio: it is the same for every model and every run.
const REFERENCE_SEED: u64 = 0x6d66_6363;

/// Sounds of the built-in synthesiser, the same at every call: what controls are centred and
/// standardised with, so that they see nothing of the clips they are tested on.
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
    /// Loads the clips of `set` at `sample_rate` through `cache`; what cannot be read is missing from the result
    /// and listed beside it. `progress` gets the number of clips finished so far.
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

/// How a set is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Ways, shots and queries.
    pub shape: EpisodeShape,
    /// Tasks a set.
    pub tasks: usize,
    /// The classifier, of the model and of the controls.
    pub head: Head,
    /// Which half of the embeddings the head sees.
    pub features: FeatureChoice,
    /// Decides the tasks and the random control's weights.
    pub seed: u64,
}

/// The controls of one model.
#[derive(Debug)]
pub struct Controls {
    mfcc: Standardiser,
    random: Option<Vec<TrunkBackbone>>,
    /// What the controls are, a sentence each, for whoever reads the figures.
    pub notes: Vec<String>,
}

impl Controls {
    /// Prepares the controls for a model that takes `frontend`'s features through a trunk of shape
    /// `spec`. Where the shape is not known there is no random-weights control, and a note says so.
    ///
    /// # Errors
    /// If the frontend or the trunk's shape cannot be used.
    pub fn new(frontend: &FrontendConfig, spec: Option<&BackboneSpec>, seed: u64) -> Result<Self> {
        let reference = reference_audio(frontend.sample_rate);
        let mfcc = Standardiser::measure(&reference, frontend)
            .context("the MFCC control cannot be made")?;
        let mut notes = vec![
            "MFCC: mean, deviation and deviation of differences of 20 coefficients of the model's own log-mel \
             frames, standardised on the built-in synthesiser's sounds, through the same head."
                .to_owned(),
        ];
        let random = match spec {
            Some(spec) => {
                let trunk = TrunkBackbone::random(spec, *frontend, &reference, seed)
                    .context("the random-weights control cannot be made")?;
                notes.push(
                    "Random: a trunk of the same shape with random weights, its norms and base mean measured on \
                     the same sounds, through the same head."
                        .to_owned(),
                );
                Some(vec![trunk; rayon::current_num_threads()])
            }
            None => {
                notes.push(
                    "Random: none, because the model does not say what shape its trunk has (a model exported by \
                     `mtslvr export` does)."
                        .to_owned(),
                );
                None
            }
        };
        Ok(Self {
            mfcc,
            random,
            notes,
        })
    }

    /// How many times the progress of [`evaluate_set`] counts every clip.
    pub fn rounds(&self) -> usize {
        1 + usize::from(self.random.is_some())
    }
}

/// Evaluates a model, one thread for each of its `engines`, and its controls on `set`. `progress`
/// is called [`Controls::rounds`] times a clip.
///
/// # Errors
/// If the set cannot give such tasks, an engine fails or a head cannot be fitted.
pub fn evaluate_set<B>(
    engines: &mut [B],
    controls: &mut Controls,
    set: &LoadedSet,
    settings: &Settings,
    progress: &(dyn Fn() + Sync),
) -> Result<SetResult>
where
    B: Backbone + Send,
    B::Error: Send,
{
    // The tasks first: they find out in no time what a set cannot give.
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
    let model = accuracy(model_features(engines, set, settings.features, progress)?)?;
    let mfcc = accuracy(controls.mfcc.features(&set.clips)?)?;
    let random = match &mut controls.random {
        None => None,
        Some(trunks) => Some(accuracy(model_features(
            trunks,
            set,
            settings.features,
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

fn model_features<B>(
    engines: &mut [B],
    set: &LoadedSet,
    choice: FeatureChoice,
    progress: &(dyn Fn() + Sync),
) -> Result<ClipFeatures>
where
    B: Backbone + Send,
    B::Error: Send,
{
    let features = embed_clips(engines, &set.clips, progress).map_err(|(clip, error)| {
        let class = &set.classes[set.candidates[clip].class];
        anyhow!(
            "set `{}`: a clip of class `{class}` cannot be embedded: {error}",
            set.name
        )
    })?;
    features.choose(choice).with_context(|| {
        format!(
            "the model has no {} features: it has one path; leave --features out",
            choice.name()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{AdapterKind, AdapterSpec, StageSpec, StemSpec};

    #[test]
    fn a_synthetic_set_goes_all_the_way() {
        let rate = 8000;
        let frontend = FrontendConfig {
            sample_rate: rate,
            window: 256,
            hop: 128,
            mels: 24,
            frames: 30,
            f_min: 50.0,
            f_max: 4000.0,
            floor: 1e-4,
            mean: 0.0,
            scale: 0.3,
        };
        let stage = |width| StageSpec {
            width,
            blocks: 1,
            stride: 2,
        };
        let spec = BackboneSpec {
            stem: StemSpec {
                width: 4,
                kernel: 3,
                stride: 2,
            },
            stages: vec![stage(8)],
            output: None,
            parts: Vec::new(),
            shares: Default::default(),
            adapters: AdapterSpec {
                kind: AdapterKind::BatchNorm,
                from_stage: 0,
            },
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let patches: Vec<_> = (0..4).map(|_| synth::Patch::random(&mut rng)).collect();
        let candidates = (0..24).map(|i| Candidate {
            class: i % 4,
            group: None,
        });
        let set = LoadedSet {
            name: "made up".into(),
            classes: (0..4).map(|c| format!("patch {c}")).collect(),
            candidates: candidates.collect(),
            clips: (0..24)
                .map(|i| patches[i % 4].render(4000, rate, &mut rng))
                .collect(),
        };
        let mut settings = Settings {
            shape: EpisodeShape {
                ways: 3,
                shots: 1,
                queries: 2,
            },
            tasks: 40,
            head: Head::default(),
            features: FeatureChoice::Both,
            seed: 1,
        };
        let mut controls = Controls::new(&frontend, Some(&spec), 1).unwrap();
        let trunk = TrunkBackbone::random(&spec, frontend, &set.clips, 2).unwrap();
        let counted = std::sync::atomic::AtomicUsize::new(0);
        let count = || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let mut engines = [trunk.clone(), trunk];
        let result = evaluate_set(&mut engines, &mut controls, &set, &settings, &count).unwrap();
        assert_eq!(counted.into_inner(), 24 * controls.rounds());
        // Patches of one synthesiser seed differ far more than their renders.
        assert!(result.mfcc > 45.0 && result.accuracy > 45.0, "{result:?}");
        assert!(result.random.is_some());
        settings.shape.shots = 9;
        let error = evaluate_set(&mut engines, &mut controls, &set, &settings, &|| ()).unwrap_err();
        assert!(
            error.to_string().contains("6 clips, and 9 shots need 10"),
            "{error}"
        );
    }
}
