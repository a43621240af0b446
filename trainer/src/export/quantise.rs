//! Post-training quantisation: a float [`Graph`] and its [`Calibration`] to the packed model's
//! description.
//!
//! Weights are symmetric with one scale for each output channel, shared by the kernel and the
//! adapters of both paths: `max(|kernel|, |adapters|) / 127`. Activations are asymmetric with one
//! scale and zero point for each tensor and path. Batch norm stays a gain and a shift of each
//! channel and path, so that it never touches the shared weights. The rounding of weights moves
//! each channel's mean by `gain * sum((w - w_rounded) * mean(x))`; the shift takes that back
//! (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
//! section 4.2, with means measured rather than derived).

use super::calibration::{Calibration, affine};
use super::graph::{Channels, Graph, OpKind};
use super::statistics::EmbeddingStatistics;
use mtslvr_runtime::model::builder::{ChannelRules, ModelSpec, OpKindSpec, OpSpec, TensorSpec};
use mtslvr_runtime::nn::Quantisation;
use std::sync::Arc;

/// Greatest ratio of a step of the accumulator to a step of the output. Beyond it one step of the
/// accumulator saturates anyway, and the engine's multipliers end at 2^14.
const GREATEST_FACTOR: f32 = 1_024.0;

/// Greatest sum of the ratios of two addends' steps to the step of their sum; the engine's limit is 8.
const GREATEST_ADDENDS: f32 = 7.9;

/// What is not in the graph itself.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'l> {
    /// What the model is called.
    pub name: &'l str,
    /// Where it comes from.
    pub provenance: &'l str,
}

/// Describes the quantised backbone.
pub fn quantise(
    graph: &Graph,
    calibration: &Calibration,
    statistics: &EmbeddingStatistics,
    labels: Labels<'_>,
) -> ModelSpec {
    let paths = 0..graph.paths;
    let observed = |path: usize, tensor: usize| &calibration.tensors[path][tensor];
    let input: Vec<Quantisation> = paths
        .clone()
        .map(|path| observed(path, 0).quantisation())
        .collect();
    let mut quantisations = vec![input.clone()];
    let mut ops = Vec::with_capacity(graph.ops.len());
    for (index, op) in graph.ops.iter().enumerate() {
        let own = |path: usize| observed(path, index + 1).quantisation();
        let (first, second) = op.kind.operands();
        let from = &quantisations[first];
        let (kind, output) = match &op.kind {
            OpKind::Convolution {
                input,
                window,
                paths: channels,
            } => {
                let means =
                    |path: usize| tile(&observed(path, *input).channel_means, window.area());
                let (rules, output) = rules(channels, from, means, own);
                let kind = OpKindSpec::Convolution {
                    input: *input,
                    window: *window,
                    paths: rules,
                };
                (kind, output)
            }
            OpKind::Linear {
                input,
                paths: channels,
            } => {
                let shape = graph.shape(*input);
                let means = |path: usize| {
                    tile(
                        &observed(path, *input).channel_means,
                        shape.height * shape.width,
                    )
                };
                let (rules, output) = rules(channels, from, means, own);
                let kind = OpKindSpec::Linear {
                    input: *input,
                    paths: rules,
                };
                (kind, output)
            }
            OpKind::Add { a, b } => {
                let others = &quantisations[second.unwrap_or(first)];
                let output = paths
                    .clone()
                    .map(|path| {
                        let sum = from[path].scale + others[path].scale;
                        at_least(own(path), sum / GREATEST_ADDENDS)
                    })
                    .collect();
                let kind = OpKindSpec::Add { a: *a, b: *b };
                (kind, output)
            }
            OpKind::MaxPool { input, window } => {
                let kind = OpKindSpec::MaxPool {
                    input: *input,
                    window: *window,
                };
                (kind, from.clone())
            }
            OpKind::AveragePool { input, window } => {
                let area = window.area() as f32;
                let least = |path: usize| from[path].scale / area / GREATEST_FACTOR;
                let output = paths
                    .clone()
                    .map(|path| at_least(own(path), least(path)))
                    .collect();
                let kind = OpKindSpec::AveragePool {
                    input: *input,
                    window: *window,
                };
                (kind, output)
            }
        };
        quantisations.push(Vec::clone(&output));
        ops.push(OpSpec {
            kind,
            activation: op.activation,
            output: TensorSpec {
                shape: op.output,
                quantisation: output,
            },
        });
    }
    ModelSpec {
        name: labels.name.to_owned(),
        provenance: labels.provenance.to_owned(),
        frontend: graph.frontend,
        input,
        ops,
        base_mean: statistics.base_mean.clone(),
        rejection_similarity: statistics.reference.quantiles()[3],
        invariant_share: super::part_shares(graph.paths)[0],
        reference: Some(statistics.reference),
        share_prefix: true,
    }
}

/// The mean input under each weight of a kernel with `positions` places.
fn tile(channel_means: &[f32], positions: usize) -> Vec<f32> {
    channel_means.repeat(positions)
}

/// The same zero in the range, with steps not smaller than `least`.
fn at_least(quantisation: Quantisation, least: f32) -> Quantisation {
    if quantisation.scale >= least {
        return quantisation;
    }
    let zero = f32::from(quantisation.zero_point) + 128.0;
    affine(-zero * least, (255.0 - zero) * least)
}

/// Quantises the weights of an operator and settles its output's steps.
fn rules(
    channels: &[Channels],
    from: &[Quantisation],
    means: impl Fn(usize) -> Vec<f32>,
    own: impl Fn(usize) -> Quantisation,
) -> (Vec<ChannelRules>, Vec<Quantisation>) {
    let shared = channels
        .iter()
        .all(|c| Arc::ptr_eq(&c.weights, &channels[0].weights));
    let outputs = channels[0].gain.len();
    let mut rules = Vec::new();
    let mut output = Vec::new();
    for (path, own_channels) in channels.iter().enumerate() {
        // One kernel for both paths has one scale, which all that is added to it must share.
        let scaled_together = if shared {
            channels
        } else {
            &channels[path..=path]
        };
        let scale: Vec<f32> = (0..outputs)
            .map(|c| channel_scale(scaled_together, c, outputs))
            .collect();
        let means = means(path);
        let weights = round(&own_channels.weights, &scale);
        let adapter = own_channels.adapter.as_ref().map(|a| round(a, &scale));
        let mut shift = own_channels.shift.clone();
        for (c, shift) in shift.iter_mut().enumerate() {
            let mut lost = lost(&own_channels.weights, &weights, &scale, &means, c);
            if let (Some(real), Some(rounded)) = (&own_channels.adapter, &adapter) {
                lost += self::lost(real, rounded, &scale, &means, c);
            }
            *shift += own_channels.gain[c] * lost;
        }
        let factor = own_channels
            .gain
            .iter()
            .zip(&scale)
            .fold(0.0f32, |m, (gain, scale)| m.max((gain * scale).abs()));
        output.push(at_least(
            own(path),
            factor * from[path].scale / GREATEST_FACTOR,
        ));
        rules.push(ChannelRules {
            weights,
            adapter,
            scale,
            gain: own_channels.gain.clone(),
            shift,
        });
    }
    (rules, output)
}

/// The step of channel `c`: the greatest weight is 127 of them. Any step does for a channel of zeros.
fn channel_scale(channels: &[Channels], c: usize, outputs: usize) -> f32 {
    let row = |values: &Arc<[f32]>| {
        let width = values.len() / outputs;
        let row = &values[c * width..][..width];
        row.iter().fold(0.0f32, |m, w| m.max(w.abs()))
    };
    let greatest = channels
        .iter()
        .flat_map(|c| std::iter::once(&c.weights).chain(&c.adapter))
        .map(row)
        .fold(0.0f32, f32::max);
    if greatest > 1e-30 {
        greatest / 127.0
    } else {
        1.0
    }
}

fn round(values: &[f32], scale: &[f32]) -> Vec<i8> {
    let width = values.len() / scale.len();
    values
        .chunks_exact(width)
        .zip(scale)
        .flat_map(|(row, scale)| row.iter().map(move |w| (w / scale).round() as i8))
        .collect()
}

/// `sum((w - w_rounded) * mean(x))` of channel `c`; an adapter sees the means of one place.
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
