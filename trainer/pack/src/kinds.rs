//! Learns how much each part of an embedding should count, by kind of sound.
//!
//! A part that tells words apart may know little of instruments. Which kind a sound is of is taken from the
//! direction of the cohort that is nearest to it. Tasks with one example a class, as a device meets them,
//! are drawn from recordings of which it is known that they are of one thing (a word) or of one source (a
//! voice), and the weights near each direction move until the queries of these tasks are recognised best.

use mtslvr_runtime::fewshot::Metric;
use mtslvr_runtime::model::Cohort;
use mtslvr_runtime::space::{Part, Parts};
use rand::seq::{IndexedRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Directions of one kind of sound: a list of things, each with the directions of its clips.
pub(super) type Kind = Vec<Vec<Vec<i8>>>;

/// Classes of a task.
const WAYS: usize = 5;

/// Most queries of each class of a task.
const QUERIES: usize = 3;

/// Tasks that are drawn. With twice as many the weights are the same to a hundredth.
const TASKS: usize = 4_000;

/// Share of the tasks that ask for the source, where sources are known: who speaks, not which word. With
/// fewer, words count so much in speech that voices are told apart worse than by the packed shares.
const SOURCE_SHARE: f64 = 0.4;

/// Seed of the tasks.
const SEED: u64 = 0x6b69_6e64;

/// Similarities are divided by this before they become logarithms of probabilities.
const TEMPERATURE: f32 = 0.1;

/// Steps of gradient descent, over all tasks each. After these, accuracy rises no more.
const STEPS: usize = 150;

/// Size of a step of Adam, in the logarithm of a weight.
const RATE: f32 = 0.1;

/// Pull of each row's logarithms towards those of the packed shares: directions that few tasks are near
/// keep them.
const PULL: f32 = 1e-4;

/// Smallest share that a logarithm is taken of.
const LEAST_SHARE: f32 = 1e-3;

/// Learns weights of the parts at each direction of `cohort`, on tasks whose classes are things of one of
/// `kinds`, or sources of one of `sources`. Returns a row of bytes for each direction, one row after the
/// other, or nothing where there is nothing to learn from: no kind with two things of two clips each, or a
/// single part.
///
/// The loss is the cross entropy of the queries of a task under the softmax of their similarities to the one
/// example of each class, at a temperature of 0.1, where the shares of the parts are the mean of the weights at
/// the directions nearest to the examples.
pub(super) fn weights(
    kinds: &[Kind],
    sources: &[Kind],
    parts: &Parts<'_>,
    cohort: &Cohort<'_>,
) -> Vec<u8> {
    weights_by(TASKS, kinds, sources, parts, cohort)
}

/// Learns [`weights`] on so many tasks.
fn weights_by(
    tasks: usize,
    kinds: &[Kind],
    sources: &[Kind],
    parts: &Parts<'_>,
    cohort: &Cohort<'_>,
) -> Vec<u8> {
    let [things, sources] = [kinds, sources].map(usable);
    let count = parts.as_slice().len();
    if things.is_empty() || count < 2 {
        return Vec::new();
    }
    let space = Space::new(parts, cohort);
    let tasks: Vec<Task> = (0..tasks)
        .into_par_iter()
        .map(|task| {
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            random.set_stream(task as u64);
            let by_source = !sources.is_empty() && random.random_bool(SOURCE_SHARE);
            space.draw(if by_source { &sources } else { &things }, &mut random)
        })
        .collect();
    let rows = space.learn(&tasks);
    rows.iter().flat_map(|row| to_bytes(row)).collect()
}

/// Returns the kinds with two things of two clips each, without their other things.
fn usable(kinds: &[Kind]) -> Vec<Vec<&Vec<Vec<i8>>>> {
    kinds
        .iter()
        .map(|kind| kind.iter().filter(|thing| thing.len() > 1).collect())
        .filter(|things: &Vec<_>| things.len() > 1)
        .collect()
}

/// Writes shares as bytes, the largest as 255.
fn to_bytes(shares: &[f32]) -> impl Iterator<Item = u8> + use<'_> {
    let largest = shares.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let byte = move |share: &f32| (255.0 * share / largest).round() as u8;
    shares.iter().map(byte)
}

/// Compares directions part by part.
struct Space<'s> {
    /// Compares by all parts, with the packed shares.
    packed: Metric,
    /// Compares by one part each; the others have no share.
    single: Vec<Metric>,
    cohort: &'s Cohort<'s>,
}

/// A task with one example a class.
struct Task {
    /// The direction of the cohort nearest to each example.
    nearest: Vec<usize>,
    queries: Vec<Query>,
}

/// A query of a task.
struct Query {
    class: usize,
    /// Similarity to the example of each class by each part, class after class.
    similarities: Vec<f32>,
}

impl<'s> Space<'s> {
    fn new(parts: &Parts<'_>, cohort: &'s Cohort<'s>) -> Self {
        let single = |chosen: usize| {
            let parts = parts.as_slice().iter().enumerate();
            let alone = parts.map(|(at, part)| Part {
                share: f32::from(u8::from(at == chosen)),
                ..*part
            });
            Metric::new(&Parts::new(alone).expect("the parts of an embedding, one share of 1"))
        };
        Self {
            packed: Metric::new(parts),
            single: (0..parts.as_slice().len()).map(single).collect(),
            cohort,
        }
    }

    /// Draws a kind (each as likely, so that many words do not drown what is rare), things and clips.
    fn draw(&self, kinds: &[Vec<&Vec<Vec<i8>>>], random: &mut ChaCha8Rng) -> Task {
        let kind = &kinds[random.random_range(0..kinds.len())];
        let things: Vec<_> = kind.sample(random, WAYS).collect();
        let drawn: Vec<Vec<&Vec<i8>>> = things
            .iter()
            .map(|thing| {
                let clips = index::sample(random, thing.len(), thing.len().min(1 + QUERIES));
                clips.iter().map(|clip| &thing[clip]).collect()
            })
            .collect();
        let nearest = drawn
            .iter()
            .map(|clips| self.packed.nearest(self.cohort, clips[0]));
        let query = |class: usize, query: &[i8]| Query {
            class,
            similarities: drawn
                .iter()
                .flat_map(|clips| {
                    let by = |metric: &Metric| metric.similarity(clips[0], query);
                    self.single.iter().map(by)
                })
                .collect(),
        };
        let queries = drawn.iter().enumerate().flat_map(|(class, clips)| {
            let query = &query;
            clips[1..].iter().map(move |clip| query(class, clip))
        });
        Task {
            nearest: nearest.collect(),
            queries: queries.collect(),
        }
    }

    /// Returns the shares at each direction, by Adam (Kingma and Ba 2015) on their logarithms.
    fn learn(&self, tasks: &[Task]) -> Vec<Vec<f32>> {
        let parts = self.single.len();
        let start: Vec<f32> = self.packed.shares()[..parts]
            .iter()
            .map(|share| share.max(LEAST_SHARE).ln())
            .collect();
        let mut logarithms = vec![start.clone(); self.cohort.len()];
        let (mut first, mut second) = (vec![0.0_f32; self.cohort.len() * parts], Vec::new());
        second.clone_from(&first);
        for step in 1..=STEPS {
            let rows: Vec<Vec<f32>> = logarithms.iter().map(|row| softmax(row)).collect();
            let gradient = gradient(tasks, &rows);
            let (bias1, bias2) = (
                1.0 - 0.9_f32.powi(step as i32),
                1.0 - 0.999_f32.powi(step as i32),
            );
            for (place, gradient) in gradient.iter().enumerate() {
                let value = &mut logarithms[place / parts][place % parts];
                let gradient = gradient + PULL * (*value - start[place % parts]);
                first[place] = 0.9 * first[place] + 0.1 * gradient;
                second[place] = 0.999 * second[place] + 0.001 * gradient * gradient;
                *value -= RATE * (first[place] / bias1) / ((second[place] / bias2).sqrt() + 1e-8);
            }
        }
        logarithms.iter().map(|row| softmax(row)).collect()
    }
}

/// Returns the gradient of the mean loss with respect to the logarithm of each share, row after row.
///
/// Tasks are added up in fixed groups, so that the result does not depend on the number of threads.
fn gradient(tasks: &[Task], rows: &[Vec<f32>]) -> Vec<f32> {
    let parts = rows[0].len();
    let sums: Vec<Vec<f32>> = tasks
        .par_chunks(tasks.len().div_ceil(16))
        .map(|tasks| {
            let mut sum = vec![0.0; rows.len() * parts];
            for task in tasks {
                add_gradient(task, rows, &mut sum);
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; rows.len() * parts];
    for sum in sums {
        for (total, sum) in total.iter_mut().zip(sum) {
            *total += sum / tasks.len() as f32;
        }
    }
    total
}

/// Adds the gradient of a task's mean loss.
fn add_gradient(task: &Task, rows: &[Vec<f32>], sum: &mut [f32]) {
    let parts = rows[0].len();
    let examples = task.nearest.len() as f32;
    let share =
        |part: usize| task.nearest.iter().map(|&row| rows[row][part]).sum::<f32>() / examples;
    let shares: Vec<f32> = (0..parts).map(share).collect();
    // Of the loss with respect to the task's shares.
    let mut slope = vec![0.0_f32; parts];
    for query in &task.queries {
        let score = |similarities: &[f32]| -> f32 {
            let products = similarities.iter().zip(&shares).map(|(a, b)| a * b);
            products.sum::<f32>() / TEMPERATURE
        };
        let scores: Vec<f32> = query.similarities.chunks_exact(parts).map(score).collect();
        for (class, probability) in softmax(&scores).into_iter().enumerate() {
            let error = probability - f32::from(u8::from(class == query.class));
            let scale = error / (TEMPERATURE * task.queries.len() as f32);
            let similarities = &query.similarities[class * parts..][..parts];
            for (slope, similarity) in slope.iter_mut().zip(similarities) {
                *slope += scale * similarity;
            }
        }
    }
    for &row in &task.nearest {
        let own = &rows[row];
        let mean: f32 = own
            .iter()
            .zip(&slope)
            .map(|(share, slope)| share * slope)
            .sum();
        for (part, (share, slope)) in own.iter().zip(&slope).enumerate() {
            sum[row * parts + part] += share * (slope - mean) / examples;
        }
    }
}

fn softmax(logarithms: &[f32]) -> Vec<f32> {
    let largest = logarithms.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logarithms
        .iter()
        .map(|value| (value - largest).exp())
        .collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::fewshot::direction;

    /// Three parts of two values: the first says the kind, the others what a thing is.
    fn parts() -> Parts<'static> {
        let share = 1.0 / 3.0;
        let part = |name| Part {
            name,
            len: 2,
            share,
        };
        Parts::new([part("kind"), part("a"), part("b")]).unwrap()
    }

    fn at(degrees: [f32; 3]) -> Vec<i8> {
        let pairs = degrees.map(|degrees| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            [cos, sin]
        });
        let mut values = vec![0; 6];
        direction(pairs.as_flattened(), &[0.0; 6], &parts(), &mut values).unwrap();
        values
    }

    /// Things of a kind whose part `telling` tells them apart; the others are noise.
    fn kind(towards: f32, telling: usize) -> Kind {
        let clip = |thing: usize, clip: usize| {
            let noise = ((thing * 31 + clip * 47) % 360) as f32;
            let mut degrees = [towards, noise, 1.7 * noise];
            degrees[telling] = 60.0 * thing as f32 + clip as f32;
            at(degrees)
        };
        (0..6)
            .map(|thing| (0..8).map(|at| clip(thing, at)).collect())
            .collect()
    }

    #[test]
    fn each_kind_gets_the_part_that_tells_its_things_apart() {
        let centres = [at([0.0, 0.0, 0.0]), at([180.0, 180.0, 180.0])].concat();
        let cohort = Cohort::new(&centres, 6).unwrap();
        let kinds = [kind(0.0, 1), kind(180.0, 2)];
        let learnt = weights_by(200, &kinds, &[], &parts(), &cohort);
        assert_eq!(learnt.len(), 6);
        assert!(
            learnt[1] == 255 && learnt[0] < 128 && learnt[2] < 128,
            "{learnt:?}"
        );
        assert!(
            learnt[5] == 255 && learnt[3] < 128 && learnt[4] < 128,
            "{learnt:?}"
        );
        assert_eq!(
            weights_by(200, &kinds, &[], &parts(), &cohort),
            learnt,
            "twice the same"
        );
        assert!(cohort.with_weights(&learnt, 3).is_some());
        // Sources that another part tells apart want their share.
        let both = weights_by(200, &kinds, &[kind(0.0, 2)], &parts(), &cohort);
        assert!(
            learnt[2] < learnt[1] / 2 && both[2] > both[1] / 2,
            "{both:?}"
        );
    }

    #[test]
    fn nothing_is_learnt_from_nothing() {
        let centre = at([0.0, 0.0, 0.0]);
        let cohort = Cohort::new(&centre, 6).unwrap();
        let single: Kind = vec![vec![centre.clone()]; 4];
        let alone: Kind = vec![vec![centre.clone(); 4]];
        for kinds in [vec![], vec![single], vec![alone]] {
            assert!(weights_by(200, &kinds, &[], &parts(), &cohort).is_empty());
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let task = Task {
            nearest: vec![0, 1],
            queries: vec![Query {
                class: 1,
                similarities: vec![0.3, -0.2, 0.1, 0.25],
            }],
        };
        let loss = |logarithms: &[[f32; 2]; 2]| -> f32 {
            let rows = logarithms.map(|row| softmax(&row));
            let share = |part: usize| (rows[0][part] + rows[1][part]) / 2.0;
            let similarities = &task.queries[0].similarities;
            let score = |class: usize| {
                let own = &similarities[2 * class..];
                (own[0] * share(0) + own[1] * share(1)) / TEMPERATURE
            };
            -softmax(&[score(0), score(1)])[1].ln()
        };
        let logarithms = [[0.3, -0.4], [-0.2, 0.6]];
        let rows: Vec<Vec<f32>> = logarithms.iter().map(|row| softmax(row)).collect();
        let mut found = vec![0.0; 4];
        add_gradient(&task, &rows, &mut found);
        for (place, found) in found.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut moved = logarithms;
                moved[place / 2][place % 2] += by;
                loss(&moved)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - found).abs() < 1e-3, "{place}: {slope} {found}");
        }
    }
}
