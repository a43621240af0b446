//! The messages of an ONNX file: decoded within limits, their metadata, and the order of their nodes.

use super::error::ImportError;
use super::limits::Limits;
use super::pb;
use crate::metadata::OnnxMetadata;
use prost::Message;
use std::collections::HashMap;

/// Decodes the bytes of a file.
pub(super) fn decode(bytes: &[u8]) -> Result<pb::ModelProto, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::NotOnnx("the file is empty".into()));
    }
    // An empty node takes two bytes in the file and a hundred times that in memory.
    let entries = fields(bytes).filter(|(tag, _)| *tag == 7);
    let entries = entries.flat_map(|(_, graph)| fields(graph)).count();
    Limits::check(
        "entries of a graph",
        entries as u64,
        Limits::from_environment()?.entries,
    )?;
    pb::ModelProto::decode(bytes).map_err(|error| ImportError::NotOnnx(error.to_string()))
}

/// Visits the fields of a protobuf message that have a length, with their tags, up to a fault.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut rest)?;
            let len = match key & 7 {
                0 => {
                    varint(&mut rest)?;
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => usize::try_from(varint(&mut rest)?).ok()?,
                _ => return None,
            };
            let (field, after) = rest.split_at_checked(len)?;
            rest = after;
            if key & 7 == 2 {
                return Some((key >> 3, field));
            }
        }
    })
}

/// Reads a number of at most ten bytes, seven bits in each.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in 0..10 {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Reads the metadata of a decoded file.
pub(super) fn metadata_of(model: &pb::ModelProto) -> Result<OnnxMetadata, ImportError> {
    Ok(OnnxMetadata::read(|key| {
        let entry = model.metadata_props.iter().find(|entry| entry.key == key)?;
        Some(entry.value.clone())
    })?)
}

/// Counts a node and those of the graphs in it.
pub(super) fn count_nodes(node: &pb::NodeProto) -> u64 {
    let graphs = node
        .attribute
        .iter()
        .flat_map(|a| a.g.iter().chain(&a.graphs));
    1 + graphs
        .flat_map(|graph| &graph.node)
        .map(count_nodes)
        .sum::<u64>()
}

/// Returns the indices of the nodes that the `outputs` need, each after those it needs itself. Values
/// that are `given` need none.
pub(super) fn needed(
    nodes: &[pb::NodeProto],
    outputs: &[String],
    given: impl Fn(&str) -> bool,
) -> Result<Vec<usize>, ImportError> {
    let mut makers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if makers.insert(name.as_str(), index).is_some() {
                let reason = format!("the value `{name}` is made twice");
                return Err(ImportError::Interface(reason));
            }
        }
    }
    let maker = |name: &str| {
        makers.get(name).copied().ok_or_else(|| {
            ImportError::Interface(format!("nothing in the graph makes the value `{name}`"))
        })
    };
    let mut order = Vec::new();
    let mut entered = vec![false; nodes.len()];
    let mut left = vec![false; nodes.len()];
    for output in outputs.iter().filter(|name| !given(name)) {
        let first = maker(output)?;
        if entered[first] {
            continue;
        }
        entered[first] = true;
        let mut stack = vec![(first, 0)];
        while let Some((index, next)) = stack.pop() {
            let Some(name) = nodes[index].input.get(next) else {
                left[index] = true;
                order.push(index);
                continue;
            };
            stack.push((index, next + 1));
            if given(name) {
                continue;
            }
            let maker = maker(name)?;
            if !entered[maker] {
                entered[maker] = true;
                stack.push((maker, 0));
            } else if !left[maker] {
                return Err(ImportError::Interface(format!(
                    "node `{}` needs its own result",
                    node_name(&nodes[maker])
                )));
            }
        }
    }
    Ok(order)
}

/// Returns a node's name, or else that of its output.
pub(super) fn node_name(node: &pb::NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}
