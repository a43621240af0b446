//! Clips as the runtime's heads see them: directions in int8.

use super::features::ClipFeatures;
use mtslvr_runtime::fewshot::{Metric, direction};

/// Directions of clips from the base mean, row after row, and how they are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    /// Compares rows.
    pub metric: Metric,
    values: Vec<i8>,
}

impl Directions {
    /// Of `features`. A clip without direction (silence that embeds as the centre itself) becomes
    /// zeros: as unlike every class as any other.
    pub fn of(features: &ClipFeatures) -> Self {
        let mut values = vec![0; features.rows.len()];
        let rows = values.chunks_mut(features.dim.max(1));
        for (clip, row) in rows.enumerate() {
            let embedding = features.row(clip);
            if direction(embedding, &features.centre, features.first_half, row).is_err() {
                row.fill(0);
            }
        }
        Self {
            metric: Metric::weighted(
                features.dim,
                features.first_half,
                features.reference.invariant_share(),
            ),
            values,
        }
    }

    /// Number of clips.
    pub fn len(&self) -> usize {
        self.values.len() / self.metric.dim().max(1)
    }

    /// Whether there are no clips.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The direction of clip `clip`.
    pub fn row(&self, clip: usize) -> &[i8] {
        &self.values[clip * self.metric.dim()..][..self.metric.dim()]
    }

    /// The unit vector of clip `clip`: the metric is the dot product of such vectors.
    pub fn unit_vector(&self, clip: usize) -> Vec<f32> {
        let (invariant, equivariant) = self.row(clip).split_at(self.metric.invariant_dim());
        let [invariant_share, equivariant_share] = self.metric.shares();
        let scaled = |part: &[i8], share: f32| -> Vec<f32> {
            let square: f32 = part.iter().map(|v| f32::from(*v) * f32::from(*v)).sum();
            let scale = (share / square.max(1.0)).sqrt();
            part.iter().map(|v| f32::from(*v) * scale).collect()
        };
        [
            scaled(invariant, invariant_share),
            scaled(equivariant, equivariant_share),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::fewshot::Reference;

    #[test]
    fn a_clip_without_direction_becomes_zeros() {
        let directions = Directions::of(&ClipFeatures {
            dim: 2,
            first_half: 1,
            reference: Reference::assumed(0.5),
            centre: vec![1.0, 2.0],
            rows: vec![1.0, 2.0, 3.0, 3.0],
        });
        assert_eq!(directions.row(0), [0, 0]);
        assert_eq!(directions.row(1), [127, 127]);
        assert_eq!(directions.unit_vector(0), [0.0, 0.0]);
        assert!((directions.unit_vector(1)[0] - 0.5f32.sqrt()).abs() < 1e-6);
    }
}
