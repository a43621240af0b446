//! Measures how well a backbone tells enrolled sounds from strangers, sounds of none of the classes,
//! and how far the threshold that is calibrated without strangers is from its nominal rate.

use super::directions::Directions;
use super::embedded::EmbeddedSet;
use super::episodes::{Episode, EpisodeSampler, EpisodeShape};
use anyhow::{Context, Result};
use mtslvr_runtime::fewshot::{
    Calibration, HeadKind, Learner, Shares, StorageVec, Strangers, best_score,
};
use mtslvr_runtime::model::Cohort;
use rand::SeedableRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

/// Rates at which the chance that a decision states is checked.
pub const CHECKED_CHANCES: [f32; 4] = [0.01, 0.05, 0.1, 0.2];

/// Settings of the evaluation of open-set recognition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenSetSettings {
    /// Ways, shots and queries. There are at most as many classes and clips of strangers.
    pub shape: EpisodeShape,
    /// Tasks a set.
    pub tasks: usize,
    /// The classifier.
    pub head: HeadKind,
    /// How much each part of an embedding counts in it, if not as [`Shares::default_for`] says.
    pub shares: Option<Shares>,
    /// Decides the tasks.
    pub seed: u64,
    /// Share of strangers that may be accepted.
    pub false_acceptance: f32,
}

/// Open-set recognition on one set. Shares are in percent, and NaN if there are no strangers of a kind;
/// all clips of all tasks count the same.
#[derive(Clone, Debug, Serialize)]
pub struct OpenSetResult {
    /// Name of the set.
    pub name: String,
    /// Examples of each class.
    pub shots: usize,
    /// Clips of enrolled classes that are given the right class if nothing may be rejected.
    pub closed: f64,
    /// Separation from clips of the set's other classes.
    pub same_set: Separation,
    /// Separation from clips of the other sets, as many of each.
    pub other_sets: Separation,
    /// The same two if the backbone's cohort is left out; `None` if it brings none along.
    pub without_cohort: Option<[Separation; 2]>,
    /// What thresholds found without strangers come to.
    pub thresholds: Vec<ThresholdResult>,
    /// Share of strangers from other sets whose stated chance is below each of `CHECKED_CHANCES`.
    pub chances: [f64; CHECKED_CHANCES.len()],
}

impl OpenSetResult {
    /// Returns whether the backbone brings a cohort along.
    pub fn has_cohort(&self) -> bool {
        self.without_cohort.is_some()
    }
}

/// How well the similarity to the best class separates known clips from strangers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Separation {
    /// Area under the receiver's operating curve, percent: how often a known clip is more like its
    /// best class than a stranger is.
    pub auroc: f64,
    /// Known clips that are accepted and given the right class, at a threshold set in hindsight to
    /// accept just the permitted share of all the set's strangers.
    pub accuracy: f64,
}

/// Result of a threshold.
#[derive(Clone, Debug, Serialize)]
pub struct ThresholdResult {
    /// Name of the method that found it.
    pub name: &'static str,
    /// Its mean over tasks.
    pub threshold: f64,
    /// Known clips accepted and given the right class.
    pub accuracy: f64,
    /// Strangers of the same set that were accepted.
    pub false_same_set: f64,
    /// Strangers of other sets that were accepted.
    pub false_other_sets: f64,
}

/// The thresholds compared, in the order of [`OpenSetResult::thresholds`].
pub const THRESHOLDS: [&str; 3] = ["one quantile", "unrelated", "related"];

/// A clip's answer in one task.
#[derive(Clone, Copy, Debug)]
struct Answered {
    right: bool,
    similarity: f32,
    /// The similarity before the cohort's level is taken from it.
    plain: f32,
    chance: f32,
    /// Thresholds of the best class.
    thresholds: [f32; THRESHOLDS.len()],
}

/// One task's answers.
struct Task {
    known: Vec<Answered>,
    same_set: Vec<Answered>,
    other_sets: Vec<Answered>,
    /// Thresholds of each class.
    thresholds: Vec<[f32; THRESHOLDS.len()]>,
}

/// Evaluates `sets[chosen]`; the other sets give the strangers of another kind.
///
/// # Errors
/// If the set cannot give such tasks or a head cannot be fitted.
pub fn open_set(
    sets: &[EmbeddedSet],
    chosen: usize,
    settings: &OpenSetSettings,
) -> Result<OpenSetResult> {
    let set = &sets[chosen];
    let shape = settings.shape;
    let sampler = EpisodeSampler::new(
        &set.name,
        &set.classes,
        &set.candidates,
        shape,
        settings.seed,
    )?;
    let directions: Vec<Directions> = sets.iter().map(|s| Directions::of(&s.features)).collect();
    let tasks = (0..settings.tasks as u64)
        .into_par_iter()
        .map(|number| {
            let episode = sampler.episode(number)?;
            let mut rng = ChaCha8Rng::seed_from_u64(!settings.seed);
            rng.set_stream(number);
            let same_set = strangers(set, &episode, shape, &mut rng);
            // As many from each of the other sets, about as many as there are known clips.
            let others = (0..sets.len()).filter(|&other| other != chosen);
            let count = (shape.ways * shape.queries).div_ceil(sets.len().max(2) - 1);
            let other_sets: Vec<&[i8]> = others
                .flat_map(|other| {
                    let clips = (0..directions[other].len()).sample(&mut rng, count);
                    clips.into_iter().map(move |clip| (other, clip))
                })
                .map(|(other, clip)| directions[other].row(clip))
                .collect();
            task(
                set,
                &directions[chosen],
                &episode,
                &same_set,
                &other_sets,
                settings,
            )
        })
        .collect::<Result<Vec<Task>>>()?;
    Ok(summarise(set, &tasks, settings))
}

/// Finds clips of classes that `episode` does not hold, from groups that are not in its support.
fn strangers(
    set: &EmbeddedSet,
    episode: &Episode,
    shape: EpisodeShape,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let heard: Vec<&String> = episode
        .support
        .iter()
        .flatten()
        .filter_map(|&clip| set.candidates[clip].group.as_ref())
        .collect();
    let others = (0..set.classes.len()).filter(|class| !episode.classes.contains(class));
    others
        .sample(rng, shape.ways)
        .into_iter()
        .flat_map(|class| {
            let clips: Vec<usize> = (0..set.candidates.len())
                .filter(|&clip| {
                    let candidate = &set.candidates[clip];
                    let unheard = |group: &String| !heard.contains(&group);
                    candidate.class == class && candidate.group.as_ref().is_none_or(unheard)
                })
                .collect();
            let drawn: Vec<usize> = clips.sample(rng, shape.queries).copied().collect();
            drawn
        })
        .collect()
}

/// Enrols the support of an episode as a device does, and answers.
fn task(
    set: &EmbeddedSet,
    directions: &Directions,
    episode: &Episode,
    same_set: &[usize],
    other_sets: &[&[i8]],
    settings: &OpenSetSettings,
) -> Result<Task> {
    let space = set.features.space.as_space();
    let (ways, shots) = (episode.support.len(), settings.shape.shots);
    let mut storage = StorageVec::new(ways, ways * shots, space.dim());
    let mut learner = Learner::new(storage.lend(), settings.head, space)?;
    if let Some(shares) = settings.shares {
        learner.set_shares(shares);
    }
    for (label, clips) in episode.support.iter().enumerate() {
        for &clip in clips {
            let direction = directions.row(clip);
            learner
                .support_mut()
                .enrol(&label.to_string(), direction)
                .with_context(|| format!("set `{}`, clip {clip}", set.name))?;
        }
    }
    learner.fit(&mut vec![0.0; learner.scratch_len()])?;
    let mut calibrated = |strangers| -> Vec<f32> {
        learner.set_calibration(Calibration {
            strangers,
            ..Calibration::of_clips(settings.false_acceptance)
        });
        let classes = learner.support().classes().iter();
        classes.map(|class| learner.threshold(class.id())).collect()
    };
    let related = calibrated(Strangers::Related);
    let unrelated = calibrated(Strangers::Unrelated);
    let single = space
        .reference()
        .similarity_exceeded_by(settings.false_acceptance);
    let thresholds = unrelated.into_iter().zip(related);
    let thresholds: Vec<[f32; THRESHOLDS.len()]> = thresholds
        .map(|(unrelated, related)| [single, unrelated, related])
        .collect();
    let mut scores = vec![0.0; ways];
    let mut answer = |direction: &[i8], label: Option<usize>| -> Result<Answered> {
        let decision = learner.classify_direction(direction, &mut scores)?;
        let level = |cohort: Cohort<'_>| learner.metric().level(&cohort, direction);
        // Classes have the order of their labels.
        let best = best_score(decision.scores);
        Ok(Answered {
            right: label.is_some() && label == best,
            similarity: decision.similarity,
            plain: decision.similarity + space.cohort().map_or(0.0, level),
            chance: decision.chance,
            thresholds: thresholds[best.unwrap_or_default()],
        })
    };
    let mut known = Vec::new();
    for (label, clips) in episode.queries.iter().enumerate() {
        for &clip in clips {
            known.push(answer(directions.row(clip), Some(label))?);
        }
    }
    let mut all = |rows: &mut dyn Iterator<Item = &[i8]>| -> Result<Vec<Answered>> {
        rows.map(|row| answer(row, None)).collect()
    };
    Ok(Task {
        known,
        same_set: all(&mut same_set.iter().map(|&clip| directions.row(clip)))?,
        other_sets: all(&mut other_sets.iter().copied())?,
        thresholds,
    })
}

fn summarise(set: &EmbeddedSet, tasks: &[Task], settings: &OpenSetSettings) -> OpenSetResult {
    let pooled = |of: &dyn Fn(&Task) -> &Vec<Answered>| -> Vec<Answered> {
        tasks.iter().flat_map(|task| of(task).clone()).collect()
    };
    let known = pooled(&|task| &task.known);
    let strangers = [
        pooled(&|task| &task.same_set),
        pooled(&|task| &task.other_sets),
    ];
    let separation = |known: &[Answered], strangers: &[Answered]| {
        let threshold = threshold_accepting(strangers, settings.false_acceptance);
        Separation {
            auroc: 100.0 * auroc(known, strangers),
            accuracy: percent(known, |a| a.right && a.similarity > threshold),
        }
    };
    let plain = |answers: &[Answered]| -> Vec<Answered> {
        let plain = |a: &Answered| Answered {
            similarity: a.plain,
            ..*a
        };
        answers.iter().map(plain).collect()
    };
    let has_cohort = set.features.space.as_space().cohort().is_some();
    let without_cohort = has_cohort.then(|| {
        let known = plain(&known);
        [0, 1].map(|kind| separation(&known, &plain(&strangers[kind])))
    });
    let threshold = |(at, name): (usize, &'static str)| {
        // Each answer against the threshold of its class in its task.
        let share = |of: &dyn Fn(&Task) -> &Vec<Answered>, right: bool| {
            let answers: Vec<&Answered> = tasks.iter().flat_map(of).collect();
            percent(&answers, |a| {
                (!right || a.right) && a.similarity >= a.thresholds[at]
            })
        };
        let classes = tasks.iter().flat_map(|task| &task.thresholds);
        let sum: f64 = classes.clone().map(|class| f64::from(class[at])).sum();
        ThresholdResult {
            name,
            threshold: sum / classes.count() as f64,
            accuracy: share(&|task| &task.known, true),
            false_same_set: share(&|task| &task.same_set, false),
            false_other_sets: share(&|task| &task.other_sets, false),
        }
    };
    OpenSetResult {
        name: set.name.clone(),
        shots: settings.shape.shots,
        closed: percent(&known, |a| a.right),
        same_set: separation(&known, &strangers[0]),
        other_sets: separation(&known, &strangers[1]),
        without_cohort,
        thresholds: THRESHOLDS.into_iter().enumerate().map(threshold).collect(),
        chances: CHECKED_CHANCES.map(|rate| percent(&strangers[1], |a| a.chance <= rate)),
    }
}

/// Returns a percentage; NaN if `whole` is 0.
fn percent<T>(of: &[T], is_it: impl Fn(&T) -> bool) -> f64 {
    100.0 * of.iter().filter(|one| is_it(one)).count() as f64 / of.len() as f64
}

/// Returns the similarity that at most the share `rate` of the strangers exceeds.
fn threshold_accepting(strangers: &[Answered], rate: f32) -> f32 {
    let mut similarities: Vec<f32> = strangers.iter().map(|a| a.similarity).collect();
    similarities.sort_by(|a, b| b.total_cmp(a));
    let accepted = (f64::from(rate) * similarities.len() as f64) as usize;
    similarities.get(accepted).copied().unwrap_or(-1.0)
}

/// Returns how often a known clip is more like its best class than a stranger; ties count half.
fn auroc(known: &[Answered], strangers: &[Answered]) -> f64 {
    let of = |answers: &[Answered], known: bool| -> Vec<(f32, bool)> {
        answers.iter().map(|a| (a.similarity, known)).collect()
    };
    let mut all = [of(known, true), of(strangers, false)].concat();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let knowns = tied.iter().filter(|one| one.1).count() as f64;
        let others = tied.len() as f64 - knowns;
        pairs += knowns * (below + 0.5 * others);
        below += others;
    }
    pairs / (known.len() * strangers.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::test_space;
    use crate::{Candidate, ClipFeatures};
    use mtslvr_runtime::fewshot::Reference;
    use rand::RngExt;

    /// Classes along directions of their own in `dim` dimensions, clips `spread` around them.
    fn set(name: &str, classes: usize, dim: usize, spread: f32, seed: u64) -> EmbeddedSet {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = move || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let centres: Vec<Vec<f32>> = (0..classes)
            .map(|_| (0..dim).map(|_| normal()).collect())
            .collect();
        let rows = (0..classes * 12)
            .flat_map(|clip| {
                centres[clip % classes]
                    .iter()
                    .map(|c| c + spread * normal())
                    .collect::<Vec<_>>()
            })
            .collect();
        EmbeddedSet {
            name: name.into(),
            classes: (0..classes).map(|c| c.to_string()).collect(),
            candidates: (0..classes * 12)
                .map(|clip| Candidate {
                    class: clip % classes,
                    group: None,
                })
                .collect(),
            features: ClipFeatures {
                // Of random directions in 24 dimensions: normal, with the deviation 1 / sqrt(24).
                space: test_space(
                    &[("features", dim, 1.0)],
                    &vec![0.0; dim],
                    Reference::assumed(1.645 / (dim as f32).sqrt()),
                ),
                rows,
            },
        }
    }

    fn settings(shots: usize) -> OpenSetSettings {
        OpenSetSettings {
            shape: EpisodeShape {
                ways: 5,
                shots,
                queries: 4,
            },
            tasks: 150,
            head: HeadKind::default(),
            shares: None,
            seed: 3,
            false_acceptance: 0.05,
        }
    }

    #[test]
    fn a_cohort_keeps_ordinary_sounds_out() {
        let mut sets = [set("a", 12, 24, 0.7, 1), set("b", 6, 24, 0.3, 2)];
        let plain = open_set(&sets, 0, &settings(5)).unwrap();
        assert!(!plain.has_cohort());
        // The strangers of the other set are what the cohort knows.
        let directions = Directions::of(&sets[1].features);
        let cohort: Vec<i8> = (0..6)
            .flat_map(|clip| directions.row(clip))
            .copied()
            .collect();
        for set in &mut sets {
            let space = set.features.space.as_space();
            let with = space.with_cohort(Cohort::new(&cohort, 24)).unwrap();
            set.features.space = with.into_owned();
        }
        let result = open_set(&sets, 0, &settings(5)).unwrap();
        let [same, other] = result.without_cohort.unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 0.5;
        assert!(near(other.auroc, plain.other_sets.auroc), "{result:?}");
        assert!(near(same.auroc, plain.same_set.auroc), "{result:?}");
        assert!(result.other_sets.auroc > other.auroc, "{result:?}");
        assert_eq!(result.closed, plain.closed);
    }

    #[test]
    fn a_threshold_is_met_where_strangers_are_what_it_was_calibrated_by() {
        let sets = [set("a", 12, 24, 0.7, 1), set("b", 40, 24, 0.3, 2)];
        for shots in [1, 5] {
            let result = open_set(&sets, 0, &settings(shots)).unwrap();
            assert!(
                result.closed > 90.0 && result.other_sets.auroc > 90.0,
                "{result:?}"
            );
            let [single, unrelated, related] = &result.thresholds[..] else {
                panic!()
            };
            // One quantile for five classes lets in about five times what it should.
            assert!(single.false_other_sets > 15.0, "{result:?}");
            // With several examples the threshold moves towards them: it is stricter.
            let expected = if shots == 1 { 2.0..9.0 } else { 0.5..5.0 };
            assert!(expected.contains(&unrelated.false_other_sets), "{result:?}");
            assert!((1.0..12.0).contains(&related.false_same_set), "{result:?}");
            assert!(
                unrelated.accuracy <= result.closed && unrelated.accuracy > 30.0,
                "{result:?}"
            );
            assert!(result.chances.is_sorted(), "{result:?}");
            assert!((2.0..9.0).contains(&result.chances[1]), "{result:?}");
        }
    }

    #[test]
    fn separation_is_by_hand_what_it_is() {
        let answers = |similarities: &[f32]| -> Vec<Answered> {
            let one = |&similarity| Answered {
                right: true,
                similarity,
                plain: similarity,
                chance: 0.0,
                thresholds: [0.0; THRESHOLDS.len()],
            };
            similarities.iter().map(one).collect()
        };
        let strangers = answers(&[0.1, 0.2, 0.3, 0.4]);
        assert_eq!(auroc(&answers(&[0.5, 0.9]), &strangers), 1.0);
        assert_eq!(
            auroc(&answers(&[0.25, 0.4]), &strangers),
            (0.5 + 0.875) / 2.0
        );
        assert!((threshold_accepting(&strangers, 0.25) - 0.3).abs() < 1e-6);
        assert!((threshold_accepting(&strangers, 0.0) - 0.4).abs() < 1e-6);
    }
}
