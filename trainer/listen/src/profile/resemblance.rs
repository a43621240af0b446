//! How much the examples of a class resemble each other.

use mtslvr_runtime::fewshot::{ClassId, Learner};

/// Share of unrelated pairs that are as alike as examples that do not resemble each other.
const UNRELATED: f32 = 0.25;

/// The similarity of each example of a class to the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Resemblance {
    /// Similarity of each example to the mean of the others, in their order: the score that it would
    /// have if it had not been enrolled.
    pub left_out: Vec<f32>,
    /// Similarity that a quarter of unrelated pairs exceed.
    pub unrelated: f32,
}

impl Resemblance {
    /// Compares the examples of a class; `None` if there are fewer than two.
    pub fn of(learner: &Learner, class: ClassId) -> Option<Self> {
        let examples: Vec<&[i8]> = learner.support().examples(class).collect();
        if examples.len() < 2 {
            return None;
        }
        let metric = learner.metric();
        let cohort = learner.space().cohort();
        let left_out = examples.iter().enumerate().map(|(out, example)| {
            let others = || {
                let others = examples.iter().enumerate();
                others
                    .filter(move |(at, _)| *at != out)
                    .map(|(_, other)| *other)
            };
            let along: f32 = others()
                .map(|other| metric.similarity(other, example))
                .sum();
            let square = others().flat_map(|a| others().map(move |b| metric.similarity(a, b)));
            let length = square.sum::<f32>().max(0.0).sqrt();
            let level = cohort.map_or(0.0, |cohort| metric.level(&cohort, example));
            let similarity = if length > 1e-3 { along / length } else { 0.0 };
            (similarity - level).clamp(-1.0, 1.0)
        });
        Some(Self {
            left_out: left_out.collect(),
            unrelated: learner
                .space()
                .reference()
                .similarity_exceeded_by(UNRELATED),
        })
    }

    /// Returns the mean over the examples.
    pub fn mean(&self) -> f32 {
        self.left_out.iter().sum::<f32>() / self.left_out.len() as f32
    }

    /// Returns the place of the example that is least like the others.
    pub fn least(&self) -> usize {
        let places = 0..self.left_out.len();
        places
            .min_by(|a, b| self.left_out[*a].total_cmp(&self.left_out[*b]))
            .unwrap_or_default()
    }

    /// Tells whether an example is no more like the others than unrelated sounds are.
    pub fn is_doubtful(&self) -> bool {
        self.left_out[self.least()] < self.unrelated
    }
}
