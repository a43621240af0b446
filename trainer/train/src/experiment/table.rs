//! A summary as Markdown for readers and as CSV for everything else.

use super::summary::{Figure, Row, Summary};
use anyhow::{Context, Result};
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_evaluate::FeatureChoice;
use std::fmt::Write;
use std::path::Path;

/// Writes `table.md`, `summary.json` and `measurements.csv` into `folder`.
///
/// # Errors
/// If one cannot be written; the file of an earlier cell then stays whole.
pub(super) fn write(summary: &Summary, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(summary)? + "\n";
    for (name, text) in [
        ("table.md", markdown(summary)),
        ("summary.json", json),
        ("measurements.csv", csv(summary)?),
    ] {
        let path = folder.join(name);
        write_bytes(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// `table.md`: one section for each question.
pub(super) fn markdown(summary: &Summary) -> String {
    let plan = &summary.evaluation;
    let mut text = format!("# {}\n\n{}\n", summary.title, summary.compute);
    let _ = writeln!(
        text,
        "{}-way tasks, {} a set, up to {} queries a class, the same tasks for every row. Figures are percent, means \
         over seeds; ± is the half-width of the 95 % interval over tasks.",
        plan.ways, plan.tasks, plan.queries
    );
    if summary.finished < summary.cells {
        let _ = writeln!(
            text,
            "\n**{} of {} training runs are finished.**",
            summary.finished, summary.cells
        );
    }
    accuracy(&mut text, summary);
    shots(&mut text, summary);
    heads(&mut text, summary);
    each_part(&mut text, summary);
    operators(&mut text, summary);
    int8(&mut text, summary);
    training(&mut text, summary);
    if !summary.notes.is_empty() {
        text.push_str("\n## Notes\n\n");
        for note in &summary.notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

/// A table whose first column is the row's name; group headings stand before the first row of each.
fn table<'r>(
    text: &mut String,
    columns: &[String],
    rows: impl Iterator<Item = (&'r Row, Vec<String>)>,
) {
    let _ = writeln!(text, "| variant | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    let mut group = "";
    for (row, cells) in rows {
        if row.group != group {
            group = &row.group;
            let _ = writeln!(text, "| **{group}** |{}", " |".repeat(columns.len()));
        }
        let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
    }
}

fn with_interval(figure: Option<Figure>) -> String {
    match figure {
        Some(f) => format!("{:.1} ± {:.1}", f.over_seeds.mean, f.over_tasks),
        None => "–".into(),
    }
}

/// Mean, and deviation over seeds where there are several.
fn with_deviation(figure: Option<Figure>) -> String {
    match figure {
        None => "–".into(),
        Some(f) => match f.over_seeds.deviation {
            Some(deviation) => format!("{:.1} (s {deviation:.1})", f.over_seeds.mean),
            None => format!("{:.1}", f.over_seeds.mean),
        },
    }
}

fn accuracy(text: &mut String, summary: &Summary) {
    let plan = &summary.evaluation;
    let _ = writeln!(
        text,
        "\n## Accuracy, {} shot{}, head {}, all features\n\nOver seeds: number, standard deviation, 95 % interval of \
         the mean (Student). Gain: against the first variant of the group, ± 95 % over seeds (Welch).\n",
        plan.shots[0],
        if plan.shots[0] == 1 { "" } else { "s" },
        plan.head
    );
    let mut columns = summary.sets.clone();
    columns.extend(["**mean**", "over seeds", "gain"].map(str::to_owned));
    let rows = summary.controls.iter().chain(&summary.variants);
    table(
        text,
        &columns,
        rows.map(|row| {
            let mut cells: Vec<String> = row.by_set.iter().copied().map(with_interval).collect();
            cells.push(format!("**{}**", with_interval(row.mean)));
            let spread = row.mean.map(|mean| mean.over_seeds);
            cells.push(match spread {
                Some(spread) => match (spread.deviation, spread.ci95) {
                    (Some(s), Some(ci)) => format!(
                        "{}, s {s:.2}, {:.1} to {:.1}",
                        spread.seeds,
                        spread.mean - ci,
                        spread.mean + ci
                    ),
                    _ => "1".to_owned(),
                },
                None => "–".to_owned(),
            });
            cells.push(match row.gain {
                Some((gain, Some(half_width))) => format!("{gain:+.1} ± {half_width:.1}"),
                Some((gain, None)) => format!("{gain:+.1}"),
                None => String::new(),
            });
            (row, cells)
        }),
    );
}

/// Whether any row has such a figure.
fn any(summary: &Summary, has: impl Fn(&Row) -> bool) -> bool {
    summary.variants.iter().any(has)
}

fn shots(text: &mut String, summary: &Summary) {
    let plan = &summary.evaluation;
    if plan.shots.len() < 2 {
        return;
    }
    let _ = writeln!(
        text,
        "\n## By shots, mean of the sets, head {}\n\ns: standard deviation over seeds. A set that cannot give tasks of \
         so many shots is left out of that column.\n",
        plan.head
    );
    let title = |shots: &usize| format!("{shots} shot{}", if *shots == 1 { "" } else { "s" });
    let columns: Vec<String> = plan.shots.iter().map(title).collect();
    let rows = summary.controls.iter().chain(&summary.variants);
    table(
        text,
        &columns,
        rows.map(|row| {
            let figure = |&shots| row.combination(shots, &plan.head, &FeatureChoice::ALL);
            let cells = plan.shots.iter().map(figure).map(with_deviation);
            (row, cells.collect())
        }),
    );
}

fn heads(text: &mut String, summary: &Summary) {
    let plan = &summary.evaluation;
    let mut names: Vec<String> = Vec::new();
    let parsed = plan.heads.iter().filter_map(|name| name.parse().ok());
    for head in parsed.map(|head: mtslvr_evaluate::Head| head.to_string()) {
        if !names.contains(&head) {
            names.push(head);
        }
    }
    if names.is_empty() {
        return;
    }
    text.push_str("\n## Heads, mean of the sets, all features\n\n");
    let columns: Vec<(usize, &String)> = plan
        .shots
        .iter()
        .flat_map(|&shots| names.iter().map(move |head| (shots, head)))
        .collect();
    let titles: Vec<String> = columns
        .iter()
        .map(|(shots, head)| format!("{head}, {shots} shot"))
        .collect();
    table(
        text,
        &titles,
        summary.variants.iter().map(|row| {
            let figure = |&(shots, head): &(usize, &String)| {
                row.combination(shots, head, &FeatureChoice::ALL)
            };
            let cells = columns.iter().map(figure).map(with_deviation);
            (row, cells.collect())
        }),
    );
}

fn each_part(text: &mut String, summary: &Summary) {
    let plan = &summary.evaluation;
    let has = |row: &Row| {
        let mut choices = row.combinations.iter().map(|c| &c.features);
        choices.any(|choice| *choice != FeatureChoice::ALL)
    };
    let measured = summary.variants.iter().flat_map(|row| &row.combinations);
    let choices = parts_then_all(measured.map(|c| &c.features));
    if choices.len() == 1 {
        return;
    }
    let _ = writeln!(
        text,
        "\n## Each part's features alone, mean of the sets, head {}\n",
        plan.head
    );
    let shots = plan.shots.iter();
    let columns: Vec<(usize, &FeatureChoice)> = shots
        .flat_map(|&shots| choices.iter().map(move |&choice| (shots, choice)))
        .collect();
    let titles: Vec<String> = columns
        .iter()
        .map(|(shots, choice)| format!("{choice}, {shots} shot"))
        .collect();
    table(
        text,
        &titles,
        summary.variants.iter().filter(|row| has(row)).map(|row| {
            let figure = |&(shots, choice): &(usize, &FeatureChoice)| {
                row.combination(shots, &plan.head, choice)
            };
            let cells = columns.iter().map(figure).map(with_deviation);
            (row, cells.collect())
        }),
    );
}

/// Each different choice among `found` in its order; all parts come last, whether found or not.
fn parts_then_all<'f>(found: impl Iterator<Item = &'f FeatureChoice>) -> Vec<&'f FeatureChoice> {
    let mut choices = Vec::new();
    for choice in found.filter(|choice| **choice != FeatureChoice::ALL) {
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    static ALL: FeatureChoice = FeatureChoice::ALL;
    choices.push(&ALL);
    choices
}

fn operators(text: &mut String, summary: &Summary) {
    let Some(first) = summary
        .variants
        .iter()
        .find(|row| !row.operators.is_empty())
    else {
        return;
    };
    let mut names: Vec<String> = Vec::new();
    for effect in &first.operators {
        if !names.contains(&effect.operator) {
            names.push(effect.operator.clone());
        }
    }
    text.push_str(
        "\n## Invariance by operator\n\nFirst the invariance: the cosine of a clip and its augmented self, on a scale \
         where 1 is unchanged and 0 is as unlike as another clip; – where the network finds all clips alike, so that \
         there is no such scale. Then the area under the ROC curve of a linear probe that tells augmented from clean \
         clips: 0.5 is chance.\n\n",
    );
    let mut columns = vec!["features".to_owned()];
    columns.extend(names.iter().cloned());
    let rows = summary.variants.iter().flat_map(|row| {
        let names = &names;
        let choices = parts_then_all(row.operators.iter().map(|effect| &effect.features));
        choices.into_iter().filter_map(move |choice| {
            let of = |name: &String| {
                let mut effects = row.operators.iter();
                effects.find(|e| e.operator == *name && e.features == *choice)
            };
            names.iter().any(|name| of(name).is_some()).then(|| {
                let mut cells = vec![choice.to_string()];
                cells.extend(names.iter().map(|name| match of(name) {
                    Some(effect) => {
                        let invariance = effect.invariance;
                        let invariance = invariance.map_or("–".to_owned(), |i| format!("{i:.2}"));
                        format!("{invariance}, {:.2}", effect.auc)
                    }
                    None => "–".to_owned(),
                }));
                (row, cells)
            })
        })
    });
    table(text, &columns, rows);
}

fn int8(text: &mut String, summary: &Summary) {
    if !any(summary, |row| !row.int8_gain.is_empty()) {
        return;
    }
    text.push_str("\n## int8 less float, points\n\n");
    let mut columns = summary.sets.clone();
    columns.push("**mean**".to_owned());
    let rows = summary
        .variants
        .iter()
        .filter(|row| !row.int8_gain.is_empty());
    table(
        text,
        &columns,
        rows.map(|row| {
            let signed =
                |gain: &Option<f64>| gain.map_or("–".to_owned(), |gain| format!("{gain:+.2}"));
            let mut cells: Vec<String> = row.int8_gain.iter().map(signed).collect();
            let known: Vec<f64> = row.int8_gain.iter().flatten().copied().collect();
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            cells.push(format!("**{mean:+.2}**"));
            (row, cells)
        }),
    );
}

fn training(text: &mut String, summary: &Summary) {
    text.push_str(
        "\n## What training took\n\nMultiply-accumulates of one forward pass of the trunk over one patch; a step has \
         two patches a pair, and its backward pass costs about twice as much again. Waiting: share of the time in \
         which the next batch was not ready.\n\n",
    );
    let columns = [
        "steps",
        "pairs a step",
        "M MAC a patch",
        "T MAC, forward",
        "trunk parameters",
        "seconds",
        "waiting",
        "contrastive loss",
        "spread",
        "operators told",
    ]
    .map(str::to_owned);
    let number = |value: f64, digits: usize| match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => "–".to_owned(),
    };
    table(
        text,
        &columns,
        summary.variants.iter().filter_map(|row| {
            let t = row.training.as_ref()?;
            let macs = t.forward_macs as f64;
            let patches = (2 * t.batch as u64 * t.steps) as f64;
            let cells = vec![
                t.steps.to_string(),
                t.batch.to_string(),
                format!("{:.2}", macs / 1e6),
                format!("{:.2}", macs * patches / 1e12),
                t.parameters.to_string(),
                number(t.seconds, 0),
                format!("{:.1} %", 100.0 * t.waiting),
                number(t.contrastive, 3),
                number(t.spread, 2),
                match t.label_accuracy.is_finite() {
                    true => format!("{:.1} %", 100.0 * t.label_accuracy),
                    false => "–".to_owned(),
                },
            ];
            Some((row, cells))
        }),
    );
}

/// `measurements.csv`: one line for each measurement of each cell.
pub(super) fn csv(summary: &Summary) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "variant", "seed", "set", "shots", "head", "features", "engine", "accuracy", "ci95",
    ])?;
    for result in &summary.results {
        for m in &result.measurements {
            writer.write_record([
                &result.variant,
                &result.seed.to_string(),
                &m.set,
                &m.shots.to_string(),
                &m.head,
                &m.features.to_string(),
                &m.engine,
                &m.accuracy.to_string(),
                &m.ci95.to_string(),
            ])?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
