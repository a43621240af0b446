//! A model that is measured, beside controls of its own.

use super::Accuracy;
use super::tasks::TaskChoice;
use crate::{progress, recordings, untrained};
use anyhow::{Context, Result, ensure};
use mtslvr_audio::{DecodeCache, Samples};
use mtslvr_evaluate::{
    ClipEmbedder, Controls, Evaluation, LoadedSet, RandomWeights, SetResult, Settings,
    evaluate_set, reference_audio,
};
use mtslvr_pack::engine::waveform_output;
use mtslvr_pack::{BackboneFile, Engine, ModelSource};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_train::train::{PRESETS, RunConfig};
use mtslvr_train::waveform_embedder::{SAMPLE_RATE, WaveformEmbedder};
use std::path::Path;

/// Clips of `--reference` that embeddings are levelled on, at most.
const REFERENCE_CLIPS: usize = 2000;

/// A model that is measured.
pub(super) struct Contender {
    name: String,
    engine: &'static str,
    sample_rate: u32,
    embedder: Box<dyn ClipEmbedder>,
    controls: Controls,
    results: Vec<SetResult>,
    notes: Vec<String>,
}

impl Contender {
    /// Opens `model` and prepares its controls.
    pub(super) fn open(model: &ModelSource, args: &Accuracy, cache: &DecodeCache) -> Result<Self> {
        if let ModelSource::Path(path) = model
            && path.extension().is_some_and(|ending| ending == "onnx")
            && let Ok(bytes) = std::fs::read(path)
            && waveform_output(&bytes).is_some()
        {
            return Self::of_waveforms(path, &bytes, args, cache);
        }
        Self::backbone(model, args)
    }

    fn backbone(model: &ModelSource, args: &Accuracy) -> Result<Self> {
        let file = BackboneFile::open(model, args.engine.engine)?;
        let engines = file.backbones()?;
        let frontend = *engines[0].space().frontend();
        let controls = Controls::new(&frontend, |reference| {
            untrained::control(model, &file, &frontend, reference, args.tasks.seed)
        })?;
        Ok(Self {
            name: file.name().to_owned(),
            engine: file.engine().name(),
            sample_rate: frontend.sample_rate,
            embedder: Box::new(engines),
            notes: controls.notes.clone(),
            controls,
            results: Vec::new(),
        })
    }

    /// Opens a model of waveforms, whose embeddings are levelled on `--reference`.
    fn of_waveforms(
        path: &Path,
        bytes: &[u8],
        args: &Accuracy,
        cache: &DecodeCache,
    ) -> Result<Self> {
        let name = path.display().to_string();
        ensure!(
            matches!(args.engine.engine, None | Some(Engine::Ort)),
            "{name}: a model of waveforms, which only ONNX Runtime runs; leave --engine out"
        );
        let frontend = controls_frontend()?;
        let folders = &args.reference;
        let reference = match &folders[..] {
            [] => reference_audio(SAMPLE_RATE),
            _ => spread(
                recordings::load(folders, false, SAMPLE_RATE, cache)?
                    .clips
                    .iter(),
            )
            .map(Samples::to_vec)
            .collect(),
        };
        let embedder = WaveformEmbedder::open(bytes, &name, frontend, &reference)?;
        let controls = Controls::new(&frontend, |_| {
            Ok(RandomWeights::None("the model is one of waveforms"))
        })?;
        let levelled_on = match &folders[..] {
            [] => "the built-in synthesiser's sounds (--reference names others)".to_owned(),
            _ => format!("{} recordings", reference.len()),
        };
        let mut notes = controls.notes.clone();
        notes.push(format!(
            "A model of waveforms: the mean over windows of a second, every half a second, centred, its principal \
             directions levelled by half on {levelled_on}."
        ));
        Ok(Self {
            name,
            engine: Engine::Ort.name(),
            sample_rate: SAMPLE_RATE,
            embedder: Box::new(embedder),
            controls,
            results: Vec::new(),
            notes,
        })
    }

    /// Returns the rate at which it takes clips, Hz.
    pub(super) fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Measures it on `set`, which is loaded at its rate. `remark` is a note on the set.
    pub(super) fn evaluate(
        &mut self,
        set: &LoadedSet,
        remark: Option<String>,
        settings: &Settings,
    ) -> Result<()> {
        let steps = (set.clips.len() * self.controls.rounds()) as u64;
        let bar = progress::files(steps, &format!("embedding {}", set.name));
        let (model, controls) = (&mut *self.embedder, &mut self.controls);
        let result = evaluate_set(model, controls, set, settings, &|| bar.inc(1))?;
        bar.finish_and_clear();
        self.notes.extend(remark);
        if !result.left_out.is_empty() {
            self.notes.push(format!(
                "{}: no task holds {}: all clips of such a class are of one group.",
                set.name,
                result.left_out.join(", ")
            ));
        }
        eprintln!(
            "{}, {}: {:.1} ± {:.1}",
            result.name, self.name, result.accuracy, result.ci95
        );
        self.results.push(result);
        Ok(())
    }

    /// Returns everything that was measured: on `parts` of the embedding, with these tasks.
    pub(super) fn finish(self, parts: String, tasks: &TaskChoice) -> Evaluation {
        Evaluation::new(
            self.name,
            self.engine.to_owned(),
            parts,
            tasks.queries,
            tasks.seed,
            self.results,
            self.notes,
        )
    }
}

/// Returns the features of the first preset, for the MFCC control beside a model that has none of its own.
fn controls_frontend() -> Result<FrontendConfig> {
    let preset = RunConfig::preset(PRESETS[0].0).context("the first preset")?;
    Ok(preset.frontend.to_config())
}

/// Returns at most [`REFERENCE_CLIPS`] of `clips`, evenly spread over all.
fn spread<T>(clips: impl ExactSizeIterator<Item = T>) -> impl Iterator<Item = T> {
    let step = clips.len().div_ceil(REFERENCE_CLIPS).max(1);
    clips.step_by(step)
}
