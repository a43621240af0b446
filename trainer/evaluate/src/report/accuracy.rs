//! Shows the few-shot accuracy of one model, or of several, beside their controls.

use super::chart;
use super::data::ModelFindings;
use super::escape::Escaped;
use super::models::known;
use super::pieces::section;
use crate::comparison::merged_notes;
use crate::results::{Evaluation, SetResult};
use std::fmt::Write;

pub(super) fn accuracy(body: &mut String, models: &[ModelFindings]) {
    let models = known(models, |model| model.evaluation.as_ref());
    let Some((_, first)) = models.first() else {
        return;
    };
    let lead = first.sets.first().map_or_else(String::new, |set| {
        format!(
            "Mean over {} tasks a set of {} sounds with {} each, classified by the {} head (parts: {}); \
             ± is the 95 % interval over tasks. Chance is {:.0} %.{}",
            set.tasks,
            set.ways,
            if set.shots == 1 { "one example".to_owned() } else { format!("{} examples", set.shots) },
            set.head,
            first.parts,
            100.0 / set.ways.max(1) as f64,
            if models.len() > 1 {
                " All models have the same tasks, each with controls of its own features and shape."
            } else {
                ""
            }
        )
    });
    let mut content = format!("<figure>{}", chart::accuracies(&chart_rows(&models)));
    content.push_str("<ul class=\"legend\">");
    let name = if models.len() > 1 {
        "the model"
    } else {
        "this model"
    };
    let random = models.iter().any(|(_, e)| e.mean_random.is_some());
    for (kind, name) in [
        ("model", name),
        ("mfcc", "MFCC statistics"),
        ("random", "random weights"),
    ] {
        if kind == "random" && !random {
            continue;
        }
        let _ = write!(
            content,
            "<li><svg viewBox=\"0 0 12 12\"><g class=\"{kind}\"><circle cx=\"6\" cy=\"6\" r=\"4.5\"/></g></svg>{name}</li>"
        );
    }
    content.push_str(
        "<li><svg viewBox=\"0 0 12 12\"><line class=\"chance\" x1=\"6\" x2=\"6\" y1=\"0\" y2=\"12\"/></svg>chance</li></ul></figure>\n",
    );
    accuracy_table(&mut content, &models);
    let evaluations: Vec<&Evaluation> = models.iter().map(|(_, evaluation)| *evaluation).collect();
    for note in merged_notes(&evaluations) {
        let _ = writeln!(content, "<p class=\"note\">{}</p>", Escaped(&note));
    }
    section(body, "Accuracy beside the controls", &lead, &content);
}

/// Names the rows of the chart: by the set, the model, or both, depending on which there are several
/// of.
fn chart_rows<'m>(models: &[(&str, &'m Evaluation)]) -> Vec<(String, &'m SetResult)> {
    let sets = models[0].1.sets.len();
    let mut rows = Vec::new();
    for index in 0..sets {
        for (label, evaluation) in models {
            let set = &evaluation.sets[index];
            let name = match (models.len(), sets) {
                (1, _) => set.name.clone(),
                (_, 1) => (*label).to_owned(),
                _ => format!("{}, {label}", set.name),
            };
            rows.push((name, set));
        }
    }
    rows
}

/// Writes a row for each set of one model; of several, a group of rows for each set.
fn accuracy_table(content: &mut String, models: &[(&str, &Evaluation)]) {
    let several = models.len() > 1;
    let sets = &models[0].1.sets;
    let head = if several {
        "<th scope=\"col\">model</th><th scope=\"col\">accuracy</th>"
    } else {
        "<th scope=\"col\">set</th><th scope=\"col\">classes</th><th scope=\"col\">clips</th>\
         <th scope=\"col\">this model</th>"
    };
    let _ = writeln!(
        content,
        "<div class=\"wide\"><table class=\"figures\">\n<thead><tr>{head}<th scope=\"col\">MFCC</th>\
         <th scope=\"col\">random weights</th></tr></thead>"
    );
    for (index, set) in sets.iter().enumerate() {
        content.push_str("<tbody>\n");
        if several {
            let _ = writeln!(
                content,
                "<tr><th scope=\"rowgroup\" colspan=\"4\">{} <small>{} classes, {} clips</small></th></tr>",
                Escaped(&set.name),
                set.classes,
                set.clips
            );
        }
        for (label, evaluation) in models {
            let set = &evaluation.sets[index];
            let head = if several {
                format!("<th scope=\"row\">{}</th>", Escaped(label))
            } else {
                format!(
                    "<th scope=\"row\">{}</th><td>{}</td><td>{}</td>",
                    Escaped(&set.name),
                    set.classes,
                    set.clips
                )
            };
            let _ = writeln!(
                content,
                "<tr>{head}<td><b>{}</b></td><td>{}</td><td>{}</td></tr>",
                interval(Some(set.accuracy), Some(set.ci95)),
                interval(Some(set.mfcc), Some(set.mfcc_ci95)),
                interval(set.random, set.random_ci95),
            );
        }
        content.push_str("</tbody>\n");
    }
    if sets.len() > 1 {
        content.push_str("<tfoot>");
        if several {
            content.push_str("<tr><th scope=\"rowgroup\" colspan=\"4\">mean</th></tr>");
        }
        for (label, evaluation) in models {
            let head = if several {
                format!("<th scope=\"row\">{}</th>", Escaped(label))
            } else {
                "<th scope=\"row\">mean</th><td></td><td></td>".to_owned()
            };
            let _ = write!(
                content,
                "<tr>{head}<td><b>{}</b></td><td>{}</td><td>{}</td></tr>",
                interval(Some(evaluation.mean), None),
                interval(Some(evaluation.mean_mfcc), None),
                interval(evaluation.mean_random, None),
            );
        }
        content.push_str("</tfoot>");
    }
    content.push_str("</table></div>\n");
}

fn interval(mean: Option<f64>, ci95: Option<f64>) -> String {
    match (mean, ci95) {
        (Some(mean), Some(ci95)) => format!("{mean:.1} <small>± {ci95:.1}</small>"),
        (Some(mean), None) => format!("{mean:.1}"),
        (None, _) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{evaluation, set};

    #[test]
    fn every_model_has_its_rows_and_the_notes_stand_once() {
        let findings = |label: &str, accuracy: f64, sets: &[&str]| {
            let sets = sets.iter().map(|name| set(name, accuracy, Some(25.0)));
            ModelFindings {
                label: label.into(),
                evaluation: Some(evaluation(label, sets.collect())),
                ..ModelFindings::default()
            }
        };
        let page = |models: &[ModelFindings]| {
            let mut body = String::new();
            accuracy(&mut body, models);
            body
        };
        let one = page(&[findings("first", 61.25, &["a", "b"])]);
        assert!(
            one.contains("this model") && !one.contains("first"),
            "{one}"
        );
        let both = [
            findings("first", 61.25, &["a"]),
            findings("second", 70.0, &["a"]),
        ];
        let both = page(&both);
        for (label, figure) in [("first", "61.2"), ("second", "70.0")] {
            let cells = format!("<th scope=\"row\">{label}</th><td><b>{figure} ");
            assert!(both.contains(&cells), "{cells} in {both}");
            assert!(both.contains(&format!(">{label}</text>")), "{both}");
        }
        assert_eq!(both.matches("class=\"note\"").count(), 1, "{both}");
        assert!(page(&[ModelFindings::default()]).is_empty());
    }
}
