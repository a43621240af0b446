//! Reads an ONNX file, our own or another exporter's, as a [`Graph`].

use super::error::ImportError;
use super::path::OutputReader;
use super::pb;
use super::tensor::Constant;
use crate::engine::{FrontendDescription, Layout, OnnxMetadata, part_outputs};
use crate::graph::{Graph, GraphBuilder, Output};
use mtslvr_runtime::space::{Part, Parts};
use prost::Message;
use std::collections::HashMap;

/// Reads a backbone: 1 to 8 outputs, which are the parts of its embeddings. `frontend` overrides the
/// frontend in the file's metadata.
///
/// # Errors
/// [`ImportError`] if the packed engine cannot express the graph, or the file does not say how its
/// input is made.
pub fn read(bytes: &[u8], frontend: Option<&FrontendDescription>) -> Result<Graph, ImportError> {
    let model = decode(bytes)?;
    let metadata = metadata_of(&model)?;
    let frontend = frontend
        .or(metadata.frontend.as_ref())
        .ok_or(ImportError::NoFrontend)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| ImportError::NotOnnx("it holds no graph".into()))?;
    let constants = constants(graph)?;
    let input = input(graph, &constants, frontend)?;

    let names: Vec<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let parts = part_outputs(&names, metadata.parts.as_deref()).map_err(ImportError::Interface)?;
    let mut builder = GraphBuilder::default();
    let mut outputs = Vec::new();
    for part in parts {
        let reader = OutputReader::new(graph, &constants, input, frontend, &mut builder);
        let tensor = reader.read(&graph.output[part.index].name)?;
        outputs.push(Output {
            name: part.name,
            tensor,
            share: part.share,
        });
    }
    let graph = Graph {
        frontend: frontend.config,
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

fn decode(bytes: &[u8]) -> Result<pb::ModelProto, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::NotOnnx("the file is empty".into()));
    }
    pb::ModelProto::decode(bytes).map_err(|error| ImportError::NotOnnx(error.to_string()))
}

fn metadata_of(model: &pb::ModelProto) -> Result<OnnxMetadata, ImportError> {
    Ok(OnnxMetadata::read(|key| {
        let entry = model.metadata_props.iter().find(|entry| entry.key == key)?;
        Some(entry.value.clone())
    })?)
}

/// Collects initialisers, Constant nodes, and Identity nodes of either, by name.
fn constants(graph: &pb::GraphProto) -> Result<HashMap<&str, Constant>, ImportError> {
    let mut constants = HashMap::new();
    let error = |name: &str, reason| ImportError::Constant {
        name: name.to_owned(),
        reason,
    };
    for tensor in &graph.initializer {
        let constant = Constant::read(tensor).map_err(|reason| error(&tensor.name, reason))?;
        constants.insert(tensor.name.as_str(), constant);
    }
    for node in &graph.node {
        let Some(output) = node.output.first() else {
            continue;
        };
        match node.op_type.as_str() {
            "Constant" => {
                let attribute = node.attribute.first();
                let constant = attribute
                    .ok_or_else(|| "nothing".to_owned())
                    .and_then(Constant::from_attribute)
                    .map_err(|reason| error(output, reason))?;
                constants.insert(output, constant);
            }
            "Identity" => {
                let held = node.input.first().and_then(|i| constants.get(i.as_str()));
                if let Some(constant) = held.cloned() {
                    constants.insert(output, constant);
                }
            }
            _ => {}
        }
    }
    Ok(constants)
}

/// Returns the name of the one input; its shape must be that of the patches.
fn input<'g>(
    graph: &'g pb::GraphProto,
    constants: &HashMap<&str, Constant>,
    frontend: &FrontendDescription,
) -> Result<&'g str, ImportError> {
    use pb::tensor_shape_proto::dimension::Value as Dim;
    let inputs: Vec<_> = graph
        .input
        .iter()
        .filter(|input| !constants.contains_key(input.name.as_str()))
        .collect();
    let [input] = inputs[..] else {
        return Err(ImportError::Interface(format!(
            "it has {} inputs, expected one of log-mel patches",
            inputs.len()
        )));
    };
    let (frames, mels) = (frontend.config.frames as i64, frontend.config.mels as i64);
    let expected = match frontend.layout {
        Layout::TimeMel => [1, frames, mels],
        Layout::MelTime => [1, mels, frames],
    };
    let shape = match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(pb::type_proto::Value::TensorType(tensor)) => tensor.shape.as_ref(),
        None => None,
    };
    // Without a shape the file leaves it to the caller; open dimensions are left open too.
    if let Some(shape) = shape {
        let dims: Vec<Option<i64>> = shape
            .dim
            .iter()
            .map(|dim| match dim.value {
                Some(Dim::DimValue(value)) => Some(value),
                _ => None,
            })
            .collect();
        let fits = dims.len() == 4
            && dims[1..]
                .iter()
                .zip(expected)
                .all(|(dim, expected)| dim.is_none_or(|dim| dim == expected));
        if !fits {
            let shown: Vec<String> = dims
                .iter()
                .map(|dim| dim.map_or("?".into(), |dim| dim.to_string()))
                .collect();
            let [c, h, w] = expected;
            return Err(ImportError::Interface(format!(
                "its input `{}` is [{}], but the frontend makes [?, {c}, {h}, {w}]",
                input.name,
                shown.join(", ")
            )));
        }
    }
    Ok(&input.name)
}
