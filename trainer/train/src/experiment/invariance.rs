//! Invariance of features to each augmentation, and how well they tell it.
//!
//! Both figures compare across models and across features of any length, which a distance in a
//! space of some dimension does not: cosines of centred features, set against the cosine of
//! unrelated clips, and the area under the ROC curve of a linear probe.

use crate::augment::{AugmentConfig, Augmenter, Operator};
use anyhow::{Result, anyhow, ensure};
use mtslvr_evaluate::{ClipFeatures, Directions, FeatureChoice, embed_clips};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{self, HeadKind};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Penalty of the probe: a ridge on directions of unit length.
const PROBE: HeadKind = HeadKind::Ridge { lambda: 1.0 };

/// Effect of one operator on one kind of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorEffect {
    /// [`Operator::name`].
    pub operator: String,
    /// Which part of the embedding.
    pub features: FeatureChoice,
    /// Clips that the operator changed.
    pub clips: usize,
    /// Mean cosine of a clip and its augmented self.
    pub cosine: f64,
    /// Mean cosine of two different clips.
    pub random: f64,
    /// Invariance by the two cosines: 1 where the operator changes nothing, 0 where a clip and its augmented
    /// self are as unlike as two clips. `None` where different clips are alike but for rounding.
    pub invariance: Option<f64>,
    /// Area under the ROC curve of a linear probe that tells augmented clips from clean ones, on
    /// clips that it was not fitted to: 0.5 is chance, 1 is perfect.
    pub auc: f64,
}

/// Measures every operator of `augment` on `clips` (each at least a few and at most one patch long),
/// in each kind of features that the backbone has. Views are drawn from `seed`.
///
/// # Errors
/// If there are fewer than eight clips, or an engine fails.
pub fn operator_effects<B>(
    engines: &mut [B],
    clips: &[Vec<f32>],
    augment: &AugmentConfig,
    seed: u64,
) -> Result<Vec<OperatorEffect>>
where
    B: Backbone + Send,
    B::Error: Send,
{
    ensure!(
        clips.len() >= 8,
        "{} clips are too few to measure invariance on; at least 8 are needed",
        clips.len()
    );
    let space = engines[0].space();
    let rate = space.frontend().sample_rate;
    let choices: Vec<FeatureChoice> = match space.parts().as_slice() {
        [_] => vec![FeatureChoice::ALL],
        parts => parts
            .iter()
            .map(|part| FeatureChoice::part(part.name))
            .collect(),
    };
    let augmenter = Augmenter::new(augment.clone(), rate)?;
    let clean = embed(engines, clips)?;
    let mut effects = Vec::new();
    for operator in Operator::ALL {
        if !augment.enabled(operator) {
            continue;
        }
        let views: Vec<Option<Vec<f32>>> = clips
            .par_iter()
            .enumerate()
            .map_init(
                || augmenter.clone(),
                |augmenter, (index, clip)| {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    rng.set_stream((operator.index() * clips.len() + index) as u64);
                    let view = augmenter.apply(clip, &[operator], &mut rng);
                    view.labels[operator.index()].then_some(view.samples)
                },
            )
            .collect();
        // A clip that the operator found nothing to change in says nothing of it.
        let changed: Vec<usize> = (0..clips.len()).filter(|&i| views[i].is_some()).collect();
        if changed.len() < 8 {
            continue;
        }
        let views: Vec<Vec<f32>> = views.into_iter().flatten().collect();
        let augmented = embed(engines, &views)?;
        for choice in &choices {
            let chosen = |all: &ClipFeatures| {
                let chosen = all.clone().choose(choice);
                chosen.expect("the backbone has this part")
            };
            let mut features = chosen(&clean);
            features.rows.extend(chosen(&augmented).rows);
            let views = Views {
                directions: Directions::of(&features),
                changed: &changed,
                clips: clips.len(),
            };
            effects.push(views.effect(operator, choice.clone())?);
        }
    }
    Ok(effects)
}

fn embed<B>(engines: &mut [B], clips: &[Vec<f32>]) -> Result<ClipFeatures>
where
    B: Backbone + Send,
    B::Error: Send,
{
    embed_clips(engines, clips, || ())
        .map_err(|(_, error)| anyhow!("a clip cannot be embedded: {error}"))
}

/// Clean clips and views of some of them.
struct Views<'v> {
    /// Features of all clean clips, then of the views.
    directions: Directions,
    /// The numbers of the clips that the views are of.
    changed: &'v [usize],
    /// Number of clean clips.
    clips: usize,
}

impl Views<'_> {
    fn similarity(&self, a: usize, b: usize) -> f64 {
        let directions = &self.directions;
        f64::from(
            directions
                .metric
                .similarity(directions.row(a), directions.row(b)),
        )
    }

    /// Rows of pair `i`: the clean clip and its view.
    fn pair(&self, i: usize) -> [usize; 2] {
        [self.changed[i], self.clips + i]
    }

    fn effect(&self, operator: Operator, features: FeatureChoice) -> Result<OperatorEffect> {
        let pairs = 0..self.changed.len();
        let cosine = mean(pairs.clone().map(|i| {
            let [clean, view] = self.pair(i);
            self.similarity(clean, view)
        }));
        // Each clip against one a good way along: neighbours may be of one class.
        let random = mean((0..self.clips).map(|clip| {
            let other = (clip + self.clips / 2) % self.clips;
            self.similarity(clip, other)
        }));
        // Every second pair for the probe, the others to try it on.
        let fitted: Vec<usize> = pairs
            .clone()
            .step_by(2)
            .flat_map(|i| self.pair(i))
            .collect();
        let labels: Vec<u8> = (0..fitted.len()).map(|i| (i % 2) as u8).collect();
        let n = fitted.len();
        let (directions, metric) = (&self.directions, &self.directions.metric);
        let rows = fitted.iter().map(|&row| directions.row(row));
        let mut gram = vec![0.0; n * n];
        metric.gram(rows.clone(), &mut gram)?;
        let (mut dual, mut bias) = (vec![0.0; 2 * n], vec![0.0; 2]);
        let mut scratch = vec![0.0; fewshot::fit_scratch_len(PROBE, n, 2)];
        fewshot::fit(
            PROBE,
            &mut gram,
            &labels,
            &mut dual,
            &mut bias,
            &mut scratch,
        )
        .map_err(|error| {
            anyhow!(
                "the probe for {} cannot be fitted: {error}",
                operator.name()
            )
        })?;
        let score = |row: usize| {
            let query = directions.row(row);
            let similarities = rows.clone().map(|row| metric.similarity(row, query));
            let mut scores = [0.0; 2];
            fewshot::scores(&dual, &bias, similarities, &mut scores)
                .expect("a coefficient for each class and example");
            scores[1] - scores[0]
        };
        let held_out = || pairs.clone().skip(1).step_by(2).map(|i| self.pair(i));
        let negatives: Vec<f32> = held_out().map(|[clean, _]| score(clean)).collect();
        let positives: Vec<f32> = held_out().map(|[_, view]| score(view)).collect();
        Ok(OperatorEffect {
            operator: operator.name().to_owned(),
            features,
            clips: self.changed.len(),
            cosine,
            random,
            invariance: invariance(cosine, random),
            auc: auc(&positives, &negatives),
        })
    }
}

/// Difference of cosines that rounding directions to int8 can make by itself.
///
/// Two roundings of one direction differ by a variance of 1/6 in each value; with a root mean square of
/// a quarter of the peak, 127 / 4, that lowers their cosine by `(1/6) / 2 / (127/4)^2`, about 1e-4.
const ROUNDING: f64 = 1e-4;

/// Puts the `cosine` of a clip and its augmented self on the scale `(cosine - random) / (1 - random)`:
/// 1 where the operator changes nothing, 0 where it makes a clip as unlike itself as another clip is,
/// whose cosine is `random`.
///
/// `None` where other clips differ from a clip by no more than rounding: features that are nearly the
/// same for every clip have no such scale.
fn invariance(cosine: f64, random: f64) -> Option<f64> {
    let scale = 1.0 - random;
    (scale > ROUNDING).then(|| (cosine - random) / scale)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// Probability that a positive scores above a negative, ties counted half (Mann and Whitney's U).
fn auc(positives: &[f32], negatives: &[f32]) -> f64 {
    let mut wins = 0.0;
    for positive in positives {
        for negative in negatives {
            wins += match positive.total_cmp(negative) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    wins / (positives.len() * negatives.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_audio::synth::Patch;
    use mtslvr_runtime::fewshot::Reference;
    use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
    use mtslvr_runtime::space::{BackboneId, EmbeddingSpace, Part, Parts};

    /// Invariant features: which of a few clips it is, by the shape of its spectrum over mels, level
    /// aside. Equivariant ones: the level of the quietest band, which noise lifts.
    #[derive(Clone)]
    struct Bands(FrontendConfig);

    impl Backbone for Bands {
        type Error = std::convert::Infallible;
        fn space(&self) -> EmbeddingSpace<'_> {
            let part = |name, len| Part {
                name,
                len,
                share: 0.5,
            };
            let mels = usize::from(self.0.mels);
            let parts = Parts::new([part("invariant", mels), part("equivariant", 2)]).unwrap();
            let (id, reference) = (BackboneId::new([0; 32]), Reference::assumed(0.0));
            EmbeddingSpace::new(id, self.0, parts, &[0.0; 18], reference).unwrap()
        }
        fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Self::Error> {
            let mels = usize::from(self.0.mels);
            let mut bands = vec![0.0f32; mels];
            for row in patch.chunks(mels) {
                for (sum, x) in bands.iter_mut().zip(row) {
                    *sum += x;
                }
            }
            let level = bands.iter().sum::<f32>() / mels as f32;
            let least = bands.iter().copied().fold(f32::INFINITY, f32::min);
            for (out, band) in embedding.iter_mut().zip(&bands) {
                *out = band - level;
            }
            embedding[mels..].copy_from_slice(&[least, 100.0]);
            Ok(())
        }
    }

    fn frontend() -> FrontendConfig {
        FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: 16,
            frames: 29,
            f_min: 50.0,
            f_max: 8000.0,
            floor: 1e-6,
            mean: 0.0,
            scale: 1.0,
            form: FrontendForm::PLAIN,
        }
    }

    fn clips(frontend: &FrontendConfig, count: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
        (0..count)
            .map(|_| Patch::random(rng).render(frontend.patch_samples(), 16_000, rng))
            .collect()
    }

    #[test]
    fn a_shift_leaves_spectra_alone_and_noise_is_told() {
        let frontend = frontend();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let clips = clips(&frontend, 40, &mut rng);
        let mut engines = vec![Bands(frontend); 2];
        let config = AugmentConfig::default();
        let effects = operator_effects(&mut engines, &clips, &config, 1).unwrap();
        assert_eq!(effects.len(), 2 * Operator::ALL.len());
        let find = |operator: Operator, part: &str| {
            effects
                .iter()
                .find(|e| e.operator == operator.name() && e.features == FeatureChoice::part(part))
                .unwrap()
        };
        let shift = find(Operator::TimeShift, "invariant");
        let noise = find(Operator::WhiteNoise, "invariant");
        assert!(shift.invariance > Some(0.95) && noise.invariance < shift.invariance);
        let told = find(Operator::WhiteNoise, "equivariant").auc;
        let missed = find(Operator::TimeShift, "equivariant").auc;
        assert!(
            told > missed + 0.1 && (0.2..0.8).contains(&missed),
            "{told} {missed}"
        );
        assert_eq!(
            operator_effects(&mut engines, &clips, &config, 1).unwrap(),
            effects
        );
    }

    /// A network that says the same of every clip, but for noise in the last bits.
    #[derive(Clone)]
    struct Collapsed(Bands);

    impl Backbone for Collapsed {
        type Error = std::convert::Infallible;
        fn space(&self) -> EmbeddingSpace<'_> {
            self.0.space()
        }
        fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Self::Error> {
            self.0.embed(patch, embedding)?;
            for value in embedding {
                *value = 3.0 + 1e-6 * value.sin();
            }
            Ok(())
        }
    }

    #[test]
    fn a_network_that_hears_no_difference_has_no_invariance() {
        let frontend = frontend();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let clips = clips(&frontend, 8, &mut rng);
        let mut engines = vec![Collapsed(Bands(frontend)); 2];
        let config = AugmentConfig::default();
        let effects = operator_effects(&mut engines, &clips, &config, 1).unwrap();
        assert!(!effects.is_empty());
        assert!(effects.iter().all(|effect| effect.invariance.is_none()));
    }

    #[test]
    fn the_scale_needs_clips_that_differ_by_more_than_rounding() {
        assert_eq!(invariance(1.0, 0.5), Some(1.0));
        assert_eq!(invariance(0.5, 0.5), Some(0.0));
        assert_eq!(invariance(0.25, 0.5), Some(-0.5));
        // As unlike itself as it gets, while all clips are alike within rounding.
        assert_eq!(invariance(0.867, 1.0 - 1e-7), None);
        assert_eq!(invariance(1.0, 1.0), None);
    }

    #[test]
    fn the_area_counts_pairs_in_the_right_order() {
        assert_eq!(auc(&[3.0, 2.0], &[1.0, 0.0]), 1.0);
        assert_eq!(auc(&[1.0, 2.0], &[1.0, 3.0]), (0.5 + 0.0 + 1.0 + 0.0) / 4.0);
    }
}
