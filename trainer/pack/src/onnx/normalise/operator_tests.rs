//! Operators of small audio networks: read as tract computes them, and packed.

use super::tests::{FRAMES, File, MELS, embedded, frontend, near, network, numbers, patch};
use crate::builder::build;
use crate::calibration::{RangeRule, calibrate};
use crate::graph::{Graph, OpKind};
use crate::metadata::Layout;
use crate::onnx::pb::{AttributeProto, attribute_proto::AttributeType};
use crate::onnx::{int, ints, read};
use crate::quantise::{Labels, quantise};
use crate::{EmbeddingStatistics, interpret};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::model::Model;
use std::collections::BTreeMap;

/// A change to a file under construction: makes `b` of `a`, maps of four channels.
pub(super) type Middle = Box<dyn Fn(File) -> File>;

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..Default::default()
    }
}

/// Returns the least cosine between int8 and float embeddings of a graph, over patches that it was not
/// calibrated on.
pub(super) fn int8_cosine(graph: &Graph) -> f32 {
    let patches = |seeds: std::ops::Range<usize>| -> Vec<Vec<f32>> {
        seeds
            .map(|seed| numbers(seed, graph.frontend.patch_len()))
            .collect()
    };
    let calibration = calibrate(graph, &patches(20..60), RangeRule::default());
    let labels = Labels {
        name: "test",
        provenance: "",
    };
    let statistics = EmbeddingStatistics::unmeasured(graph.dim());
    let bytes = build(&quantise(graph, &calibration, &statistics, labels)).unwrap();
    let model = Model::open(&bytes).unwrap();
    let mut backbone = PackedBackbone::new(model, vec![0; model.arena_len()]).unwrap();
    let mut embedding = vec![0.0; graph.dim()];
    let mut least = 1.0f32;
    for patch in patches(60..70) {
        backbone.embed(&patch, &mut embedding).unwrap();
        let float = interpret::embed(graph, &patch);
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let norms = dot(&embedding, &embedding) * dot(&float, &float);
        least = least.min(dot(&embedding, &float) / norms.sqrt());
    }
    least
}

/// Checks that each middle is read as tract computes it, and packs. Returns the graphs.
pub(super) fn all_pack(cases: Vec<(&str, Middle)>) -> Vec<Graph> {
    let check = |(name, middle): (&str, Middle)| {
        let file = network(middle);
        embedded(&file, Layout::TimeMel, &patch(), name);
        let graph = file.read(Layout::TimeMel).unwrap();
        let cosine = int8_cosine(&graph);
        assert!(cosine > 0.995, "{name}: cosine {cosine}");
        graph
    };
    cases.into_iter().map(check).collect()
}

fn has(graph: &Graph, wanted: impl Fn(&OpKind) -> bool) -> usize {
    graph.ops.iter().filter(|op| wanted(&op.kind)).count()
}

/// A 1x1 convolution `z` of `a`, before the activation that a case is about.
fn linear(file: File) -> File {
    file.weights("mixing_weights", &[4, 4, 1, 1])
        .node("Conv", &["a", "mixing_weights"], "z", &[])
}

/// A constant that is a single number.
pub(super) fn number(file: File, name: &str, value: f32) -> File {
    file.floats(name, &[], vec![value])
}

#[test]
fn functions_of_one_value_are_tables() {
    let one = |op: &'static str, attributes: Vec<AttributeProto>| -> Middle {
        Box::new(move |f| linear(f).node(op, &["z"], "b", &attributes))
    };
    let graphs = all_pack(vec![
        ("Sigmoid", one("Sigmoid", vec![])),
        ("Tanh", one("Tanh", vec![])),
        (
            "HardSigmoid",
            one("HardSigmoid", vec![float("alpha", 0.25)]),
        ),
        ("HardSwish", one("HardSwish", vec![])),
        ("LeakyRelu", one("LeakyRelu", vec![float("alpha", 0.1)])),
        ("Elu", one("Elu", vec![float("alpha", 0.7)])),
        ("Softplus", one("Softplus", vec![])),
        (
            "SiLU",
            Box::new(|f| {
                linear(f)
                    .node("Sigmoid", &["z"], "s", &[])
                    .node("Mul", &["z", "s"], "b", &[])
            }),
        ),
        (
            "HardSwish of earlier operator sets",
            Box::new(|f| {
                let f = number(number(linear(f), "three", 3.0), "six", 6.0);
                number(f, "zero", 0.0)
                    .node("Add", &["z", "three"], "p", &[])
                    .node("Clip", &["p", "zero", "six"], "q", &[])
                    .node("Mul", &["z", "q"], "m", &[])
                    .node("Div", &["m", "six"], "b", &[])
            }),
        ),
        (
            "GELU of earlier operator sets",
            Box::new(|f| {
                let f = number(linear(f), "root", std::f32::consts::SQRT_2);
                number(number(f, "one", 1.0), "half", 0.5)
                    .node("Div", &["z", "root"], "d", &[])
                    .node("Erf", &["d"], "e", &[])
                    .node("Add", &["e", "one"], "p", &[])
                    .node("Mul", &["z", "p"], "m", &[])
                    .node("Mul", &["m", "half"], "b", &[])
            }),
        ),
        (
            "PReLU with one slope",
            Box::new(|f| {
                linear(f).floats("slope", &[1, 1, 1], vec![0.2]).node(
                    "PRelu",
                    &["z", "slope"],
                    "b",
                    &[],
                )
            }),
        ),
    ]);
    for graph in graphs {
        assert_eq!(has(&graph, |kind| matches!(kind, OpKind::Lookup { .. })), 1);
        assert_eq!(graph.ops.len(), 5);
    }
    let slopes = all_pack(vec![(
        "PReLU with a slope for each channel",
        Box::new(|f| {
            linear(f)
                .floats("slopes", &[4, 1, 1], vec![0.2, -0.5, 0.0, 1.5])
                .node("PRelu", &["z", "slopes"], "b", &[])
        }),
    )]);
    assert_eq!(
        has(&slopes[0], |kind| matches!(kind, OpKind::Slopes { .. })),
        1
    );
}

/// A convolution `b` of `a` with weights of these sizes.
fn convolution(dims: [usize; 4], attributes: Vec<AttributeProto>) -> Middle {
    Box::new(move |f| {
        f.weights("own_weights", &dims)
            .node("Conv", &["a", "own_weights"], "b", &attributes)
    })
}

#[test]
fn convolutions_in_groups_and_with_gaps_are_taken() {
    let graphs = all_pack(vec![
        (
            "depthwise, padded, with a bias, a norm and a ReLU6",
            Box::new(|f| {
                let attributes = [int("group", 4), ints("pads", &[1, 2, 1, 2])];
                number(number(f, "zero", 0.0), "six", 6.0)
                    .weights("depth", &[4, 1, 3, 5])
                    .weights("depth_bias", &[4])
                    .floats("gain", &[4, 1, 1], vec![0.5, -1.0, 2.0, 1.0])
                    .node("Conv", &["a", "depth", "depth_bias"], "d", &attributes)
                    .node("Mul", &["d", "gain"], "n", &[])
                    .node("Clip", &["n", "zero", "six"], "b", &[])
            }),
        ),
        (
            "depthwise with gaps, over time alone",
            convolution(
                [4, 1, 3, 1],
                vec![
                    int("group", 4),
                    ints("dilations", &[3, 1]),
                    ints("pads", &[3, 0, 3, 0]),
                ],
            ),
        ),
        (
            "dense with gaps",
            convolution(
                [4, 4, 3, 3],
                vec![ints("dilations", &[2, 1]), ints("pads", &[2, 1, 2, 1])],
            ),
        ),
        (
            "11 high",
            convolution([4, 4, 11, 1], vec![ints("pads", &[5, 0, 5, 0])]),
        ),
        (
            "two groups",
            convolution(
                [4, 2, 3, 3],
                vec![int("group", 2), ints("pads", &[1, 1, 1, 1])],
            ),
        ),
    ]);
    for graph in &graphs[..2] {
        assert_eq!(
            has(graph, |kind| matches!(kind, OpKind::Depthwise { .. })),
            1
        );
        assert_eq!(graph.ops.len(), 4);
    }
    assert_eq!(
        has(&graphs[4], |kind| matches!(kind, OpKind::Slice { .. })),
        2
    );
    assert_eq!(
        has(&graphs[4], |kind| matches!(
            kind,
            OpKind::Concatenate { .. }
        )),
        1
    );
}

#[test]
fn axes_follow_the_layout() {
    let attributes = vec![
        int("group", 4),
        ints("dilations", &[1, 2]),
        ints("pads", &[2, 2, 2, 2]),
    ];
    let mut turned = network(convolution([4, 1, 5, 3], attributes));
    turned.input = vec![0, 1, MELS as i64, FRAMES as i64];
    embedded(&turned, Layout::MelTime, &patch(), "mel by time");
    let graph = turned.read(Layout::MelTime).unwrap();
    assert_eq!(graph.ops[1].kind.window().kernel, [3, 5]);
    assert_eq!(graph.ops[1].kind.window().dilation, [2, 1]);
}

#[test]
fn products_of_maps_and_gates_are_taken() {
    let graphs = all_pack(vec![
        (
            "squeeze and excite",
            Box::new(|f| {
                f.weights("squeeze", &[2, 4, 1, 1])
                    .weights("excite_", &[4, 2, 1, 1])
                    .node("GlobalAveragePool", &["a"], "p", &[])
                    .node("Conv", &["p", "squeeze"], "s", &[])
                    .node("Relu", &["s"], "r", &[])
                    .node("Conv", &["r", "excite_"], "e", &[])
                    .node("HardSigmoid", &["e"], "gates", &[])
                    .node("Mul", &["gates", "a"], "b", &[])
            }),
        ),
        (
            "squeeze and excite with linear layers",
            Box::new(|f| {
                let mean = [ints("axes", &[2, 3]), int("keepdims", 0)];
                f.weights("squeeze", &[2, 4])
                    .weights("excite_", &[4, 2])
                    .whole("map", &[-1, 4, 1, 1])
                    .node("ReduceMean", &["a"], "p", &mean)
                    .node("Gemm", &["p", "squeeze"], "s", &[int("transB", 1)])
                    .node("Relu", &["s"], "r", &[])
                    .node("Gemm", &["r", "excite_"], "e", &[int("transB", 1)])
                    .node("Sigmoid", &["e"], "gates", &[])
                    .node("Reshape", &["gates", "map"], "g", &[])
                    .node("Mul", &["a", "g"], "b", &[])
            }),
        ),
        (
            "product of two maps",
            Box::new(|f| {
                f.weights("w", &[4, 4, 1, 1])
                    .node("Conv", &["a", "w"], "c", &[])
                    .node("Tanh", &["c"], "t", &[])
                    .node("Mul", &["a", "t"], "b", &[])
            }),
        ),
    ]);
    for graph in &graphs {
        assert_eq!(
            has(graph, |kind| matches!(kind, OpKind::Multiply { .. })),
            1
        );
    }
    all_pack(vec![
        (
            "a mean over mel, added everywhere",
            Box::new(|f| {
                f.node("ReduceMean", &["a"], "m", &[ints("axes", &[3])])
                    .node("Add", &["m", "a"], "b", &[])
            }),
        ),
        (
            "the greatest value of each channel, added everywhere",
            Box::new(|f| {
                f.node("GlobalMaxPool", &["a"], "m", &[])
                    .node("Add", &["a", "m"], "b", &[])
            }),
        ),
    ]);
}

#[test]
fn channels_are_joined_and_parted() {
    let graphs = all_pack(vec![
        (
            "channels split, changed and joined again",
            Box::new(|f| {
                f.node("Split", &["a"], "left", &[int("axis", 1)])
                    .second_output("right")
                    .node("Tanh", &["right"], "t", &[])
                    .node("Concat", &["t", "left"], "b", &[int("axis", 1)])
            }),
        ),
        (
            "three maps joined, and some of their channels taken",
            Box::new(|f| {
                linear(f)
                    .whole("from", &[-6])
                    .whole("to", &[10])
                    .whole("axis", &[1])
                    .node("Concat", &["a", "z", "a"], "all", &[int("axis", 1)])
                    .node("Slice", &["all", "from", "to", "axis"], "b", &[])
            }),
        ),
    ]);
    assert_eq!(
        has(&graphs[0], |kind| matches!(kind, OpKind::Slice { .. })),
        2
    );
    assert_eq!(
        has(&graphs[1], |kind| matches!(
            kind,
            OpKind::Concatenate { .. }
        )),
        2
    );
}

#[test]
fn what_the_engine_cannot_do_is_named() {
    let error = |middle: Middle| {
        let file = network(middle);
        file.read(Layout::TimeMel).unwrap_err().to_string()
    };
    let text = error(Box::new(|f| {
        f.node("Concat", &["a", "a"], "b", &[int("axis", 2)])
    }));
    assert!(text.contains("only along the channels"), "{text}");
    let text = error(Box::new(|f| {
        f.node("Softmax", &["a"], "b", &[int("axis", 1)])
    }));
    assert!(
        text.contains("the operator Softmax is not supported"),
        "{text}"
    );
    let text = error(Box::new(|f| {
        f.weights("other", &[4, 4, 3, 3])
            .node("Conv", &["a", "other"], "c", &[])
            .node("Mul", &["a", "c"], "b", &[])
    }));
    assert!(!text.is_empty());
}

/// A convolution with a bias from `from` to `to`, as PyTorch exports one with a norm behind it.
fn layer(
    file: File,
    [from, to]: [&str; 2],
    dims: [usize; 4],
    attributes: &[AttributeProto],
) -> File {
    let (weights, bias) = (format!("{to}/weights"), format!("{to}/bias"));
    let small = numbers(to.len() + dims[0], dims.iter().product());
    let row = (dims[1] * dims[2] * dims[3]) as f32;
    let small = small.iter().map(|w| 1.7 * w / row.sqrt()).collect();
    file.floats(&weights, &dims, small)
        .weights(&bias, &dims[..1])
        .node("Conv", &[from, &weights, &bias], to, attributes)
}

fn relu6(file: File, [from, to]: [&str; 2]) -> File {
    let (lo, hi) = (format!("{to}/lo"), format!("{to}/hi"));
    let file = number(number(file, &lo, 0.0), &hi, 6.0);
    file.node("Clip", &[from, &lo, &hi], to, &[])
}

/// The mean of each channel, and a linear layer over it.
fn classifier(file: File, from: &str, channels: usize) -> File {
    file.node("GlobalAveragePool", &[from], "pooled", &[])
        .node("Flatten", &["pooled"], "flat", &[])
        .weights("head", &[10, channels])
        .weights("head/bias", &[10])
        .node(
            "Gemm",
            &["flat", "head", "head/bias"],
            "features",
            &[int("transB", 1)],
        )
}

/// Checks that a network is read as tract computes it, and that int8 agrees with float.
fn packs(file: &File, layout: Layout, name: &str) -> Graph {
    embedded(file, layout, &patch(), name);
    let graph = file.read(layout).unwrap();
    let cosine = int8_cosine(&graph);
    assert!(cosine > 0.99, "{name}: cosine {cosine}");
    graph
}

/// DS-CNN (Zhang et al. 2017): a wide stem, then depthwise and 1x1 convolutions in turn.
#[test]
fn a_ds_cnn_packs() {
    let mut file = File::new(&[0, 1, FRAMES as i64, MELS as i64]);
    let stem = [ints("pads", &[4, 1, 5, 1]), ints("strides", &[2, 2])];
    file = layer(file, ["x", "stem"], [16, 1, 10, 4], &stem).node("Relu", &["stem"], "top0", &[]);
    for block in 0..3 {
        let name = |what: &str| format!("{what}{block}");
        let (top, next) = (name("top"), format!("top{}", block + 1));
        let (d, dr, p) = (name("depth"), name("depth_relu"), name("point"));
        let attributes = [int("group", 16), ints("pads", &[1, 1, 1, 1])];
        file = layer(file, [&top, &d], [16, 1, 3, 3], &attributes).node("Relu", &[&d], &dr, &[]);
        file = layer(file, [&dr, &p], [16, 16, 1, 1], &[]).node("Relu", &[&p], &next, &[]);
    }
    let graph = packs(&classifier(file, "top3", 16), Layout::TimeMel, "DS-CNN");
    assert_eq!(
        has(&graph, |kind| matches!(kind, OpKind::Depthwise { .. })),
        3
    );
    assert_eq!(graph.ops.len(), 9);
}

/// Blocks of MobileNetV2 (ReLU6, a sum) and MobileNetV3 (HardSwish, squeeze and excite).
#[test]
fn a_mobilenet_packs() {
    let file = File::new(&[0, 1, FRAMES as i64, MELS as i64]);
    let same = ints("pads", &[1, 1, 1, 1]);
    let file = layer(
        file,
        ["x", "stem"],
        [8, 1, 3, 3],
        std::slice::from_ref(&same),
    );
    let file = file.node("HardSwish", &["stem"], "top", &[]);
    // An inverted residual.
    let file = relu6(
        layer(file, ["top", "wide"], [24, 8, 1, 1], &[]),
        ["wide", "wide6"],
    );
    let file = layer(
        file,
        ["wide6", "depth"],
        [24, 1, 3, 3],
        &[int("group", 24), same],
    );
    let file = relu6(file, ["depth", "depth6"]);
    let file = layer(file, ["depth6", "narrow"], [8, 24, 1, 1], &[]);
    let file = file.node("Add", &["top", "narrow"], "sum", &[]);
    // One with gates.
    let file = layer(file, ["sum", "broad"], [16, 8, 1, 1], &[]);
    let file = file.node("HardSwish", &["broad"], "broad_h", &[]);
    let strided = [
        int("group", 16),
        ints("pads", &[2, 2, 2, 2]),
        ints("strides", &[2, 2]),
    ];
    let file = layer(file, ["broad_h", "deep"], [16, 1, 5, 5], &strided);
    let file = file.node("HardSwish", &["deep"], "deep_h", &[]).node(
        "GlobalAveragePool",
        &["deep_h"],
        "mean",
        &[],
    );
    let file = layer(file, ["mean", "squeezed"], [4, 16, 1, 1], &[]);
    let file = file.node("Relu", &["squeezed"], "squeezed_r", &[]);
    let file = layer(file, ["squeezed_r", "excited"], [16, 4, 1, 1], &[]);
    let alpha = float("alpha", 1.0 / 6.0);
    let file = file
        .node("HardSigmoid", &["excited"], "gates", &[alpha])
        .node("Mul", &["gates", "deep_h"], "gated", &[]);
    let file = layer(file, ["gated", "last"], [12, 16, 1, 1], &[]);
    let graph = packs(&classifier(file, "last", 12), Layout::TimeMel, "MobileNet");
    assert_eq!(
        has(&graph, |kind| matches!(kind, OpKind::Depthwise { .. })),
        2
    );
    assert_eq!(
        has(&graph, |kind| matches!(kind, OpKind::Multiply { .. })),
        1
    );
    assert_eq!(has(&graph, |kind| matches!(kind, OpKind::Lookup { .. })), 4);
}

/// A norm of eight channels in two halves of four bands, as PyTorch exports one: the halves become channels.
fn sub_spectral_norm(file: File, from: &str, to: &str) -> File {
    let name = |what: &str| format!("{to}/{what}");
    let values = |seed: usize| numbers(seed + to.len(), 16);
    let positive = |seed: usize| values(seed).iter().map(|v| v.abs() + 0.5).collect();
    file.whole(&name("apart"), &[-1, 16, 2, FRAMES as i64])
        .whole(&name("whole"), &[-1, 8, 4, FRAMES as i64])
        .floats(&name("scale"), &[16], positive(2))
        .floats(&name("bias"), &[16], values(3))
        .floats(&name("mean"), &[16], values(4))
        .floats(&name("variance"), &[16], positive(5))
        .node("Reshape", &[from, &name("apart")], &name("halves"), &[])
        .node(
            "BatchNormalization",
            &[
                &name("halves"),
                &name("scale"),
                &name("bias"),
                &name("mean"),
                &name("variance"),
            ],
            &name("normed"),
            &[],
        )
        .node("Reshape", &[&name("normed"), &name("whole")], to, &[])
}

/// A constant for each place of a map, as positions are learned: along mel, along time, and both.
#[test]
fn a_map_of_constants_is_added_or_multiplied() {
    // Maps of the test network are 4 x (FRAMES - 2) x (MELS - 2) behind its first convolution.
    let graph = network(|f| f.node("Identity", &["a"], "b", &[]))
        .read(Layout::TimeMel)
        .unwrap();
    let map = graph.shape(1);
    let graphs = all_pack(vec![
        (
            "one for each band",
            Box::new(move |f| {
                f.floats("p", &[map.width], numbers(7, map.width)).node(
                    "Add",
                    &["a", "p"],
                    "b",
                    &[],
                )
            }),
        ),
        (
            "a factor and one for each channel and band",
            Box::new(move |f| {
                let len = 4 * map.width;
                f.floats("p", &[1, 4, 1, map.width], numbers(8, len))
                    .floats("q", &[4, 1, map.width], numbers(9, len))
                    .node("Mul", &["p", "a"], "m", &[])
                    .node("Sub", &["q", "m"], "n", &[])
                    .node("Relu", &["n"], "b", &[])
            }),
        ),
        (
            "one for each place",
            Box::new(move |f| {
                let dims = [1, map.height, map.width];
                f.floats("p", &dims, numbers(10, map.height * map.width))
                    .node("Add", &["a", "p"], "b", &[])
            }),
        ),
    ]);
    let depthwise = |graph: &Graph| has(graph, |kind| matches!(kind, OpKind::Depthwise { .. }));
    assert_eq!(graphs.iter().map(depthwise).collect::<Vec<_>>(), [1, 1, 1]);
}

/// BC-ResNet (Kim et al. 2021): depthwise convolutions over mel, and over time behind a mean over mel, which
/// is added to every band. The norm behind the first is sub-spectral: each channel has two, of its lower and its upper
/// bands.
#[test]
fn a_bc_resnet_packs() {
    let file = File::new(&[0, 1, MELS as i64, FRAMES as i64]);
    let stem = [ints("pads", &[2, 2, 2, 2]), ints("strides", &[2, 1])];
    let mut file =
        layer(file, ["x", "stem"], [8, 1, 5, 5], &stem).node("Relu", &["stem"], "top0", &[]);
    for (block, dilation) in [1, 2].into_iter().enumerate() {
        let name = |what: &str| format!("{what}{block}");
        let (top, next) = (name("top"), format!("top{}", block + 1));
        let bands = [int("group", 8), ints("pads", &[1, 0, 1, 0])];
        file = layer(file, [&top, &name("bands")], [8, 1, 3, 1], &bands);
        file = sub_spectral_norm(file, &name("bands"), &name("normed"));
        file = file.node(
            "ReduceMean",
            &[&name("normed")],
            &name("mean"),
            &[ints("axes", &[2])],
        );
        let frames = [
            int("group", 8),
            ints("pads", &[0, dilation, 0, dilation]),
            ints("dilations", &[1, dilation]),
        ];
        file = layer(
            file,
            [&name("mean"), &name("frames")],
            [8, 1, 1, 3],
            &frames,
        )
        .node("Sigmoid", &[&name("frames")], &name("gate"), &[])
        .node(
            "Mul",
            &[&name("frames"), &name("gate")],
            &name("swish"),
            &[],
        );
        file = layer(file, [&name("swish"), &name("mixed")], [8, 8, 1, 1], &[])
            .node("Add", &[&name("normed"), &top], &name("own"), &[])
            .node("Add", &[&name("own"), &name("mixed")], &name("sum"), &[])
            .node("Relu", &[&name("sum")], &next, &[]);
    }
    let graph = packs(&classifier(file, "top2", 8), Layout::MelTime, "BC-ResNet");
    // Each norm is a depthwise convolution of its own, over a view of the map.
    assert_eq!(
        has(&graph, |kind| matches!(kind, OpKind::Depthwise { .. })),
        6
    );
    assert_eq!(
        has(&graph, |kind| matches!(kind, OpKind::Reshape { .. })),
        4
    );
    assert_eq!(
        has(&graph, |kind| matches!(kind, OpKind::Multiply { .. })),
        0
    );
}

/// A patch, in the layout of a network's input, and what PyTorch makes of it.
#[derive(serde::Deserialize)]
struct Exported {
    patch: Vec<f32>,
    embedding: Vec<f32>,
}

/// Networks of `fixtures/pytorch_networks.py`, as both of PyTorch's exporters write them.
#[test]
fn exports_of_pytorch_are_read_and_pack() {
    let record = include_str!("../fixtures/pytorch_networks.json");
    let record: BTreeMap<String, Exported> = serde_json::from_str(record).unwrap();
    for (name, layout, exporter, bytes) in [
        (
            "ds_cnn",
            Layout::TimeMel,
            "default",
            &include_bytes!("../fixtures/pytorch_ds_cnn.onnx")[..],
        ),
        (
            "ds_cnn",
            Layout::TimeMel,
            "script",
            include_bytes!("../fixtures/pytorch_ds_cnn_script.onnx"),
        ),
        (
            "mobilenet",
            Layout::TimeMel,
            "default",
            include_bytes!("../fixtures/pytorch_mobilenet.onnx"),
        ),
        (
            "mobilenet",
            Layout::TimeMel,
            "script",
            include_bytes!("../fixtures/pytorch_mobilenet_script.onnx"),
        ),
        (
            "bc_resnet",
            Layout::MelTime,
            "default",
            include_bytes!("../fixtures/pytorch_bc_resnet.onnx"),
        ),
        (
            "bc_resnet",
            Layout::MelTime,
            "script",
            include_bytes!("../fixtures/pytorch_bc_resnet_script.onnx"),
        ),
    ] {
        let mut description = frontend(layout);
        (description.config.frames, description.config.mels) = (13, 20);
        let graph = read(bytes, Some(&description)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let Exported { patch, embedding } = &record[name];
        let [frames, mels] = [13, 20];
        let time_major: Vec<f32> = (0..frames * mels)
            .map(|at| match layout {
                Layout::TimeMel => patch[at],
                Layout::MelTime => patch[at % mels * frames + at / mels],
            })
            .collect();
        near(&interpret::embed(&graph, &time_major), embedding, name);
        let cosine = int8_cosine(&graph);
        assert!(cosine > 0.98, "{name}, {exporter}: cosine {cosine}");
    }
}
