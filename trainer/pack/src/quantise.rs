//! Quantises after training: makes the packed model's description of a float [`Graph`] and its
//! [`Calibration`].
//!
//! Weights are symmetric with one scale for each output channel, shared by a kernel and all adapters
//! beside it: `max(|kernel|, |adapters|) / 127`. Operators with the same kernels so have the same int8
//! kernels, which are stored once. Activations are asymmetric with one scale and zero point for each
//! tensor. Batch norm stays a gain and a shift of each channel, so that it never touches shared weights.
//! The rounding of weights moves each channel's mean by `gain * sum((w - w_rounded) * mean(x))`; the
//! shift takes that back (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and
//! Bias Correction", section 4.2, with means measured rather than derived).

use super::calibration::{Calibration, affine};
use super::graph::{Channels, Graph, Op, OpKind};
use super::statistics::EmbeddingStatistics;
use crate::builder::{ChannelRules, ModelSpec, OpSpec, PartSpec, TensorSpec};
use mtslvr_runtime::nn::Quantisation;
use std::collections::HashMap;
use std::sync::Arc;

/// Greatest ratio of a step of the accumulator to a step of the output. Beyond it one step of the
/// accumulator saturates anyway, and the engine's multipliers end at 2^14.
const GREATEST_FACTOR: f32 = 1_024.0;

/// Greatest sum of the ratios of two addends' steps to the step of their sum; the engine's limit is 8.
const GREATEST_ADDENDS: f32 = 7.9;

/// Names a packed model, which the graph itself does not.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'l> {
    /// Name of the model.
    pub name: &'l str,
    /// Origin of the weights.
    pub provenance: &'l str,
}

/// Describes the quantised backbone: `graph` with the ranges that `calibration` observed, named by
/// `labels`, with the `statistics` that heads need.
pub fn quantise(
    graph: &Graph,
    calibration: &Calibration,
    statistics: &EmbeddingStatistics,
    labels: Labels<'_>,
) -> ModelSpec {
    let scales = Scales::of(graph);
    let input = calibration.tensors[0].quantisation();
    // In the order in which the operators run: each sees the quantisations of all tensors before it.
    let mut quantisations = vec![input];
    let mut ops = Vec::with_capacity(graph.ops.len());
    for (index, op) in graph.ops.iter().enumerate() {
        let positions = positions(graph, op);
        let rules = op.kind.channels().map(|channels| {
            let (first, _) = op.kind.operands();
            let means = &calibration.tensors[first].channel_means;
            let means = match op.kind {
                // A kernel sees one channel.
                OpKind::Depthwise { .. } => Means::OfRow(means, positions),
                _ => Means::OfWeight(means.repeat(positions)),
            };
            rules(channels, scales.of_channels(channels), &means)
        });
        let observed = calibration.tensors[index + 1].quantisation();
        let quantisation = of_output(op, observed, &quantisations, rules.as_ref(), positions);
        quantisations.push(quantisation);
        ops.push(OpSpec {
            kind: op
                .kind
                .map_channels(|_| rules.expect("made for every operator with weights")),
            activation: op.activation,
            output: TensorSpec {
                shape: op.output,
                quantisation,
            },
        });
    }
    let parts = graph.outputs.iter().map(|output| PartSpec {
        name: output.name.clone(),
        tensor: output.tensor,
        share: output.share,
    });
    ModelSpec {
        name: labels.name.to_owned(),
        provenance: labels.provenance.to_owned(),
        frontend: graph.frontend,
        patch_norm: graph.patch_norm.clone(),
        input,
        ops,
        parts: parts.collect(),
        base_mean: statistics.base_mean.clone(),
        reference: Some(statistics.reference),
        cohort: Vec::new(),
        cohort_weights: Vec::new(),
        version_counter: None,
    }
}

/// Returns the number of places under a kernel of `op`, each of which sees the means of the input's
/// channels.
fn positions(graph: &Graph, op: &Op) -> usize {
    match &op.kind {
        OpKind::Linear { .. } => {
            let shape = graph.shape(op.kind.operands().0);
            shape.height * shape.width
        }
        kind => kind.window().area(),
    }
}

/// Chooses how the output of `op` is quantised: as `observed`, but with steps coarse enough for the
/// engine's multipliers. `quantisations` are those of the tensors before it.
fn of_output(
    op: &Op,
    observed: Quantisation,
    quantisations: &[Quantisation],
    rules: Option<&ChannelRules>,
    positions: usize,
) -> Quantisation {
    let (first, second) = op.kind.operands();
    let from = quantisations[first];
    match &op.kind {
        OpKind::Convolution { .. } | OpKind::Depthwise { .. } | OpKind::Linear { .. } => {
            let factor = rules.map_or(0.0, greatest_factor);
            at_least(observed, factor * from.scale / GREATEST_FACTOR)
        }
        OpKind::Multiply { .. } => {
            let other = quantisations[second.unwrap_or(first)];
            at_least(observed, from.scale * other.scale / GREATEST_FACTOR)
        }
        OpKind::Slopes { slopes, .. } => {
            let steepest = slopes.iter().fold(1.0f32, |m, slope| m.max(slope.abs()));
            at_least(observed, from.scale * steepest / GREATEST_FACTOR)
        }
        OpKind::Lookup { .. } => observed,
        OpKind::Add { .. } | OpKind::Concatenate { .. } => {
            let other = quantisations[second.unwrap_or(first)];
            at_least(observed, (from.scale + other.scale) / GREATEST_ADDENDS)
        }
        // The input's own int8 values.
        OpKind::MaxPool { .. } | OpKind::Slice { .. } | OpKind::Reshape { .. } => from,
        OpKind::AveragePool { .. } => {
            at_least(observed, from.scale / positions as f32 / GREATEST_FACTOR)
        }
    }
}

/// Keeps the place of zero in the range, and makes the steps at least `least`.
fn at_least(quantisation: Quantisation, least: f32) -> Quantisation {
    if quantisation.scale >= least {
        return quantisation;
    }
    let zero = f32::from(quantisation.zero_point) + 128.0;
    affine(-zero * least, (255.0 - zero) * least)
}

/// The steps of all kernels: real values of one step of each output channel.
struct Scales {
    steps: HashMap<KernelId, Vec<f32>>,
}

/// Tells kernels apart: where they lie, and how many output channels share them.
type KernelId = (*const f32, usize);

impl Scales {
    /// Finds the steps. One kernel has one scale, which everything that is added to it must share.
    fn of(graph: &Graph) -> Self {
        let mut steps: HashMap<KernelId, Vec<f32>> = HashMap::new();
        for channels in graph.ops.iter().filter_map(|op| op.kind.channels()) {
            let outputs = channels.gain.len();
            let greatest = steps.entry(kernel_id(channels));
            let greatest = greatest.or_insert_with(|| vec![0.0; outputs]);
            for (c, greatest) in greatest.iter_mut().enumerate() {
                let tables = std::iter::once(&channels.weights).chain(&channels.adapter);
                *greatest = tables
                    .map(|t| greatest_of(t, c, outputs))
                    .fold(*greatest, f32::max);
            }
        }
        // The greatest weight is 127 steps. Any step does for a channel of zeros.
        for greatest in steps.values_mut().flatten() {
            *greatest = if *greatest > 1e-30 {
                *greatest / 127.0
            } else {
                1.0
            };
        }
        Self { steps }
    }

    fn of_channels(&self, channels: &Channels) -> &[f32] {
        &self.steps[&kernel_id(channels)]
    }
}

fn kernel_id(channels: &Channels) -> KernelId {
    (channels.weights.as_ptr(), channels.gain.len())
}

/// Returns the greatest magnitude in row `c` of `rows`.
fn greatest_of(values: &Arc<[f32]>, c: usize, rows: usize) -> f32 {
    let width = values.len() / rows;
    let row = &values[c * width..][..width];
    row.iter().fold(0.0f32, |m, w| m.max(w.abs()))
}

/// Quantises the weights of an operator, whose inputs have these `means` under each weight.
fn rules(channels: &Channels, scale: &[f32], means: &Means<'_>) -> ChannelRules {
    let weights = round(&channels.weights, scale);
    let adapter = channels.adapter.as_ref().map(|a| round(a, scale));
    let mut shift = channels.shift.clone();
    for (c, shift) in shift.iter_mut().enumerate() {
        let means = &means.of(c)[..];
        let mut lost = lost(&channels.weights, &weights, scale, means, c);
        if let (Some(real), Some(rounded)) = (&channels.adapter, &adapter) {
            lost += self::lost(real, rounded, scale, means, c);
        }
        *shift += channels.gain[c] * lost;
    }
    ChannelRules {
        weights,
        adapter,
        scale: scale.to_vec(),
        gain: channels.gain.clone(),
        shift,
    }
}

/// Returns the greatest real value of a step of the weights times its channel's gain.
fn greatest_factor(rules: &ChannelRules) -> f32 {
    let factors = rules.gain.iter().zip(&rules.scale);
    factors.fold(0.0f32, |m, (gain, scale)| m.max((gain * scale).abs()))
}

fn round(values: &[f32], scale: &[f32]) -> Vec<i8> {
    let width = values.len() / scale.len();
    values
        .chunks_exact(width)
        .zip(scale)
        .flat_map(|(row, scale)| row.iter().map(move |w| (w / scale).round() as i8))
        .collect()
}

/// Means of the inputs that weights meet.
enum Means<'m> {
    /// A mean for each weight of a row, the same for all rows.
    OfWeight(Vec<f32>),
    /// A mean for each row of so many weights.
    OfRow(&'m [f32], usize),
}

impl Means<'_> {
    /// Returns the means that the weights of channel `c` meet.
    fn of(&self, c: usize) -> Vec<f32> {
        match self {
            Self::OfWeight(means) => means.clone(),
            Self::OfRow(means, len) => vec![means[c]; *len],
        }
    }
}

/// Returns `sum((w - w_rounded) * mean(x))` of channel `c`. An adapter sees the means of one place.
fn lost(real: &[f32], rounded: &[i8], scale: &[f32], means: &[f32], c: usize) -> f32 {
    let width = real.len() / scale.len();
    let row = c * width..(c + 1) * width;
    real[row.clone()]
        .iter()
        .zip(&rounded[row])
        .zip(means)
        .map(|((w, &q), mean)| (w - f32::from(q) * scale[c]) * mean)
        .sum()
}
