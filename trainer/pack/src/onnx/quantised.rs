//! Writes a packed model as ONNX with `QuantizeLinear` and `DequantizeLinear` around every operator:
//! the form in which ONNX Runtime computes in int8.
//!
//! Adapters are folded into their kernels. So operators that share kernels in the packed model each
//! have their own, and a channel whose folded weights leave the range of an `i8` is quantised again:
//! the results are those of the packed model up to rounding.

use super::pb::tensor_proto::DataType;
use super::{file, int, ints, pb, value_info};
use crate::EmbeddingStatistics;
use crate::builder::OwnedPatchNorm;
use crate::metadata::{FrontendDescription, INPUT};
use mtslvr_runtime::model::{Model, Op, OpKind};
use mtslvr_runtime::nn::{ADD_FRACTION_BITS, Quantisation, Window};

/// Serialises `model`: inputs, outputs and metadata are those of the model that the trainer exports.
pub fn write_quantised(model: &Model<'_>) -> Vec<u8> {
    let space = model.space();
    let frontend = *space.frontend();
    let mut writer = Writer {
        graph: pb::GraphProto {
            name: "backbone".into(),
            input: vec![value_info(
                INPUT,
                &[1, frontend.frames.into(), frontend.mels.into()],
            )],
            ..Default::default()
        },
    };
    // The dequantised value of each tensor.
    let mut values = Vec::new();
    let patch = model.tensors().next().map(|patch| patch.quantisation);
    values.extend(patch.map(|patch| writer.rounded(INPUT, "patch", patch)));
    for op in model.ops() {
        let value = writer.operator(&op, &values);
        values.push(value);
    }
    for (part, tensor) in space.parts().as_slice().iter().zip(model.outputs()) {
        writer.node("Flatten", &[&values[tensor.index]], part.name, vec![]);
        let output = value_info(part.name, &[part.len as i64]);
        writer.graph.output.push(output);
    }
    let statistics = EmbeddingStatistics {
        base_mean: space.base_mean().to_vec(),
        reference: *space.reference(),
    };
    let parts = space.parts().as_slice().iter();
    let parts = parts
        .map(|part| (part.name.to_owned(), part.share))
        .collect();
    let description = FrontendDescription {
        norm: model.patch_norm().map(OwnedPatchNorm::from),
        ..FrontendDescription::plain(frontend)
    };
    file(
        writer.graph,
        description,
        parts,
        &statistics,
        model.provenance(),
    )
}

struct Writer {
    graph: pb::GraphProto,
}

/// Kernels of a convolution, adapter folded in: `[out, in, height, width]`.
struct Kernels {
    weights: Vec<i8>,
    /// Real value of one step, of each output channel; positive.
    scale: Vec<f32>,
    /// Biases, in steps of input scale times weight scale.
    bias: Vec<i32>,
}

impl Writer {
    /// Writes an operator over the `values` of the tensors before it; returns the dequantised value of
    /// its result.
    fn operator(&mut self, op: &Op<'_>, values: &[String]) -> String {
        let name = &op.index.to_string();
        let to = op.output.quantisation;
        let input = values[op.input.index].as_str();
        let second = values[op.second.unwrap_or(op.input).index].as_str();
        let mut value = format!("{name}/made");
        let sum = op.tables.add;
        let lo = sum.map_or(op.tables.requantisation.lo, |rule| rule.lo);
        match op.kind {
            OpKind::Convolution | OpKind::Linear => {
                value = self.convolution(name, &as_convolution(op), [input, second]);
            }
            OpKind::Depthwise => {
                let kernels = depthwise_kernels(op);
                let [height, width] = op.window.kernel;
                let dims = [op.output.shape.channels, 1, height, width];
                let weights = self.weights(name, dims, &kernels);
                let bias = self.bias(name, &kernels, op.input.quantisation);
                let mut attributes = window(&op.window);
                attributes.push(int("group", dims[0] as i64));
                self.node("Conv", &[input, &weights, &bias], &value, attributes);
            }
            OpKind::Lookup => self.table(name, op, &quantised_form(input), &value),
            OpKind::Slopes => self.slopes(name, op, input, &value),
            OpKind::Slice => self.slice(name, op, input, &value),
            OpKind::Reshape => self.reshape(name, op, input, &value),
            OpKind::Add => self.node("Add", &[input, second], &value, vec![]),
            OpKind::Multiply => self.node("Mul", &[input, second], &value, vec![]),
            OpKind::Concatenate => {
                self.node("Concat", &[input, second], &value, vec![int("axis", 1)]);
            }
            OpKind::MaxPool => self.node("MaxPool", &[input], &value, window(&op.window)),
            OpKind::AveragePool => {
                let mut attributes = window(&op.window);
                attributes.push(int("count_include_pad", 1));
                self.node("AveragePool", &[input], &value, attributes);
            }
        }
        let value = self.rectified(value, lo, to);
        self.rounded(&value, name, to)
    }

    /// Writes a convolution and the sum behind it, if there is one; returns the real value.
    fn convolution(&mut self, name: &str, op: &Op<'_>, [input, second]: [&str; 2]) -> String {
        let (tables, to) = (&op.tables, op.output.quantisation);
        let made = match &tables.add {
            None => to,
            Some(rule) => Quantisation {
                scale: rule.a_multiplier as f32 / (1 << ADD_FRACTION_BITS) as f32 * to.scale,
                zero_point: tables.requantisation.zero_point,
            },
        };
        let kernels = kernels(op, made);
        let [height, width] = op.window.kernel;
        let (outputs, inputs) = (op.output.shape.channels, op.input.shape.channels);
        let weights = self.weights(name, [outputs, inputs, height, width], &kernels);
        let bias = self.bias(name, &kernels, op.input.quantisation);
        let value = format!("{name}/made");
        let attributes = window(&op.window);
        self.node("Conv", &[input, &weights, &bias], &value, attributes);
        if tables.add.is_none() {
            return value;
        }
        let value = self.rectified(value, tables.requantisation.lo, made);
        let convolved = self.rounded(&value, &format!("{name}/inner"), made);
        let sum = format!("{name}/sum");
        self.node("Add", &[&convolved, second], &sum, vec![]);
        sum
    }

    /// Writes a PReLU with a slope for each channel.
    fn slopes(&mut self, name: &str, op: &Op<'_>, input: &str, value: &str) {
        let multipliers = op.tables.multipliers;
        let (above, below) = multipliers.split_last().unwrap_or((&1, &[]));
        let slopes = below.iter().map(|&below| below as f32 / *above as f32);
        let bytes: Vec<u8> = slopes.flat_map(f32::to_le_bytes).collect();
        let dims = [below.len(), 1, 1];
        let slopes = self.constant(format!("{name}/slopes"), &dims, DataType::Float, &bytes);
        self.node("PRelu", &[input, &slopes], value, vec![]);
    }

    /// Writes a slice of channels.
    fn slice(&mut self, name: &str, op: &Op<'_>, input: &str, value: &str) {
        let end = op.first_channel + op.output.shape.channels;
        let bounds = [("start", op.first_channel), ("end", end), ("axis", 1)];
        let [start, end, axis] = bounds.map(|(what, at)| {
            let bytes = (at as i64).to_le_bytes();
            self.constant(format!("{name}/{what}"), &[1], DataType::Int64, &bytes)
        });
        self.node("Slice", &[input, &start, &end, &axis], value, vec![]);
    }

    /// Writes a reshape of a map, whose values lie in the order of time, mel and channels.
    fn reshape(&mut self, name: &str, op: &Op<'_>, input: &str, value: &str) {
        let shape = op.output.shape;
        let dims = [1, shape.height, shape.width, shape.channels];
        let bytes: Vec<u8> = dims
            .iter()
            .flat_map(|&dim| (dim as i64).to_le_bytes())
            .collect();
        let target = self.constant(format!("{name}/shape"), &[4], DataType::Int64, &bytes);
        let [last, made] = ["last", "made"].map(|what| format!("{name}/channels_{what}"));
        let order = |axes: [i64; 4]| vec![ints("perm", &axes)];
        self.node("Transpose", &[input], &last, order([0, 2, 3, 1]));
        self.node("Reshape", &[&last, &target], &made, vec![]);
        self.node("Transpose", &[&made], value, order([0, 3, 1, 2]));
    }

    /// Writes a table: the real values of its results, taken by the quantised `input`, which is 128
    /// greater here than in the packed model.
    fn table(&mut self, name: &str, op: &Op<'_>, input: &str, value: &str) {
        let results = (0..op.tables.weights.len()).map(|at| {
            let result = op.tables.weights[at ^ 0x80];
            op.output.quantisation.dequantise(result)
        });
        let bytes: Vec<u8> = results.flat_map(f32::to_le_bytes).collect();
        let dims = [op.tables.weights.len()];
        let table = self.constant(format!("{name}/table"), &dims, DataType::Float, &bytes);
        let index = format!("{name}/index");
        let to = int("to", DataType::Int32 as i64);
        self.node("Cast", &[input], &index, vec![to]);
        self.node("Gather", &[&table, &index], value, vec![int("axis", 0)]);
    }

    /// Returns `value`, with a ReLU behind it where the least result `lo` is real zero.
    fn rectified(&mut self, value: String, lo: i8, to: Quantisation) -> String {
        if lo != to.zero_point {
            return value;
        }
        let rectified = format!("{value}/relu");
        self.node("Relu", &[&value], &rectified, vec![]);
        rectified
    }

    /// Quantises and dequantises `value`; returns the result.
    fn rounded(&mut self, value: &str, name: &str, quantisation: Quantisation) -> String {
        let scale = self.constant(
            format!("{name}/scale"),
            &[],
            DataType::Float,
            &quantisation.scale.to_le_bytes(),
        );
        // ONNX Runtime's kernels for x86-64 are fastest on unsigned activations: all are 128 greater.
        let zero_point = self.constant(
            format!("{name}/zero_point"),
            &[],
            DataType::Uint8,
            &[quantisation.zero_point as u8 ^ 0x80],
        );
        let (quantised, real) = (format!("{name}/quantised"), format!("{name}/real"));
        self.node(
            "QuantizeLinear",
            &[value, &scale, &zero_point],
            &quantised,
            vec![],
        );
        self.node(
            "DequantizeLinear",
            &[&quantised, &scale, &zero_point],
            &real,
            vec![],
        );
        real
    }

    /// Returns the dequantised weights of an operator.
    fn weights(&mut self, name: &str, dims: [usize; 4], kernels: &Kernels) -> String {
        let outputs = dims[0];
        let bytes: Vec<u8> = kernels.weights.iter().map(|&w| w as u8).collect();
        let weights = self.constant(format!("{name}/weights"), &dims, DataType::Int8, &bytes);
        let zeros = vec![0; outputs];
        self.channels_real(
            format!("{name}/weights"),
            &weights,
            &kernels.scale,
            DataType::Int8,
            &zeros,
        )
    }

    /// Returns the dequantised bias of an operator.
    fn bias(&mut self, name: &str, kernels: &Kernels, from: Quantisation) -> String {
        let outputs = kernels.bias.len();
        let bytes: Vec<u8> = kernels.bias.iter().flat_map(|b| b.to_le_bytes()).collect();
        let bias = self.constant(format!("{name}/bias"), &[outputs], DataType::Int32, &bytes);
        let scale: Vec<f32> = kernels
            .scale
            .iter()
            .map(|scale| scale * from.scale)
            .collect();
        let zeros = vec![0; 4 * outputs];
        self.channels_real(
            format!("{name}/bias"),
            &bias,
            &scale,
            DataType::Int32,
            &zeros,
        )
    }

    /// Dequantises `value` with a scale for each output channel and no zero point.
    fn channels_real(
        &mut self,
        name: String,
        value: &str,
        scale: &[f32],
        kind: DataType,
        zeros: &[u8],
    ) -> String {
        let dims = [scale.len()];
        let bytes: Vec<u8> = scale.iter().flat_map(|s| s.to_le_bytes()).collect();
        let scale = self.constant(format!("{name}/scale"), &dims, DataType::Float, &bytes);
        let zero_point = self.constant(format!("{name}/zero_point"), &dims, kind, zeros);
        let real = format!("{name}/real");
        let inputs = [value, &scale, &zero_point];
        self.node("DequantizeLinear", &inputs, &real, vec![int("axis", 0)]);
        real
    }

    fn constant(&mut self, name: String, dims: &[usize], kind: DataType, raw: &[u8]) -> String {
        self.graph.initializer.push(pb::TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: kind as i32,
            raw_data: raw.to_vec(),
            ..Default::default()
        });
        name
    }

    fn node(
        &mut self,
        kind: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<pb::AttributeProto>,
    ) {
        self.graph.node.push(pb::NodeProto {
            name: output.into(),
            op_type: kind.into(),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.into()],
            attribute: attributes,
            ..Default::default()
        });
    }
}

/// Returns the name of the quantised form of a dequantised value.
fn quantised_form(real: &str) -> String {
    let name = real.strip_suffix("/real").unwrap_or(real);
    format!("{name}/quantised")
}

/// Takes the kernels of a depthwise convolution.
fn depthwise_kernels(op: &Op<'_>) -> Kernels {
    let tables = &op.tables;
    let (from, made) = (op.input.quantisation, op.output.quantisation);
    let channels = op.output.shape.channels;
    let mut kernels = Kernels {
        weights: Vec::new(),
        scale: Vec::new(),
        bias: Vec::new(),
    };
    for (c, (&bias, &multiplier)) in tables.bias.iter().zip(tables.multipliers).enumerate() {
        let pre = i32::from(tables.requantisation.pre);
        let gain = f64::from(multiplier) * 2f64.powi(pre - 32) * f64::from(made.scale)
            / f64::from(from.scale);
        // Scales are positive, so a negative gain changes the sign of the weights.
        let sign = if gain < 0.0 { -1 } else { 1 };
        let column = tables.weights.iter().skip(c).step_by(channels);
        let column: Vec<i32> = column.map(|&w| i32::from(w)).collect();
        let constant = bias + i32::from(from.zero_point) * column.iter().sum::<i32>();
        let signed = column.iter().map(|w| (sign * w).clamp(-128, 127) as i8);
        kernels.weights.extend(signed);
        kernels.scale.push(gain.abs().max(1e-30) as f32);
        kernels.bias.push(sign * constant);
    }
    kernels
}

/// Folds an operator's adapter into its kernels, whose results have the quantisation of `made`.
fn kernels(op: &Op<'_>, made: Quantisation) -> Kernels {
    let tables = &op.tables;
    let from = op.input.quantisation;
    let (inputs, window) = (op.input.shape.channels, &op.window);
    let [height, width] = window.kernel;
    let column = op.layout.column_len(window, inputs);
    let row = op.layout.row_len(window, inputs);
    let adapter_row = op.layout.adapter_len(inputs);
    let mut kernels = Kernels {
        weights: Vec::new(),
        scale: Vec::new(),
        bias: Vec::new(),
    };
    for (o, (&bias, &multiplier)) in tables.bias.iter().zip(tables.multipliers).enumerate() {
        let mut folded = Vec::with_capacity(inputs * height * width);
        for c in 0..inputs {
            for (ky, kx) in (0..height).flat_map(|ky| (0..width).map(move |kx| (ky, kx))) {
                let k = ky * row + kx * inputs + c;
                let mut weight = op.layout.value(tables.weights, column, o, k);
                let at_centre = (ky, kx) == (window.padding.top, window.padding.left);
                if at_centre && !tables.adapter.is_empty() {
                    weight += op.layout.value(tables.adapter, adapter_row, o, c);
                }
                folded.push(weight);
            }
        }
        let pre = i32::from(tables.requantisation.pre);
        let gain = f64::from(multiplier) * 2f64.powi(pre - 32) * f64::from(made.scale)
            / f64::from(from.scale);
        // Scales are positive, so a negative gain changes the sign of the weights.
        let sign = if gain < 0.0 { -1.0 } else { 1.0 };
        let greatest = folded.iter().map(|w| w.abs()).max().unwrap_or(0);
        let shrink = 127.0 / f64::from(greatest.max(127));
        let sum: i64 = folded.iter().map(|&w| i64::from(w)).sum();
        let constant = i64::from(bias) + i64::from(from.zero_point) * sum;
        let rounded = |value: f64| (sign * shrink * value).round();
        kernels
            .weights
            .extend(folded.iter().map(|&w| rounded(w.into()) as i8));
        kernels.scale.push((gain.abs() / shrink).max(1e-30) as f32);
        kernels.bias.push(rounded(constant as f64) as i32);
    }
    kernels
}

/// Returns a linear layer as a convolution whose kernel is as large as the map.
fn as_convolution<'m>(op: &Op<'m>) -> Op<'m> {
    let mut op = *op;
    if op.kind == OpKind::Linear {
        op.window.kernel = [op.input.shape.height, op.input.shape.width];
    }
    op
}

/// Returns kernel, stride and padding as ONNX attributes.
fn window(window: &Window) -> Vec<pb::AttributeProto> {
    let pad = window.padding;
    let pads = [pad.top, pad.left, pad.bottom, pad.right].map(|pad| pad as i64);
    let mut attributes = vec![
        ints("kernel_shape", &window.kernel.map(|size| size as i64)),
        ints("strides", &window.stride.map(|step| step as i64)),
        ints("pads", &pads),
    ];
    // Pools of this operator set have no such attribute.
    if window.dilation != [1, 1] {
        let dilation = window.dilation.map(|step| step as i64);
        attributes.push(ints("dilations", &dilation));
    }
    attributes
}

#[cfg(all(test, feature = "ort"))]
mod tests {
    use super::*;
    use crate::engine::{ORT_LIBRARY_VARIABLE, OrtBackbone};
    use mtslvr_audio::calibration_clips;
    use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
    use mtslvr_runtime::clip;
    use mtslvr_runtime::model::AlignedBytes;

    #[test]
    fn onnx_runtime_computes_what_the_packed_engine_computes() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/edge-s/model.slvr"
        );
        let bytes = AlignedBytes::new(&std::fs::read(path).unwrap());
        let model = Model::open(&bytes).unwrap();
        let graph = write_quantised(&model);
        let mut ort = OrtBackbone::from_bytes(&graph, "test", None).unwrap_or_else(|error| {
            panic!("this test needs {ORT_LIBRARY_VARIABLE} (`cargo xtask test` sets it): {error}")
        });
        let mut packed = PackedBackbone::new(model, vec![0; model.arena_len()]).unwrap();
        let (space, frontend) = (packed.model().space(), *packed.space().frontend());
        assert_eq!(ort.space().frontend(), &frontend);
        assert_eq!(ort.space().parts(), space.parts());
        let sounds = calibration_clips(&frontend);
        let mut embeddings = [(); 2].map(|()| vec![0.0; space.dim()]);
        for sound in sounds.iter().take(4) {
            let mut patch = Vec::new();
            clip::patches(frontend, sound, |p| patch = p.to_vec()).unwrap();
            packed.embed(&patch, &mut embeddings[0]).unwrap();
            ort.embed(&patch, &mut embeddings[1]).unwrap();
            let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            let [a, b] = &embeddings;
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!(cosine > 0.99, "{cosine}");
        }
    }
}
