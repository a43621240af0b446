//! Runs a [`Graph`] in floats and keeps every tensor, for calibration and to compare the packed engine
//! with.

use super::graph::{Channels, Graph, Op, OpKind};
use crate::builder::Activation;
use mtslvr_runtime::nn::{Shape, Window};

/// Returns all tensors for one patch: the patch itself, normalised if the graph says so, then what each operator writes.
///
/// # Panics
/// If `patch` is not `frames * mels` long.
pub fn interpret(graph: &Graph, patch: &[f32]) -> Vec<Vec<f32>> {
    assert_eq!(patch.len(), graph.input_shape().len());
    let mut input = patch.to_vec();
    if let Some(norm) = &graph.patch_norm {
        let mels = graph.frontend.mels.into();
        norm.as_norm()
            .apply(patch, mels, |at, value| input[at] = value);
    }
    let mut tensors = vec![input];
    for op in &graph.ops {
        let (first, second) = op.kind.operands();
        let second = match second {
            Some(tensor) => (&tensors[tensor][..], graph.shape(tensor)),
            None => (&[][..], Shape::new(0, 0, 0)),
        };
        let mut output = run(op, graph.shape(first), &tensors[first], second);
        activate(op.activation, &mut output);
        tensors.push(output);
    }
    tensors
}

/// Returns what an operator with one operand, of shape `input`, makes of the values `x`.
pub(super) fn run_alone(op: &Op, input: Shape, x: &[f32]) -> Vec<f32> {
    let mut output = run(op, input, x, (&[], Shape::new(0, 0, 0)));
    activate(op.activation, &mut output);
    output
}

/// Returns the embedding of one patch: all outputs, one after the other.
pub fn embed(graph: &Graph, patch: &[f32]) -> Vec<f32> {
    let tensors = interpret(graph, patch);
    let outputs = graph.outputs.iter();
    outputs
        .flat_map(|output| &tensors[output.tensor])
        .copied()
        .collect()
}

/// Runs an operator over its input and its second operand, of which it is told the shapes.
fn run(op: &Op, input: Shape, x: &[f32], second: (&[f32], Shape)) -> Vec<f32> {
    let mut output = Vec::with_capacity(op.output.len());
    match &op.kind {
        OpKind::Convolution {
            window, channels, ..
        } => convolve(op.output, input, window, channels, x, &mut output),
        OpKind::Depthwise {
            window, channels, ..
        } => depthwise(op.output, input, window, channels, x, &mut output),
        OpKind::Linear { channels, .. } => {
            for (c, kernel) in channels.weights.chunks_exact(input.len()).enumerate() {
                output.push(channels.gain[c] * dot(kernel, x) + channels.shift[c]);
            }
        }
        OpKind::Add { .. } => combine(op.output, x, second, &mut output, |a, b| a + b),
        OpKind::Multiply { .. } => combine(op.output, x, second, &mut output, |a, b| a * b),
        OpKind::Lookup { curve, .. } => {
            output.extend(x.iter().map(|&x| curve.at(x.into()) as f32));
        }
        OpKind::Slopes { slopes, .. } => {
            let slopes = slopes.iter().cycle();
            let made = x
                .iter()
                .zip(slopes)
                .map(|(x, slope)| x.max(0.0) + slope * x.min(0.0));
            output.extend(made);
        }
        OpKind::Concatenate { .. } => {
            let behind = op.output.channels - input.channels;
            for (a, b) in x
                .chunks_exact(input.channels)
                .zip(second.0.chunks_exact(behind))
            {
                output.extend_from_slice(a);
                output.extend_from_slice(b);
            }
        }
        OpKind::Reshape { .. } => output.extend_from_slice(x),
        OpKind::Slice { first, .. } => {
            for position in x.chunks_exact(input.channels) {
                output.extend_from_slice(&position[*first..][..op.output.channels]);
            }
        }
        OpKind::MaxPool { window, .. } => pool(op.output, input, window, x, &mut output, |taps| {
            taps.fold(f32::NEG_INFINITY, f32::max)
        }),
        OpKind::AveragePool { window, .. } => {
            let area = window.area() as f32;
            pool(op.output, input, window, x, &mut output, |taps| {
                taps.sum::<f32>() / area
            });
        }
    }
    output
}

fn convolve(
    shape: Shape,
    input: Shape,
    window: &Window,
    channels: &Channels,
    x: &[f32],
    output: &mut Vec<f32>,
) {
    let row = window.area() * input.channels;
    let mut taps = vec![0.0; row];
    for position in positions(shape) {
        gather(x, input, window, position, &mut taps);
        let centre = &taps[window.area() / 2 * input.channels..][..input.channels];
        for (c, kernel) in channels.weights.chunks_exact(row).enumerate() {
            let mut sum = dot(kernel, &taps);
            if let Some(adapter) = &channels.adapter {
                sum += dot(&adapter[c * input.channels..][..input.channels], centre);
            }
            output.push(channels.gain[c] * sum + channels.shift[c]);
        }
    }
}

fn depthwise(
    shape: Shape,
    input: Shape,
    window: &Window,
    channels: &Channels,
    x: &[f32],
    output: &mut Vec<f32>,
) {
    let area = window.area();
    let mut taps = vec![0.0; area * input.channels];
    for position in positions(shape) {
        gather(x, input, window, position, &mut taps);
        for (c, kernel) in channels.weights.chunks_exact(area).enumerate() {
            let values = taps[c..].iter().step_by(input.channels);
            let sum: f32 = kernel.iter().zip(values).map(|(w, x)| w * x).sum();
            output.push(channels.gain[c] * sum + channels.shift[c]);
        }
    }
}

/// Combines two maps value by value; the second is repeated where it has a single row, column or channel.
fn combine(
    whole: Shape,
    x: &[f32],
    (second, shape): (&[f32], Shape),
    output: &mut Vec<f32>,
    by: impl Fn(f32, f32) -> f32,
) {
    let at = |index: usize, size: usize| if size == 1 { 0 } else { index };
    for (index, &a) in x.iter().enumerate() {
        let (pixel, c) = (index / whole.channels, index % whole.channels);
        let [y, x] = [pixel / whole.width, pixel % whole.width];
        let pixel = at(y, shape.height) * shape.width + at(x, shape.width);
        output.push(by(
            a,
            second[pixel * shape.channels + at(c, shape.channels)],
        ));
    }
}

fn positions(shape: Shape) -> impl Iterator<Item = [usize; 2]> {
    (0..shape.height).flat_map(move |y| (0..shape.width).map(move |x| [y, x]))
}

/// Returns the place in the map of the window's place `[dy, dx]`; `None` in the padding.
fn source(
    input: Shape,
    window: &Window,
    position: [usize; 2],
    [dy, dx]: [usize; 2],
) -> Option<usize> {
    let [down, right] = [dy * window.dilation[0], dx * window.dilation[1]];
    let y = (position[0] * window.stride[0] + down).checked_sub(window.padding.top)?;
    let x = (position[1] * window.stride[1] + right).checked_sub(window.padding.left)?;
    (y < input.height && x < input.width).then(|| (y * input.width + x) * input.channels)
}

/// Copies the values under the window, with zeros for the padding.
fn gather(x: &[f32], input: Shape, window: &Window, position: [usize; 2], taps: &mut [f32]) {
    let mut slots = taps.chunks_exact_mut(input.channels);
    for dy in 0..window.kernel[0] {
        for (dx, slot) in (0..window.kernel[1]).zip(&mut slots) {
            match source(input, window, position, [dy, dx]) {
                Some(at) => slot.copy_from_slice(&x[at..][..input.channels]),
                None => slot.fill(0.0),
            }
        }
    }
}

fn pool(
    shape: Shape,
    input: Shape,
    window: &Window,
    x: &[f32],
    output: &mut Vec<f32>,
    reduce: impl Fn(&mut dyn Iterator<Item = f32>) -> f32,
) {
    for position in positions(shape) {
        for channel in 0..input.channels {
            let places =
                (0..window.kernel[0]).flat_map(|dy| (0..window.kernel[1]).map(move |dx| [dy, dx]));
            let mut taps = places
                .filter_map(|place| source(input, window, position, place))
                .map(|at| x[at + channel]);
            output.push(reduce(&mut taps));
        }
    }
}

/// Sums products in eight partial sums, which compilers turn into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn activate(activation: Activation, values: &mut [f32]) {
    let (lo, hi) = match activation {
        Activation::Linear => return,
        Activation::Relu => (0.0, f32::INFINITY),
        Activation::Clip { lo, hi } => (lo, hi),
    };
    for value in values {
        *value = value.clamp(lo, hi);
    }
}
