//! Measures how much the invariant and the equivariant features should count: compares shares fixed for
//! all tasks with shares chosen for each task from its support set.
//!
//! A share `g` mixes the Gram matrices of the two parts, `g K_inv + (1 - g) K_equ`, as a [`Metric`] of
//! parts with the shares `g` and `1 - g` does. Each task tries all of [`SHARES`] and asks two criteria
//! which to take:
//!
//! - *leave-one-out*: the squared error of a ridge head on each example when the others alone were
//!   learnt from, in closed form: with `M = K + lambda I`, `K` centred, example `i` of the residuals
//!   `r = (lambda M^-1 - 1 1'/n) Y` is off by `r_i / (lambda M^-1_ii - 1/n)` (Allen 1974, with the
//!   unpenalised intercept as one more column);
//! - *evidence*: the likelihood of the centred targets under a Gaussian process with the covariance
//!   `s^2 (K / lambda + I)`, `s` at its maximum (MacKay 1992): larger is better.

use super::directions::Directions;
use super::embedded::EmbeddedSet;
use super::episodes::{Episode, EpisodeSampler, EpisodeShape};
use super::interval::Accuracy;
use anyhow::{Result, anyhow};
use mtslvr_runtime::fewshot::{self, HeadKind, Metric};
use mtslvr_runtime::space::{Part, Parts};
use rayon::prelude::*;
use serde::Serialize;
use std::ops::Range;

/// The shares of the invariant features that are tried.
pub const SHARES: [f32; 11] = [0.0, 0.2, 0.33, 0.5, 0.6, 0.67, 0.7, 0.75, 0.8, 0.9, 1.0];

/// The place in [`SHARES`] of plain concatenation.
pub const CONCATENATION: usize = 3;

/// The place in [`SHARES`] of the share that exported models have.
pub const PRIOR: usize = 6;

/// Ways to choose a share for each task, in the order of [`BiasResult::chosen`].
pub const CHOICES: [&str; 6] = [
    "leave-one-out",
    "leave-one-out, weakly held",
    "leave-one-out, held",
    "evidence",
    "evidence, weakly held",
    "evidence, held",
];

/// Cost of a squared distance of the share from the prior, in each of [`CHOICES`]. It is added to the
/// mean squared leave-one-out error times the root of the number of examples, or to the negative
/// logarithm of the evidence.
const HOLDS: [f64; 6] = [0.0, 0.5, 2.0, 0.0, 20.0, 80.0];

/// Settings of the evaluation of shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BiasSettings {
    /// Ways, shots and queries.
    pub shape: EpisodeShape,
    /// Tasks a set.
    pub tasks: usize,
    /// Weight of the ridge head's penalty.
    pub lambda: f32,
    /// Seed of the tasks.
    pub seed: u64,
}

/// Accuracies on one set, percent.
#[derive(Clone, Debug, Serialize)]
pub struct BiasResult {
    /// Name of the set.
    pub name: String,
    /// Examples of each class.
    pub shots: usize,
    /// Accuracies with each of [`SHARES`] for all tasks.
    pub fixed: Vec<f64>,
    /// Half-width of the 95 % interval at the prior.
    pub ci95: f64,
    /// Accuracies with the share that each of [`CHOICES`] takes for each task.
    pub chosen: Vec<f64>,
    /// Accuracy at the prior, with embeddings that were not rounded to int8.
    pub unrounded: f64,
    /// Difference in points of the prior to concatenation on the same tasks.
    pub gain: f64,
    /// Half-width of its 95 % interval.
    pub gain_ci95: f64,
}

/// Similarities of the support's `n` examples with each other and with the queries, in one part of the
/// directions.
struct Similarities {
    gram: Vec<f32>,
    /// Row after row, one for each query, in the episode's order.
    queries: Vec<f32>,
}

/// Accuracies of one task.
struct Task {
    fixed: Vec<f64>,
    chosen: Vec<f64>,
    unrounded: f64,
}

/// Evaluates shares on `set`.
///
/// # Errors
/// If the set cannot give such tasks or a head cannot be fitted.
pub fn bias(set: &EmbeddedSet, settings: &BiasSettings) -> Result<BiasResult> {
    let sampler = EpisodeSampler::new(
        &set.name,
        &set.classes,
        &set.candidates,
        settings.shape,
        settings.seed,
    )?;
    let directions = Directions::of(&set.features);
    let tasks = (0..settings.tasks as u64)
        .into_par_iter()
        .map(|number| task(set, &directions, &sampler.episode(number)?, settings.lambda))
        .collect::<Result<Vec<Task>>>()?;
    let over = |value: &dyn Fn(&Task) -> f64| {
        Accuracy::over_tasks(&tasks.iter().map(value).collect::<Vec<_>>())
    };
    let gain = over(&|task| task.fixed[PRIOR] - task.fixed[CONCATENATION]);
    Ok(BiasResult {
        name: set.name.clone(),
        shots: settings.shape.shots,
        fixed: (0..SHARES.len())
            .map(|at| over(&|task| task.fixed[at]).mean)
            .collect(),
        ci95: over(&|task| task.fixed[PRIOR]).ci95,
        chosen: (0..CHOICES.len())
            .map(|at| over(&|task| task.chosen[at]).mean)
            .collect(),
        unrounded: over(&|task| task.unrounded).mean,
        gain: gain.mean,
        gain_ci95: gain.ci95,
    })
}

/// Returns the ranges of the invariant and the equivariant part; `None` if one is missing.
pub fn compared_parts(parts: &Parts<'_>) -> Option<[Range<usize>; 2]> {
    let [invariant, equivariant] = ["invariant", "equivariant"].map(|name| parts.range_of(name));
    Some([invariant?, equivariant?])
}

fn task(
    set: &EmbeddedSet,
    directions: &Directions,
    episode: &Episode,
    lambda: f32,
) -> Result<Task> {
    let space = set.features.space.as_space();
    let ranges = compared_parts(space.parts())
        .ok_or_else(|| anyhow!("set `{}`: no invariant and equivariant features", set.name))?;
    let rounded = ranges.clone().map(|range| {
        let share = |own: &Range<usize>| f32::from(u8::from(*own == range));
        let parts = space.parts().ranges().map(|(part, own)| Part {
            share: share(&own),
            ..*part
        });
        let metric = Metric::new(&Parts::new(parts).expect("one part has all of the share"));
        part(episode, |a, b| {
            metric.similarity(directions.row(a), directions.row(b))
        })
    });
    let exact = ranges.map(|values| {
        part(episode, |a, b| {
            let [a, b] = [a, b].map(|clip| {
                let centre = &space.base_mean()[values.clone()];
                set.features.row(clip)[values.clone()].iter().zip(centre)
            });
            let (mut along, mut a_square, mut b_square) = (0.0, 0.0, 0.0);
            for ((a, a_mean), (b, b_mean)) in a.zip(b) {
                let (a, b) = (a - a_mean, b - b_mean);
                along += a * b;
                a_square += a * a;
                b_square += b * b;
            }
            if a_square * b_square > 0.0 {
                along / (a_square * b_square).sqrt()
            } else {
                0.0
            }
        })
    });
    let mut fixed = Vec::new();
    let (mut loo, mut evidence) = (Vec::new(), Vec::new());
    for share in SHARES {
        let mixed = mix(&rounded, share);
        fixed.push(accuracy(set, &mixed, episode, lambda)?);
        let criteria = criteria(&mixed.gram, &labels(episode), episode.support.len(), lambda);
        loo.push(criteria.leave_one_out);
        evidence.push(criteria.evidence);
    }
    let n = labels(episode).len() as f64;
    let chosen = HOLDS.iter().enumerate().map(|(choice, hold)| {
        let cost = |at: usize| {
            let off = f64::from(SHARES[at] - SHARES[PRIOR]);
            let fit = if choice < HOLDS.len() / 2 {
                n.sqrt() * loo[at]
            } else {
                -evidence[at]
            };
            fit + hold * off * off
        };
        let least = (0..SHARES.len()).min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        fixed[least.unwrap_or(PRIOR)]
    });
    Ok(Task {
        chosen: chosen.collect(),
        unrounded: accuracy(set, &mix(&exact, SHARES[PRIOR]), episode, lambda)?,
        fixed,
    })
}

fn labels(episode: &Episode) -> Vec<u8> {
    let labelled = (0_u8..).zip(&episode.support);
    labelled
        .flat_map(|(label, clips)| clips.iter().map(move |_| label))
        .collect()
}

fn part(episode: &Episode, similarity: impl Fn(usize, usize) -> f32) -> Similarities {
    let support = || episode.support.iter().flatten();
    let rows = |clips: &mut dyn Iterator<Item = &usize>| -> Vec<f32> {
        clips
            .flat_map(|&a| support().map(|&b| similarity(a, b)).collect::<Vec<_>>())
            .collect()
    };
    Similarities {
        gram: rows(&mut support()),
        queries: rows(&mut episode.queries.iter().flatten()),
    }
}

fn mix([invariant, equivariant]: &[Similarities; 2], share: f32) -> Similarities {
    let mix = |a: &[f32], b: &[f32]| -> Vec<f32> {
        a.iter()
            .zip(b)
            .map(|(a, b)| share * a + (1.0 - share) * b)
            .collect()
    };
    Similarities {
        gram: mix(&invariant.gram, &equivariant.gram),
        queries: mix(&invariant.queries, &equivariant.queries),
    }
}

/// Measures the accuracy of the runtime's ridge head, as the mean over classes.
fn accuracy(set: &EmbeddedSet, part: &Similarities, episode: &Episode, lambda: f32) -> Result<f64> {
    let (labels, ways) = (labels(episode), episode.support.len());
    let n = labels.len();
    let kind = HeadKind::Ridge { lambda };
    let (mut dual, mut biases) = (vec![0.0; ways * n], vec![0.0; ways]);
    let mut scratch = vec![0.0; fewshot::fit_scratch_len(kind, n, ways)];
    let mut gram = part.gram.clone();
    fewshot::fit(
        kind,
        &mut gram,
        &labels,
        &mut dual,
        &mut biases,
        &mut scratch,
    )
    .map_err(|error| anyhow!("set `{}`: {error}", set.name))?;
    let mut scores = vec![0.0; ways];
    let mut rows = part.queries.chunks_exact(n);
    let shares = episode.queries.iter().enumerate().map(|(label, clips)| {
        let answers = rows.by_ref().take(clips.len()).map(|row| {
            fewshot::scores(&dual, &biases, row.iter().copied(), &mut scores)
                .expect("a coefficient for each class and example");
            fewshot::best_score(&scores)
        });
        let right = answers.filter(|answer| *answer == Some(label)).count();
        right as f64 / clips.len() as f64
    });
    Ok(shares.sum::<f64>() / ways as f64)
}

/// Criteria of a share.
struct Criteria {
    /// Mean over examples of the squared error; smaller is better.
    leave_one_out: f64,
    /// Logarithm up to a constant; larger is better.
    evidence: f64,
}

fn criteria(gram: &[f32], labels: &[u8], ways: usize, lambda: f32) -> Criteria {
    let n = labels.len();
    let (size, lambda) = (n as f64, f64::from(lambda));
    let mean_of = |row: &[f32]| row.iter().map(|v| f64::from(*v)).sum::<f64>() / size;
    let means: Vec<f64> = gram.chunks_exact(n).map(mean_of).collect();
    let grand = means.iter().sum::<f64>() / size;
    let mut matrix: Vec<f64> = (0..n * n)
        .map(|at| {
            let (i, j) = (at / n, at % n);
            let diagonal = if i == j { lambda } else { 0.0 };
            f64::from(gram[at]) - means[i] - means[j] + grand + diagonal
        })
        .collect();
    let log_determinant = invert(&mut matrix, n);
    let (mut squares, mut explained) = (0.0, 0.0);
    for class in 0..ways {
        let target = |i: usize| f64::from(u8::from(usize::from(labels[i]) == class));
        let mean = (0..n).map(target).sum::<f64>() / size;
        for (i, row) in matrix.chunks_exact(n).enumerate() {
            let solved: f64 = row
                .iter()
                .enumerate()
                .map(|(j, v)| v * (target(j) - mean))
                .sum();
            let off = lambda * solved / (lambda * row[i] - 1.0 / size);
            squares += off * off;
            explained += lambda * (target(i) - mean) * solved;
        }
    }
    let classes = ways as f64;
    let determinant = log_determinant - size * lambda.ln();
    Criteria {
        leave_one_out: squares / size,
        evidence: -0.5 * classes * (determinant + (size - 1.0) * explained.ln()),
    }
}

/// Replaces a positive definite matrix by its inverse (Gauss and Jordan, without pivoting) and returns
/// the logarithm of its determinant.
fn invert(matrix: &mut [f64], n: usize) -> f64 {
    let mut log_determinant = 0.0;
    for pivot in 0..n {
        let value = matrix[pivot * n + pivot];
        log_determinant += value.ln();
        matrix[pivot * n + pivot] = 1.0;
        matrix[pivot * n..][..n]
            .iter_mut()
            .for_each(|v| *v /= value);
        let pivot_row = matrix[pivot * n..][..n].to_vec();
        for row in (0..n).filter(|row| *row != pivot) {
            let factor = matrix[row * n + pivot];
            matrix[row * n + pivot] = 0.0;
            for (to, from) in matrix[row * n..][..n].iter_mut().zip(&pivot_row) {
                *to -= factor * from;
            }
        }
    }
    log_determinant
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_space;
    use crate::{Candidate, ClipFeatures};
    use mtslvr_pack::engine::INVARIANT_SHARE;
    use mtslvr_runtime::fewshot::Reference;

    #[test]
    fn exported_models_have_the_prior() {
        assert_eq!(SHARES[PRIOR], INVARIANT_SHARE);
        assert_eq!(SHARES[CONCATENATION], 0.5);
        assert!(SHARES.is_sorted());
    }

    fn gram(n: usize) -> Vec<f32> {
        let vector = |i: usize| -> Vec<f32> {
            (0..7)
                .map(|d| ((i * 7 + d * 5) as f32 * 1.3).sin())
                .collect()
        };
        let dot = |i, j| {
            vector(i)
                .iter()
                .zip(vector(j))
                .map(|(a, b)| a * b / 3.0)
                .sum::<f32>()
        };
        (0..n * n).map(|at| dot(at / n, at % n)).collect()
    }

    /// The closed form is what fitting without each example gives, by the runtime's own head.
    #[test]
    fn leave_one_out_leaves_one_out() {
        let (n, ways, lambda) = (9, 3, 0.3);
        let (gram, labels) = (gram(n), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        let kind = HeadKind::Ridge { lambda };
        let mut squares = 0.0;
        for left in 0..n {
            let rest: Vec<usize> = (0..n).filter(|i| *i != left).collect();
            let mut sub: Vec<f32> = rest
                .iter()
                .flat_map(|i| rest.iter().map(move |j| (i, j)))
                .map(|(i, j)| gram[i * n + j])
                .collect();
            let own: Vec<u8> = rest.iter().map(|i| labels[*i]).collect();
            let (mut dual, mut biases, mut scores) =
                (vec![0.0; ways * (n - 1)], vec![0.0; ways], vec![0.0; ways]);
            let mut scratch = vec![0.0; fewshot::fit_scratch_len(kind, n - 1, ways)];
            fewshot::fit(kind, &mut sub, &own, &mut dual, &mut biases, &mut scratch).unwrap();
            fewshot::scores(
                &dual,
                &biases,
                rest.iter().map(|i| gram[left * n + i]),
                &mut scores,
            )
            .unwrap();
            for (class, score) in scores.iter().enumerate() {
                let target = f64::from(u8::from(usize::from(labels[left]) == class));
                squares += (target - f64::from(*score)).powi(2);
            }
        }
        let closed = criteria(&gram, &labels, ways, lambda).leave_one_out;
        assert!(
            (closed - squares / n as f64).abs() < 1e-4,
            "{closed} {}",
            squares / n as f64
        );
    }

    #[test]
    fn an_inverse_gives_back_the_unit_matrix() {
        let n = 4;
        let matrix: Vec<f64> = (0..n * n)
            .map(|at| f64::from(gram(n)[at]) + if at % (n + 1) == 0 { 0.5 } else { 0.0 })
            .collect();
        let mut inverse = matrix.clone();
        let log_determinant = invert(&mut inverse, n);
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let sum: f64 = (0..n).map(|k| matrix[i * n + k] * inverse[k * n + j]).sum();
            assert!((sum - f64::from(u8::from(i == j))).abs() < 1e-9);
        }
        let mut back = inverse;
        assert!((invert(&mut back, n) + log_determinant).abs() < 1e-9);
    }

    /// Classes that only one part tells apart: shares that favour it, and choices, find them.
    #[test]
    fn the_part_that_tells_classes_apart_is_found() {
        let clips = 60;
        let noise = |clip: usize, d: usize| ((clip * 31 + d * 17) as f32 * 2.1).sin();
        for informative in [0, 1] {
            let rows = (0..clips).flat_map(|clip| {
                (0..12).map(move |d| {
                    let own = d / 6 == informative && d % 6 == clip % 5;
                    noise(clip, d) + if own { 3.0 } else { 0.0 }
                })
            });
            let set = EmbeddedSet {
                name: "one part".into(),
                classes: (0..5).map(|c| c.to_string()).collect(),
                candidates: (0..clips)
                    .map(|clip| Candidate {
                        class: clip % 5,
                        group: None,
                    })
                    .collect(),
                features: ClipFeatures {
                    space: test_space(
                        &[("invariant", 6, 0.5), ("equivariant", 6, 0.5)],
                        &[0.0; 12],
                        Reference::assumed(0.5),
                    ),
                    rows: rows.collect(),
                },
            };
            let settings = BiasSettings {
                shape: EpisodeShape {
                    ways: 5,
                    shots: 5,
                    queries: 3,
                },
                tasks: 40,
                lambda: 0.3,
                seed: 1,
            };
            let result = bias(&set, &settings).unwrap();
            let (with, without) = if informative == 0 { (10, 0) } else { (0, 10) };
            assert!(
                result.fixed[with] > result.fixed[without] + 30.0,
                "{result:?}"
            );
            for free in [0, 3] {
                assert!(result.chosen[free] > result.fixed[with] - 5.0, "{result:?}");
            }
            assert!(
                (result.unrounded - result.fixed[PRIOR]).abs() < 3.0,
                "{result:?}"
            );
        }
    }
}
