//! Models of waveforms, which are measured beside backbones.

use super::Accuracy;
use super::subject::Subject;
use crate::recordings;
use anyhow::{Context, Result, ensure};
use mtslvr_audio::{DecodeCache, Samples};
use mtslvr_evaluate::{Controls, RandomWeights, reference_audio};
use mtslvr_pack::engine::{WaveformModel, waveform_output};
use mtslvr_pack::{Engine, ModelSource};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_train::train::{PRESETS, RunConfig};
use mtslvr_train::waveform_embedder::WaveformEmbedder;
use std::path::PathBuf;

/// Sample rate that the models take, Hz.
const SAMPLE_RATE: u32 = WaveformModel::SAMPLE_RATE;

/// Clips of `--reference` that embeddings are levelled on, at most.
const REFERENCE_CLIPS: usize = 2000;

/// Opens `model` if it is a model of waveforms; its embeddings are levelled on `--reference`.
pub(super) fn open(
    model: &ModelSource,
    args: &Accuracy,
    cache: &DecodeCache,
) -> Result<Option<Subject>> {
    let ModelSource::Path(path) = model else {
        return Ok(None);
    };
    if path.extension().is_none_or(|ending| ending != "onnx") {
        return Ok(None);
    }
    // Whoever opens it as a backbone says what is wrong with a file that cannot be read.
    let Some(bytes) = mtslvr_pack::onnx::load(path)
        .ok()
        .filter(|bytes| waveform_output(bytes).is_some())
    else {
        return Ok(None);
    };
    let name = path.display().to_string();
    ensure!(
        matches!(args.engine.engine, None | Some(Engine::Ort)),
        "{name}: a model of waveforms, which only ONNX Runtime runs; leave --engine out"
    );
    let frontend = controls_frontend()?;
    let folders = &args.reference;
    let reference = reference_clips(folders, SAMPLE_RATE, cache)?;
    let embedder = WaveformEmbedder::open(&bytes, &name, frontend, &reference)?;
    let mut controls = Controls::new(&frontend, |_| {
        Ok(RandomWeights::None("the model is one of waveforms"))
    })?;
    let levelled_on = match &folders[..] {
        [] => "the built-in synthesiser's sounds (--reference names others)".to_owned(),
        _ => format!("{} recordings", reference.len()),
    };
    controls.notes.push(format!(
        "A model of waveforms: the mean over windows of a second, every half a second, centred, its principal \
         directions levelled by half on {levelled_on}."
    ));
    Ok(Some(Subject {
        name,
        engine: Engine::Ort,
        sample_rate: SAMPLE_RATE,
        embedder: Box::new(embedder),
        controls,
    }))
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

/// Returns the clips that models of other programs are centred on: from `folders`, or synthetic sounds
/// where none is named.
pub(super) fn reference_clips(
    folders: &[PathBuf],
    rate: u32,
    cache: &DecodeCache,
) -> Result<Vec<Vec<f32>>> {
    if folders.is_empty() {
        return Ok(reference_audio(rate));
    }
    let recordings = recordings::load(folders, false, rate, cache)?;
    let clips = spread(recordings.clips.iter());
    Ok(clips.map(Samples::to_vec).collect())
}
