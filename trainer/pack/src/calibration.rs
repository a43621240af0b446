//! Observes the values of each tensor on real patches, and chooses the range of its int8 values.

use super::graph::Graph;
use super::interpret::interpret;
use mtslvr_runtime::nn::Quantisation;
use rayon::prelude::*;

/// Values of a tensor that are kept of each patch, evenly spread over it.
const KEPT_PER_PATCH: usize = 2_048;

/// Values of a tensor that the search for its range looks at.
const SEARCHED: usize = 32_768;

/// Shares of the observed range that are tried.
const SHRINKS: [f32; 24] = [
    1.0, 0.97, 0.94, 0.9, 0.86, 0.82, 0.78, 0.74, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.36, 0.32,
    0.28, 0.24, 0.2, 0.17, 0.14, 0.12, 0.1,
];

/// Rule by which the range of a tensor follows from its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeRule {
    /// From the least to the greatest value.
    Full,
    /// The part of that range whose quantisation makes the least squared error; values outside are
    /// clipped. On a trained `edge-s` and recordings not calibrated on, embeddings come 0.6 dB closer
    /// to the float ones than with the full range.
    #[default]
    LeastError,
}

/// Observations of every tensor.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// One entry for each tensor; tensor 0 is the patch.
    pub tensors: Vec<Observed>,
}

/// Values that a tensor held.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Least value, at most 0.
    pub lo: f32,
    /// Greatest value, at least 0.
    pub hi: f32,
    /// Mean of each channel.
    pub channel_means: Vec<f32>,
}

/// A part of one patch's observation.
struct Partial {
    lo: f32,
    hi: f32,
    sums: Vec<f64>,
    kept: Vec<f32>,
    positions: usize,
}

/// Runs the graph over `patches` in floats and observes each tensor.
///
/// # Panics
/// If there are no patches.
pub fn calibrate(graph: &Graph, patches: &[Vec<f32>], rule: RangeRule) -> Calibration {
    assert!(!patches.is_empty(), "calibration needs at least one patch");
    let partial: Vec<Vec<Partial>> = patches
        .par_iter()
        .map(|patch| {
            let tensors = interpret(graph, patch);
            let observe =
                |(index, values): (usize, &Vec<f32>)| partial(values, graph.shape(index).channels);
            tensors.iter().enumerate().map(observe).collect()
        })
        .collect();
    let tensors = (0..=graph.ops.len()).into_par_iter().map(|tensor| {
        let parts: Vec<&Partial> = partial.iter().map(|p| &p[tensor]).collect();
        observed(&parts, rule)
    });
    Calibration {
        tensors: tensors.collect(),
    }
}

impl Observed {
    /// Returns 256 steps over the range, with zero exactly on one of them.
    pub fn quantisation(&self) -> Quantisation {
        affine(self.lo, self.hi)
    }
}

/// Returns the quantisation of `lo..hi`, which holds 0; of an empty range, one with steps of any size.
pub(super) fn affine(lo: f32, hi: f32) -> Quantisation {
    let span = hi - lo;
    let scale = if span > 1e-20 {
        span / 255.0
    } else {
        1.0 / 255.0
    };
    let zero_point = (-128.0 - lo / scale).round().clamp(-128.0, 127.0) as i8;
    Quantisation { scale, zero_point }
}

fn partial(values: &[f32], channels: usize) -> Partial {
    let mut sums = vec![0.0f64; channels];
    let (mut lo, mut hi) = (0.0f32, 0.0f32);
    for position in values.chunks_exact(channels) {
        for (sum, &value) in sums.iter_mut().zip(position) {
            *sum += f64::from(value);
            lo = lo.min(value);
            hi = hi.max(value);
        }
    }
    // An odd step visits all channels, whose number is mostly even.
    let step = (values.len() / KEPT_PER_PATCH) | 1;
    Partial {
        lo,
        hi,
        sums,
        kept: values.iter().copied().step_by(step).collect(),
        positions: values.len() / channels,
    }
}

fn observed(parts: &[&Partial], rule: RangeRule) -> Observed {
    let lo = parts.iter().fold(0.0f32, |lo, p| lo.min(p.lo));
    let hi = parts.iter().fold(0.0f32, |hi, p| hi.max(p.hi));
    let positions: usize = parts.iter().map(|p| p.positions).sum();
    let channel_means = (0..parts[0].sums.len())
        .map(|c| (parts.iter().map(|p| p.sums[c]).sum::<f64>() / positions as f64) as f32)
        .collect();
    let shrink = match rule {
        RangeRule::Full => 1.0,
        RangeRule::LeastError => {
            let total: usize = parts.iter().map(|p| p.kept.len()).sum();
            let step = (total / SEARCHED).max(1);
            let kept = parts.iter().flat_map(|p| &p.kept);
            let values: Vec<f32> = kept.copied().step_by(step).collect();
            least_error(&values, <[f32]>::to_vec, lo, hi)
        }
    };
    Observed {
        lo: lo * shrink,
        hi: hi * shrink,
        channel_means,
    }
}

/// Returns the greatest magnitude of the range of `values` whose quantisation makes the least squared error
/// of what `reader` makes of them.
pub(super) fn least_error_range(values: &[f32], reader: impl Fn(&[f32]) -> Vec<f32>) -> f32 {
    let fold = |m: (f32, f32), &value: &f32| (m.0.min(value), m.1.max(value));
    let (lo, hi) = values.iter().fold((0.0, 0.0), fold);
    least_error(values, reader, lo, hi) * hi.max(-lo)
}

/// Returns the candidate share of the range with the least squared error of what `reader` makes of the
/// quantised values.
fn least_error(values: &[f32], reader: impl Fn(&[f32]) -> Vec<f32>, lo: f32, hi: f32) -> f32 {
    let exact = reader(values);
    let mut best = (f64::INFINITY, 1.0);
    for shrink in SHRINKS {
        let quantisation = affine(lo * shrink, hi * shrink);
        let rounded = |&value: &f32| quantisation.dequantise(quantisation.quantise(value));
        let rounded: Vec<f32> = values.iter().map(rounded).collect();
        let pairs = reader(&rounded).into_iter().zip(&exact);
        let error: f64 = pairs.map(|(a, b)| f64::from((a - b).powi(2))).sum();
        if error < best.0 {
            best = (error, shrink);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_outlier_is_clipped_a_common_one_not() {
        let mut values: Vec<f32> = (0..400_000).map(|i| (i % 100) as f32 / 100.0).collect();
        values.push(1.2);
        assert!(least_error(&values, <[f32]>::to_vec, 0.0, 1.2) < 0.9);
        values.extend([1.2; 400]);
        assert_eq!(least_error(&values, <[f32]>::to_vec, 0.0, 1.2), 1.0);
    }

    #[test]
    fn zero_is_exact_and_an_empty_range_has_steps() {
        for (lo, hi) in [(-0.37, 1.1), (0.0, 3.0), (-2.0, 0.0)] {
            let quantisation = affine(lo, hi);
            assert_eq!(quantisation.dequantise(quantisation.quantise(0.0)), 0.0);
            for edge in [lo, hi] {
                let error = quantisation.dequantise(quantisation.quantise(edge)) - edge;
                assert!(error.abs() <= quantisation.scale);
            }
        }
        assert!(affine(0.0, 0.0).scale > 0.0);
    }
}
