//! An ONNX model as its metadata describes it.

use super::error::EngineError;
use crate::metadata::{
    KEY_BASE_MEAN, KEY_FRONTEND, KEY_REFERENCE, Layout, MetadataError, OnnxMetadata,
};
#[cfg(any(feature = "tract", feature = "ort"))]
use crate::onnx::{self, ImportError};
use crate::part_outputs::PartOutput;
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, OwnedSpace, Part, Parts};
use sha2::{Digest, Sha256};
#[cfg(any(feature = "tract", feature = "ort"))]
use std::path::Path;

/// The facts about a model beside its graph: all that an engine needs to feed it and to read its outputs.
#[derive(Debug)]
#[cfg_attr(not(any(feature = "tract", feature = "ort")), allow(dead_code))]
pub(super) struct Described {
    pub model: String,
    layout: Layout,
    pub space: OwnedSpace,
}

#[cfg_attr(not(any(feature = "tract", feature = "ort")), allow(dead_code))]
impl Described {
    /// Joins the file's hash, its metadata, and the widths of the outputs that hold the `parts`.
    pub fn new(
        model: &str,
        bytes: &[u8],
        metadata: OnnxMetadata,
        parts: &[PartOutput],
        widths: &[usize],
    ) -> Result<Self, EngineError> {
        let complete = || {
            let description = metadata
                .frontend
                .ok_or(MetadataError::Missing(KEY_FRONTEND))?;
            let base_mean = metadata
                .base_mean
                .ok_or(MetadataError::Missing(KEY_BASE_MEAN))?;
            let reference = metadata
                .reference
                .ok_or(MetadataError::Missing(KEY_REFERENCE))?;
            let parts = parts.iter().zip(widths).map(|(part, len)| Part {
                name: &part.name,
                len: *len,
                share: part.share,
            });
            let parts = Parts::new(parts).map_err(MetadataError::Parts)?;
            let length = MetadataError::BaseMeanLength {
                found: base_mean.len(),
                expected: parts.dim(),
            };
            let id = BackboneId::new(Sha256::digest(bytes).into());
            let space = EmbeddingSpace::new(id, description.config, parts, &base_mean, reference);
            Ok(Self {
                model: model.to_owned(),
                layout: description.layout,
                space: space.ok_or(length)?.into_owned(),
            })
        };
        complete().map_err(|error| EngineError::Metadata {
            model: model.to_owned(),
            error,
        })
    }

    /// Returns the shape of the graph's input for `batch` patches.
    pub fn input_shape(&self, batch: usize) -> [usize; 4] {
        let [frames, mels] = self.patch_shape();
        match self.layout {
            Layout::TimeMel => [batch, 1, frames, mels],
            Layout::MelTime => [batch, 1, mels, frames],
        }
    }

    /// Returns the numbers of frames and mels of a patch.
    fn patch_shape(&self) -> [usize; 2] {
        let space = self.space.as_space();
        [space.frontend().frames, space.frontend().mels].map(usize::from)
    }

    /// Puts the values of time-major patches in the order of the graph's input.
    pub fn arrange(&self, patches: &[f32]) -> Vec<f32> {
        match self.layout {
            Layout::TimeMel => patches.to_vec(),
            Layout::MelTime => {
                let [frames, mels] = self.patch_shape();
                let mut arranged = Vec::with_capacity(patches.len());
                for patch in patches.chunks_exact(frames * mels) {
                    for mel in 0..mels {
                        arranged.extend((0..frames).map(|frame| patch[frame * mels + mel]));
                    }
                }
                arranged
            }
        }
    }

    /// Writes the outputs that hold the parts, each `[batch][len]`, as embeddings one after the other.
    pub fn join(&self, outputs: &[&[f32]], embeddings: &mut [f32]) -> Result<(), EngineError> {
        let space = self.space.as_space();
        let batch = embeddings.len() / space.dim();
        for ((part, range), output) in space.parts().ranges().zip(outputs) {
            if output.len() != batch * part.len {
                return Err(EngineError::Run {
                    model: self.model.clone(),
                    reason: format!(
                        "the output of `{}` holds {} values where {batch} x {} were expected",
                        part.name,
                        output.len(),
                        part.len
                    ),
                });
            }
            let embeddings = embeddings.chunks_exact_mut(space.dim());
            for (embedding, values) in embeddings.zip(output.chunks_exact(part.len)) {
                embedding[range.clone()].copy_from_slice(values);
            }
        }
        Ok(())
    }
}

/// Reads the file of a model, and the files that hold its weights: the name that errors call it, and
/// its bytes.
#[cfg(any(feature = "tract", feature = "ort"))]
pub(super) fn read_model(path: &Path) -> Result<(String, Vec<u8>), EngineError> {
    let model = path.display().to_string();
    match onnx::load(path) {
        Ok(bytes) => Ok((model, bytes)),
        Err(ImportError::Read { source, .. }) => Err(EngineError::Read {
            model,
            error: source,
        }),
        Err(error) => Err(unusable(&model, &error)),
    }
}

/// Prepares the model in `bytes` for an engine: normalised and checked, with the metadata that describes
/// it, which is `given` or its own.
#[cfg(any(feature = "tract", feature = "ort"))]
pub(super) fn prepared(
    bytes: &[u8],
    model: &str,
    given: Option<OnnxMetadata>,
) -> Result<(Vec<u8>, OnnxMetadata), EngineError> {
    let mut metadata = match given {
        Some(given) => given,
        None => match onnx::read_metadata(bytes) {
            Ok(metadata) => metadata,
            Err(ImportError::Metadata(error)) => {
                let model = model.to_owned();
                return Err(EngineError::Metadata { model, error });
            }
            Err(error) => return Err(unusable(model, &error)),
        },
    };
    let Some(frontend) = metadata.frontend else {
        return Err(EngineError::Metadata {
            model: model.to_owned(),
            error: MetadataError::Missing(KEY_FRONTEND),
        });
    };
    let checked = onnx::checked(bytes, Some(&frontend)).map_err(|error| unusable(model, &error))?;
    metadata.frontend = Some(checked.frontend);
    Ok((checked.bytes, metadata))
}

#[cfg(any(feature = "tract", feature = "ort"))]
fn unusable(model: &str, error: &ImportError) -> EngineError {
    EngineError::Graph {
        model: model.to_owned(),
        reason: error.to_string(),
    }
}
