//! Weights that recordings and groups are drawn by.

use crate::train::config::PairsConfig;
use mtslvr_audio::{Member, Recordings};
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
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let sums = weights.map(|weight| {
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

/// Returns the weight of each group, see [`PairsConfig`].
pub(super) fn group_weights(
    recordings: &Recordings,
    config: PairsConfig,
) -> impl Iterator<Item = f64> {
    let groups = recordings.groups.iter();
    let by_size = move |members: &[Member]| (members.len() as f64).powf(config.size_power);
    let mut kinds: BTreeMap<&str, f64> = BTreeMap::new();
    for group in groups.clone() {
        *kinds.entry(&group.kind).or_default() += by_size(&group.members);
    }
    groups.map(move |group| {
        by_size(&group.members) * kinds[&group.kind[..]].powf(config.kind_power - 1.0)
    })
}
