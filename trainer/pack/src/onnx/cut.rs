//! Cuts a network out of a larger graph, such as one that takes waveforms.

use super::error::ImportError;
use super::file::value_info;
use super::message::decode;
use super::{pb, with_metadata};
use crate::metadata::{FrontendDescription, Layout, OnnxMetadata};
use prost::Message;
use std::collections::{HashMap, HashSet};

/// Values that a message lists, at most.
const LISTED: usize = 8;

/// Cuts out what computes the values `to` of the value `from`, which becomes the one input: a patch as
/// `frontend` describes it. The description goes into the file. Names stay what they are.
///
/// # Errors
/// [`ImportError`] if the bytes are no ONNX model, there is no value of such a name, a value in `to` does
/// not depend on `from`, or depends on another input, too.
pub fn cut(
    onnx: &[u8],
    from: &str,
    to: &[String],
    frontend: &FrontendDescription,
) -> Result<Vec<u8>, ImportError> {
    let mut model = decode(onnx)?;
    let graph = model.graph.get_or_insert_default();
    let makers = makers(graph);
    if !makers.contains_key(from) && !graph.input.iter().any(|input| input.name == from) {
        return Err(ImportError::NoValue {
            name: from.to_owned(),
            others: list(read_by_convolutions(graph)),
        });
    }
    let constants = constants(graph);
    let mut needed = HashSet::new();
    for name in to {
        if !makers.contains_key(name.as_str()) {
            return Err(ImportError::NoValue {
                name: name.clone(),
                others: list(graph.output.iter().map(|output| output.name.as_str())),
            });
        }
        let (mut seen, mut reached) = (HashSet::new(), false);
        let mut waiting = vec![name.as_str()];
        while let Some(value) = waiting.pop() {
            if value == from {
                reached = true;
            } else if let Some(&index) = makers.get(value) {
                if seen.insert(index) {
                    waiting.extend(read_by(&graph.node[index]));
                }
            } else if !constants.contains(value) && !value.is_empty() {
                return Err(ImportError::OtherInput {
                    of: name.clone(),
                    input: value.to_owned(),
                    from: from.to_owned(),
                });
            }
        }
        if !reached {
            return Err(ImportError::NotBehind {
                value: name.clone(),
                from: from.to_owned(),
            });
        }
        needed.extend(seen);
    }
    let mut index = 0;
    let kept = std::mem::take(&mut graph.node).into_iter().filter(|_| {
        index += 1;
        needed.contains(&(index - 1))
    });
    let kept: Vec<pb::NodeProto> = kept.collect();
    keep_what_is_read(graph, &kept);
    graph.node = kept;
    graph.input = vec![input(from, frontend)];
    graph.output = to.iter().map(|name| output(name)).collect();
    let metadata = OnnxMetadata {
        frontend: Some(frontend.clone()),
        ..OnnxMetadata::default()
    };
    with_metadata(&model.encode_to_vec(), &metadata)
}

/// Lists the outputs of a model.
///
/// # Errors
/// [`ImportError`] if the bytes are no ONNX model.
pub fn outputs(onnx: &[u8]) -> Result<Vec<String>, ImportError> {
    let graph = decode(onnx)?.graph.unwrap_or_default();
    let outputs = graph.output.into_iter().map(|output| output.name);
    Ok(outputs.collect())
}

/// Finds the node that makes each value.
fn makers(graph: &pb::GraphProto) -> HashMap<String, usize> {
    let nodes = graph.node.iter().enumerate();
    nodes
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name.clone(), index)))
        .collect()
}

fn constants(graph: &pb::GraphProto) -> HashSet<&str> {
    let tensors = graph.initializer.iter();
    tensors.map(|tensor| tensor.name.as_str()).collect()
}

/// Lists the values that a node reads, those that graphs inside it read among them.
fn read_by(node: &pb::NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    for graph in node.attribute.iter().filter_map(|it| it.g.as_ref()) {
        let made: HashSet<&str> = graph
            .node
            .iter()
            .flat_map(|node| &node.output)
            .chain(graph.input.iter().map(|input| &input.name))
            .map(String::as_str)
            .chain(constants(graph))
            .collect();
        let inner = graph.node.iter().flat_map(read_by);
        let results = graph.output.iter().map(|output| output.name.as_str());
        names.extend(inner.chain(results).filter(|name| !made.contains(name)));
    }
    names
}

/// Takes out of the graph the constants and descriptions of values that `nodes` do not read.
fn keep_what_is_read(graph: &mut pb::GraphProto, nodes: &[pb::NodeProto]) {
    let read: HashSet<&str> = nodes.iter().flat_map(read_by).collect();
    graph
        .initializer
        .retain(|tensor| read.contains(tensor.name.as_str()));
    graph
        .value_info
        .retain(|info| read.contains(info.name.as_str()));
}

/// Lists the values that convolutions read, from the first one on: one of them is often the patch.
fn read_by_convolutions(graph: &pb::GraphProto) -> impl Iterator<Item = &str> {
    let convolutions = graph.node.iter().filter(|node| node.op_type == "Conv");
    convolutions.filter_map(|node| Some(node.input.first()?.as_str()))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.take(LISTED).collect();
    names.join(", ")
}

fn input(name: &str, frontend: &FrontendDescription) -> pb::ValueInfoProto {
    let [frames, mels] = [frontend.config.frames, frontend.config.mels].map(i64::from);
    match frontend.layout {
        Layout::TimeMel => value_info(name, &[1, frames, mels]),
        Layout::MelTime => value_info(name, &[1, mels, frames]),
    }
}

/// Describes an output, whose shape follows from the graph.
fn output(name: &str) -> pb::ValueInfoProto {
    let mut info = value_info(name, &[]);
    if let Some(pb::type_proto::Value::TensorType(tensor)) =
        info.r#type.as_mut().and_then(|it| it.value.as_mut())
    {
        tensor.shape = None;
    }
    info
}

#[cfg(test)]
mod tests;
