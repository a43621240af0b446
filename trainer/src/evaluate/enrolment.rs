//! What a user does with a device: enrol a few sounds, then hear known and unknown ones.

use super::episodes::Episode;
use super::features::ClipFeatures;
use crate::report::Confusion;
use mtslvr_runtime::fewshot::{self, FitError, HeadKind};

/// Classes enrolled from the support of an episode, ready to answer.
#[derive(Clone, Debug)]
pub struct Enrolment {
    dim: usize,
    /// Support examples, normalised, row after row.
    examples: Vec<f32>,
    labels: Vec<u8>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    threshold: f32,
}

/// The answer to one clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The enrolled class, or `None` for *unknown*.
    pub class: Option<usize>,
    /// Cosine similarity to the mean of the nearest class's examples.
    pub similarity: f32,
}

impl Enrolment {
    /// Enrols the support clips of `episode`. `features` are prepared by
    /// [`Head::prepare`](super::Head::prepare); below a similarity of `threshold` the answer is
    /// *unknown*.
    ///
    /// # Errors
    /// If the head cannot be fitted.
    pub fn new(
        head: HeadKind,
        features: &ClipFeatures,
        episode: &Episode,
        threshold: f32,
    ) -> Result<Self, FitError> {
        let (classes, dim) = (episode.support.len(), features.dim);
        let mut enrolment = Self {
            dim,
            examples: Vec::new(),
            labels: Vec::new(),
            weights: vec![0.0; classes * dim],
            bias: vec![0.0; classes],
            threshold,
        };
        for (label, clips) in episode.support.iter().enumerate() {
            for &clip in clips {
                enrolment.examples.extend_from_slice(features.row(clip));
                enrolment.labels.push(label as u8);
            }
        }
        let length = fewshot::fit_scratch_len(head, enrolment.labels.len(), dim, classes);
        fewshot::fit(
            head,
            &enrolment.examples,
            &enrolment.labels,
            classes,
            dim,
            &mut enrolment.weights,
            &mut enrolment.bias,
            &mut vec![0.0; length],
        )?;
        Ok(enrolment)
    }

    /// Answers to one clip's prepared features.
    pub fn answer(&self, query: &[f32]) -> Answer {
        debug_assert_eq!(query.len(), self.dim);
        let mut scores = vec![0.0; self.bias.len()];
        fewshot::scores(&self.weights, &self.bias, query, &mut scores);
        let decision = fewshot::decide(&scores, self.threshold, |class| {
            fewshot::similarity_to_class(&self.examples, &self.labels, class, query)
        });
        let decision = decision.expect("at least one class is enrolled");
        Answer {
            class: decision.class.map(usize::from),
            similarity: decision.similarity,
        }
    }
}

/// Counts answers. `known` holds each enrolled class's name with the answers to its clips,
/// `strangers` the answers to clips of sounds never enrolled.
pub fn confusion(known: &[(String, Vec<Answer>)], strangers: &[Answer]) -> Confusion {
    let classes = known.len();
    let count = |answers: &[Answer]| {
        let mut counts = vec![0; classes + 1];
        for answer in answers {
            counts[answer.class.unwrap_or(classes)] += 1;
        }
        counts
    };
    let mut confusion = Confusion {
        rows: known.iter().map(|(name, _)| name.clone()).collect(),
        columns: known.iter().map(|(name, _)| name.clone()).collect(),
        counts: known.iter().map(|(_, answers)| count(answers)).collect(),
    };
    confusion.columns.push("unknown".into());
    if !strangers.is_empty() {
        confusion.rows.push("never enrolled".into());
        confusion.counts.push(count(strangers));
    }
    confusion
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Head;

    #[test]
    fn knows_its_classes_and_rejects_others() {
        let features = ClipFeatures {
            dim: 4,
            first_half: 2,
            centre: vec![0.0; 4],
            rows: [
                [1.0, 0.1, 1.0, 0.0],
                [0.1, 1.0, 0.0, 1.0],
                [2.0, 0.3, 2.0, 0.1],
                [-1.0, -1.0, -1.0, -1.0],
            ]
            .concat(),
        };
        let features = Head::default().prepare(&features);
        let episode = Episode {
            classes: vec![0, 1],
            support: vec![vec![0], vec![1]],
            queries: vec![vec![2], vec![3]],
        };
        let enrolment = Enrolment::new(HeadKind::NearestMean, &features, &episode, 0.3).unwrap();
        let near = enrolment.answer(features.row(2));
        assert!(near.class == Some(0) && near.similarity > 0.9);
        let far = enrolment.answer(features.row(3));
        assert!(far.class.is_none() && far.similarity < 0.0);
        let table = confusion(&[("a".into(), vec![near]), ("b".into(), vec![])], &[far]);
        assert_eq!(table.counts, [vec![1, 0, 0], vec![0, 0, 0], vec![0, 0, 1]]);
        assert_eq!(
            (table.rows[2].as_str(), table.columns[2].as_str()),
            ("never enrolled", "unknown")
        );
    }
}
