//! Graphs with the same function in the forms that exporters give it.

use super::{Limits, checked, normalise, rules};
use crate::builder::OwnedPatchNorm;
use crate::engine::TractBackbone;
use crate::graph::Graph;
use crate::interpret;
use crate::metadata::{FrontendDescription, Layout, OnnxMetadata};
use crate::onnx::pb::{self, AttributeProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::onnx::tensor::Constant;
use crate::onnx::{ImportError, int, ints, load, read, value_info};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm, PatchMean};
use proptest::prelude::*;
use prost::Message;

pub(super) const FRAMES: usize = 11;
pub(super) const MELS: usize = 8;

pub(in crate::onnx) fn frontend(layout: Layout) -> FrontendDescription {
    FrontendDescription {
        config: FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: MELS as u16,
            frames: FRAMES as u16,
            f_min: 60.0,
            f_max: 7_800.0,
            floor: 1e-6,
            mean: -6.0,
            scale: 0.3,
            form: FrontendForm::PLAIN,
        },
        layout,
        norm: None,
    }
}

/// Numbers that look random, from -1 to 1.
pub(super) fn numbers(seed: usize, len: usize) -> Vec<f32> {
    let number = |at: usize| (((at + 7) * (seed + 3) * 7919) % 2003) as f32 / 1001.5 - 1.0;
    (0..len).map(number).collect()
}

/// A file under construction.
#[derive(Clone)]
pub(in crate::onnx) struct File {
    opset: i64,
    pub(super) input: Vec<i64>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    outputs: Vec<&'static str>,
}

impl File {
    pub(super) fn new(input: &[i64]) -> Self {
        Self {
            opset: 17,
            input: input.to_vec(),
            nodes: Vec::new(),
            constants: Vec::new(),
            outputs: vec!["features"],
        }
    }

    pub(in crate::onnx) fn node(
        mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) -> Self {
        self.nodes
            .push(rules::node(op, inputs, output, attributes.to_vec()));
        self
    }

    pub(super) fn floats(mut self, name: &str, dims: &[usize], values: Vec<f32>) -> Self {
        self.constants
            .push(Constant::float(dims.to_vec(), values).write(name));
        self
    }

    /// Returns the names of the operators.
    pub(super) fn operators(&self) -> Vec<String> {
        let nodes = self.nodes.iter();
        nodes.map(|node| node.op_type.clone()).collect()
    }

    /// Gives the node before another output.
    pub(super) fn second_output(mut self, name: &str) -> Self {
        let node = self.nodes.last_mut().unwrap();
        node.output.push(name.into());
        self
    }

    pub(super) fn weights(self, name: &str, dims: &[usize]) -> Self {
        let len = dims.iter().product();
        self.floats(name, dims, numbers(name.len(), len))
    }

    pub(super) fn whole(mut self, name: &str, values: &[i64]) -> Self {
        self.constants
            .push(Constant::int(vec![values.len()], values.to_vec()).write(name));
        self
    }

    fn model(&self) -> pb::ModelProto {
        let mut input = value_info("x", &self.input[1..]);
        set_batch(&mut input, self.input[0]);
        pb::ModelProto {
            ir_version: 8,
            opset_import: vec![pb::OperatorSetIdProto {
                domain: String::new(),
                version: self.opset,
            }],
            graph: Some(pb::GraphProto {
                node: self.nodes.clone(),
                initializer: self.constants.clone(),
                input: vec![input],
                output: self
                    .outputs
                    .iter()
                    .map(|name| value_info(name, &[-1]))
                    .collect(),
                // What shape inference leaves behind may be wrong for another batch.
                value_info: vec![value_info("a", &[3, 3])],
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    pub(in crate::onnx) fn bytes(&self) -> Vec<u8> {
        self.model().encode_to_vec()
    }

    pub(super) fn read(&self, layout: Layout) -> Result<Graph, ImportError> {
        read(&self.bytes(), Some(&frontend(layout)))
    }
}

fn set_batch(input: &mut pb::ValueInfoProto, batch: i64) {
    use pb::tensor_shape_proto::dimension::Value;
    let Some(pb::type_proto::Value::TensorType(tensor)) = &mut input.r#type.as_mut().unwrap().value
    else {
        panic!("not a tensor");
    };
    let dim = &mut tensor.shape.as_mut().unwrap().dim[0];
    dim.value = Some(match batch {
        0 => Value::DimParam("s77".into()),
        batch => Value::DimValue(batch),
    });
}

/// Convolution, ReLU, [`middle`], convolution, ReLU and a mean; `middle` makes `b` of `a`.
pub(in crate::onnx) fn network(middle: impl Fn(File) -> File) -> File {
    network_of(&[0, 1, FRAMES as i64, MELS as i64], middle)
}

fn network_of(input: &[i64], middle: impl Fn(File) -> File) -> File {
    let file = File::new(input)
        .weights("w1", &[4, 1, 3, 3])
        .weights("bias", &[4])
        .weights("kernels", &[6, 4, 3, 3])
        .node(
            "Conv",
            &["x", "w1", "bias"],
            "c1",
            &[ints("pads", &[1, 1, 1, 1])],
        )
        .node("Relu", &["c1"], "a", &[]);
    middle(file)
        .node("Conv", &["b", "kernels"], "c2", &[ints("strides", &[2, 2])])
        .node("Relu", &["c2"], "r2", &[])
        .node(
            "ReduceMean",
            &["r2"],
            "features",
            &[ints("axes", &[2, 3]), int("keepdims", 0)],
        )
}

pub(in crate::onnx) fn patch() -> Vec<f32> {
    numbers(11, FRAMES * MELS)
}

pub(super) fn near(found: &[f32], expected: &[f32], name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let magnitude = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 1e-5 * magnitude,
            "{name}: {found:?} {expected:?}"
        );
    }
}

/// Runs a file in the packer's interpreter and, as an engine is given it, in tract.
pub(super) fn embedded(
    file: &File,
    layout: Layout,
    patch: &[f32],
    name: &str,
) -> (Vec<f32>, usize) {
    let graph = file
        .read(layout)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = interpret::embed(&graph, patch);
    #[cfg(feature = "tract")]
    {
        use crate::engine::{OnnxMetadata, TractBackbone};
        use mtslvr_runtime::backbone::Backbone;
        let metadata = OnnxMetadata {
            frontend: Some(frontend(layout)),
            base_mean: Some(vec![0.0; graph.dim()]),
            parts: None,
            reference: Some(mtslvr_runtime::fewshot::Reference::assumed(0.5)),
            provenance: None,
        };
        let tract = TractBackbone::from_bytes(&file.bytes(), name, Some(metadata));
        let mut tract = tract.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut embedding = vec![0.0; graph.dim()];
        tract.embed(patch, &mut embedding).unwrap();
        let magnitude = found.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in embedding.iter().zip(&found) {
            assert!(
                (a - b).abs() <= 1e-4 * magnitude,
                "{name}: {embedding:?} {found:?}"
            );
        }
        assert_eq!(tract.space().frontend(), &graph.frontend, "{name}");
    }
    (found, graph.ops.len())
}

fn tensor_attribute(name: &str, constant: &Constant) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: pb::attribute_proto::AttributeType::Tensor as i32,
        t: Some(constant.write("")),
        ..Default::default()
    }
}

#[test]
fn nodes_that_do_nothing_are_left_out() {
    let plain = network(|file| file.node("Identity", &["a"], "b", &[]));
    let (expected, ops) = embedded(&plain, Layout::TimeMel, &patch(), "plain");
    let four = [0, 4, FRAMES as i64, MELS as i64];
    type Middle = Box<dyn Fn(File) -> File>;
    let cases: Vec<(&str, Middle)> = vec![
        (
            "concat of one",
            Box::new(|f| f.node("Concat", &["a"], "b", &[int("axis", 1)])),
        ),
        ("sum of one", Box::new(|f| f.node("Sum", &["a"], "b", &[]))),
        ("dropout", Box::new(|f| f.node("Dropout", &["a"], "b", &[]))),
        (
            "cast to float",
            Box::new(|f| f.node("Cast", &["a"], "b", &[int("to", 1)])),
        ),
        (
            "casts to half and back",
            Box::new(|f| {
                f.node("Cast", &["a"], "h", &[int("to", 10)]).node(
                    "Cast",
                    &["h"],
                    "b",
                    &[int("to", 1)],
                )
            }),
        ),
        (
            "identity transpose",
            Box::new(|f| f.node("Transpose", &["a"], "b", &[ints("perm", &[0, 1, 2, 3])])),
        ),
        (
            "paired transposes",
            Box::new(|f| {
                f.node("Transpose", &["a"], "t", &[ints("perm", &[0, 2, 3, 1])])
                    .node("Relu", &["t"], "u", &[])
                    .node("Transpose", &["u"], "b", &[ints("perm", &[0, 3, 1, 2])])
            }),
        ),
        (
            "reshape to its own shape",
            Box::new(move |f| {
                f.whole("own", &four)
                    .node("Reshape", &["a", "own"], "b", &[])
            }),
        ),
        (
            "unsqueeze and squeeze",
            Box::new(|f| {
                f.whole("axis", &[2])
                    .node("Unsqueeze", &["a", "axis"], "u", &[])
                    .node("Squeeze", &["u", "axis"], "b", &[])
            }),
        ),
        (
            "full slice",
            Box::new(|f| {
                f.whole("from", &[0])
                    .whole("to", &[i64::MAX])
                    .whole("axis", &[3])
                    .node("Slice", &["a", "from", "to", "axis"], "b", &[])
            }),
        ),
        (
            "zero pad",
            Box::new(|f| {
                f.whole("pads", &[0; 8])
                    .node("Pad", &["a", "pads"], "b", &[])
            }),
        ),
        (
            "+ 0",
            Box::new(|f| {
                f.floats("zero", &[], vec![0.0])
                    .node("Add", &["a", "zero"], "b", &[])
            }),
        ),
        (
            "- 0",
            Box::new(|f| {
                f.floats("zeros", &[4, 1, 1], vec![0.0; 4])
                    .node("Sub", &["a", "zeros"], "b", &[])
            }),
        ),
        (
            "x 1",
            Box::new(|f| {
                f.floats("one", &[1], vec![1.0])
                    .node("Mul", &["a", "one"], "b", &[])
            }),
        ),
        (
            "/ 1",
            Box::new(|f| {
                f.floats("one", &[1], vec![1.0])
                    .node("Div", &["a", "one"], "b", &[])
            }),
        ),
        (
            "to the power of 1",
            Box::new(|f| {
                f.floats("one", &[], vec![1.0])
                    .node("Pow", &["a", "one"], "b", &[])
            }),
        ),
        (
            "clip behind ReLU",
            Box::new(|f| {
                f.floats("lo", &[], vec![-1.0])
                    .node("Clip", &["a", "lo"], "b", &[])
            }),
        ),
        (
            "maximum with 0 behind ReLU",
            Box::new(|f| {
                f.floats("zero", &[], vec![0.0])
                    .node("Max", &["a", "zero"], "b", &[])
            }),
        ),
        (
            "expand to its own shape",
            Box::new(|f| {
                f.whole("ones", &[1, 1, 1, 1])
                    .node("Expand", &["a", "ones"], "b", &[])
            }),
        ),
        (
            "tile by 1",
            Box::new(|f| {
                f.whole("ones", &[1, 1, 1, 1])
                    .node("Tile", &["a", "ones"], "b", &[])
            }),
        ),
        (
            "split in one",
            Box::new(|f| f.node("Split", &["a"], "b", &[int("axis", 1)])),
        ),
        (
            "pool of one place",
            Box::new(|f| f.node("MaxPool", &["a"], "b", &[ints("kernel_shape", &[1, 1])])),
        ),
    ];
    for (name, middle) in cases {
        let file = network(middle);
        let (found, count) = embedded(&file, Layout::TimeMel, &patch(), name);
        near(&found, &expected, name);
        assert_eq!(count, ops, "{name}");
    }
}

#[test]
fn any_opset_batch_and_form_of_the_input_is_taken() {
    let same = |file: File| file.node("Identity", &["a"], "b", &[]);
    let plain = network(same);
    let (expected, ops) = embedded(&plain, Layout::TimeMel, &patch(), "plain");
    let (frames, mels) = (FRAMES as i64, MELS as i64);
    for opset in 11..=23 {
        let mut file = plain.clone();
        file.opset = opset;
        if opset >= 18 {
            // The axes of a mean are an input since.
            file.nodes.pop();
            file = file.whole("axes", &[2, 3]).node(
                "ReduceMean",
                &["r2", "axes"],
                "features",
                &[int("keepdims", 0)],
            );
        }
        let name = format!("opset {opset}");
        near(
            &embedded(&file, Layout::TimeMel, &patch(), &name).0,
            &expected,
            &name,
        );
    }
    for batch in [0, 1, 8] {
        // Flattened by a shape that names the batch.
        let mut file = network_of(&[batch, 1, frames, mels], same);
        file.nodes.pop();
        file = file
            .node("GlobalAveragePool", &["r2"], "p", &[])
            .whole("flat", &[batch.max(1), 6])
            .node("Reshape", &["p", "flat"], "features", &[]);
        let name = format!("batch {batch}");
        let (found, count) = embedded(&file, Layout::TimeMel, &patch(), &name);
        near(&found, &expected, &name);
        assert_eq!(count, ops);
    }
    for input in [&[0, frames, mels, 1][..], &[2, frames, mels]] {
        let mut file = network_of(input, same);
        file.opset = 11;
        file.nodes[0].input[0] = "map".into();
        let inner = match input.len() {
            4 => rules::node(
                "Transpose",
                &["x"],
                "map",
                vec![ints("perm", &[0, 3, 1, 2])],
            ),
            _ => rules::node("Unsqueeze", &["x"], "map", vec![ints("axes", &[1])]),
        };
        file.nodes.insert(0, inner);
        let name = format!("input {input:?}");
        let (found, count) = embedded(&file, Layout::TimeMel, &patch(), &name);
        near(&found, &expected, &name);
        assert_eq!(count, ops);
    }
}

#[test]
fn a_shape_computed_to_flatten_is_folded() {
    let plain = network(|file| file.node("Identity", &["a"], "b", &[]));
    let (expected, ops) = embedded(&plain, Layout::TimeMel, &patch(), "plain");
    for batch in [0, 4] {
        let mut file = network_of(&[batch, 1, FRAMES as i64, MELS as i64], |file| {
            file.node("Identity", &["a"], "b", &[])
        });
        file.nodes.pop();
        let zero = Constant::int(vec![], vec![0]);
        file = file
            .node("GlobalAveragePool", &["r2"], "p", &[])
            .node("Shape", &["p"], "s", &[])
            .node("Constant", &[], "zero", &[tensor_attribute("value", &zero)])
            .node("Gather", &["s", "zero"], "n", &[int("axis", 0)])
            .node("Unsqueeze", &["n"], "n1", &[ints("axes", &[0])])
            .whole("rest", &[-1])
            .node("Concat", &["n1", "rest"], "t", &[int("axis", 0)])
            .node("Reshape", &["p", "t"], "features", &[]);
        file.opset = 11;
        let (found, count) = embedded(&file, Layout::TimeMel, &patch(), "shape");
        near(&found, &expected, "shape");
        assert_eq!(count, ops);
    }
}

#[test]
fn weights_are_found_behind_what_makes_them() {
    let plain = network(|file| file.node("Identity", &["a"], "b", &[]));
    let kernels = Constant::read(&plain.constants[2]).unwrap();
    let values = kernels.floats().unwrap();
    let (expected, ops) = embedded(&plain, Layout::TimeMel, &patch(), "plain");
    let with = |make: &dyn Fn(File) -> File| {
        let mut file = plain.clone();
        file.constants.remove(2);
        let mut made = make(File {
            nodes: vec![],
            ..file.clone()
        });
        made.nodes.append(&mut file.nodes);
        made
    };
    let turned = super::fold::transposed(&kernels, &[2, 3, 1, 0]);
    let from_keras = with(&|f| {
        let values = turned.floats().unwrap().to_vec();
        f.floats("k", &[3, 3, 4, 6], values).node(
            "Transpose",
            &["k"],
            "kernels",
            &[ints("perm", &[3, 2, 0, 1])],
        )
    });
    let reshaped = with(&|f| {
        f.floats("k", &[216], values.to_vec())
            .whole("shape", &[6, 4, 3, -1])
            .node("Reshape", &["k", "shape"], "kernels", &[])
    });
    let half = with(&|mut f| {
        let bits = values
            .iter()
            .flat_map(|&v| half::f16::from_f32(v).to_le_bytes());
        f.constants.push(TensorProto {
            name: "k".into(),
            dims: vec![6, 4, 3, 3],
            data_type: DataType::Float16 as i32,
            raw_data: bits.collect(),
            ..Default::default()
        });
        f.node("Cast", &["k"], "kernels", &[int("to", 1)])
    });
    let quantised = with(&|mut f| {
        let steps = values.iter().map(|v| (v * 100.0).round() as i8 as u8);
        f.constants.push(TensorProto {
            name: "k".into(),
            dims: vec![6, 4, 3, 3],
            data_type: DataType::Int8 as i32,
            raw_data: steps.collect(),
            ..Default::default()
        });
        f.floats("step", &[6], vec![0.01; 6]).node(
            "DequantizeLinear",
            &["k", "step"],
            "kernels",
            &[int("axis", 0)],
        )
    });
    let normed = with(&|f| {
        // g v / |v|, as weight normalisation leaves it.
        let norms = values
            .chunks_exact(36)
            .map(|row| row.iter().map(|v| v * v).sum::<f32>().sqrt());
        f.floats("v", &[6, 4, 3, 3], values.iter().map(|v| v * 3.0).collect())
            .floats("g", &[6, 1, 1, 1], norms.collect())
            .node(
                "ReduceL2",
                &["v"],
                "n",
                &[ints("axes", &[1, 2, 3]), int("keepdims", 1)],
            )
            .node("Mul", &["v", "g"], "gv", &[])
            .node("Div", &["gv", "n"], "kernels", &[])
    });
    for (name, file, tolerance) in [
        ("transpose", from_keras, 1e-5),
        ("reshape", reshaped, 1e-5),
        ("half floats", half, 2e-3),
        ("dequantised", quantised, 2e-2),
        ("weight norm", normed, 1e-5),
    ] {
        let (found, count) = embedded(&file, Layout::TimeMel, &patch(), name);
        assert_eq!(count, ops, "{name}");
        let magnitude = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in found.iter().zip(&expected) {
            assert!(
                (a - b).abs() <= tolerance * magnitude,
                "{name}: {found:?} {expected:?}"
            );
        }
    }
}

#[test]
fn channels_last_are_put_first() {
    // As tf2onnx leaves Keras: turned at the ends, pads and biases in between with channels last, and a
    // flattened map whose order is in the weights of the layer behind it.
    let (frames, mels) = (FRAMES as i64, MELS as i64);
    let last = File::new(&[0, frames, mels, 1])
        .weights("w1", &[4, 1, 3, 3])
        .weights("bias", &[4])
        .weights("dense", &[6 * 5 * 4, 7])
        .weights("kernels", &[4, 6])
        .whole("pads", &[0, 1, 1, 0, 0, 1, 1, 0])
        .node("Pad", &["x", "pads"], "padded", &[])
        .node(
            "Transpose",
            &["padded"],
            "first",
            &[ints("perm", &[0, 3, 1, 2])],
        )
        .node("Conv", &["first", "w1"], "c", &[ints("strides", &[2, 2])])
        .node("Transpose", &["c"], "t", &[ints("perm", &[0, 2, 3, 1])])
        .node("Add", &["t", "bias"], "s", &[])
        .node("Relu", &["s"], "r", &[])
        .node("MatMul", &["r", "kernels"], "m", &[])
        .node("Concat", &["m"], "one", &[int("axis", 3)])
        .whole("flat", &[-1, 6 * 4 * 6])
        .node("Reshape", &["one", "flat"], "f", &[])
        .weights("dense", &[6 * 4 * 6, 7]);
    let last = {
        let mut last = last;
        last.constants.remove(2);
        last.node("MatMul", &["f", "dense"], "features", &[])
    };
    let constant = |file: &File, name: &str| {
        let tensor = file.constants.iter().find(|t| t.name == name).unwrap();
        Constant::read(tensor).unwrap()
    };
    let kernels = super::fold::transposed(&constant(&last, "kernels"), &[1, 0]);
    let dense = constant(&last, "dense");
    let dense = Constant {
        dims: vec![6, 4, 6, 7],
        ..dense
    };
    let dense = super::fold::transposed(&dense, &[2, 0, 1, 3]);
    let first = File::new(&[0, 1, frames, mels])
        .weights("w1", &[4, 1, 3, 3])
        .weights("bias", &[4])
        .floats("kernels", &[6, 4, 1, 1], kernels.floats().unwrap().to_vec())
        .floats("dense", &[6 * 6 * 4, 7], dense.floats().unwrap().to_vec())
        .node(
            "Conv",
            &["x", "w1", "bias"],
            "c",
            &[ints("strides", &[2, 2]), ints("pads", &[1; 4])],
        )
        .node("Relu", &["c"], "r", &[])
        .node("Conv", &["r", "kernels"], "m", &[])
        .node("Flatten", &["m"], "f", &[])
        .node("MatMul", &["f", "dense"], "features", &[]);
    let (expected, ops) = embedded(&first, Layout::TimeMel, &patch(), "channels first");
    let (found, count) = embedded(&last, Layout::TimeMel, &patch(), "channels last");
    near(&found, &expected, "channels last");
    assert_eq!(count, ops);
}

#[test]
fn means_over_one_axis_after_the_other_are_means_over_both() {
    let plain = network(|file| file.node("Identity", &["a"], "b", &[]));
    let (expected, _) = embedded(&plain, Layout::TimeMel, &patch(), "plain");
    let mut file = plain;
    file.nodes.pop();
    let file = file
        .node(
            "ReduceMean",
            &["r2"],
            "m",
            &[ints("axes", &[-1]), int("keepdims", 0)],
        )
        .node(
            "ReduceMean",
            &["m"],
            "features",
            &[ints("axes", &[2]), int("keepdims", 0)],
        );
    near(
        &embedded(&file, Layout::TimeMel, &patch(), "means").0,
        &expected,
        "means",
    );
}

#[test]
fn convolutions_over_time_alone_are_taken() {
    // Bands as channels: what a Conv1d over [batch, mels, frames] computes, by hand.
    let file = File::new(&[0, MELS as i64, FRAMES as i64])
        .weights("w", &[5, MELS, 3])
        .weights("bias!", &[5])
        .weights("second", &[4, 5, 3])
        .node(
            "Conv",
            &["x", "w", "bias!"],
            "c",
            &[ints("pads", &[1, 1]), ints("kernel_shape", &[3])],
        )
        .node("Relu", &["c"], "r", &[])
        .node(
            "MaxPool",
            &["r"],
            "p",
            &[ints("kernel_shape", &[2]), ints("strides", &[2])],
        )
        .node("Conv", &["p", "second"], "d", &[])
        .node("GlobalAveragePool", &["d"], "g", &[])
        .node("Flatten", &["g"], "features", &[]);
    let patch = patch();
    let read = |at: usize| {
        let constant = Constant::read(&file.constants[at]).unwrap();
        constant.floats().unwrap().to_vec()
    };
    let (w, bias, second) = (read(0), read(1), read(2));
    let first = |o: usize, t: usize| {
        let mut sum = bias[o];
        for k in 0..3 {
            if let Some(at) = (t + k).checked_sub(1).filter(|&at| at < FRAMES) {
                sum += (0..MELS)
                    .map(|m| w[(o * MELS + m) * 3 + k] * patch[at * MELS + m])
                    .sum::<f32>();
            }
        }
        sum.max(0.0)
    };
    let pooled = |o: usize, t: usize| first(o, 2 * t).max(first(o, 2 * t + 1));
    let places = FRAMES / 2 - 2;
    let expected: Vec<f32> = (0..4)
        .map(|o| {
            let at = |t: usize| -> f32 {
                (0..5)
                    .map(|i| {
                        (0..3)
                            .map(|k| second[(o * 5 + i) * 3 + k] * pooled(i, t + k))
                            .sum::<f32>()
                    })
                    .sum()
            };
            (0..places).map(at).sum::<f32>() / places as f32
        })
        .collect();
    near(
        &embedded(&file, Layout::MelTime, &patch, "conv1d").0,
        &expected,
        "conv1d",
    );
}

/// Reads `file` under `description`; the embedding that the packer's interpreter makes of a patch, and that
/// of tract, which runs the whole graph.
fn both(file: &File, description: &FrontendDescription, name: &str) -> (Graph, Vec<f32>) {
    let bytes = file.model().encode_to_vec();
    let graph = read(&bytes, Some(description)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let values = interpret::embed(&graph, &patch());
    let metadata = OnnxMetadata {
        frontend: Some(description.clone()),
        base_mean: Some(vec![0.0; values.len()]),
        reference: Some(Reference::assumed(0.5)),
        ..OnnxMetadata::default()
    };
    let mut tract = TractBackbone::from_bytes(&bytes, name, Some(metadata)).unwrap();
    let mut expected = vec![0.0; values.len()];
    tract.embed(&patch(), &mut expected).unwrap();
    near(&values, &expected, name);
    (graph, values)
}

/// The forms in which graphs and descriptions normalise a patch: all become one norm of the packed model.
#[test]
fn a_norm_of_the_patch_is_found_at_the_head() {
    let same = |file: File| file.node("Identity", &["a"], "b", &[]);
    let plain = network(same);
    // What is put before the network, and reads `x`, makes `n`.
    let behind = |head: File| {
        let mut rest = network(same);
        rest.nodes[0].input[0] = "n".into();
        let mut file = head;
        file.nodes.append(&mut rest.nodes);
        file.constants.append(&mut rest.constants);
        file.outputs = rest.outputs;
        file
    };
    let (means, scales) = (numbers(21, MELS), numbers(22, MELS));
    let scales: Vec<f32> = scales.iter().map(|v| v + 1.5).collect();
    let input = &[-1, 1, FRAMES as i64, MELS as i64];
    let arithmetic = File::new(input)
        .floats("m", &[MELS], means.clone())
        .floats("d", &[1, 1, 1, MELS], scales.clone())
        .node("Sub", &["x", "m"], "c", &[])
        .node("Div", &["c", "d"], "n", &[]);
    let batch_norm = File::new(input)
        .floats("s", &[MELS], vec![1.0; MELS])
        .floats("z", &[MELS], vec![0.0; MELS])
        .floats("m", &[MELS], means.clone())
        .floats("v", &[MELS], scales.iter().map(|d| d * d - 1e-5).collect())
        .node("Transpose", &["x"], "t", &[ints("perm", &[0, 3, 2, 1])])
        .node("BatchNormalization", &["t", "s", "z", "m", "v"], "u", &[])
        .node("Transpose", &["u"], "n", &[ints("perm", &[0, 3, 2, 1])]);
    let bands: Vec<[f32; 2]> = means
        .iter()
        .zip(&scales)
        .map(|(mean, divisor)| [*mean, 1.0 / divisor])
        .collect();
    let given = FrontendDescription {
        norm: Some(OwnedPatchNorm {
            mean: PatchMean::None,
            bands: bands.clone(),
        }),
        ..frontend(Layout::TimeMel)
    };
    let described = frontend(Layout::TimeMel);
    let (graph, expected) = both(&plain, &given, "described");
    let near_bands = |graph: &Graph, name: &str| {
        let norm = graph.patch_norm.as_ref().unwrap();
        let all = |bands: &[[f32; 2]]| bands.concat();
        near(&all(&norm.bands), &all(&bands), name);
        assert_eq!(norm.mean, PatchMean::None);
    };
    near_bands(&graph, "described");
    for (head, name) in [(arithmetic, "arithmetic"), (batch_norm, "batch norm")] {
        let (graph, values) = both(&behind(head), &described, name);
        near_bands(&graph, name);
        near(&values, &expected, name);
    }
    // Means of the patch, by both forms of ReduceMean, and behind bands, whose means they take away.
    for (mean, axes) in [(PatchMean::Band, &[2][..]), (PatchMean::Patch, &[2, 3])] {
        let keep = int("keepdims", 1);
        let head = File::new(input)
            .node("ReduceMean", &["x"], "y", &[ints("axes", axes), keep])
            .node("Sub", &["x", "y"], "n", &[]);
        let (graph, values) = both(&behind(head), &described, "mean of the patch");
        let norm = OwnedPatchNorm {
            mean,
            bands: Vec::new(),
        };
        assert_eq!(graph.patch_norm.as_ref(), Some(&norm));
        for opset in [17, 20] {
            let mut file = plain.clone();
            file.opset = opset;
            let norm = Some(norm.clone());
            let given = FrontendDescription {
                norm,
                ..described.clone()
            };
            near(&both(&file, &given, "described").1, &values, "described");
        }
    }
    let head = File::new(input)
        .floats("d", &[MELS], scales.clone())
        .node("Mul", &["x", "d"], "c", &[])
        .node("ReduceMean", &["c"], "y", &[ints("axes", &[2])])
        .node("Sub", &["c", "y"], "n", &[]);
    let (graph, _) = both(&behind(head), &described, "mean of scaled bands");
    assert_eq!(graph.patch_norm.unwrap().mean, PatchMean::Band);
    // A norm of each frame is none of these: an operator of its own.
    let head = File::new(input)
        .floats("d", &[FRAMES, 1], numbers(23, FRAMES))
        .node("Mul", &["x", "d"], "n", &[]);
    let (graph, _) = both(&behind(head), &described, "frames");
    assert_eq!(graph.patch_norm, None);
    assert_eq!(
        graph.ops.len(),
        plain.read(Layout::TimeMel).unwrap().ops.len() + 3
    );
}

#[test]
fn norms_join_wherever_that_is_exact() {
    let norm = |file: File, from: &'static str, to: &'static str, channels: usize| {
        file.floats(
            &format!("{to}/s"),
            &[channels],
            numbers(2, channels).iter().map(|v| v.abs() + 0.5).collect(),
        )
        .floats(&format!("{to}/b"), &[channels], numbers(3, channels))
        .floats(&format!("{to}/m"), &[channels], numbers(4, channels))
        .floats(
            &format!("{to}/v"),
            &[channels],
            numbers(5, channels).iter().map(|v| v * v + 0.1).collect(),
        )
        .node(
            "BatchNormalization",
            &[
                from,
                &format!("{to}/s"),
                &format!("{to}/b"),
                &format!("{to}/m"),
                &format!("{to}/v"),
            ],
            to,
            &[],
        )
    };
    let by_hand = |values: &[f32], channels: usize| -> Vec<f32> {
        let (scale, bias) = (numbers(2, channels), numbers(3, channels));
        let (mean, variance) = (numbers(4, channels), numbers(5, channels));
        let value = |(at, x): (usize, &f32)| {
            let c = at % channels;
            (scale[c].abs() + 0.5) * (x - mean[c]) / (variance[c] * variance[c] + 0.1 + 1e-5).sqrt()
                + bias[c]
        };
        values.iter().enumerate().map(value).collect()
    };
    let same = |file: File| file.node("Identity", &["a"], "b", &[]);
    // On the input: the frontend's mean and scale.
    let mut file = network(same);
    let mut on_input = norm(
        File {
            nodes: vec![],
            ..file.clone()
        },
        "x",
        "n",
        1,
    );
    file.nodes[0].input[0] = "n".into();
    on_input.nodes.append(&mut file.nodes);
    let plain = network(same);
    let graph = on_input.read(Layout::TimeMel).unwrap();
    assert_eq!(
        graph.ops.len(),
        plain.read(Layout::TimeMel).unwrap().ops.len()
    );
    let [before, after] = [frontend(Layout::TimeMel).config, graph.frontend];
    let features: Vec<f32> = numbers(9, FRAMES * MELS)
        .iter()
        .map(|v| v * 4.0 - 6.0)
        .collect();
    let patch_of = |config: &FrontendConfig| -> Vec<f32> {
        features
            .iter()
            .map(|v| (v - config.mean) * config.scale)
            .collect()
    };
    let expected = embedded(
        &plain,
        Layout::TimeMel,
        &by_hand(&patch_of(&before), 1),
        "plain",
    )
    .0;
    let (found, _) = embedded(
        &on_input,
        Layout::TimeMel,
        &patch_of(&after),
        "norm of the input",
    );
    near(&found, &expected, "norm of the input");
    // After the pool, as the output.
    let mut file = plain.clone();
    file.nodes.pop();
    let file = file
        .node("GlobalAveragePool", &["r2"], "p", &[])
        .node("Flatten", &["p"], "f", &[]);
    let pooled = norm(file.clone(), "f", "features", 6);
    let expected = by_hand(&embedded(&plain, Layout::TimeMel, &patch(), "plain").0, 6);
    near(
        &embedded(&pooled, Layout::TimeMel, &patch(), "pooled").0,
        &expected,
        "pooled",
    );
    // After the pool, before a layer: no operator of its own.
    let dense = norm(file.clone(), "f", "n", 6)
        .weights("dense", &[6, 3])
        .node("MatMul", &["n", "dense"], "features", &[]);
    let without = file
        .weights("dense", &[6, 3])
        .node("MatMul", &["f", "dense"], "features", &[]);
    let ops = |file: &File| file.read(Layout::TimeMel).unwrap().ops.len();
    assert_eq!(ops(&dense), ops(&without));
    let weights = numbers("dense".len(), 18);
    let product: Vec<f32> = (0..3)
        .map(|o| {
            expected
                .iter()
                .enumerate()
                .map(|(i, v)| v * weights[i * 3 + o])
                .sum()
        })
        .collect();
    near(
        &embedded(&dense, Layout::TimeMel, &patch(), "dense").0,
        &product,
        "dense",
    );
    // Before a convolution without padding, behind an activation: no operator of its own either.
    let before = network(|file| norm(file, "a", "b", 4));
    assert_eq!(ops(&before), ops(&plain));
    embedded(&before, Layout::TimeMel, &patch(), "before a convolution");
    // Before one with padding it is an operator, as the padding stays zero.
    let mut padded = network(|file| norm(file, "a", "b", 4));
    let second = padded
        .nodes
        .iter_mut()
        .filter(|n| n.op_type == "Conv")
        .nth(1)
        .unwrap();
    second.attribute.push(ints("pads", &[1, 1, 1, 1]));
    assert_eq!(ops(&padded), ops(&plain) + 1);
    embedded(
        &padded,
        Layout::TimeMel,
        &patch(),
        "before a padded convolution",
    );
    // A ReLU behind a pool.
    let late = network(|file| {
        file.node("MaxPool", &["a"], "p", &[ints("kernel_shape", &[1, 2])])
            .weights("shift4", &[4, 1, 1])
            .node("Add", &["p", "shift4"], "q", &[])
            .node("Relu", &["q"], "b", &[])
    });
    embedded(&late, Layout::TimeMel, &patch(), "late");
}

#[test]
fn weights_beside_the_model_are_read_from_its_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("models");
    std::fs::create_dir(&inside).unwrap();
    let plain = network(|file| file.node("Identity", &["a"], "b", &[]));
    let expected = embedded(&plain, Layout::TimeMel, &patch(), "plain").0;
    let mut values = vec![0u8; 16];
    values.extend(&plain.constants[2].raw_data);
    let len = plain.constants[2].raw_data.len();
    for (path, bytes) in [("models/w.data", &values), ("outside.data", &values)] {
        std::fs::write(folder.path().join(path), bytes).unwrap();
    }
    let path = inside.join("m.onnx");
    let with = |entries: &[(&str, &str)]| {
        let mut file = plain.clone();
        file.constants[2].raw_data.clear();
        file.constants[2].data_location = pb::tensor_proto::DataLocation::External as i32;
        file.constants[2].external_data = entries
            .iter()
            .map(|(key, value)| pb::StringStringEntryProto {
                key: (*key).into(),
                value: (*value).into(),
            })
            .collect();
        std::fs::write(&path, file.bytes()).unwrap();
        load(&path)
    };
    let length = len.to_string();
    let good = with(&[
        ("location", "w.data"),
        ("offset", "16"),
        ("length", &length),
    ])
    .unwrap();
    let graph = read(&good, Some(&frontend(Layout::TimeMel))).unwrap();
    near(&interpret::embed(&graph, &patch()), &expected, "external");
    let outside = folder.path().join("outside.data").display().to_string();
    let refused: &[(&[(&str, &str)], &str)] = &[
        (
            &[("location", "../outside.data"), ("offset", "16")],
            "own folder",
        ),
        (&[("location", &outside), ("offset", "16")], "own folder"),
        (&[("location", "")], "own folder"),
        (&[("location", ".")], "not a regular file"),
        (&[("location", "gone.data")], "keep it beside the model"),
        (&[("location", "w.data"), ("offset", "17")], "the file has"),
        (
            &[("location", "w.data"), ("offset", "18446744073709551615")],
            "the file has",
        ),
        (&[("location", "w.data"), ("offset", "-1")], "whole number"),
        (
            &[("location", "w.data"), ("length", "4")],
            "4 bytes are stated",
        ),
    ];
    for (entries, reason) in refused {
        let text = with(entries).unwrap_err().to_string();
        assert!(text.contains(reason), "{entries:?}: {text}");
        assert!(text.contains("`kernels`"), "{text}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("outside.data"), inside.join("link"))
            .unwrap();
        let text = with(&[("location", "link"), ("offset", "16")])
            .unwrap_err()
            .to_string();
        assert!(text.contains("a link out"), "{text}");
    }
    // In memory nothing beside the file is read.
    let mut file = plain.clone();
    file.constants[2].raw_data.clear();
    file.constants[2].data_location = 1;
    let text = file.read(Layout::TimeMel).unwrap_err().to_string();
    assert!(
        text.contains("`kernels`") && text.contains("another file"),
        "{text}"
    );
}

#[test]
fn what_asks_for_too_much_is_refused_before_it_is_computed() {
    let most = i64::from(i32::MAX);
    let pads = network(|file| {
        file.whole("pads", &[0, 0, most, most, 0, 0, most, most])
            .node("Pad", &["a", "pads"], "b", &[])
    });
    let tile = network(|file| {
        file.whole("times", &[1, 1, most, most])
            .node("Tile", &["a", "times"], "b", &[])
    });
    // Engines hold copies of what this makes.
    let large = network(|file| {
        file.whole("times", &[1, 1, 1000, 250])
            .node("Tile", &["a", "times"], "b", &[])
    });
    let expand = network(|file| {
        file.whole("to", &[1, 4, 1 << 40, 1])
            .node("ConstantOfShape", &["to"], "large", &[])
            .node("Add", &["a", "large"], "b", &[])
    });
    let kernel = network(|file| {
        file.node(
            "MaxPool",
            &["a"],
            "b",
            &[
                ints("kernel_shape", &[most, most]),
                ints("pads", &[most - 1; 4]),
            ],
        )
    });
    let mut work = network(|file| file.node("Identity", &["a"], "b", &[]));
    work.nodes[0].attribute = vec![ints("pads", &[2_000, 2_000, 2_000, 2_000])];
    work.constants[0] = Constant::float(vec![4, 1, 99, 99], vec![0.5; 4 * 99 * 99]).write("w1");
    for (name, file) in [
        ("pads", pads),
        ("tile", tile),
        ("large", large),
        ("expand", expand),
        ("kernel", kernel),
        ("work", work),
    ] {
        let started = std::time::Instant::now();
        for error in [
            file.read(Layout::TimeMel).unwrap_err(),
            checked(&file.bytes(), Some(&frontend(Layout::TimeMel))).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains("at most"), "{name}: {text}");
            assert!(!text.contains("18,446,744,073"), "{name}: {text}");
        }
        assert!(started.elapsed().as_secs() < 5, "{name}");
    }
    let mut crowd = vec![0x3a, 0x80, 0x89, 0x7a];
    crowd.extend([0x0a, 0].repeat(1_000_000));
    let text = read(&crowd, Some(&frontend(Layout::TimeMel))).unwrap_err();
    assert!(
        text.to_string().contains("1,000,000 entries of a graph"),
        "{text}"
    );
    let few = Limits {
        nodes: 3,
        ..Limits::DEFAULT
    };
    let plain = network(|file| file.node("Identity", &["a"], "b", &[]));
    let text = normalise(&mut plain.model(), &frontend(Layout::TimeMel), &few)
        .err()
        .unwrap();
    assert!(text.to_string().contains("nodes; at most 3"), "{text}");
}

#[test]
fn what_cannot_be_checked_is_not_handed_on() {
    let error = |middle: &dyn Fn(File) -> File| {
        let file = network(middle);
        checked(&file.bytes(), Some(&frontend(Layout::TimeMel)))
            .unwrap_err()
            .to_string()
    };
    let text = error(&|file| file.node("NonZero", &["a"], "b", &[]));
    assert!(text.contains("NonZero"), "{text}");
    let text = error(&|file| file.node("Nothing", &["c"], "b", &[]));
    assert!(text.contains("`c`"), "{text}");
    let text = error(&|file| {
        file.node("Relu", &["a"], "a", &[])
            .node("Relu", &["a"], "b", &[])
    });
    assert!(text.contains("made twice"), "{text}");
    let text = error(&|file| {
        file.whole("t", &[0, 5, -1])
            .node("Reshape", &["a", "t"], "b", &[])
    });
    assert!(text.contains("cannot take the shape"), "{text}");
    let text = error(&|file| {
        file.node(
            "MaxPool",
            &["a"],
            "b",
            &[ints("kernel_shape", &[2, 2]), ints("pads", &[2; 4])],
        )
    });
    assert!(text.contains("not smaller than its kernel"), "{text}");
    let mut file = network(|file| file.node("Identity", &["a"], "b", &[]));
    file.outputs.push("extra");
    let text = file.read(Layout::TimeMel).unwrap_err().to_string();
    assert!(text.contains("`extra`"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_files_give_a_model_or_an_error(
        which in 0usize..3,
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
        cut in proptest::option::weighted(0.1, any::<usize>()),
    ) {
        let file = match which {
            0 => network(|f| f.whole("pads", &[0, 0, 1, 1, 0, 0, 1, 1]).node("Pad", &["a", "pads"], "b", &[])),
            1 => network(|f| {
                f.node("Transpose", &["a"], "t", &[ints("perm", &[0, 2, 3, 1])])
                    .node("Shape", &["t"], "s", &[])
                    .node("Reshape", &["t", "s"], "u", &[])
                    .node("Transpose", &["u"], "b", &[ints("perm", &[0, 3, 1, 2])])
            }),
            _ => network(|f| {
                f.whole("from", &[0]).whole("to", &[99]).whole("axis", &[3])
                    .node("Slice", &["a", "from", "to", "axis"], "c", &[])
                    .node("Split", &["c"], "b", &[int("axis", 1)])
            }),
        };
        let mut bytes = file.bytes();
        // The weights are most of the file, and say little: damage the rest.
        let nodes: usize = file.nodes.iter().map(|node| node.encoded_len() + 2).sum();
        for (at, value) in damage {
            let at = if value % 4 == 0 { at % bytes.len() } else { at % (nodes + 20) };
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % bytes.len());
        }
        let _ = read(&bytes, Some(&frontend(Layout::TimeMel)));
        let _ = checked(&bytes, Some(&frontend(Layout::TimeMel)));
    }
}
