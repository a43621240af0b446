//! Measures the statistics of embeddings that heads need: their mean, and how alike unrelated ones are.

use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{Metric, REFERENCE_TAILS, Reference, direction};
use mtslvr_runtime::model::Cohort;
use mtslvr_runtime::space::Parts;
use rayon::prelude::*;

/// Most clips whose pairs are compared; more would only cost time.
const COMPARED: usize = 768;

/// Statistics of one engine's embeddings over base audio.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingStatistics {
    /// Mean embedding, all parts one after the other: heads subtract it.
    pub base_mean: Vec<f32>,
    /// How alike the directions of different clips are.
    pub reference: Reference,
}

/// Explains why statistics cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// Fewer clips than a comparison needs.
    #[error("{0} clips with sound in them found, at least 2 needed to measure how alike clips are")]
    TooFewClips(usize),
    /// An engine failed.
    #[error("a clip could not be embedded: {0}")]
    Embedding(String),
}

impl EmbeddingStatistics {
    /// Returns placeholders for embeddings of `dim` values, for a model whose statistics are still to
    /// be measured.
    pub fn unmeasured(dim: usize) -> Self {
        Self {
            base_mean: vec![0.0; dim],
            reference: Reference::assumed(0.0),
        }
    }

    /// Embeds `clips` (samples at the backbone's rate) on all cores, each thread with a backbone
    /// from `backbone`, and measures.
    ///
    /// The reference holds quantiles of the similarity of pairs of clips, compared as heads do it: by
    /// the shares of the backbone's parts.
    ///
    /// # Errors
    /// [`StatisticsError`] if fewer than two clips have samples, or the engine fails on one.
    pub fn measure<B: Backbone>(
        backbone: impl Fn() -> B + Sync + Send,
        clips: &[Vec<f32>],
    ) -> Result<Self, StatisticsError> {
        let space = backbone().space().into_owned();
        let clips: Vec<&Vec<f32>> = clips.iter().collect();
        let embeddings = embed(&backbone, &clips)?;
        Self::of(&embeddings, space.as_space().parts())
    }

    /// Measures embeddings that are there already and have these `parts`.
    ///
    /// # Errors
    /// [`StatisticsError::TooFewClips`] if there are fewer than two.
    pub fn of(embeddings: &[Vec<f32>], parts: &Parts<'_>) -> Result<Self, StatisticsError> {
        if embeddings.len() < 2 {
            return Err(StatisticsError::TooFewClips(embeddings.len()));
        }
        let base_mean = mean(embeddings);
        let step = embeddings.len().div_ceil(COMPARED);
        let compared = embeddings.iter().step_by(step);
        let directions = directions(compared, &base_mean, parts);
        Ok(Self {
            base_mean,
            reference: reference(&directions, parts, None),
        })
    }
}

/// Embeds `clips` on all cores, each thread with a backbone from `backbone`; empty ones are left out.
pub(super) fn embed<B: Backbone>(
    backbone: impl Fn() -> B + Sync + Send,
    clips: &[&Vec<f32>],
) -> Result<Vec<Vec<f32>>, StatisticsError> {
    clips
        .par_iter()
        .filter(|clip| !clip.is_empty())
        .map_init(&backbone, |backbone, clip| {
            embed_clip(backbone, clip).map_err(|e| e.to_string())
        })
        .collect::<Result<Vec<Vec<f32>>, String>>()
        .map_err(StatisticsError::Embedding)
}

/// Returns the mean of `embeddings`, of which there must be one.
fn mean(embeddings: &[Vec<f32>]) -> Vec<f32> {
    (0..embeddings[0].len())
        .map(|i| {
            let sum: f64 = embeddings.iter().map(|e| f64::from(e[i])).sum();
            (sum / embeddings.len() as f64) as f32
        })
        .collect()
}

/// Returns the directions of `embeddings`; a clip exactly at the mean has none.
pub(super) fn directions<'e>(
    embeddings: impl Iterator<Item = &'e Vec<f32>>,
    base_mean: &[f32],
    parts: &Parts<'_>,
) -> Vec<Vec<i8>> {
    embeddings
        .filter_map(|embedding| {
            let mut values = vec![0; base_mean.len()];
            direction(embedding, base_mean, parts, &mut values).ok()?;
            Some(values)
        })
        .collect()
}

/// Measures how alike `directions` of unrelated clips are. With a cohort, either clip of a pair may be the
/// one that is judged.
pub(super) fn reference(
    directions: &[Vec<i8>],
    parts: &Parts<'_>,
    cohort: Option<Cohort<'_>>,
) -> Reference {
    let metric = Metric::new(parts);
    let level = |direction| cohort.map(|cohort| metric.level(&cohort, direction));
    let levels: Vec<Option<f32>> = directions.par_iter().map(|d| level(d)).collect();
    let mut similarities: Vec<f32> = directions
        .par_iter()
        .enumerate()
        .flat_map_iter(|(i, a)| {
            let others = directions.iter().enumerate().skip(i + 1);
            let levels = &levels;
            let metric = &metric;
            others.flat_map(move |(j, b)| {
                let similarity = metric.similarity(a, b);
                let judged = match (levels[i], levels[j]) {
                    (Some(one), Some(other)) => [Some(similarity - one), Some(similarity - other)],
                    _ => [Some(similarity), None],
                };
                judged.into_iter().flatten()
            })
        })
        .collect();
    similarities.sort_by(f32::total_cmp);
    let quantiles = REFERENCE_TAILS.map(|tail| {
        let at = (similarities.len() as f64 * (1.0 - f64::from(tail))) as usize;
        let quantile = similarities.get(at.min(similarities.len().saturating_sub(1)));
        quantile.copied().unwrap_or(0.0).clamp(-1.0, 1.0)
    });
    Reference::new(quantiles).expect("clamped and in the order of the tails")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::space::Part;

    #[test]
    fn similarity_is_a_high_quantile_over_pairs_of_clips() {
        // Forty directions around a circle, the same in both halves, away from the origin.
        let embeddings: Vec<Vec<f32>> = (0..40)
            .map(|i| {
                let (sin, cos) = (i as f32 * std::f32::consts::TAU / 40.0).sin_cos();
                vec![3.0 + cos, sin, 5.0 + cos, sin]
            })
            .collect();
        let part = |name, share| Part {
            name,
            len: 2,
            share,
        };
        let parts = Parts::new([part("a", 0.7), part("b", 0.3)]).unwrap();
        let statistics = EmbeddingStatistics::of(&embeddings, &parts).unwrap();
        for (mean, expected) in statistics.base_mean.iter().zip([3.0, 0.0, 5.0, 0.0]) {
            assert!((mean - expected).abs() < 1e-5);
        }
        // Five percent of the pairs are one step (9 degrees) apart.
        let expected = (9.0f32.to_radians()).cos();
        // Half of the pairs are more than a right angle apart.
        let reference = statistics.reference;
        assert!((reference.similarity_exceeded_by(0.05) - expected).abs() < 0.02);
        assert!(reference.similarity_exceeded_by(0.5).abs() < 0.1);
        assert!(EmbeddingStatistics::of(&embeddings[..1], &parts).is_err());
    }

    #[test]
    fn a_cohort_of_what_everything_is_like_lowers_every_similarity() {
        let parts = Parts::new([Part {
            name: "a",
            len: 2,
            share: 1.0,
        }]);
        let parts = parts.unwrap();
        let directions = vec![vec![127, 127]; 8];
        let plain = reference(&directions, &parts, None);
        assert!(plain.quantiles().iter().all(|q| (q - 1.0).abs() < 1e-6));
        let centres = [127, 127, 127, -127];
        let cohort = Cohort::new(&centres, 2);
        // Half of the level is that of a centre at a right angle.
        let lowered = reference(&directions, &parts, cohort);
        assert!(lowered.quantiles().iter().all(|q| (q - 0.5).abs() < 1e-6));
    }
}
