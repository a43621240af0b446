//! What an evaluation gives: the figures as data, as JSON and as a table for the terminal.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Few-shot accuracy of one model on several sets. All accuracies are in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The model's file or folder as it was given.
    pub model: String,
    /// Engine that computed the embeddings.
    pub engine: String,
    /// Which features were used: `both`, `invariant` or `equivariant`.
    pub features: String,
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
    /// What a reader of the figures must know: what the controls are, what is missing and why.
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

impl Evaluation {
    /// Puts the sets' results together; means are over sets.
    pub fn new(
        model: String,
        engine: String,
        features: String,
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
            features,
            queries,
            seed,
            sets,
            notes,
        }
    }
}

/// `61.2 ± 0.6`, or a dash.
fn with_interval(mean: Option<f64>, ci95: Option<f64>) -> String {
    match (mean, ci95) {
        (Some(mean), Some(ci95)) => format!("{mean:5.1} ± {ci95:3.1}"),
        (Some(mean), None) => format!("{mean:5.1}      "),
        (None, _) => format!("{:>11}", "-"),
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.sets.iter().map(|s| s.name.chars().count()).max();
        let width = width.unwrap_or(0).max("mean".len());
        if let Some(set) = self.sets.first() {
            writeln!(
                f,
                "{}-way {}-shot, {} tasks a set, up to {} queries a class, head {}, {} features, engine {}",
                set.ways, set.shots, set.tasks, self.queries, set.head, self.features, self.engine
            )?;
        }
        writeln!(
            f,
            "{:width$}  classes  clips  {:>11}  {:>11}  {:>11}",
            "set", "accuracy %", "MFCC", "random"
        )?;
        for set in &self.sets {
            writeln!(
                f,
                "{:width$}  {:>7}  {:>5}  {}  {}  {}",
                set.name,
                set.classes,
                set.clips,
                with_interval(Some(set.accuracy), Some(set.ci95)),
                with_interval(Some(set.mfcc), Some(set.mfcc_ci95)),
                with_interval(set.random, set.random_ci95),
            )?;
        }
        writeln!(
            f,
            "{:width$}  {:>7}  {:>5}  {}  {}  {}",
            "mean",
            "",
            "",
            with_interval(Some(self.mean), None),
            with_interval(Some(self.mean_mfcc), None),
            with_interval(self.mean_random, None),
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, accuracy: f64, random: Option<f64>) -> SetResult {
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

    fn evaluation(sets: Vec<SetResult>) -> Evaluation {
        let text = |s: &str| s.to_owned();
        Evaluation::new(
            text("m.slvr"),
            text("packed"),
            text("both"),
            5,
            1,
            sets,
            vec![],
        )
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

    #[test]
    fn table_columns_line_up() {
        let table = evaluation(vec![set("esc10", 61.25, Some(9.0)), set("b", 5.0, None)]);
        let text = table.to_string();
        let widths: Vec<_> = text
            .lines()
            .skip(1)
            .map(|l| l.trim_end().chars().count())
            .collect();
        assert_eq!(widths[0], widths[1], "{text}");
        assert!(text.contains("61.2 ± 0.6"), "{text}");
    }
}
