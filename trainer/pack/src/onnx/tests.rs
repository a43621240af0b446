//! Reads foreign files and compares the results.

use super::normalise::tests::frontend as foreign_frontend;
use super::{ImportError, read, read_metadata, with_metadata};
use crate::engine::{Layout, OnnxMetadata, TractBackbone};
use crate::graph::{Graph, OpKind};
use crate::interpret;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Reference;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const PAIR: &[u8] = include_bytes!("fixtures/foreign_pair.onnx");
const PAIR_EXPECTED: &str = include_str!("fixtures/foreign_pair.json");
const MEL: &[u8] = include_bytes!("fixtures/foreign_mel.onnx");
const MEL_EXPECTED: &str = include_str!("fixtures/foreign_mel.json");
const UNSUPPORTED: &[u8] = include_bytes!("fixtures/unsupported.onnx");

/// Values that `fixtures/foreign_onnx.py` writes beside a model.
#[derive(serde::Deserialize)]
struct Expected {
    patch: Vec<f32>,
    outputs: BTreeMap<String, Vec<f32>>,
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let magnitude = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-4 * magnitude, "{found:?} {expected:?}");
    }
}

fn by_tract(bytes: &[u8], metadata: Option<OnnxMetadata>, patch: &[f32]) -> Vec<f32> {
    let mut tract = TractBackbone::from_bytes(bytes, "test", metadata).unwrap();
    let mut embedding = vec![0.0; tract.space().dim()];
    tract.embed(patch, &mut embedding).unwrap();
    embedding
}

fn error(bytes: &[u8]) -> String {
    read(bytes, Some(&foreign_frontend(Layout::TimeMel)))
        .unwrap_err()
        .to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_give_a_graph_or_an_error(
        mut bytes in Just(PAIR.to_vec()),
        damage in proptest::collection::vec((0usize..6_000, any::<u8>()), 1..6),
        cut in proptest::option::of(0usize..6_000),
    ) {
        for (at, value) in damage {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut);
        }
        let _ = read(&bytes, Some(&foreign_frontend(Layout::TimeMel)));
    }
}

#[test]
fn a_foreign_pair_of_paths_is_taken() {
    let expected: Expected = serde_json::from_str(PAIR_EXPECTED).unwrap();
    let graph = read(PAIR, Some(&foreign_frontend(Layout::TimeMel))).unwrap();
    let embedding = expected.outputs.values().rev().cloned().collect::<Vec<_>>();
    assert_eq!(
        expected.outputs.keys().rev().collect::<Vec<_>>(),
        ["invariant", "equivariant"]
    );
    assert_near(
        &interpret::embed(&graph, &expected.patch),
        &embedding.concat(),
    );
    let kinds: Vec<&str> = graph.ops.iter().map(|op| short_name(&op.kind)).collect();
    let own = ["conv+adapter", "add", "average"];
    assert_eq!(kinds, [&["conv", "max"], &own[..], &own[..]].concat());
    // The second path's kernels are an equal copy: found to be the same.
    let [a, b] = [2, 5].map(|op| graph.ops[op].kind.channels().unwrap());
    assert!(Arc::ptr_eq(&a.weights, &b.weights));
    let metadata = OnnxMetadata {
        frontend: Some(foreign_frontend(Layout::TimeMel)),
        base_mean: Some(vec![0.0; 12]),
        parts: None,
        reference: Some(Reference::assumed(0.5)),
        provenance: None,
    };
    let given = by_tract(PAIR, Some(metadata.clone()), &expected.patch);
    assert_near(&given, &embedding.concat());
    let described = with_metadata(PAIR, &metadata).unwrap();
    assert_eq!(read_metadata(&described).unwrap(), metadata);
    assert_near(&by_tract(&described, None, &expected.patch), &given);
}

#[test]
fn a_foreign_file_with_time_along_the_width_is_turned() {
    let expected: Expected = serde_json::from_str(MEL_EXPECTED).unwrap();
    let description = foreign_frontend(Layout::MelTime);
    let graph = read(MEL, Some(&description)).unwrap();
    let patch: Vec<f32> = (0..11)
        .flat_map(|frame| (0..8).map(move |mel| mel * 11 + frame))
        .map(|at| expected.patch[at])
        .collect();
    assert_eq!(graph.outputs.len(), 1);
    assert_near(
        &interpret::embed(&graph, &patch),
        &expected.outputs["features"],
    );
    let metadata = OnnxMetadata {
        frontend: Some(description),
        base_mean: Some(vec![0.0; 7]),
        parts: None,
        reference: Some(Reference::assumed(0.5)),
        provenance: None,
    };
    assert_near(
        &by_tract(MEL, Some(metadata), &patch),
        &expected.outputs["features"],
    );
}

fn short_name(kind: &OpKind) -> &'static str {
    match kind {
        OpKind::Convolution { channels, .. } if channels.adapter.is_some() => "conv+adapter",
        OpKind::Convolution { .. } => "conv",
        OpKind::Linear { .. } => "linear",
        OpKind::Add { .. } => "add",
        OpKind::MaxPool { .. } => "max",
        OpKind::AveragePool { .. } => "average",
        other => other.op_kind().name(),
    }
}

#[test]
fn errors_name_node_operator_and_what_is_supported() {
    let text = error(UNSUPPORTED);
    assert!(text.contains("`squash`"), "{text}");
    assert!(text.contains("Softmax"), "{text}");
    assert!(
        text.contains("supported are Conv, BatchNormalization"),
        "{text}"
    );
    let text = error(MEL);
    assert!(text.contains("[1, 1, 8, 11]"), "{text}");
    assert!(text.contains("[?, 1, 11, 8]"), "{text}");
    assert!(matches!(read(PAIR, None), Err(ImportError::NoFrontend)));
    assert!(error(b"").contains("the file is empty"));
    assert!(error(b"\x08\x07garbage that is no protobuf").contains("not an ONNX model"));
    let text = error(&[]);
    assert!(text.contains("not an ONNX model"), "{text}");
}

#[test]
fn the_graph_knows_its_widths() {
    let graph: Graph = read(PAIR, Some(&foreign_frontend(Layout::TimeMel))).unwrap();
    let outputs = graph.outputs.iter();
    let outputs: Vec<_> = outputs.map(|o| (o.name.as_str(), o.share)).collect();
    assert_eq!(outputs, [("invariant", 0.7), ("equivariant", 1.0 - 0.7)]);
    assert_eq!(graph.dim(), 2 * 6);
    assert_eq!(graph.shape(2).to_string(), "6x4x6");
}
