//! Stands in for models of waveforms in a program without training, which has no ONNX Runtime.

use super::Accuracy;
use super::subject::Subject;
use anyhow::Result;
use mtslvr_audio::DecodeCache;
use mtslvr_pack::ModelSource;

/// Opens nothing: every model is taken for a backbone.
pub(super) fn open(_: &ModelSource, _: &Accuracy, _: &DecodeCache) -> Result<Option<Subject>> {
    Ok(None)
}
