//! What the reader makes of our own and of foreign files.

use super::{ImportError, read, read_metadata, with_metadata, write};
use crate::export::graph::{Graph, OpKind, Sharing};
use crate::export::{interpret, random};
use crate::net::{AdapterKind, AdapterSpec, BackboneSpec, OutputSpec, StageSpec, StemSpec};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::engine::{FrontendDescription, Layout, OnnxMetadata, TractBackbone};
use mtslvr_runtime::frontend::FrontendConfig;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const PAIR: &[u8] = include_bytes!("fixtures/foreign_pair.onnx");
const PAIR_EXPECTED: &str = include_str!("fixtures/foreign_pair.json");
const MEL: &[u8] = include_bytes!("fixtures/foreign_mel.onnx");
const MEL_EXPECTED: &str = include_str!("fixtures/foreign_mel.json");
const UNSUPPORTED: &[u8] = include_bytes!("fixtures/unsupported.onnx");

/// What `scripts/foreign_onnx.py` writes beside a model.
#[derive(serde::Deserialize)]
struct Expected {
    patch: Vec<f32>,
    outputs: BTreeMap<String, Vec<f32>>,
}

fn foreign_frontend(layout: Layout) -> FrontendDescription {
    FrontendDescription {
        config: FrontendConfig {
            mels: 8,
            frames: 11,
            ..random::frontend()
        },
        layout,
    }
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
    let mut embedding = vec![0.0; tract.embedding_dim()];
    tract.embed(patch, &mut embedding).unwrap();
    embedding
}

fn error(bytes: &[u8]) -> String {
    read(bytes, Some(&foreign_frontend(Layout::TimeMel)))
        .unwrap_err()
        .to_string()
}

fn kind() -> impl Strategy<Value = AdapterKind> {
    prop_oneof![
        Just(AdapterKind::None),
        Just(AdapterKind::Split),
        Just(AdapterKind::BatchNorm),
        Just(AdapterKind::Series),
        Just(AdapterKind::Parallel),
        Just(AdapterKind::Separate)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_reads_back_as_the_same_function(
        kind in kind(),
        from_stage in 0usize..3,
        kernel in prop_oneof![Just(3usize), Just(5)],
        stem_stride in 1usize..3,
        widths in proptest::collection::vec((1usize..10, 1usize..3, 1usize..3), 1..3),
        seed in 0u64..1000,
        output in proptest::option::of((1usize..4, 1usize..7)),
    ) {
        let mut spec = BackboneSpec {
            stem: StemSpec { width: widths[0].0, kernel, stride: stem_stride },
            stages: widths
                .iter()
                .map(|&(width, blocks, stride)| StageSpec { width, blocks, stride })
                .collect(),
            adapters: AdapterSpec { kind, from_stage },
            output: None,
            parts: Vec::new(),
            shares: Default::default(),
        };
        let frontend = FrontendConfig { frames: 13, mels: 10, ..random::frontend() };
        spec.output = output.map(|(bands, dim)| {
            let (_, width) = spec.last_map(13, 10);
            let bands = if width % bands == 0 { bands } else { 1 };
            OutputSpec { bands, dim, whitening: 0.5 }
        });
        prop_assert_eq!(spec.check(13, 10), Ok(()));
        let weights = random::weights(&spec, seed);
        let statistics = random::statistics(&spec);
        let bytes = write(&spec, &weights, &frontend, &statistics, "a test").unwrap();
        let graph = read(&bytes, None).unwrap();
        // Convolutions, sums and the pool: norms, adapters and ReLUs have joined them.
        let blocks: usize = spec.stages.iter().map(|s| s.blocks).sum();
        let shortcut = |name: &&String| {
            name.ends_with("shortcut.weight") || name.ends_with("shortcut.0.weight")
        };
        let shortcuts = weights.keys().filter(shortcut).count();
        // The split variant's linear layer and the whitening are one.
        let linear = usize::from(kind == AdapterKind::Split || spec.output.is_some());
        prop_assert_eq!(graph.ops.len(), 1 + 3 * blocks + shortcuts + 1 + linear);
        prop_assert_eq!(graph.paths, spec.paths());
        prop_assert_eq!(graph.frontend, frontend);
        let patch = &random::patches(&frontend, 1, seed)[0];
        assert_near(&interpret::embed(&graph, patch), &by_tract(&bytes, None, patch));
        let mut folded = graph.clone();
        folded.fold_adapters();
        assert_near(&interpret::embed(&folded, patch), &interpret::embed(&graph, patch));
    }

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
fn kernels_are_shared_and_adapters_found() {
    let spec = random::spec(AdapterKind::Parallel, 1);
    let weights = random::weights(&spec, 3);
    let statistics = random::statistics(&spec);
    let bytes = write(&spec, &weights, &random::frontend(), &statistics, "a test").unwrap();
    let graph = read(&bytes, None).unwrap();
    assert_eq!(graph.provenance.as_deref(), Some("a test"));
    let mut adapted = Vec::new();
    for op in &graph.ops {
        if let [a, b] = op.kind.channels() {
            assert!(Arc::ptr_eq(&a.weights, &b.weights), "{}", op.name);
            assert_eq!(a.adapter.is_some(), b.adapter.is_some());
            assert_eq!(a == b, !op.name.starts_with("stages.1"), "{}", op.name);
            if a.adapter.is_some() {
                adapted.push(op.name.as_str());
            }
        }
    }
    let expected = ["0.conv1", "0.conv2", "1.conv1", "1.conv2"];
    assert_eq!(adapted, expected.map(|unit| format!("stages.1.{unit}")));
}

#[test]
fn what_cannot_be_shared_is_folded_and_said() {
    let sharing = |kind, from_stage| {
        let spec = random::spec(kind, from_stage);
        let (weights, statistics) = (random::weights(&spec, 3), random::statistics(&spec));
        let bytes = write(&spec, &weights, &random::frontend(), &statistics, "").unwrap();
        let graph = read(&bytes, None).unwrap();
        let Sharing { shared, own } = graph.sharing();
        assert_eq!(graph.sharing().note().is_some(), own > 0);
        (shared, own)
    };
    // Convolutions: stem, 3 blocks of 2, one shortcut.
    assert_eq!(sharing(AdapterKind::None, 0), (0, 0));
    assert_eq!(sharing(AdapterKind::Split, 0), (8, 1));
    assert_eq!(sharing(AdapterKind::BatchNorm, 0), (8, 0));
    assert_eq!(sharing(AdapterKind::Series, 0), (2, 6));
    assert_eq!(sharing(AdapterKind::Series, 1), (4, 4));
    assert_eq!(sharing(AdapterKind::Parallel, 0), (8, 0));
    assert_eq!(sharing(AdapterKind::Separate, 1), (3, 5));
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
    assert_eq!(kinds, ["conv", "max", "conv+adapter", "add", "average"]);
    // The second path's kernels are an equal copy: found to be the same.
    let [a, b] = graph.ops[2].kind.channels() else {
        panic!("two paths expected")
    };
    assert!(Arc::ptr_eq(&a.weights, &b.weights));
    let metadata = OnnxMetadata {
        frontend: Some(foreign_frontend(Layout::TimeMel)),
        base_mean: Some(vec![0.0; 12]),
        rejection_similarity: Some(0.5),
        reference: None,
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
    assert_eq!(graph.paths, 1);
    assert_near(
        &interpret::embed(&graph, &patch),
        &expected.outputs["features"],
    );
    let metadata = OnnxMetadata {
        frontend: Some(description),
        base_mean: Some(vec![0.0; 7]),
        rejection_similarity: Some(0.5),
        reference: None,
        provenance: None,
    };
    assert_near(
        &by_tract(MEL, Some(metadata), &patch),
        &expected.outputs["features"],
    );
}

fn short_name(kind: &OpKind) -> &'static str {
    match kind {
        OpKind::Convolution { paths, .. } if paths[0].adapter.is_some() => "conv+adapter",
        OpKind::Convolution { .. } => "conv",
        OpKind::Linear { .. } => "linear",
        OpKind::Add { .. } => "add",
        OpKind::MaxPool { .. } => "max",
        OpKind::AveragePool { .. } => "average",
    }
}

#[test]
fn errors_name_node_operator_and_what_is_supported() {
    let text = error(UNSUPPORTED);
    assert!(text.contains("`squash`"), "{text}");
    assert!(text.contains("Sigmoid"), "{text}");
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
    assert_eq!((graph.paths, graph.path_dim()), (2, 6));
    assert_eq!(graph.shape(2).to_string(), "6x4x6");
}
