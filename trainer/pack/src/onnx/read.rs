//! Reads an ONNX file, our own or another exporter's, as a [`Graph`].

use super::error::ImportError;
use super::limits::Limits;
use super::message::{decode, metadata_of};
use super::normalise::{normalise, patch_norm};
use super::path::OutputReader;
use super::pb;
use crate::graph::{Graph, GraphBuilder, Output};
use crate::metadata::{FrontendDescription, OnnxMetadata};
use crate::part_outputs::part_outputs;
use mtslvr_runtime::space::{Part, Parts};
use prost::Message;

/// Reads a backbone: 1 to 8 outputs, which are the parts of its embeddings. `frontend` overrides the
/// frontend in the file's metadata.
///
/// # Errors
/// [`ImportError`] if the packed engine cannot express the graph, or the file does not say how its
/// input is made.
pub fn read(bytes: &[u8], frontend: Option<&FrontendDescription>) -> Result<Graph, ImportError> {
    let mut model = decode(bytes)?;
    let metadata = metadata_of(&model)?;
    let frontend = frontend
        .or(metadata.frontend.as_ref())
        .ok_or(ImportError::NoFrontend)?;
    let mut normal = normalise(&mut model, frontend, &Limits::from_environment()?)?;
    let patch_norm = patch_norm::take(&mut normal);
    let names = &normal.outputs;
    let parts = part_outputs(names, metadata.parts.as_deref()).map_err(ImportError::Interface)?;
    let mut builder = GraphBuilder::default();
    let mut outputs = Vec::new();
    for part in parts {
        let reader = OutputReader::new(&normal, &mut builder);
        let tensor = reader.read(&names[part.index])?;
        outputs.push(Output {
            name: part.name,
            tensor,
            share: part.share,
        });
    }
    let graph = Graph {
        frontend: normal.frontend.config,
        patch_norm,
        provenance: metadata.provenance,
        ops: builder.finish(),
        outputs,
    };
    let parts = graph.outputs.iter().map(|output| Part {
        name: &output.name,
        len: graph.shape(output.tensor).len(),
        share: output.share,
    });
    Parts::new(parts).map_err(|error| ImportError::Interface(format!("its outputs: {error}")))?;
    Ok(graph)
}

/// Reads the metadata of an ONNX file; its graph need not be one that can be read.
///
/// # Errors
/// [`ImportError`] if the bytes are no ONNX file, or an entry of the metadata cannot be read.
pub fn read_metadata(bytes: &[u8]) -> Result<OnnxMetadata, ImportError> {
    metadata_of(&decode(bytes)?)
}

/// Returns the bytes of an ONNX file with its metadata entries replaced by `metadata`.
///
/// # Errors
/// [`ImportError`] if the bytes are no ONNX file.
pub fn with_metadata(bytes: &[u8], metadata: &OnnxMetadata) -> Result<Vec<u8>, ImportError> {
    let mut model = decode(bytes)?;
    for (key, value) in metadata.entries() {
        model.metadata_props.retain(|entry| entry.key != key);
        model.metadata_props.push(pb::StringStringEntryProto {
            key: key.into(),
            value,
        });
    }
    Ok(model.encode_to_vec())
}
