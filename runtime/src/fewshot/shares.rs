//! Shares of the parts that suit a task, chosen from its support set.

use super::Metric;
use super::linalg::{centre_gram, cholesky, solve_factored};
use crate::model::Cohort;
use crate::space::MAX_PARTS;

/// Chooses how much each part of an embedding counts when a head tells the classes apart.
///
/// Whether a query is like its class at all is judged by the shares packed with the backbone, whatever is
/// chosen here: its [`Reference`](super::Reference) was measured with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Shares {
    /// The shares packed with the backbone.
    Packed,
    /// Shares chosen at each fit from the examples of the classes.
    ///
    /// First by the kind of sound: the mean of the weights that the cohort has at the direction nearest to
    /// each example ([`Cohort::weights_of`]), learnt on sounds that were recorded more than once. Without such
    /// weights these are the packed shares. Then by the task itself, where a class has two examples: the
    /// shares with which the examples are recognised when they are left out one at a time.
    ///
    /// The grid is every part alone, the shares by kind, and points between. A choice is soft: the
    /// mean of the grid, weighted by the likelihood of each point. The shares depend on the examples
    /// that take part alone, so they need not be stored.
    ///
    /// A fit takes at most `3 (3 p + 1) m^2 / 2` times the values of an embedding in multiply-accumulates
    /// of int8 values more, for `p` parts and `m` examples, of which no more than 64 are looked at.
    Task,
}

impl Shares {
    /// Returns the choice where nobody makes one: [`Self::Task`] if `metric` compares more than two parts.
    /// With one or two parts the gain is not worth the work on a device.
    pub fn default_for(metric: &Metric) -> Self {
        match metric.shares().iter().filter(|share| **share > 0.0).count() {
            0..=2 => Self::Packed,
            _ => Self::Task,
        }
    }
}

/// Most examples that shares are chosen by, evenly spread over the classes: it bounds work and stack.
pub(super) const MOST_EXAMPLES: usize = 64;

/// Points of the grid on the way from the packed shares to one part alone.
const STEPS: [f32; 3] = [1.0 / 3.0, 2.0 / 3.0, 1.0];

/// Most points of the grid.
const MOST_POINTS: usize = 1 + MAX_PARTS * STEPS.len();

/// Scores are divided by this before they become logarithms of probabilities.
const TEMPERATURE: f32 = 0.2;

/// Exponents end here, far below where `f32` does.
const GREATEST_LOGARITHM: f32 = 60.0;

/// Returns the metric whose shares suit the task ([`Shares::Task`]), for examples with their labels, which
/// come in order.
///
/// `metric` holds the packed shares, `cohort` the weights of kinds of sound, `gram` is room for the square
/// of the number of examples, and `lambda` is the penalty of the ridge head that judges. Where the room is
/// too short, or `lambda` is no penalty, the shares by kind remain.
///
/// With `M = K + lambda I`, `K` the centred Gram matrix, the ridge head of all other examples is off at
/// example `i` by `r_i / (lambda M^-1_ii - 1/m)`, where `r = (lambda M^-1 - 1 1'/m) Y` are the residuals
/// of the head of all (Allen 1974). The likelihood of an example is the softmax of the scores that this
/// leaves, at a temperature of 0.2.
pub fn suited_to<'d>(
    metric: &Metric,
    cohort: Option<Cohort<'_>>,
    examples: impl Iterator<Item = (u8, &'d [i8])> + Clone,
    lambda: f32,
    gram: &mut [f32],
) -> Metric {
    let metric = &by_kind(metric, cohort, examples.clone().map(|(_, example)| example));
    let step = examples.clone().count().div_ceil(MOST_EXAMPLES).max(1);
    let judged = examples.step_by(step);
    let mut labels = [0; MOST_EXAMPLES];
    let mut count = 0;
    for (place, (label, _)) in labels.iter_mut().zip(judged.clone()) {
        *place = label;
        count += 1;
    }
    let labels = &labels[..count];
    let repeated = labels.windows(2).any(|pair| pair[0] == pair[1]);
    let Some(gram) = gram.get_mut(..count * count).filter(|_| repeated) else {
        return *metric;
    };

    let mut likelihoods = [f32::NEG_INFINITY; MOST_POINTS];
    let rows = judged.map(|(_, direction)| direction);
    for (likelihood, shares) in likelihoods.iter_mut().zip(grid(metric)) {
        // The room is as long as it must be.
        if metric.with_shares(&shares).gram(rows.clone(), gram).is_ok() {
            *likelihood = leave_one_out(gram, labels, lambda);
        }
    }
    let best = likelihoods
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    if !best.is_finite() {
        return *metric;
    }
    let (mut mean, mut total) = ([0.0; MAX_PARTS], 0.0);
    for (likelihood, shares) in likelihoods.iter().zip(grid(metric)) {
        let weight = libm::expf(likelihood - best);
        total += weight;
        for (mean, share) in mean.iter_mut().zip(shares) {
            *mean += weight * share;
        }
    }
    metric.with_shares(&mean.map(|sum| sum / total))
}

/// Returns the metric whose shares are the mean of the weights at the direction of `cohort` nearest to each
/// example, each row of weights by its sum. Without weights, or without examples, it is `metric`.
fn by_kind<'d>(
    metric: &Metric,
    cohort: Option<Cohort<'_>>,
    examples: impl Iterator<Item = &'d [i8]>,
) -> Metric {
    let Some(cohort) = cohort.filter(|cohort| !cohort.weights().is_empty()) else {
        return *metric;
    };
    let (mut shares, mut count) = ([0.0; MAX_PARTS], 0.0);
    for example in examples {
        let weights = cohort.weights_of(metric.nearest(&cohort, example));
        let sum: f32 = weights.iter().map(|&weight| f32::from(weight)).sum();
        for (share, &weight) in shares.iter_mut().zip(weights) {
            *share += f32::from(weight) / sum;
        }
        count += 1.0;
    }
    if count == 0.0 {
        return *metric;
    }
    metric.with_shares(&shares.map(|share| share / count))
}

/// Returns the points of the grid: the shares of `metric`, and of each part with a share those between them
/// and that part alone. A backbone that compares by one part alone has no choice.
fn grid(metric: &Metric) -> impl Iterator<Item = [f32; MAX_PARTS]> {
    let packed = metric.shares();
    let in_use = move |part: &usize| packed[*part] > 0.0;
    let choice = (0..MAX_PARTS).filter(in_use).count() > 1;
    let corners = (0..MAX_PARTS).filter(move |part| choice && in_use(part));
    let points = corners.flat_map(move |part| {
        STEPS.iter().map(move |along| {
            let mut shares = packed.map(|share| (1.0 - along) * share);
            shares[part] += along;
            shares
        })
    });
    core::iter::once(packed).chain(points)
}

/// Returns the logarithm of the likelihood of the examples of classes with several of them, each judged by
/// the ridge head of all others. Overwrites `gram`, their matrix of similarities.
fn leave_one_out(gram: &mut [f32], labels: &[u8], lambda: f32) -> f32 {
    let count = labels.len();
    let (mut means, mut pivots) = ([0.0; MOST_EXAMPLES], [0.0; MOST_EXAMPLES]);
    let (means, pivots) = (&mut means[..count], &mut pivots[..count]);
    centre_gram(gram, means);
    if cholesky(gram, lambda, pivots).is_err() {
        return f32::NEG_INFINITY;
    }
    // A column of the inverse takes the room of the means.
    let column = means;
    let mut likelihood = 0.0;
    let mut start = 0;
    for own in labels.chunk_by(|a, b| a == b) {
        let members = start..start + own.len();
        start = members.end;
        for example in members.clone().filter(|_| own.len() > 1) {
            column.fill(0.0);
            column[example] = 1.0;
            solve_factored(gram, pivots, column);
            let left = lambda * column[example] - 1.0 / count as f32;
            // The score of a class that is left when its target is reduced by the error.
            let score = |class: core::ops::Range<usize>| {
                let target = f32::from(u8::from(class == members));
                let share = class.len() as f32 / count as f32;
                let sum: f32 = column[class].iter().sum();
                target - (lambda * sum - share) / left
            };
            let right = score(members.clone());
            let mut from = 0;
            let all = labels.chunk_by(|a, b| a == b).map(|class| {
                from += class.len();
                let ahead = (score(from - class.len()..from) - right) / TEMPERATURE;
                libm::expf(ahead.min(GREATEST_LOGARITHM))
            });
            likelihood -= libm::logf(all.sum());
        }
    }
    likelihood
}

#[cfg(test)]
mod tests;
