//! Results of an evaluation, as data and as JSON.

use serde::{Deserialize, Serialize};

/// Few-shot accuracy of one model on several sets. All accuracies are in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The model as it was given: its file or folder, or the name of a shipped backbone.
    pub model: String,
    /// Engine that computed the embeddings.
    pub engine: String,
    /// Parts of the embedding that were used: `all`, or names joined with `+`.
    pub parts: String,
    /// At most this many queries of a class in a task.
    pub queries: usize,
    /// Seed of the episodes.
    pub seed: u64,
    /// One entry a set, in the order given.
    pub sets: Vec<SetResult>,
    /// Mean accuracy over the sets, each counting once.
    pub mean: f64,
    /// Mean of the MFCC control over the sets.
    pub mean_mfcc: f64,
    /// Mean of the random-weights control over the sets; `null` where there is none.
    pub mean_random: Option<f64>,
    /// Remarks that a reader of the figures needs: on the controls, and on missing values.
    pub notes: Vec<String>,
}

/// Few-shot accuracy on one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetResult {
    /// Name of the set: its folder's.
    pub name: String,
    /// Classes that tasks were drawn from.
    pub classes: usize,
    /// Clips of those classes.
    pub clips: usize,
    /// Classes left out because all their clips are of one group.
    pub left_out: Vec<String>,
    /// Number of tasks.
    pub tasks: usize,
    /// Classes in a task.
    pub ways: usize,
    /// Examples of each class.
    pub shots: usize,
    /// The classifier.
    pub head: String,
    /// Mean accuracy over tasks, percent.
    pub accuracy: f64,
    /// Half-width of its 95 % interval over tasks.
    pub ci95: f64,
    /// MFCC control on the same tasks, percent.
    pub mfcc: f64,
    /// Half-width of the MFCC control's interval.
    pub mfcc_ci95: f64,
    /// Random-weights control on the same tasks, percent.
    pub random: Option<f64>,
    /// Half-width of the random-weights control's interval.
    pub random_ci95: Option<f64>,
}

impl SetResult {
    /// Returns the note on classes that no task holds, if there are any.
    pub fn left_out_note(&self) -> Option<String> {
        (!self.left_out.is_empty()).then(|| {
            format!(
                "{}: no task holds {}: all clips of such a class are of one group.",
                self.name,
                self.left_out.join(", ")
            )
        })
    }
}

impl Evaluation {
    /// Collects the results of sets; means are over sets.
    pub fn new(
        model: String,
        engine: String,
        parts: String,
        queries: usize,
        seed: u64,
        sets: Vec<SetResult>,
        notes: Vec<String>,
    ) -> Self {
        let mean_of = |value: &dyn Fn(&SetResult) -> Option<f64>| -> Option<f64> {
            let values: Option<Vec<f64>> = sets.iter().map(value).collect();
            let values = values.filter(|v| !v.is_empty())?;
            Some(values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            mean: mean_of(&|s| Some(s.accuracy)).unwrap_or(f64::NAN),
            mean_mfcc: mean_of(&|s| Some(s.mfcc)).unwrap_or(f64::NAN),
            mean_random: mean_of(&|s| s.random),
            model,
            engine,
            parts,
            queries,
            seed,
            sets,
            notes,
        }
    }
}

/// Made-up figures for tests.
#[cfg(test)]
pub(crate) mod example {
    use super::*;

    /// Makes results of one set.
    pub(crate) fn set(name: &str, accuracy: f64, random: Option<f64>) -> SetResult {
        SetResult {
            name: name.into(),
            classes: 10,
            clips: 400,
            left_out: Vec::new(),
            tasks: 1000,
            ways: 5,
            shots: 1,
            head: "ridge".into(),
            accuracy,
            ci95: 0.6,
            mfcc: 30.0,
            mfcc_ci95: 0.5,
            random,
            random_ci95: random.map(|_| 0.4),
        }
    }

    /// Makes an evaluation of one model.
    pub(crate) fn evaluation(model: &str, sets: Vec<SetResult>) -> Evaluation {
        let text = |s: &str| s.to_owned();
        let notes = vec!["a note".to_owned()];
        Evaluation::new(text(model), text("packed"), text("all"), 5, 1, sets, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::example::set;
    use super::*;

    fn evaluation(sets: Vec<SetResult>) -> Evaluation {
        example::evaluation("m.slvr", sets)
    }

    #[test]
    fn the_mean_counts_every_set_once() {
        let both = evaluation(vec![set("a", 40.0, Some(30.0)), set("b", 60.0, Some(20.0))]);
        assert_eq!(
            (both.mean, both.mean_mfcc, both.mean_random),
            (50.0, 30.0, Some(25.0))
        );
        let missing = evaluation(vec![set("a", 40.0, Some(30.0)), set("b", 60.0, None)]);
        assert_eq!(missing.mean_random, None);
    }

    #[test]
    fn json_has_the_promised_names() {
        let json = serde_json::to_value(evaluation(vec![set("a", 40.0, None)])).unwrap();
        assert_eq!(json["mean"], 40.0);
        let row = json["sets"][0].as_object().unwrap();
        for name in [
            "name", "classes", "clips", "tasks", "ways", "shots", "head", "accuracy", "ci95",
            "mfcc", "random",
        ] {
            assert!(row.contains_key(name), "{name}");
        }
        assert!(row["random"].is_null());
    }
}
