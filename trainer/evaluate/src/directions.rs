//! Turns clips into directions in int8, which the runtime's heads compare.

use super::features::ClipFeatures;
use mtslvr_runtime::fewshot::{Metric, direction};
use mtslvr_runtime::model::Cohort;
use mtslvr_runtime::space::OwnedSpace;
use std::ops::Range;

/// Directions of clips from the base mean, row after row, with the metric that compares them.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    /// Compares rows.
    pub metric: Metric,
    /// Place and share of each part.
    shares: Vec<(Range<usize>, f32)>,
    values: Vec<i8>,
    /// The space that they lie in.
    space: OwnedSpace,
}

impl Directions {
    /// Computes the directions of `features`. A clip without direction (silence that embeds as the
    /// centre itself) becomes zeros, equally unlike every class.
    pub fn of(features: &ClipFeatures) -> Self {
        let space = features.space.as_space();
        let (mean, parts) = (space.base_mean(), space.parts());
        let mut values = vec![0; features.rows.len()];
        for (clip, row) in values.chunks_mut(space.dim()).enumerate() {
            if direction(features.row(clip), mean, parts, row).is_err() {
                row.fill(0);
            }
        }
        let shares = parts.ranges().map(|(part, range)| (range, part.share));
        Self {
            metric: Metric::new(parts),
            shares: shares.collect(),
            values,
            space: features.space.clone(),
        }
    }

    /// Returns the cohort of the backbone, if it brings one along.
    pub fn cohort(&self) -> Option<Cohort<'_>> {
        self.space.as_space().cohort()
    }

    /// Returns the number of clips.
    pub fn len(&self) -> usize {
        self.values.len() / self.metric.dim()
    }

    /// Tells whether there are no clips.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the direction of clip `clip`.
    pub fn row(&self, clip: usize) -> &[i8] {
        &self.values[clip * self.metric.dim()..][..self.metric.dim()]
    }

    /// Returns the unit vector of clip `clip`: the metric is the dot product of such vectors.
    pub fn unit_vector(&self, clip: usize) -> Vec<f32> {
        let row = self.row(clip);
        let scaled = |(range, share): &(Range<usize>, f32)| -> Vec<f32> {
            let part = &row[range.clone()];
            let square: f32 = part.iter().map(|v| f32::from(*v) * f32::from(*v)).sum();
            let scale = (share / square.max(1.0)).sqrt();
            part.iter().map(|v| f32::from(*v) * scale).collect()
        };
        self.shares.iter().flat_map(scaled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_space;
    use mtslvr_runtime::fewshot::Reference;

    #[test]
    fn a_clip_without_direction_becomes_zeros() {
        let directions = Directions::of(&ClipFeatures {
            space: test_space(
                &[("a", 1, 0.5), ("b", 1, 0.5)],
                &[1.0, 2.0],
                Reference::assumed(0.5),
            ),
            rows: vec![1.0, 2.0, 3.0, 3.0],
        });
        assert_eq!(directions.row(0), [0, 0]);
        assert_eq!(directions.row(1), [127, 127]);
        assert_eq!(directions.unit_vector(0), [0.0, 0.0]);
        assert!((directions.unit_vector(1)[0] - 0.5f32.sqrt()).abs() < 1e-6);
    }
}
