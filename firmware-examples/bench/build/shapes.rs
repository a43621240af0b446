//! Models of one layer to measure, with seeded random weights: the shapes for which other kernels'
//! figures are known.

use mtslvr_pack::builder::{
    Activation, BuildError, ChannelRules, ModelSpec, OpKindSpec, OpSpec, PartSpec, TensorSpec,
    build,
};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::model::AlignedBytes;
use mtslvr_runtime::nn::{Quantisation, Shape, Window};

use crate::input::Random;

/// A layer to measure.
pub struct Layer {
    /// Whether each channel is convolved by itself.
    depthwise: bool,
    kernel: usize,
    stride: usize,
    /// Height and width of the input.
    side: usize,
    channels: [usize; 2],
}

/// The layers.
pub const LAYERS: [Layer; 8] = [
    Layer::new(3, 1, 32, [16, 16]),
    Layer::new(3, 1, 16, [32, 32]),
    Layer::new(3, 1, 8, [64, 64]),
    Layer::new(3, 2, 32, [16, 32]),
    Layer::new(1, 1, 16, [64, 64]),
    Layer::new(1, 2, 32, [16, 32]),
    Layer::new(3, 2, 64, [1, 16]),
    Layer {
        depthwise: true,
        ..Layer::new(3, 1, 32, [64, 64])
    },
];

impl Layer {
    const fn new(kernel: usize, stride: usize, side: usize, channels: [usize; 2]) -> Self {
        Self {
            depthwise: false,
            kernel,
            stride,
            side,
            channels,
        }
    }

    /// What it is called: kernel, stride, input map, channels in and out.
    pub fn name(&self) -> String {
        let Self {
            depthwise,
            kernel: k,
            stride,
            side,
            channels: [from, to],
        } = self;
        let stride = match stride {
            1 => String::new(),
            stride => format!(" s{stride}"),
        };
        if *depthwise {
            return format!("depthwise {k}x{k}{stride} {side}x{side} {to}");
        }
        format!("{k}x{k}{stride} {side}x{side} {from}->{to}")
    }

    /// The operator of [`Self::model`] that is the layer.
    pub fn op(&self) -> usize {
        usize::from(self.channels[0] > 1)
    }

    /// A packed model with this layer: before it a 1x1 convolution that spreads the one input
    /// channel to as many as it reads, and behind it an average over the map.
    pub fn model(&self) -> Result<AlignedBytes, BuildError> {
        let mut random = Random::new(7);
        let [from, to] = self.channels;
        let map = |side, channels| Shape::new(side, side, channels);
        let mut ops = Vec::new();
        if from > 1 {
            let spread = Window::square(1, 1, 0);
            let kind = convolution(0, spread, 1, from, &mut random);
            ops.push(op(kind, Activation::Linear, map(self.side, from)));
        }
        let window = Window::square(self.kernel, self.stride, self.kernel / 2);
        let side = self.side.div_ceil(self.stride);
        let kind = if self.depthwise {
            OpKindSpec::Depthwise {
                input: ops.len(),
                window,
                channels: rules(window.area(), to, &mut random),
            }
        } else {
            convolution(ops.len(), window, from, to, &mut random)
        };
        ops.push(op(kind, Activation::Relu, map(side, to)));
        let kind = OpKindSpec::AveragePool {
            input: ops.len(),
            window: Window::square(side, 1, 0),
        };
        ops.push(op(kind, Activation::Linear, map(1, to)));
        build(&ModelSpec {
            name: self.name(),
            provenance: "seeded random weights, for measuring".into(),
            frontend: FrontendConfig {
                sample_rate: 16_000,
                window: 512,
                hop: 256,
                mels: self.side as u16,
                frames: self.side as u16,
                f_min: 60.0,
                f_max: 7_800.0,
                floor: 1e-5,
                mean: -4.0,
                scale: 0.25,
                form: FrontendForm::PLAIN,
            },
            input: quantisation(),
            parts: vec![PartSpec {
                name: "features".into(),
                tensor: ops.len(),
                share: 1.0,
            }],
            ops,
            base_mean: vec![0.0; to],
            reference: None,
            cohort: Vec::new(),
            cohort_weights: Vec::new(),
            patch_norm: None,
            version_counter: None,
        })
    }
}

/// From -2 to 2, zero not in the middle.
fn quantisation() -> Quantisation {
    Quantisation {
        scale: 1.0 / 64.0,
        zero_point: -5,
    }
}

fn op(kind: OpKindSpec, activation: Activation, shape: Shape) -> OpSpec {
    OpSpec {
        kind,
        activation,
        output: TensorSpec {
            shape,
            quantisation: quantisation(),
        },
    }
}

/// A convolution with weights from -1 to 1 and gains that keep its results in the range of int8.
fn convolution(
    input: usize,
    window: Window,
    from: usize,
    to: usize,
    random: &mut Random,
) -> OpKindSpec {
    OpKindSpec::Convolution {
        input,
        window,
        channels: rules(window.area() * from, to, random),
    }
}

/// Weights from -1 to 1, `row` for each of `to` channels, and gains for them.
fn rules(row: usize, to: usize, random: &mut Random) -> ChannelRules {
    ChannelRules {
        // Symmetric, as a quantiser makes them.
        weights: (0..to * row)
            .map(|_| ((random.next() >> 8) as i8).max(-127))
            .collect(),
        adapter: None,
        scale: vec![1.0 / 128.0; to],
        gain: vec![1.0 / (row as f32).sqrt(); to],
        shift: (0..to)
            .map(|_| f32::from(random.next()) / 65_536.0)
            .collect(),
    }
}
