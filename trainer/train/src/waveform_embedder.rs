//! Models of waveforms beside backbones in an evaluation: public networks, through the same heads.

use crate::net::Levelling;
use crate::train::WindowRule;
use anyhow::{Context, Result, ensure};
use mtslvr_evaluate::{ClipEmbedder, ClipFeatures};
use mtslvr_pack::engine::{EngineError, WaveformModel, waveform_output};
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, OwnedSpace, Part, Parts};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use std::sync::Mutex;

/// Seconds of sound in a window.
const WINDOW_SECONDS: f64 = 1.0;

/// Windows that go through a model at once.
const AT_ONCE: usize = 32;

/// Principal directions that are kept, at most: about as many values as a backbone's embedding has.
pub const MAX_VALUES: usize = 256;

/// Exponent of the levelling, as the shipped backbones have it.
const EXPONENT: f64 = 0.5;

/// A model of waveforms that embeds clips: the mean of what it says of windows of a second, every half a second,
/// then centred and with its principal directions levelled, both measured on audio that is not evaluated.
#[derive(Debug)]
pub struct WaveformEmbedder {
    /// One for each thread.
    models: Vec<Mutex<WaveformModel>>,
    rule: WindowRule,
    levelling: Levelling,
    space: OwnedSpace,
}

impl WaveformEmbedder {
    /// Opens an ONNX file whose embeddings are levelled over the clips of `reference`, at [`WaveformModel::SAMPLE_RATE`].
    /// Errors call it `model`; `frontend` is that of the controls beside it.
    ///
    /// # Errors
    /// If the file is no model of waveforms, ONNX Runtime is missing or fails, or the model says the same
    /// of every reference clip.
    pub fn open(
        bytes: &[u8],
        model: &str,
        frontend: FrontendConfig,
        reference: &[Vec<f32>],
    ) -> Result<Self> {
        let output = waveform_output(bytes).with_context(|| {
            format!("{model}: not a model of waveforms: expected one input, [batch, samples]")
        })?;
        let samples = (WINDOW_SECONDS * f64::from(WaveformModel::SAMPLE_RATE)) as usize;
        let rule = WindowRule {
            samples,
            hop: samples / 2,
        };
        let threads = 0..rayon::current_num_threads();
        let models = threads
            .map(|_| WaveformModel::from_bytes(bytes, model, &output, samples).map(Mutex::new))
            .collect::<Result<Vec<_>, _>>()?;
        let said = hear_all(&models, rule, reference, &|| ()).map_err(|(_, error)| error)?;
        let inputs = said.ncols();
        ensure!(
            said.nrows() > 1,
            "{model}: no reference audio to level its embeddings on"
        );
        let mean = said.mean_axis(Axis(0)).expect("there are rows");
        let centred = &said - &mean;
        let covariance = centred.t().dot(&centred) / said.nrows() as f64;
        let dim = inputs.min(MAX_VALUES).min(said.nrows() - 1);
        let levelling = Levelling::new(mean, &covariance, dim, EXPONENT)
            .with_context(|| format!("{model}: it says the same of every reference clip"))?;
        let part = Part {
            name: "embedding",
            len: dim,
            share: 1.0,
        };
        let parts = Parts::new([part]).context("an embedding of this length")?;
        let id = BackboneId::new([0; BackboneId::LEN]);
        // Not measured: accuracy among known classes needs no threshold.
        let passing = Reference::assumed(0.5);
        let mean = vec![0.0; dim];
        let space = EmbeddingSpace::new(id, frontend, parts, &mean, passing);
        Ok(Self {
            models,
            rule,
            levelling,
            space: space.expect("a mean for each value").into_owned(),
        })
    }
}

impl ClipEmbedder for WaveformEmbedder {
    fn embed(
        &mut self,
        clips: &[Vec<f32>],
        progress: &(dyn Fn() + Sync),
    ) -> Result<ClipFeatures, (usize, anyhow::Error)> {
        let said = hear_all(&self.models, self.rule, clips, progress)
            .map_err(|(clip, error)| (clip, error.into()))?;
        let centred = self.levelling.centre(said.view());
        let embedded = self.levelling.project(centred.view());
        Ok(ClipFeatures {
            space: self.space.clone(),
            rows: embedded.iter().map(|&value| value as f32).collect(),
        })
    }
}

/// Returns the mean of what `models` say of the windows of each clip, `[clips, values]`; a clip without samples
/// is heard as silence.
///
/// # Errors
/// The first failure, with the index of its clip.
fn hear_all(
    models: &[Mutex<WaveformModel>],
    rule: WindowRule,
    clips: &[Vec<f32>],
    progress: &(dyn Fn() + Sync),
) -> Result<Array2<f64>, (usize, EngineError)> {
    let rows = clips.par_iter().enumerate().map(|(index, clip)| {
        // Work is shared among as many threads as there are models.
        let thread = rayon::current_thread_index().unwrap_or(0) % models.len();
        let mut model = models[thread].lock().expect("no panic while locked");
        let row = hear(&mut model, rule, clip).map_err(|error| (index, error))?;
        progress();
        Ok(row)
    });
    let rows = rows.collect::<Result<Vec<Vec<f64>>, _>>()?;
    let values = rows.first().map_or(0, Vec::len);
    Ok(Array2::from_shape_vec((rows.len(), values), rows.concat()).expect("rows of one length"))
}

fn hear(
    model: &mut WaveformModel,
    rule: WindowRule,
    clip: &[f32],
) -> Result<Vec<f64>, EngineError> {
    let silence = [0.0];
    let clip = if clip.is_empty() { &silence } else { clip };
    let count = rule.count(clip.len());
    let mut sum = vec![0.0; model.dim()];
    for first in (0..count).step_by(AT_ONCE) {
        let numbers = first..count.min(first + AT_ONCE);
        let windows: Vec<f32> = numbers
            .flat_map(|window| {
                let from = &clip[rule.start(clip.len(), window)..];
                from.iter().copied().cycle().take(rule.samples)
            })
            .collect();
        for said in model.hear(&windows)?.chunks_exact(model.dim()) {
            for (sum, &value) in sum.iter_mut().zip(said) {
                *sum += f64::from(value) / count as f64;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::RunConfig;
    use crate::train::window_teacher::tests::{clips, model};
    use mtslvr_evaluate::{Candidate, FeatureChoice, LoadedSet};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn frontend() -> FrontendConfig {
        let preset = RunConfig::preset("edge-s").unwrap();
        preset.frontend.to_config()
    }

    #[test]
    fn clips_of_any_length_are_embedded_and_levelled_on_other_audio() {
        let bytes = model(None, 16_000, 6);
        let reference = clips(12, 40_000);
        let open = |reference: &[Vec<f32>]| {
            WaveformEmbedder::open(&bytes, "loud.onnx", frontend(), reference)
        };
        let mut embedder = open(&reference).unwrap();
        let mut heard = vec![Vec::new(), vec![0.25; 5]];
        heard.extend(reference.iter().cloned());
        let set = LoadedSet {
            name: "s".into(),
            classes: vec!["a".into()],
            candidates: vec![
                Candidate {
                    class: 0,
                    group: None,
                };
                heard.len()
            ],
            clips: heard,
        };
        let counted = AtomicUsize::new(0);
        let count = || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let features = embedder
            .features(&set, &FeatureChoice::ALL, &count)
            .unwrap();
        assert_eq!((features.len(), features.dim()), (14, 6));
        assert_eq!(counted.into_inner(), 14);
        assert!(features.rows.iter().all(|value| value.is_finite()));
        // Of the audio that it is levelled on, the mean is zero, and so is every covariance of two values.
        let known = &features.rows[2 * 6..];
        let column = |d: usize| known.iter().skip(d).step_by(6).map(|&v| f64::from(v));
        for d in 0..6 {
            let size = column(d).map(f64::abs).fold(0.0, f64::max).max(1e-9);
            assert!(column(d).sum::<f64>().abs() < 1e-4 * size, "{d}");
            for other in 0..d {
                let together: f64 = column(d).zip(column(other)).map(|(a, b)| a * b).sum();
                let scale = column(d).map(|a| a * a).sum::<f64>()
                    * column(other).map(|a| a * a).sum::<f64>();
                assert!(together.abs() <= 1e-3 * scale.sqrt(), "{d} {other}");
            }
        }
        let error = embedder.features(&set, &FeatureChoice::part("speech"), &|| ());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("speech") && error.contains("embedding"),
            "{error}"
        );
        assert!(open(&[]).is_err());
    }

    #[test]
    fn a_backbone_is_no_model_of_waveforms() {
        let backbone = mtslvr_pack::SHIPPED[0].onnx.unwrap();
        assert_eq!(waveform_output(backbone), None);
        assert_eq!(waveform_output(b"no model"), None);
        assert_eq!(
            waveform_output(&model(Some(2), 100, 3)).unwrap(),
            "embedding"
        );
        let error = WaveformEmbedder::open(backbone, "edge-s", frontend(), &clips(3, 1000));
        assert!(error.unwrap_err().to_string().contains("[batch, samples]"));
    }
}
