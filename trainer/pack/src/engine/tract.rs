//! Runs the exported ONNX model in tract: pure Rust, nothing to install.

use super::described::{Described, prepared, read_model};
use super::error::EngineError;
use crate::metadata::{KEY_FRONTEND, Layout, MetadataError, OnnxMetadata};
use crate::part_outputs::part_outputs;
use mtslvr_audio::guarded;
use mtslvr_runtime::backbone::{Backbone, EmbedError};
use mtslvr_runtime::space::EmbeddingSpace;
use std::path::Path;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// A float backbone run by tract, one patch at a time.
pub struct TractBackbone {
    described: Described,
    plan: Arc<TypedRunnableModel>,
    /// The output that holds each part.
    outputs: Vec<usize>,
}

impl TractBackbone {
    /// Opens an ONNX file that describes itself in its metadata.
    ///
    /// # Errors
    /// [`EngineError`] if the file cannot be read; also as [`Self::from_bytes`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let (model, bytes) = read_model(path.as_ref())?;
        Self::from_bytes(&bytes, &model, None)
    }

    /// Opens an ONNX model in memory; errors call it `model`. With `metadata`, that is used in
    /// place of the file's own (a foreign export has none).
    ///
    /// # Errors
    /// [`EngineError`] if tract cannot take the graph, or the metadata is missing or does not fit the graph.
    pub fn from_bytes(
        bytes: &[u8],
        model: &str,
        metadata: Option<OnnxMetadata>,
    ) -> Result<Self, EngineError> {
        let (graph, metadata) = prepared(bytes, model, metadata)?;
        running(model, || Self::from_checked(bytes, &graph, model, metadata))
    }

    /// Opens the normalised model `graph`, which stands in for `bytes`.
    fn from_checked(
        bytes: &[u8],
        graph: &[u8],
        model: &str,
        metadata: OnnxMetadata,
    ) -> Result<Self, EngineError> {
        let graph_error = |reason: String| EngineError::Graph {
            model: model.to_owned(),
            reason,
        };
        let tract_error = |error: TractError| graph_error(format!("{error:#}"));
        let framework = tract_onnx::onnx();
        let proto = framework
            .proto_model_for_read(&mut &graph[..])
            .map_err(tract_error)?;
        let graph = proto
            .graph
            .as_ref()
            .ok_or_else(|| graph_error("it holds no graph".into()))?;
        let names: Vec<String> = graph.output.iter().map(|o| o.name.clone()).collect();
        let parts = part_outputs(&names, metadata.parts.as_deref()).map_err(graph_error)?;

        // The shape is fixed before tract optimises, and the widths of the outputs follow from
        // it; the metadata is checked in full once these are known.
        let Some(frontend) = &metadata.frontend else {
            return Err(EngineError::Metadata {
                model: model.to_owned(),
                error: MetadataError::Missing(KEY_FRONTEND),
            });
        };
        let (frames, mels) = (
            frontend.config.frames as usize,
            frontend.config.mels as usize,
        );
        let shape = match frontend.layout {
            Layout::TimeMel => [1, 1, frames, mels],
            Layout::MelTime => [1, 1, mels, frames],
        };
        let typed = framework
            .model_for_proto_model(&proto)
            .and_then(|graph| graph.with_input_fact(0, f32::fact(shape).into()))
            .and_then(tract_onnx::prelude::InferenceModelExt::into_optimized)
            .map_err(tract_error)?;
        let width = |index: usize| -> Result<usize, EngineError> {
            let fact = typed.output_fact(index).map_err(tract_error)?;
            fact.shape
                .as_concrete()
                .map(|shape| shape.iter().product())
                .ok_or_else(|| graph_error(format!("output `{}` has no fixed width", names[index])))
        };
        let outputs: Vec<usize> = parts.iter().map(|part| part.index).collect();
        let widths = outputs.iter().map(|&index| width(index));
        let widths = widths.collect::<Result<Vec<usize>, _>>()?;
        Ok(Self {
            described: Described::new(model, bytes, metadata, &parts, &widths)?,
            plan: typed.into_runnable().map_err(tract_error)?,
            outputs,
        })
    }
}

impl Backbone for TractBackbone {
    type Error = EngineError;

    fn space(&self) -> EmbeddingSpace<'_> {
        self.described.space.as_space()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EngineError> {
        EmbedError::check(&self.space(), patch, embedding)?;
        let run_error = |error: TractError| EngineError::Run {
            model: self.described.model.clone(),
            reason: format!("{error:#}"),
        };
        let arranged = self.described.arrange(patch);
        let input =
            Tensor::from_shape(&self.described.input_shape(1), &arranged).map_err(run_error)?;
        let model = &self.described.model;
        let outputs = running(model, || {
            self.plan.run(tvec!(input.into())).map_err(run_error)
        })?;
        let values = self.outputs.iter().map(|&index| {
            let output = outputs[index].try_as_plain_ram().map_err(run_error)?;
            output.as_slice::<f32>().map_err(run_error)
        });
        let values = values.collect::<Result<Vec<&[f32]>, _>>()?;
        self.described.join(&values, embedding)
    }
}

/// Runs tract on `model`, which is anyone's: a panic of tract is an error that names the model.
fn running<T>(
    model: &str,
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    guarded(work).unwrap_or_else(|panic| {
        Err(EngineError::Graph {
            model: model.to_owned(),
            reason: format!("the engine gave up on it ({panic})"),
        })
    })
}

impl core::fmt::Debug for TractBackbone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TractBackbone")
            .field("described", &self.described)
            .finish_non_exhaustive()
    }
}
