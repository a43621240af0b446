//! Makes small random networks from a seed, and computes them in real numbers.

use mtslvr_pack::builder::{
    Activation, ChannelRules, Curve, Function, ModelSpec, OpKindSpec, OpSpec, PartSpec, TensorSpec,
};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::nn::{Padding, Quantisation, Shape, Window};
use std::sync::Arc;

use crate::real_numbers::interpret;

/// A generator of the same numbers for ever (golden files rest on it): xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn bits(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }

    /// Uniform in [-1, 1), with few enough bits to be exact.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 16) as f32 / 32768.0 - 1.0
    }
}

/// Shape of a network.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Parts of an embedding, each made by layers that the others may share.
    pub parts: usize,
    pub frames: u16,
    pub mels: u16,
    pub width: usize,
    /// Stages of two blocks; each but the first halves the map and doubles the width.
    pub stages: usize,
    /// From this stage on the parts have norms and adapters of their own over shared kernels; the stem
    /// has if it is 0.
    pub split_from: usize,
    pub max_pool: bool,
    /// Ends in linear layers of different lengths.
    pub linear: bool,
}

impl Plan {
    pub const SMALL: Self = Self {
        parts: 2,
        frames: 13,
        mels: 10,
        width: 5,
        stages: 2,
        split_from: 1,
        max_pool: true,
        linear: true,
    };
}

/// An operator that every part has, with weights for each.
type Layer = OpKindSpec<Vec<ChannelRules>>;

const PLACEHOLDER: Quantisation = Quantisation {
    scale: 1.0,
    zero_point: 0,
};

/// Writes a network layer by layer, as if each part had a network of its own.
struct Writer<'r> {
    random: &'r mut Random,
    parts: usize,
    layers: Vec<(Layer, Activation)>,
    shapes: Vec<Shape>,
}

impl Writer<'_> {
    fn push(&mut self, kind: Layer, activation: Activation, shape: Shape) -> usize {
        self.layers.push((kind, activation));
        self.shapes.push(shape);
        self.layers.len()
    }

    /// Rules of all parts over the same weights; different ones if `split`.
    fn rules(
        &mut self,
        channels: usize,
        row: usize,
        adapter_row: usize,
        split: bool,
    ) -> Vec<ChannelRules> {
        let random = &mut *self.random;
        let weights: Vec<i8> = (0..channels * row).map(|_| symmetric(random)).collect();
        let scale: Vec<f32> = (0..channels).map(|_| 0.02 + 0.01 * random.unit()).collect();
        let gain_size = 1.0 / (row as f32).sqrt();
        let mut rules: Vec<ChannelRules> = Vec::new();
        for part in 0..self.parts {
            if part > 0 && !split {
                rules.push(rules[0].clone());
                continue;
            }
            let adapter = split && adapter_row > 0;
            rules.push(ChannelRules {
                weights: weights.clone(),
                adapter: adapter.then(|| {
                    (0..channels * adapter_row)
                        .map(|_| symmetric(random))
                        .collect()
                }),
                scale: scale.clone(),
                gain: (0..channels)
                    .map(|_| (random.unit() * 1.5 + 0.3) * gain_size)
                    .collect(),
                shift: (0..channels).map(|_| random.unit()).collect(),
            });
        }
        rules
    }

    fn convolution(
        &mut self,
        input: usize,
        channels: usize,
        window: Window,
        split: bool,
        activation: Activation,
    ) -> usize {
        let map = self.shapes[input];
        let [height, width] = window.output_size(map.height, map.width).unwrap();
        let adapter_row = if window.kernel == [1, 1] || input == 0 {
            0
        } else {
            map.channels
        };
        let row = window.area() * map.channels;
        let kind = OpKindSpec::Convolution {
            input,
            window,
            channels: self.rules(channels, row, adapter_row, split),
        };
        self.push(kind, activation, Shape::new(height, width, channels))
    }

    fn block(&mut self, input: usize, channels: usize, stride: usize, split: bool) -> usize {
        let first = Window::square(3, stride, 1);
        let inner = self.convolution(input, channels, first, split, Activation::Relu);
        let second = Window::square(3, 1, 1);
        let a = self.convolution(inner, channels, second, split, Activation::Linear);
        let b = if stride != 1 || self.shapes[input].channels != channels {
            let window = Window::square(1, stride, 0);
            self.convolution(input, channels, window, split, Activation::Linear)
        } else {
            input
        };
        self.push(OpKindSpec::Add { a, b }, Activation::Relu, self.shapes[a])
    }

    /// The operators of all parts, one part after the other, equal ones once; and the tensor that each
    /// part ends in.
    fn lower(&self) -> (Vec<OpSpec>, Vec<usize>) {
        let mut ops: Vec<OpSpec> = Vec::new();
        let mut ends = Vec::new();
        for part in 0..self.parts {
            let mut tensors = vec![0];
            for ((layer, activation), &shape) in self.layers.iter().zip(&self.shapes[1..]) {
                let mut kind = layer.map_channels(|rules| rules[part].clone());
                rewire(&mut kind, |tensor| tensors[tensor]);
                let op = OpSpec {
                    kind,
                    activation: *activation,
                    output: TensorSpec {
                        shape,
                        quantisation: PLACEHOLDER,
                    },
                };
                let known = ops.iter().position(|other| *other == op);
                let index = known.unwrap_or(ops.len());
                if known.is_none() {
                    ops.push(op);
                }
                tensors.push(index + 1);
            }
            ends.push(tensors[tensors.len() - 1]);
        }
        (ops, ends)
    }
}

/// Changes the tensors that an operator reads.
pub fn rewire(kind: &mut OpKindSpec, to: impl Fn(usize) -> usize) {
    match kind {
        OpKindSpec::Convolution { input, .. }
        | OpKindSpec::Depthwise { input, .. }
        | OpKindSpec::Linear { input, .. }
        | OpKindSpec::Lookup { input, .. }
        | OpKindSpec::Slopes { input, .. }
        | OpKindSpec::Slice { input, .. }
        | OpKindSpec::Reshape { input }
        | OpKindSpec::MaxPool { input, .. }
        | OpKindSpec::AveragePool { input, .. } => *input = to(*input),
        OpKindSpec::Add { a, b }
        | OpKindSpec::Multiply { a, b }
        | OpKindSpec::Concatenate { a, b } => (*a, *b) = (to(*a), to(*b)),
    }
}

/// A weight as a symmetric quantiser makes it.
fn symmetric(random: &mut Random) -> i8 {
    (random.bits() as i8).max(-127)
}

/// A random network with its tensors calibrated on four [`patches`].
pub fn network(plan: Plan, seed: u64) -> ModelSpec {
    let mut random = Random::new(seed);
    let frontend = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: plan.mels,
        frames: plan.frames,
        f_min: 60.0,
        f_max: 7_800.0,
        floor: 1e-6,
        mean: -4.0,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };
    let mut writer = Writer {
        random: &mut random,
        parts: plan.parts,
        layers: Vec::new(),
        shapes: vec![Shape::new(plan.frames.into(), plan.mels.into(), 1)],
    };
    let stem = Window::square(5, 1, 2);
    let stem_split = plan.split_from == 0;
    let mut top = writer.convolution(0, plan.width, stem, stem_split, Activation::Relu);
    if plan.max_pool {
        let window = Window::square(3, 2, 1);
        let map = writer.shapes[top];
        let [height, width] = window.output_size(map.height, map.width).unwrap();
        let kind = OpKindSpec::MaxPool { input: top, window };
        top = writer.push(
            kind,
            Activation::Linear,
            Shape::new(height, width, map.channels),
        );
    }
    for stage in 0..plan.stages {
        let (channels, split) = (plan.width << stage, stage >= plan.split_from);
        top = writer.block(top, channels, if stage == 0 { 1 } else { 2 }, split);
        top = writer.block(top, channels, 1, split);
    }
    let map = writer.shapes[top];
    let window = Window {
        kernel: [map.height, map.width],
        ..Window::square(1, 1, 0)
    };
    let kind = OpKindSpec::AveragePool { input: top, window };
    writer.push(kind, Activation::Linear, Shape::new(1, 1, map.channels));
    let (mut ops, mut ends) = writer.lower();
    if plan.linear {
        for (part, end) in ends.iter_mut().enumerate() {
            let channels = map.channels + 1 + part;
            let rules = writer.rules(channels, map.channels, 0, true);
            let kind = OpKindSpec::Linear {
                input: *end,
                channels: rules[0].clone(),
            };
            ops.push(OpSpec {
                kind,
                activation: Activation::Linear,
                output: TensorSpec {
                    shape: Shape::new(1, 1, channels),
                    quantisation: PLACEHOLDER,
                },
            });
            *end = ops.len();
        }
    }
    let parts: Vec<PartSpec> = ends
        .iter()
        .enumerate()
        .map(|(index, &tensor)| PartSpec {
            name: format!("part {index}"),
            tensor,
            share: 1.0 / plan.parts as f32,
        })
        .collect();
    let dims = parts
        .iter()
        .map(|part| ops[part.tensor - 1].output.shape.len());
    let dim: usize = dims.sum();
    let mut spec = ModelSpec {
        name: "small".into(),
        provenance: format!("random network, seed {seed}"),
        frontend,
        input: PLACEHOLDER,
        ops,
        parts,
        base_mean: (0..dim).map(|_| random.unit()).collect(),
        reference: None,
        cohort: Vec::new(),
        cohort_weights: Vec::new(),
        patch_norm: None,
        version_counter: None,
    };
    calibrate(&mut spec);
    spec
}

/// Patches with some structure, the same for ever.
pub fn patches(len: usize, count: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(77);
    (0..count)
        .map(|_| {
            let mut level = 0.0;
            (0..len)
                .map(|_| {
                    level = 0.75 * level + 0.5 * random.unit();
                    level
                })
                .collect()
        })
        .collect()
}

/// A network with every kind of operator: dilated, depthwise and grouped convolutions, tables, slopes, gates,
/// a map that is repeated in a sum, and channels that are joined and parted.
pub fn every_operator(seed: u64) -> ModelSpec {
    let mut spec = network(
        Plan {
            parts: 1,
            linear: false,
            stages: 1,
            width: 12,
            ..Plan::SMALL
        },
        seed,
    );
    let mut random = Random::new(seed ^ 0xDEAF);
    // Without the pool at the end.
    spec.ops.pop();
    let map = spec.ops[spec.ops.len() - 1].output.shape;
    let mut writer = Writer {
        random: &mut random,
        parts: 1,
        layers: Vec::new(),
        shapes: vec![map],
    };
    let top = every_operator_over(&mut writer, map);
    let kept = spec.ops.len();
    for ((layer, activation), &shape) in writer.layers.iter().zip(&writer.shapes[1..]) {
        let mut kind = layer.map_channels(|rules| rules[0].clone());
        rewire(&mut kind, |tensor| kept + tensor);
        spec.ops.push(OpSpec {
            kind,
            activation: *activation,
            output: TensorSpec {
                shape,
                quantisation: PLACEHOLDER,
            },
        });
    }
    spec.parts[0].tensor = kept + top;
    let dim = writer.shapes[top].len();
    spec.base_mean = vec![0.25; dim];
    calibrate(&mut spec);
    spec
}

/// Writes the operators of [`every_operator`] behind a map, tensor 0; returns the last tensor.
fn every_operator_over(writer: &mut Writer<'_>, map: Shape) -> usize {
    let lookup = |input, curve: Curve| OpKindSpec::Lookup {
        input,
        curve: Arc::new(curve),
    };
    let window = Window {
        kernel: [3, 5],
        stride: [1, 2],
        padding: Padding {
            top: 2,
            bottom: 2,
            left: 1,
            right: 2,
        },
        dilation: [2, 1],
    };
    let [height, width] = window.output_size(map.height, map.width).unwrap();
    let shape = Shape::new(height, width, map.channels);
    let kind = OpKindSpec::Depthwise {
        input: 0,
        window,
        channels: writer.rules(map.channels, window.area(), 0, true),
    };
    let filtered = writer.push(kind, Activation::Clip { lo: -2.0, hi: 3.0 }, shape);
    let swish = lookup(filtered, Curve::Input.then(Function::HardSwish));
    let swished = writer.push(swish, Activation::Linear, shape);
    let dilated = Window {
        dilation: [1, 2],
        padding: Padding {
            top: 1,
            bottom: 1,
            left: 2,
            right: 2,
        },
        ..Window::square(3, 1, 0)
    };
    let convolved = writer.convolution(swished, 10, dilated, false, Activation::Linear);
    let slopes = OpKindSpec::Slopes {
        input: convolved,
        slopes: (0..10).map(|c| c as f32 / 8.0 - 0.25).collect(),
    };
    let wide = Shape::new(height, width, 10);
    let sloped = writer.push(slopes, Activation::Linear, wide);
    // Gates of the channels.
    let whole = Window {
        kernel: [height, width],
        ..Window::square(1, 1, 0)
    };
    let pool = OpKindSpec::MaxPool {
        input: sloped,
        window: whole,
    };
    let greatest = writer.push(pool, Activation::Linear, Shape::new(1, 1, 10));
    let sigmoid = lookup(greatest, Curve::Input.then(Function::Sigmoid));
    let gates = writer.push(sigmoid, Activation::Linear, Shape::new(1, 1, 10));
    let product = OpKindSpec::Multiply {
        a: sloped,
        b: gates,
    };
    let gated = writer.push(product, Activation::Linear, wide);
    // A mean over mel that is added everywhere, and channels that are parted and joined.
    let row = Window {
        kernel: [1, width],
        ..Window::square(1, 1, 0)
    };
    let pool = OpKindSpec::AveragePool {
        input: gated,
        window: row,
    };
    let mean = writer.push(pool, Activation::Linear, Shape::new(height, 1, 10));
    let sum = OpKindSpec::Add { a: gated, b: mean };
    let summed = writer.push(sum, Activation::Relu, wide);
    let slice = OpKindSpec::Slice {
        input: summed,
        first: 3,
    };
    let some = writer.push(slice, Activation::Linear, Shape::new(height, width, 6));
    let joined = OpKindSpec::Concatenate {
        a: some,
        b: convolved,
    };
    let joined = writer.push(joined, Activation::Linear, Shape::new(height, width, 16));
    // A factor and a constant for each place along mel of each channel.
    let shape = Shape::new(height, width, 16);
    let view = Shape::new(height, 1, width * 16);
    let seen = writer.push(
        OpKindSpec::Reshape { input: joined },
        Activation::Linear,
        view,
    );
    let kind = OpKindSpec::Depthwise {
        input: seen,
        window: Window::square(1, 1, 0),
        channels: writer.rules(width * 16, 1, 0, true),
    };
    let placed = writer.push(kind, Activation::Linear, view);
    let joined = writer.push(
        OpKindSpec::Reshape { input: placed },
        Activation::Linear,
        shape,
    );
    let squared = OpKindSpec::Multiply {
        a: joined,
        b: joined,
    };
    let squared = writer.push(squared, Activation::Clip { lo: 0.0, hi: 4.0 }, shape);
    let pool = OpKindSpec::AveragePool {
        input: squared,
        window: whole,
    };
    writer.push(pool, Activation::Linear, Shape::new(1, 1, 16))
}

/// Sets every tensor's quantisation to the range it takes on four [`patches`].
fn calibrate(spec: &mut ModelSpec) {
    let mut ranges = vec![(0.0f64, 0.0f64); spec.ops.len() + 1];
    for patch in patches(spec.frontend.patch_len(), 4) {
        for (range, tensor) in ranges.iter_mut().zip(interpret(spec, &patch)) {
            for value in tensor {
                *range = (range.0.min(value), range.1.max(value));
            }
        }
    }
    for (index, (lo, hi)) in ranges.into_iter().enumerate() {
        // A power of two times a short mantissa: the same on every machine.
        let scale = (((hi - lo) / 255.0).max(1e-6) as f32 * 1024.0).ceil() / 1024.0;
        let zero_point = (-128.0 - lo / f64::from(scale))
            .round()
            .clamp(-128.0, 127.0) as i8;
        let mut quantisation = Quantisation { scale, zero_point };
        match index.checked_sub(1) {
            None => spec.input = quantisation,
            Some(op) => {
                if let OpKindSpec::MaxPool { input, .. }
                | OpKindSpec::Slice { input, .. }
                | OpKindSpec::Reshape { input } = spec.ops[op].kind
                {
                    quantisation = match input.checked_sub(1) {
                        None => spec.input,
                        Some(before) => spec.ops[before].output.quantisation,
                    };
                }
                spec.ops[op].output.quantisation = quantisation;
            }
        }
    }
}
