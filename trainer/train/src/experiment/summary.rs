//! The cells of an experiment put together: a row for each variant, figures over its seeds.

use super::cell::{CellResult, Measurement, Training};
use super::interval::Spread;
use super::invariance::OperatorEffect;
use super::plan::{EvaluationPlan, Plan};
use mtslvr_evaluate::FeatureChoice;
use serde::Serialize;

/// All that the tables show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The plan's title.
    pub title: String,
    /// Sentence on how compute is matched.
    pub compute: String,
    /// Evaluation by which the cells were measured.
    pub evaluation: EvaluationPlan,
    /// The labelled sets, by name.
    pub sets: Vec<String>,
    /// Cells that are finished.
    pub finished: usize,
    /// Cells of the plan.
    pub cells: usize,
    /// MFCC statistics and random weights.
    pub controls: Vec<Row>,
    /// The variants, as far as a cell of theirs is finished.
    pub variants: Vec<Row>,
    /// Sentences on what could not be measured, and why.
    pub notes: Vec<String>,
    /// Every single measurement, for the CSV file.
    #[serde(skip)]
    pub results: Vec<CellResult>,
}

/// One variant over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// The seeds that are finished.
    pub seeds: Vec<u64>,
    /// Accuracy with the main head on all parts, the float network, at the main shots.
    pub mean: Option<Figure>,
    /// The same less that of the first variant of the group, and the half-width of its 95 % interval
    /// over seeds.
    pub gain: Option<(f64, Option<f64>)>,
    /// The same for each set; in the order of the sets.
    pub by_set: Vec<Option<Figure>>,
    /// int8 less float for each set, mean over seeds; empty where the packed model was not measured.
    pub int8_gain: Vec<Option<f64>>,
    /// Means over the sets, for each combination of shots, head and features that was measured.
    pub combinations: Vec<Combination>,
    /// Effect of each operator on the features, means over seeds.
    pub operators: Vec<OperatorEffect>,
    /// Cost of training, mean over seeds; `None` for a control.
    pub training: Option<Training>,
}

/// A mean over sets, or one set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Over seeds.
    pub over_seeds: Spread,
    /// Half-width of the 95 % interval over tasks, of one seed's figure.
    pub over_tasks: f64,
}

/// Mean accuracy over the sets under one way to classify.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Combination {
    /// Examples of each class.
    pub shots: usize,
    /// The classifier.
    pub head: String,
    /// Parts of the embedding that it saw.
    pub features: FeatureChoice,
    /// Mean over the sets that can give such tasks.
    pub mean: Figure,
}

impl Summary {
    /// Puts the finished cells' results (each with its variant's index) together.
    pub fn new(
        plan: &Plan,
        cells: usize,
        controls: &[CellResult],
        results: &[(usize, CellResult)],
    ) -> Self {
        let first = controls
            .first()
            .or(results.first().map(|(_, result)| result));
        let sets = first.map(|result| result.sets.clone()).unwrap_or_default();
        let mut variants: Vec<Row> = Vec::new();
        for (index, variant) in plan.variants.iter().enumerate() {
            let of: Vec<&CellResult> = results
                .iter()
                .filter(|(of, _)| *of == index)
                .map(|(_, result)| result)
                .collect();
            if !of.is_empty() {
                variants.push(Row::new(
                    &variant.group,
                    &variant.name,
                    &plan.evaluate,
                    &sets,
                    &of,
                ));
            }
        }
        set_gains(plan, &mut variants);
        Self {
            title: plan.title.clone(),
            compute: plan.compute_sentence(),
            evaluation: plan.evaluate.clone(),
            controls: controls
                .iter()
                .map(|control| Row::new("", &control.variant, &plan.evaluate, &sets, &[control]))
                .collect(),
            sets,
            finished: results.len(),
            cells,
            variants,
            notes: notes(controls, results),
            results: controls
                .iter()
                .chain(results.iter().map(|(_, result)| result))
                .cloned()
                .collect(),
        }
    }
}

/// Sets what each row gains over the first row of its group, if that is the group's first variant.
fn set_gains(plan: &Plan, variants: &mut [Row]) {
    for index in 0..variants.len() {
        let group = &variants[index].group;
        let first = variants.iter().position(|row| row.group == *group);
        let first = first.expect("the row itself is of its group");
        // The first finished row is the group's first only if that is finished.
        let baseline = plan.variants.iter().find(|v| v.group == *group);
        let is_baseline = baseline.is_some_and(|v| v.name == variants[first].name);
        if let (true, Some(from), Some(to)) = (
            is_baseline && first != index,
            variants[first].mean,
            variants[index].mean,
        ) {
            variants[index].gain = Some(from.over_seeds.gain(&to.over_seeds));
        }
    }
}

/// Collects the notes of all results, each once.
fn notes(controls: &[CellResult], results: &[(usize, CellResult)]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for result in controls.iter().chain(results.iter().map(|(_, r)| r)) {
        for note in &result.notes {
            // What a set cannot give is the same for all; the rest is the variant's.
            let note = match note.contains("set `") {
                true => note.clone(),
                false => format!("{}: {note}.", result.variant),
            };
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

impl Row {
    fn new(
        group: &str,
        name: &str,
        plan: &EvaluationPlan,
        sets: &[String],
        results: &[&CellResult],
    ) -> Self {
        // Checked when the plan was read.
        let head = plan.main_head().unwrap_or_default().to_string();
        let shots = plan.shots[0];
        let main = |engine: &'static str, set: Option<&str>| {
            let head = head.clone();
            let set = set.map(str::to_owned);
            move |m: &Measurement| {
                (m.shots, &m.head, &m.features) == (shots, &head, &FeatureChoice::ALL)
                    && m.engine == engine
                    && set.as_ref().is_none_or(|set| *set == m.set)
            }
        };
        let by_set: Vec<Option<Figure>> = sets
            .iter()
            .map(|set| figure(results, main("float", Some(set))))
            .collect();
        let packed = sets
            .iter()
            .map(|set| figure(results, main("int8", Some(set))));
        let int8_gain: Vec<Option<f64>> = packed
            .zip(&by_set)
            .map(|(int8, float)| Some(int8?.over_seeds.mean - float.as_ref()?.over_seeds.mean))
            .collect();
        let mut combinations: Vec<Combination> = Vec::new();
        let measured = results.iter().flat_map(|result| &result.measurements);
        for m in measured.filter(|m| m.engine == "float") {
            let same = |shots: usize, head: &str, features: &FeatureChoice| {
                (shots, head, features) == (m.shots, m.head.as_str(), &m.features)
            };
            if combinations
                .iter()
                .any(|c| same(c.shots, &c.head, &c.features))
            {
                continue;
            }
            let mean = figure(results, |other: &Measurement| {
                other.engine == "float" && same(other.shots, &other.head, &other.features)
            });
            combinations.extend(mean.map(|mean| Combination {
                shots: m.shots,
                head: m.head.clone(),
                features: m.features.clone(),
                mean,
            }));
        }
        Self {
            group: group.to_owned(),
            name: name.to_owned(),
            seeds: results.iter().map(|result| result.seed).collect(),
            mean: figure(results, main("float", None)),
            gain: None,
            by_set,
            int8_gain: match int8_gain.iter().any(Option::is_some) {
                true => int8_gain,
                false => Vec::new(),
            },
            combinations,
            operators: operators(results),
            training: training(results),
        }
    }

    /// The figure of one way to classify.
    pub fn combination(
        &self,
        shots: usize,
        head: &str,
        features: &FeatureChoice,
    ) -> Option<Figure> {
        let wanted =
            |c: &&Combination| (c.shots, c.head.as_str(), &c.features) == (shots, head, features);
        self.combinations.iter().find(wanted).map(|c| c.mean)
    }
}

/// Mean over the sets of the measurements that `wanted` picks, for each seed; then over seeds.
fn figure(results: &[&CellResult], wanted: impl Fn(&Measurement) -> bool) -> Option<Figure> {
    let (mut means, mut intervals) = (Vec::new(), Vec::new());
    for result in results {
        let picked: Vec<&Measurement> = result.measurements.iter().filter(|m| wanted(m)).collect();
        if picked.is_empty() {
            continue;
        }
        let n = picked.len() as f64;
        means.push(picked.iter().map(|m| m.accuracy).sum::<f64>() / n);
        // Sets are independent of each other.
        intervals.push(picked.iter().map(|m| m.ci95.powi(2)).sum::<f64>().sqrt() / n);
    }
    Some(Figure {
        over_seeds: Spread::of(&means)?,
        over_tasks: intervals.iter().sum::<f64>() / intervals.len() as f64,
    })
}

fn operators(results: &[&CellResult]) -> Vec<OperatorEffect> {
    let Some(first) = results.first() else {
        return Vec::new();
    };
    // Over the runs that have a value; no value if none has.
    let mean = |effect: &OperatorEffect, value: fn(&OperatorEffect) -> Option<f64>| {
        let all = results.iter().flat_map(|result| &result.operators);
        let same =
            all.filter(|e| (&e.operator, &e.features) == (&effect.operator, &effect.features));
        let values: Vec<f64> = same.filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let always = |effect: &OperatorEffect, value: fn(&OperatorEffect) -> Option<f64>| {
        mean(effect, value).unwrap_or(0.0)
    };
    let effects = first.operators.iter().map(|effect| OperatorEffect {
        cosine: always(effect, |e| Some(e.cosine)),
        random: always(effect, |e| Some(e.random)),
        invariance: mean(effect, |e| e.invariance),
        auc: always(effect, |e| Some(e.auc)),
        ..effect.clone()
    });
    effects.collect()
}

fn training(results: &[&CellResult]) -> Option<Training> {
    let all: Vec<&Training> = results.iter().filter_map(|r| r.training.as_ref()).collect();
    let mean = |value: fn(&Training) -> f64| {
        all.iter().map(|t| value(t)).sum::<f64>() / all.len().max(1) as f64
    };
    let first = *all.first()?;
    Some(Training {
        seconds: mean(|t| t.seconds),
        waiting: mean(|t| t.waiting),
        contrastive: mean(|t| t.contrastive),
        spread: mean(|t| t.spread),
        label_accuracy: mean(|t| t.label_accuracy),
        ..first.clone()
    })
}
