//! Weights that recordings and groups are drawn by.

use crate::train::config::{DataConfig, PairsConfig};
use mtslvr_audio::{Group, Recordings};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Weights to draw by.
#[derive(Clone, Debug)]
pub(super) struct Cumulative {
    /// Running sum.
    sums: Vec<f64>,
}

impl Cumulative {
    /// Weighs each index.
    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let sums = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self {
            sums: sums.collect(),
        }
    }

    /// Whether there is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.sums.last().is_none_or(|&sum| sum == 0.0)
    }

    /// Draws an index, as often as its weight says.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> usize {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let drawn = rng.random::<f64>() * total;
        let index = self.sums.partition_point(|&sum| sum <= drawn);
        index.min(self.sums.len() - 1)
    }
}

/// Returns the weight of each recording: the root of its length, so that a few long ones do not drown the
/// rest, balanced over kinds by [`DataConfig::kind_power`].
pub(super) fn recording_weights(recordings: &Recordings, config: DataConfig) -> Vec<f64> {
    let by_length = recordings
        .clips
        .iter()
        .map(|clip| (clip.len() as f64).sqrt());
    let kind = |index: usize| recordings.kinds.get(index).map_or("", String::as_str);
    balanced(by_length.collect(), kind, config.kind_power)
}

/// Returns the weight of each group, see [`PairsConfig`].
pub(super) fn group_weights(recordings: &Recordings, config: PairsConfig) -> Vec<f64> {
    let groups = &recordings.groups;
    let by_size = |group: &Group| (group.members.len() as f64).powf(config.size_power);
    let weights = groups.iter().map(by_size);
    balanced(
        weights.collect(),
        |index| &groups[index].kind,
        config.kind_power,
    )
}

/// Scales weights so that the sum of each kind's is what it was to the power `power`.
fn balanced<'k>(mut weights: Vec<f64>, kind: impl Fn(usize) -> &'k str, power: f64) -> Vec<f64> {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (index, weight) in weights.iter().enumerate() {
        *sums.entry(kind(index)).or_default() += weight;
    }
    for (index, weight) in weights.iter_mut().enumerate() {
        let sum = sums[kind(index)];
        if sum > 0.0 {
            *weight *= sum.powf(power - 1.0);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_balanced_as_far_as_the_power_says() {
        let kinds = ["word", "word", "word", "drum"];
        let weights = |power| balanced(vec![2.0, 1.0, 1.0, 1.0], |index| kinds[index], power);
        assert_eq!(weights(1.0), [2.0, 1.0, 1.0, 1.0]);
        assert_eq!(weights(0.0), [0.5, 0.25, 0.25, 1.0]);
        assert_eq!(weights(0.5), [1.0, 0.5, 0.5, 1.0]);
        assert_eq!(balanced(vec![0.0], |_| "", 0.0), [0.0]);
    }
}
