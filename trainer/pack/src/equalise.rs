//! Brings the channels of a map to like sizes before it is quantised.
//!
//! A map has one scale. Where its channels differ much in size, as around depthwise convolutions, that scale
//! leaves little of the small ones. Multiplying a channel by a positive number, and dividing the weights that
//! read it, changes nothing in floats as long as only a ReLU or a pool lies between (Nagel et al. 2019,
//! "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1).
//!
//! A depthwise convolution reads its channel alone and has a scale for each, so that dividing its weights
//! costs nothing: its input's channels become equal, and each keeps the range that serves what the convolution
//! writes best. A dense one has a scale for each output; its input's channels go half the way, which leaves the product of the two errors least (Xiao et al. 2023,
//! "SmoothQuant", equation 4, with alpha of one half).

use super::calibration::least_error_range;
use super::graph::{Channels, Graph, Op, OpKind};
use super::interpret::{interpret, run_alone};
use crate::builder::Activation;
use mtslvr_runtime::nn::Shape;
use rayon::prelude::*;

/// Share of a map's greatest magnitude below which a channel counts as this large: one that was silent
/// on the observed patches must not fill the range, in which it would then be clipped.
const LEAST_SHARE: f32 = 1.0 / 64.0;

/// Patches that ranges are chosen by.
const PATCHES: usize = 48;

/// Operators that read a map, with or without a pool between, and take factors of its channels.
#[derive(Default)]
struct Readers {
    /// Depthwise convolutions.
    depthwise: Vec<usize>,
    /// Dense convolutions and linear layers.
    dense: Vec<usize>,
}

/// Levels the maps of `graph` before and behind depthwise convolutions by their sizes on `patches`. What the
/// graph computes stays the same up to the rounding of floats, and values that are better clipped.
pub(super) fn equalise(graph: &mut Graph, patches: &[Vec<f32>]) {
    let maps: Vec<(usize, Readers)> = (0..graph.ops.len())
        .filter_map(|op| Some((op, readers(graph, op)?)))
        .collect();
    if maps.is_empty() {
        return;
    }
    let step = patches.len().div_ceil(PATCHES).max(1);
    let observed: Vec<Vec<Vec<f32>>> = patches
        .par_iter()
        .step_by(step)
        .map(|patch| interpret(graph, patch))
        .collect();
    let all: Vec<Ranges> = maps
        .iter()
        .map(|(op, readers)| ranges(graph, *op, readers, &observed))
        .collect();
    for ((op, readers), ranges) in maps.into_iter().zip(&all) {
        let factors = factors(graph, &readers, ranges);
        let made = &mut graph.ops[op];
        if readers.dense.is_empty() {
            // What is beyond a channel's range is better lost than that it makes all steps coarse.
            let hi = ranges.greatest();
            let lo = match made.activation {
                Activation::Relu => 0.0,
                _ => -hi,
            };
            made.activation = Activation::Clip { lo, hi };
        }
        let channels = made.kind.channels_mut();
        scale_outputs(channels.expect("only operators with weights"), &factors);
        for &reader in &readers.depthwise {
            let channels = graph.ops[reader].kind.channels_mut();
            for (gain, factor) in channels.expect("has weights").gain.iter_mut().zip(&factors) {
                *gain /= factor;
            }
        }
        for &reader in &readers.dense {
            let channels = graph.ops[reader].kind.channels_mut();
            divide_inputs(channels.expect("has weights"), &factors);
        }
    }
}

/// Returns what reads the map that operator `op` writes, if its channels may be scaled and a depthwise
/// convolution makes or reads it.
fn readers(graph: &Graph, op: usize) -> Option<Readers> {
    let made = &graph.ops[op];
    made.kind.channels()?;
    if matches!(made.activation, Activation::Clip { .. }) {
        return None;
    }
    let mut found = Readers::default();
    collect(graph, op + 1, &mut found)?;
    let around = matches!(made.kind, OpKind::Depthwise { .. }) || !found.depthwise.is_empty();
    let read = !found.depthwise.is_empty() || !found.dense.is_empty();
    // A kernel that parts share is stored once; divided for one of them it would be another.
    let owned = |&reader: &usize| {
        let kernels = |op: usize| graph.ops[op].kind.channels().map(|c| c.weights.as_ptr());
        let sharing = (0..graph.ops.len()).filter(|&other| kernels(other) == kernels(reader));
        sharing.count() == 1
    };
    (around && read && found.dense.iter().all(owned)).then_some(found)
}

/// Adds the readers of tensor `tensor`; `None` where one does not take factors of its channels.
fn collect(graph: &Graph, tensor: usize, found: &mut Readers) -> Option<()> {
    if graph.outputs.iter().any(|output| output.tensor == tensor) {
        return None;
    }
    for (index, op) in graph.ops.iter().enumerate() {
        let (first, second) = op.kind.operands();
        if first != tensor && second != Some(tensor) {
            continue;
        }
        match op.kind {
            OpKind::Depthwise { .. } => found.depthwise.push(index),
            OpKind::Convolution { .. } | OpKind::Linear { .. } => found.dense.push(index),
            OpKind::MaxPool { .. } | OpKind::AveragePool { .. }
                if !matches!(op.activation, Activation::Clip { .. }) =>
            {
                collect(graph, index + 1, found)?;
            }
            _ => return None,
        }
    }
    Some(())
}

/// Greatest magnitude of each channel of a map that its values should keep.
struct Ranges(Vec<f32>);

impl Ranges {
    fn greatest(&self) -> f32 {
        self.0.iter().fold(0.0f32, |m, &range| m.max(range))
    }

    /// Returns each range as a share of the greatest one.
    fn shares(&self) -> Vec<f32> {
        let greatest = self.greatest();
        if greatest <= 0.0 {
            return vec![1.0; self.0.len()];
        }
        let shares = self.0.iter();
        shares
            .map(|range| (range / greatest).max(LEAST_SHARE))
            .collect()
    }
}

/// Finds the range of each channel of the map that operator `op` writes, of which `observed` has the values.
/// Where a depthwise convolution alone reads it, that is the range whose quantisation makes the least squared
/// error of what that convolution writes, had the channel a scale of its own; else of the channel itself.
fn ranges(graph: &Graph, op: usize, readers: &Readers, observed: &[Vec<Vec<f32>>]) -> Ranges {
    let map = graph.ops[op].output;
    let reader = match readers.depthwise[..] {
        [reader] if readers.dense.is_empty() => Some(&graph.ops[reader]),
        _ => None,
    };
    // With a pool between, the shapes differ.
    let reader = reader.filter(|reader| reader.kind.operands().0 == op + 1);
    let of_channel = |channel: usize| {
        let values = |tensors: &Vec<Vec<f32>>| -> Vec<f32> {
            let values = tensors[op + 1].iter();
            values
                .skip(channel)
                .step_by(map.channels)
                .copied()
                .collect()
        };
        let maps: Vec<Vec<f32>> = observed.iter().map(values).collect();
        match reader.and_then(|reader| one_channel(reader, channel)) {
            None => least_error_range(&maps.concat(), <[f32]>::to_vec),
            Some(reader) => {
                let shape = Shape::new(map.height, map.width, 1);
                least_error_range(&maps.concat(), |values| {
                    let maps = values.chunks_exact(shape.len());
                    maps.flat_map(|map| run_alone(&reader, shape, map))
                        .collect()
                })
            }
        }
    };
    let channels = (0..map.channels).into_par_iter();
    Ranges(channels.map(of_channel).collect())
}

/// Returns one channel of a depthwise convolution.
fn one_channel(op: &Op, channel: usize) -> Option<Op> {
    let OpKind::Depthwise {
        input,
        window,
        channels,
    } = &op.kind
    else {
        return None;
    };
    let area = window.area();
    let channels = Channels {
        weights: channels.weights[channel * area..][..area].into(),
        adapter: None,
        gain: vec![channels.gain[channel]],
        shift: vec![channels.shift[channel]],
    };
    Some(Op {
        kind: OpKind::Depthwise {
            input: *input,
            window: *window,
            channels,
        },
        output: Shape::new(op.output.height, op.output.width, 1),
        ..op.clone()
    })
}

/// Returns the factor of each channel of a map with these ranges.
fn factors(graph: &Graph, readers: &Readers, ranges: &Ranges) -> Vec<f32> {
    let shares = ranges.shares();
    if readers.dense.is_empty() {
        return shares.into_iter().map(f32::recip).collect();
    }
    let dense = readers.dense.iter();
    let dense = dense.filter_map(|&reader| graph.ops[reader].kind.channels());
    let mut weights = vec![0.0f32; shares.len()];
    for row in dense.flat_map(rows) {
        // As a share of the row's greatest weight, of which its scale is made.
        let all = row.iter().flat_map(|table| table.iter());
        let most = all.fold(0.0f32, |m, w| m.max(w.abs()));
        if most <= 0.0 {
            continue;
        }
        for position in row
            .iter()
            .flat_map(|table| table.chunks_exact(shares.len()))
        {
            for (weight, value) in weights.iter_mut().zip(position) {
                *weight = weight.max(value.abs() / most);
            }
        }
    }
    let both = shares.iter().zip(&weights);
    both.map(|(share, weight)| (weight.max(LEAST_SHARE) / share).sqrt())
        .collect()
}

/// Returns each output channel's kernel and, where there is one, adapter.
fn rows(channels: &Channels) -> impl Iterator<Item = Vec<&[f32]>> {
    let outputs = channels.gain.len();
    (0..outputs).map(move |c| {
        let tables = std::iter::once(&channels.weights).chain(&channels.adapter);
        tables
            .map(|table| {
                let width = table.len() / outputs;
                &table[c * width..][..width]
            })
            .collect()
    })
}

/// Multiplies the output channels.
fn scale_outputs(channels: &mut Channels, factors: &[f32]) {
    let rules = channels.gain.iter_mut().zip(&mut channels.shift);
    for ((gain, shift), factor) in rules.zip(factors) {
        *gain *= factor;
        *shift *= factor;
    }
}

/// Divides the weights by the factors of the channels that they meet.
fn divide_inputs(channels: &mut Channels, factors: &[f32]) {
    for table in std::iter::once(&mut channels.weights).chain(&mut channels.adapter) {
        let weights = table.iter().zip(factors.iter().cycle());
        *table = weights.map(|(weight, factor)| weight / factor).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Output;
    use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
    use mtslvr_runtime::nn::Window;

    const CHANNELS: usize = 4;

    fn channels(weights: Vec<f32>, outputs: usize) -> Channels {
        Channels {
            weights: weights.into(),
            adapter: None,
            gain: vec![1.0; outputs],
            shift: vec![0.125; outputs],
        }
    }

    fn op(kind: OpKind, activation: Activation, output: Shape) -> Op {
        Op {
            name: String::new(),
            kind,
            activation,
            output,
        }
    }

    /// A dense convolution whose channels differ a thousandfold, a depthwise one, a pool and a linear layer.
    fn network(activation: Activation) -> Graph {
        let frontend = FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: 8,
            frames: 8,
            f_min: 60.0,
            f_max: 7_800.0,
            floor: 1e-6,
            mean: -6.0,
            scale: 0.3,
            form: FrontendForm::PLAIN,
        };
        let map = Shape::new(8, 8, CHANNELS);
        let weights = |len: usize| -> Vec<f32> {
            (0..len)
                .map(|i| ((i * 37 % 19) as f32 - 8.0) / 9.0)
                .collect()
        };
        let mut first = channels(weights(9 * CHANNELS), CHANNELS);
        first.gain = vec![1.0, 0.1, 0.01, 0.001];
        let window = Window::square(3, 1, 1);
        let ops = vec![
            op(
                OpKind::Convolution {
                    input: 0,
                    window,
                    channels: first,
                },
                activation,
                map,
            ),
            op(
                OpKind::Depthwise {
                    input: 1,
                    window,
                    channels: channels(weights(9 * CHANNELS), CHANNELS),
                },
                activation,
                map,
            ),
            op(
                OpKind::MaxPool {
                    input: 2,
                    window: Window::square(2, 2, 0),
                },
                Activation::Linear,
                Shape::new(4, 4, CHANNELS),
            ),
            op(
                OpKind::Linear {
                    input: 3,
                    channels: channels(weights(3 * 16 * CHANNELS), 3),
                },
                Activation::Linear,
                Shape::new(1, 1, 3),
            ),
        ];
        Graph {
            frontend,
            patch_norm: None,
            provenance: None,
            ops,
            outputs: vec![Output {
                name: "embedding".to_owned(),
                tensor: 4,
                share: 1.0,
            }],
        }
    }

    fn patches() -> Vec<Vec<f32>> {
        let patch = |seed: usize| {
            let value = |i: usize| (((i * 7 + seed) * 2_654_435_761) % 1_000) as f32 / 500.0 - 1.0;
            (0..64).map(value).collect()
        };
        (0..4).map(patch).collect()
    }

    #[test]
    fn what_the_graph_computes_stays_and_its_maps_become_level() {
        let patches = patches();
        let before = network(Activation::Relu);
        let mut after = before.clone();
        equalise(&mut after, &patches);
        for patch in &patches {
            let (a, b) = (interpret(&before, patch), interpret(&after, patch));
            for (a, b) in a[4].iter().zip(&b[4]) {
                assert!((a - b).abs() < 1e-2 * b.abs().max(1.0), "{a} {b}");
            }
        }
        let spread = |graph: &Graph, op: usize| {
            let mut greatest = [0.0f32; CHANNELS];
            for patch in &patches {
                for position in interpret(graph, patch)[op + 1].chunks_exact(CHANNELS) {
                    for (greatest, value) in greatest.iter_mut().zip(position) {
                        *greatest = greatest.max(*value);
                    }
                }
            }
            let least = greatest.iter().copied().reduce(f32::min).unwrap();
            greatest.iter().copied().reduce(f32::max).unwrap() / least
        };
        assert!(spread(&before, 0) > 5.0);
        assert!(spread(&after, 0) < 1.001, "{}", spread(&after, 0));
        assert!(spread(&after, 1) < spread(&before, 1));
    }

    #[test]
    fn a_map_that_is_clipped_added_or_an_output_stays() {
        let patches = patches();
        let clip = Activation::Clip { lo: 0.0, hi: 6.0 };
        let mut clipped = network(clip);
        let mut output = network(Activation::Relu);
        output.outputs[0].tensor = 1;
        output.ops.truncate(1);
        let mut added = network(Activation::Relu);
        added.ops.truncate(2);
        let sum = OpKind::Add { a: 1, b: 2 };
        added
            .ops
            .push(op(sum, Activation::Linear, Shape::new(8, 8, CHANNELS)));
        added.outputs[0].tensor = 3;
        for graph in [&mut clipped, &mut output, &mut added] {
            let before = graph.clone();
            equalise(graph, &patches);
            for (before, after) in before.ops.iter().zip(&graph.ops) {
                assert_eq!(before.kind, after.kind);
            }
        }
    }
}
