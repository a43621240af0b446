//! Writes evaluations as a table for the terminal: of one model, or of several on the same tasks.

use super::results::{Evaluation, SetResult};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Evaluations of several models on the same tasks of the same sets, each beside its own controls: a
/// control depends on a model's features and on its trunk's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// One entry a model, in the order given.
    pub models: Vec<Evaluation>,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models: Vec<&Evaluation> = self.models.iter().collect();
        write_table(f, &models)
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_table(f, &[self])
    }
}

/// Writes `61.2 ± 0.6`, or a dash, in the same width for every value.
pub fn with_interval(mean: Option<f64>, ci95: Option<f64>) -> String {
    match (mean, ci95) {
        (Some(mean), Some(ci95)) => format!("{mean:5.1} ± {ci95:3.1}"),
        (Some(mean), None) => format!("{mean:5.1}      "),
        (None, _) => format!("{:>11}", "-"),
    }
}

/// Returns the width of a column of texts.
fn width<'t>(head: &str, texts: impl Iterator<Item = &'t str>) -> usize {
    let widths = texts.map(|text| text.chars().count());
    widths.max().unwrap_or(0).max(head.chars().count())
}

/// Writes a row for each set or, for several models, a block with a row for each model.
fn write_table(f: &mut fmt::Formatter<'_>, models: &[&Evaluation]) -> fmt::Result {
    let Some(first) = models.first() else {
        return Ok(());
    };
    if let Some(set) = first.sets.first() {
        writeln!(
            f,
            "{}-way {}-shot, {} tasks a set, up to {} queries a class, head {}, parts {}, {}",
            set.ways,
            set.shots,
            set.tasks,
            first.queries,
            set.head,
            first.parts,
            engines(models)
        )?;
    }
    let set_width = width("mean", first.sets.iter().map(|set| set.name.as_str()));
    let model_width = width("model", models.iter().map(|model| model.model.as_str()));
    // One model needs no name in every row.
    let name = |model: &str| match models.len() {
        1 => String::new(),
        _ => format!("{model:model_width$}  "),
    };
    writeln!(
        f,
        "{:set_width$}  classes  clips  {}{:>11}  {:>11}  {:>11}",
        "set",
        name("model"),
        "accuracy %",
        "MFCC",
        "random"
    )?;
    for index in 0..first.sets.len() {
        for (row, model) in models.iter().enumerate() {
            let set = &model.sets[index];
            let head = match row {
                0 => format!(
                    "{:set_width$}  {:>7}  {:>5}",
                    set.name, set.classes, set.clips
                ),
                _ => format!("{:set_width$}  {:>7}  {:>5}", "", "", ""),
            };
            let [accuracy, mfcc, random] = intervals(set);
            writeln!(
                f,
                "{head}  {}{accuracy}  {mfcc}  {random}",
                name(&model.model)
            )?;
        }
    }
    for (row, model) in models.iter().enumerate() {
        let head = if row == 0 { "mean" } else { "" };
        writeln!(
            f,
            "{head:set_width$}  {:>7}  {:>5}  {}{}  {}  {}",
            "",
            "",
            name(&model.model),
            with_interval(Some(model.mean), None),
            with_interval(Some(model.mean_mfcc), None),
            with_interval(model.mean_random, None),
        )?;
    }
    for note in merged_notes(models) {
        writeln!(f, "note: {note}")?;
    }
    Ok(())
}

/// Returns the texts of the model, the MFCC control and the random-weights control.
fn intervals(set: &SetResult) -> [String; 3] {
    [
        with_interval(Some(set.accuracy), Some(set.ci95)),
        with_interval(Some(set.mfcc), Some(set.mfcc_ci95)),
        with_interval(set.random, set.random_ci95),
    ]
}

/// Writes `engine packed`, or the engine of each model where they differ.
fn engines(models: &[&Evaluation]) -> String {
    if models.iter().all(|model| model.engine == models[0].engine) {
        return format!("engine {}", models[0].engine);
    }
    let each = models.iter();
    let each: Vec<String> = each
        .map(|model| format!("{} ({})", model.engine, model.model))
        .collect();
    format!("engines {}", each.join(", "))
}

/// Merges the notes on several models: a note on all of them appears once, any other with the model's
/// name.
pub fn merged_notes(models: &[&Evaluation]) -> Vec<String> {
    let mut merged = Vec::new();
    for model in models {
        for note in &model.notes {
            let of_all = models.iter().all(|other| other.notes.contains(note));
            let note = match of_all {
                true => note.clone(),
                false => format!("{}: {note}", model.model),
            };
            if !merged.contains(&note) {
                merged.push(note);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::super::example::{evaluation, set};
    use super::*;

    fn line_widths(text: &str) -> Vec<usize> {
        let lines = text.lines().skip(1);
        lines.map(|line| line.trim_end().chars().count()).collect()
    }

    #[test]
    fn columns_of_one_model_line_up() {
        let sets = vec![set("esc10", 61.25, Some(9.0)), set("b", 5.0, None)];
        let table = evaluation("m.slvr", sets);
        let text = table.to_string();
        let widths = line_widths(&text);
        assert_eq!(widths[0], widths[1], "{text}");
        assert!(text.contains("61.2 ± 0.6"), "{text}");
        assert!(!text.contains("model"), "{text}");
    }

    #[test]
    fn several_models_share_a_table_and_the_notes_that_are_true_of_all() {
        let mut first = evaluation("m.slvr", vec![set("esc10", 61.25, Some(9.0))]);
        let second = evaluation("edge-m", vec![set("esc10", 70.0, Some(8.0))]);
        first.notes.push("mine".into());
        let both = Comparison {
            models: vec![first, second],
        };
        let text = both.to_string();
        let widths = line_widths(&text);
        assert_eq!(widths[0], widths[1], "{text}");
        assert_eq!(widths[0], widths[2], "{text}");
        assert_eq!(text.matches("esc10").count(), 1, "{text}");
        assert_eq!(text.matches("edge-m  ").count(), 2, "{text}");
        assert!(text.contains("engine packed"), "{text}");
        assert!(
            text.contains("note: a note\nnote: m.slvr: mine\n"),
            "{text}"
        );
        let json = serde_json::to_value(&both).unwrap();
        assert_eq!(json["models"][1]["sets"][0]["accuracy"], 70.0);
        let mut mixed = both;
        mixed.models[1].engine = "tract".into();
        let text = mixed.to_string();
        assert!(
            text.contains("engines packed (m.slvr), tract (edge-m)"),
            "{text}"
        );
    }
}
