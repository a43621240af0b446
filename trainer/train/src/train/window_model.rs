//! Models that hear windows: public networks of waveforms, and backbones.

use super::heard::hash_of;
use anyhow::{Context, Result, ensure};
use mtslvr_pack::engine::{WaveformModel, waveform_output};
use mtslvr_pack::{BackboneFile, ModelSource, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use std::ffi::OsString;

/// Sample rate that teachers of parts hear, Hz.
pub(super) const WAVEFORM_RATE: u32 = WaveformModel::SAMPLE_RATE;

/// The file of a teacher, from which each thread opens a model of its own.
#[derive(Debug)]
pub(super) struct TeacherFile<'t> {
    model: &'t str,
    output: &'t str,
    /// Samples of a window.
    samples: usize,
    /// Hexadecimal digits of the SHA-256 of the contents.
    pub(super) hash: String,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    Waveforms(Vec<u8>),
    Backbone(BackboneFile),
}

/// A teacher that hears windows.
#[derive(Debug)]
pub(super) enum WindowModel {
    Waveforms(WaveformModel),
    Backbone(Box<OpenedBackbone>),
}

impl<'t> TeacherFile<'t> {
    /// Reads what `--model` takes: an ONNX file of waveforms, or a backbone.
    pub(super) fn read(model: &'t str, output: &'t str, samples: usize) -> Result<Self> {
        let source = ModelSource::from(OsString::from(model));
        let of_waveforms = match &source {
            ModelSource::Path(path) if path.extension().is_some_and(|ending| ending == "onnx") => {
                let bytes = mtslvr_pack::onnx::load(path).with_context(|| model.to_owned())?;
                waveform_output(&bytes).map(|_| bytes)
            }
            _ => None,
        };
        let (hash, contents) = match of_waveforms {
            Some(bytes) => (hash_of(&bytes), Contents::Waveforms(bytes)),
            None => {
                let file = BackboneFile::open(&source, None)?;
                let backbone = file.backbone()?;
                let space = backbone.space();
                let rate = space.frontend().sample_rate;
                ensure!(
                    rate == WAVEFORM_RATE,
                    "{model} hears sound at {rate} Hz, expected {WAVEFORM_RATE}"
                );
                let id = space.backbone();
                (hash_of(id.as_bytes()), Contents::Backbone(file))
            }
        };
        Ok(Self {
            model,
            output,
            samples,
            hash,
            contents,
        })
    }

    pub(super) fn open(&self) -> Result<WindowModel> {
        Ok(match &self.contents {
            Contents::Waveforms(bytes) => WindowModel::Waveforms(WaveformModel::from_bytes(
                bytes,
                self.model,
                self.output,
                self.samples,
            )?),
            Contents::Backbone(file) => WindowModel::Backbone(Box::new(file.backbone()?)),
        })
    }
}

impl WindowModel {
    /// Number of values that it says of a window.
    pub(super) fn dim(&self) -> usize {
        match self {
            Self::Waveforms(model) => model.dim(),
            Self::Backbone(backbone) => backbone.space().dim(),
        }
    }

    /// Says what it hears in windows of `samples` samples, one after the other.
    pub(super) fn hear(&mut self, windows: &[f32], samples: usize) -> Result<Vec<f32>> {
        match self {
            Self::Waveforms(model) => Ok(model.hear(windows)?),
            Self::Backbone(backbone) => {
                let embed = |window| embed_clip(backbone.as_mut(), window);
                let said = windows.chunks_exact(samples).map(embed);
                Ok(said.collect::<Result<Vec<_>, _>>()?.concat())
            }
        }
    }
}
