//! What the reader makes of files that the writer wrote.

use crate::export::{random, write};
use crate::net::{AdapterKind, AdapterSpec, BackboneSpec, OutputSpec, StageSpec, StemSpec};
use mtslvr_pack::engine::TractBackbone;
use mtslvr_pack::graph::Sharing;
use mtslvr_pack::interpret;
use mtslvr_pack::onnx::read;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::frontend::FrontendConfig;
use proptest::prelude::*;
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
