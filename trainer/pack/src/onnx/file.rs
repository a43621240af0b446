//! Writes a graph as a file, and makes the pieces of a graph that every writer needs.

use super::{OPSET, pb};
use crate::EmbeddingStatistics;
use crate::metadata::{FrontendDescription, OnnxMetadata};
use prost::Message;

/// Writes a file around `graph`, its metadata included; `parts` are the names and shares of those
/// outputs that make an embedding.
pub fn file(
    graph: pb::GraphProto,
    frontend: FrontendDescription,
    parts: Vec<(String, f32)>,
    statistics: &EmbeddingStatistics,
    provenance: &str,
) -> Vec<u8> {
    let metadata = OnnxMetadata {
        frontend: Some(frontend),
        base_mean: Some(statistics.base_mean.clone()),
        parts: Some(parts),
        reference: Some(statistics.reference),
        provenance: Some(provenance.to_owned()),
    };
    let model = pb::ModelProto {
        ir_version: 8,
        opset_import: vec![pb::OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        producer_name: "mtslvr".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "MT-SLVR audio backbone".into(),
        graph: Some(graph),
        metadata_props: metadata
            .entries()
            .into_iter()
            .map(|(key, value)| pb::StringStringEntryProto {
                key: key.into(),
                value,
            })
            .collect(),
        ..Default::default()
    };
    model.encode_to_vec()
}

/// Makes an attribute that is one integer.
pub fn int(name: &str, value: i64) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.into(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

/// Makes an attribute that is a list of integers.
pub fn ints(name: &str, values: &[i64]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.into(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

/// Describes a float value of shape `[batch, ..dims]`.
pub fn value_info(name: &str, dims: &[i64]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |value: Value| Dimension {
        value: Some(value),
        ..Default::default()
    };
    let dim = std::iter::once(dimension(Value::DimParam("batch".into())))
        .chain(dims.iter().map(|&dim| dimension(Value::DimValue(dim))))
        .collect();
    pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: pb::tensor_proto::DataType::Float as i32,
                shape: Some(pb::TensorShapeProto { dim }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}
