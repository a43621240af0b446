//! Interprets the exported ONNX model in floats, as the packer reads it. Needs nothing installed, and
//! optimises nothing.

use super::described::Described;
use super::error::EngineError;
use crate::graph::Graph;
use crate::metadata::OnnxMetadata;
use crate::part_outputs::part_outputs;
use crate::{interpret, onnx};
use mtslvr_runtime::backbone::{Backbone, EmbedError};
use mtslvr_runtime::space::EmbeddingSpace;

/// A float backbone run operator by operator, one patch at a time.
#[derive(Debug)]
pub struct InterpretedBackbone {
    described: Described,
    graph: Graph,
}

impl InterpretedBackbone {
    /// Opens an ONNX model in memory; errors call it `model`. With `metadata`, that is used in place of
    /// the file's own (a foreign export has none).
    ///
    /// # Errors
    /// [`EngineError::Graph`] if the packer cannot read the model, [`EngineError::Metadata`] if it does
    /// not describe itself.
    pub fn from_bytes(
        bytes: &[u8],
        model: &str,
        metadata: Option<OnnxMetadata>,
    ) -> Result<Self, EngineError> {
        let unusable = |reason: String| EngineError::Graph {
            model: model.to_owned(),
            reason,
        };
        let mut metadata = match metadata {
            Some(given) => given,
            None => onnx::read_metadata(bytes).map_err(|error| unusable(error.to_string()))?,
        };
        let graph = onnx::read(bytes, metadata.frontend.as_ref())
            .map_err(|error| unusable(error.to_string()))?;
        // A norm of the input has become part of the frontend.
        if let Some(frontend) = &mut metadata.frontend {
            frontend.config = graph.frontend;
        }
        let outputs = graph.outputs.iter();
        let names: Vec<String> = outputs.map(|output| output.name.clone()).collect();
        let shares = graph.outputs.iter().map(|o| (o.name.clone(), o.share));
        let shares: Vec<(String, f32)> = shares.collect();
        let parts = part_outputs(&names, Some(&shares)).map_err(unusable)?;
        let widths = graph.outputs.iter().map(|o| graph.shape(o.tensor).len());
        let widths: Vec<usize> = widths.collect();
        Ok(Self {
            described: Described::new(model, bytes, metadata, &parts, &widths)?,
            graph,
        })
    }
}

impl Backbone for InterpretedBackbone {
    type Error = EngineError;

    fn space(&self) -> EmbeddingSpace<'_> {
        self.described.space.as_space()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EngineError> {
        EmbedError::check(&self.space(), patch, embedding)?;
        // The graph takes time-major patches whatever layout the file has.
        embedding.copy_from_slice(&interpret::embed(&self.graph, patch));
        Ok(())
    }
}
