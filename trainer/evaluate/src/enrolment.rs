//! Plays the user of a device: enrols a few sounds, then asks about known and unknown ones.

use super::episodes::Episode;
use super::features::ClipFeatures;
use anyhow::{Context, Result};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec, best_score};
use serde::{Deserialize, Serialize};

/// Classes enrolled from the support of an episode, ready to answer.
#[derive(Debug)]
pub struct Enrolment<'b> {
    sounds: Learner<'b>,
    scores: Vec<f32>,
}

/// The answer to one clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The enrolled class, or `None` for *unknown*.
    pub class: Option<usize>,
    /// Cosine similarity to the mean of the nearest class's examples.
    pub similarity: f32,
}

/// Counts of clips by true class (row) and answer (column).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// True classes; the last may be the sounds never enrolled.
    pub rows: Vec<String>,
    /// Answers; the last may be *unknown*. Column `i` is the right answer of row `i`.
    pub columns: Vec<String>,
    /// `rows x columns`.
    pub counts: Vec<Vec<usize>>,
}

impl<'b> Enrolment<'b> {
    /// Allocates room for the support of `episode` in embeddings of `dim` values.
    pub fn storage(episode: &Episode, dim: usize) -> StorageVec {
        let examples = episode.support.iter().map(Vec::len).sum();
        StorageVec::new(episode.support.len(), examples, dim)
    }

    /// Enrols the support clips of `episode`, whose embeddings are in `features`. `storage`
    /// comes from [`Self::storage`].
    ///
    /// # Errors
    /// If a clip has no direction or the head cannot be fitted.
    pub fn new(
        storage: &'b mut StorageVec,
        head: HeadKind,
        features: &'b ClipFeatures,
        episode: &Episode,
    ) -> Result<Self> {
        let mut sounds = Learner::new(storage.lend(), head, features.space.as_space())?;
        for (label, clips) in episode.support.iter().enumerate() {
            for &clip in clips {
                sounds
                    .enrol(&label.to_string(), features.row(clip))
                    .with_context(|| format!("clip {clip}, an example of class {label}"))?;
            }
        }
        sounds.fit(&mut vec![0.0; sounds.scratch_len()])?;
        let scores = vec![0.0; episode.support.len()];
        Ok(Self { sounds, scores })
    }

    /// Returns the similarity below which an answer is *unknown*, the mean over the classes.
    pub fn threshold(&self) -> f32 {
        let classes = self.sounds.support().classes();
        let sum: f32 = classes
            .iter()
            .map(|class| self.sounds.threshold(class.id()))
            .sum();
        sum / classes.len() as f32
    }

    /// Classifies one clip's embedding. An embedding without direction is unknown.
    pub fn answer(&mut self, embedding: &[f32]) -> Answer {
        match self.sounds.classify(embedding, &mut self.scores) {
            Ok(decision) => Answer {
                // Classes have the order of their labels.
                class: decision.class.and(best_score(decision.scores)),
                similarity: decision.similarity,
            },
            Err(_) => Answer {
                class: None,
                similarity: 0.0,
            },
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
    use crate::features::test_space;
    use mtslvr_runtime::fewshot::Reference;

    #[test]
    fn knows_its_classes_and_rejects_others() {
        let features = ClipFeatures {
            space: test_space(
                &[("a", 2, 0.5), ("b", 2, 0.5)],
                &[0.0; 4],
                Reference::assumed(0.5),
            ),
            rows: [
                [1.0, 0.1, 1.0, 0.0],
                [0.1, 1.0, 0.0, 1.0],
                [2.0, 0.3, 2.0, 0.1],
                [-1.0, -1.0, -1.0, -1.0],
            ]
            .concat(),
        };
        let episode = Episode {
            classes: vec![0, 1],
            support: vec![vec![0], vec![1]],
            queries: vec![vec![2], vec![3]],
        };
        let kind = HeadKind::NearestMean;
        let mut storage = Enrolment::storage(&episode, 4);
        let mut enrolment = Enrolment::new(&mut storage, kind, &features, &episode).unwrap();
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
