//! The reader on files that the writer wrote.

use crate::export::{random, write};
use crate::net::{AdapterKind, AdapterSpec, BackboneSpec, OutputSpec, StageSpec, StemSpec};
use mtslvr_pack::engine::{KEY_BASE_MEAN, KEY_PARTS, OnnxMetadata, TractBackbone};
use mtslvr_pack::graph::Graph;
use mtslvr_pack::interpret;
use mtslvr_pack::onnx::{int, pb, read, value_info, with_metadata};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let magnitude = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-4 * magnitude, "{found:?} {expected:?}");
    }
}

fn by_tract(bytes: &[u8], patch: &[f32]) -> Vec<f32> {
    let mut tract = TractBackbone::from_bytes(bytes, "test", None).unwrap();
    let mut embedding = vec![0.0; tract.space().dim()];
    tract.embed(patch, &mut embedding).unwrap();
    embedding
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

/// The operators that make a tensor.
fn needed(graph: &Graph, tensor: usize) -> BTreeSet<usize> {
    let mut tensors = BTreeSet::from([tensor]);
    let mut ops = BTreeSet::new();
    while let Some(op) = tensors.pop_last().and_then(|tensor| tensor.checked_sub(1)) {
        ops.insert(op);
        let (first, second) = graph.ops[op].kind.operands();
        tensors.extend([Some(first), second].into_iter().flatten());
    }
    ops
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_reads_back_as_the_same_function(
        kind in kind(),
        from_stage in 0usize..2,
        kernel in prop_oneof![Just(3usize), Just(5)],
        stem_stride in 1usize..3,
        widths in proptest::collection::vec((1usize..10, 1usize..3, 1usize..3), 1..3),
        seed in 0u64..1000,
        output in proptest::option::of((1usize..4, 1usize..7, proptest::option::of(1usize..7))),
    ) {
        let mut spec = BackboneSpec {
            stem: StemSpec { width: widths[0].0, kernel, stride: stem_stride },
            stages: widths
                .iter()
                .map(|&(width, blocks, stride)| StageSpec { width, blocks, stride })
                .collect(),
            adapters: AdapterSpec { kind, from_stage: from_stage.min(widths.len() - 1) },
            output: None,
            parts: Vec::new(),
            shares: Default::default(),
        };
        let frontend = FrontendConfig { frames: 13, mels: 10, ..random::frontend() };
        spec.output = output.map(|(bands, dim, equivariant_dim)| {
            let (_, width) = spec.last_map(13, 10);
            let bands = if width % bands == 0 { bands } else { 1 };
            let equivariant_dim = equivariant_dim.filter(|_| spec.paths() == 2);
            OutputSpec { bands, dim, equivariant_dim, whitening: 0.5, within: 0.0 }
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
        let alone = 1 + 3 * blocks + shortcuts + 1 + linear;
        prop_assert_eq!(graph.outputs.len(), spec.paths());
        for output in &graph.outputs {
            prop_assert_eq!(needed(&graph, output.tensor).len(), alone);
        }
        // What outputs have in common is there once, and nothing else is there.
        let all: BTreeSet<usize> = graph.outputs.iter().flat_map(|o| needed(&graph, o.tensor)).collect();
        prop_assert_eq!(graph.ops.len(), all.len());
        prop_assert_eq!(graph.frontend, frontend);
        let patch = &random::patches(&frontend, 1, seed)[0];
        assert_near(&interpret::embed(&graph, patch), &by_tract(&bytes, patch));
        let mut folded = graph.clone();
        folded.fold_adapters();
        assert_near(&interpret::embed(&folded, patch), &interpret::embed(&graph, patch));
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
    // What is whole the same is there once; what follows has the same kernels in both paths.
    let first = needed(&graph, graph.outputs[0].tensor);
    let second = needed(&graph, graph.outputs[1].tensor);
    let shared = first
        .intersection(&second)
        .map(|&op| graph.ops[op].name.as_str());
    let expected = [
        "stem.conv",
        "stages.0.0.conv1",
        "stages.0.0.conv2",
        "stages.0.0.add",
    ];
    let expected = expected.map(|name| format!("shared/{name}"));
    assert_eq!(shared.collect::<Vec<_>>(), expected);
    let own = |ops: &BTreeSet<usize>, other: &BTreeSet<usize>| -> Vec<usize> {
        ops.difference(other).copied().collect()
    };
    let mut adapted = Vec::new();
    for (a, b) in own(&first, &second).into_iter().zip(own(&second, &first)) {
        let [a, b] = [a, b].map(|op| &graph.ops[op]);
        let (Some(x), Some(y)) = (a.kind.channels(), b.kind.channels()) else {
            continue;
        };
        assert!(Arc::ptr_eq(&x.weights, &y.weights), "{} {}", a.name, b.name);
        assert!(x != y);
        if x.adapter.is_some() && y.adapter.is_some() {
            let (_, unit) = a.name.split_once("/stages.1.").unwrap();
            adapted.push(unit);
        }
    }
    assert_eq!(adapted, ["0.conv1", "0.conv2", "1.conv1", "1.conv2"]);
}

/// Kernels and operators with kernels, of each kind of adapter.
#[test]
fn what_cannot_be_shared_is_folded() {
    let counted = |kind, from_stage| {
        let spec = random::spec(kind, from_stage);
        let (weights, statistics) = (random::weights(&spec, 3), random::statistics(&spec));
        let bytes = write(&spec, &weights, &random::frontend(), &statistics, "").unwrap();
        let graph = read(&bytes, None).unwrap();
        let channels = graph.ops.iter().filter_map(|op| op.kind.channels());
        let kernels = channels.map(|channels| channels.weights.as_ptr());
        let kernels: Vec<*const f32> = kernels.collect();
        let distinct: BTreeSet<*const f32> = kernels.iter().copied().collect();
        (distinct.len(), kernels.len())
    };
    // Convolutions: stem, 3 blocks of 2, one shortcut.
    assert_eq!(counted(AdapterKind::None, 0), (8, 8));
    // One linear layer for each path.
    assert_eq!(counted(AdapterKind::Split, 0), (8 + 2, 8 + 2));
    assert_eq!(counted(AdapterKind::BatchNorm, 0), (8, 2 * 8));
    // Series adapters are composed with the kernels before them; stem and shortcut have none.
    assert_eq!(counted(AdapterKind::Series, 0), (2 + 2 * 6, 2 * 8));
    assert_eq!(counted(AdapterKind::Series, 1), (3 + 1 + 2 * 4, 3 + 2 * 5));
    assert_eq!(counted(AdapterKind::Parallel, 0), (8, 2 * 8));
    assert_eq!(counted(AdapterKind::Separate, 1), (3 + 2 * 5, 3 + 2 * 5));
}

/// A file with a third output, of another length, on what the others share.
fn with_events(parts: Option<Vec<(String, f32)>>) -> Vec<u8> {
    let spec = random::spec(AdapterKind::Split, 0);
    let (weights, statistics) = (random::weights(&spec, 3), random::statistics(&spec));
    let bytes = write(&spec, &weights, &random::frontend(), &statistics, "").unwrap();
    let mut model = pb::ModelProto::decode(&bytes[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let flat = graph.node.iter().find(|node| node.op_type == "Flatten");
    let flat = flat.unwrap().output[0].clone();
    let width = spec.feature_dim();
    let kernels = (0..5 * width).map(|i| (i as f32 * 0.37).sin());
    graph.initializer.push(pb::TensorProto {
        name: "events.weight".into(),
        dims: vec![5, width as i64],
        data_type: pb::tensor_proto::DataType::Float as i32,
        raw_data: kernels.flat_map(f32::to_le_bytes).collect(),
        ..Default::default()
    });
    graph.node.push(pb::NodeProto {
        op_type: "Gemm".into(),
        input: vec![flat, "events.weight".into()],
        output: vec!["events".into()],
        attribute: vec![int("transB", 1)],
        ..Default::default()
    });
    graph.output.push(value_info("events", &[5]));
    let mean = ["0.25"; 2 * 12 + 5];
    for entry in &mut model.metadata_props {
        if entry.key == KEY_BASE_MEAN {
            entry.value = mean.join(" ");
        }
    }
    model.metadata_props.retain(|entry| entry.key != KEY_PARTS);
    let bytes = model.encode_to_vec();
    let metadata = OnnxMetadata {
        parts,
        ..OnnxMetadata::default()
    };
    with_metadata(&bytes, &metadata).unwrap()
}

#[test]
fn outputs_in_any_number_are_parts() {
    let named = |parts: &[(&str, f32)]| {
        let parts = parts.iter().map(|(name, share)| (name.to_string(), *share));
        with_events(Some(parts.collect()))
    };
    let ordered = [("events", 0.5), ("invariant", 0.25), ("equivariant", 0.25)];
    for (bytes, expected) in [
        (named(&ordered), ordered),
        (
            with_events(None),
            ["invariant", "equivariant", "events"].map(|name| (name, 1.0 / 3.0)),
        ),
    ] {
        let graph = read(&bytes, None).unwrap();
        let found = graph.outputs.iter().map(|o| (o.name.as_str(), o.share));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(graph.dim(), 2 * 12 + 5);
        // The trunk is there once, and then a layer for each part.
        let first = needed(&graph, graph.outputs[0].tensor);
        assert_eq!(graph.ops.len(), first.len() + 2);
        let patch = &random::patches(&random::frontend(), 1, 9)[0];
        assert_near(&interpret::embed(&graph, patch), &by_tract(&bytes, patch));
    }
    // One of them alone is a model too.
    let graph = read(&named(&[("events", 1.0)]), None).unwrap();
    assert_eq!((graph.dim(), graph.outputs.len()), (5, 1));

    let error = |parts: &[(&str, f32)]| read(&named(parts), None).unwrap_err().to_string();
    assert!(error(&[("speech", 1.0)]).contains("no output `speech`"));
    assert!(error(&[("events", 0.5), ("invariant", 0.4)]).contains("shares"));
}
