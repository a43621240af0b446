//! Shows how each model recognised, and its costs on a device. One model is shown alone, several beside
//! each other.

use super::data::{FalseAlarms, ModelFindings, Recognition};
use super::escape::Escaped;
use super::pieces::{facts, section};
use crate::enrolment::Confusion;
use std::fmt::Write;

/// Returns the models of which `part` is known, with that part.
pub(super) fn known<T>(
    models: &[ModelFindings],
    part: fn(&ModelFindings) -> Option<&T>,
) -> Vec<(&str, &T)> {
    let known = models.iter();
    known
        .filter_map(|model| Some((model.label.as_str(), part(model)?)))
        .collect()
}

pub(super) fn recognition(body: &mut String, models: &[ModelFindings]) {
    let (lead, content) = match &known(models, |model| model.recognition.as_ref())[..] {
        [] => return,
        [(_, recognition)] => (
            format!(
                "After enrolment with the {} head, {} of {} unseen clips of enrolled sounds were answered with \
                 the right name, and {} of {} clips of sounds never enrolled were answered “unknown”. An answer \
                 is unknown where the cosine similarity to the nearest class stays below {:.2}.{}",
                recognition.head,
                recognition.recognised,
                recognition.known,
                recognition.rejected,
                recognition.strangers,
                recognition.threshold,
                expectation(&[recognition])
            ),
            confusion(&recognition.confusion),
        ),
        several => (
            format!(
                "Every model was shown the same examples and asked about the same clips, with the {} head. An \
                 answer is unknown where the cosine similarity to the nearest class stays below the model's \
                 threshold.{}",
                several[0].1.head,
                expectation(&several.iter().map(|(_, found)| *found).collect::<Vec<_>>())
            ),
            recognitions(several),
        ),
    };
    section(body, "Recognition", &lead, &content);
}

/// Says how the false alarms to expect are reckoned, after a space; nothing where they are not.
fn expectation(models: &[&Recognition]) -> String {
    let Some(found) = models.iter().find_map(|model| model.false_alarms) else {
        return String::new();
    };
    let rate = match models {
        [_] => format!(
            " Expect {:.1} false alarms an hour (95 % interval {:.1} to {:.1})",
            found.per_hour, found.ci95[0], found.ci95[1]
        ),
        _ => " The false alarms an hour, with their 95 % interval, are those to expect".to_owned(),
    };
    format!(
        "{rate} where {:.0} other sounds an hour are heard and as many of them are accepted as of the clips never \
         enrolled here.",
        found.sounds
    )
}

/// Writes the models in one table, then the answers of each.
fn recognitions(models: &[(&str, &Recognition)]) -> String {
    let mut content = String::from(
        "<div class=\"wide\"><table class=\"figures\">\n<thead><tr><th scope=\"col\">model</th>\
         <th scope=\"col\">enrolled, answered with their name</th>\
         <th scope=\"col\">never enrolled, answered “unknown”</th>\
         <th scope=\"col\">threshold</th>",
    );
    let expected = models.iter().any(|(_, found)| found.false_alarms.is_some());
    if expected {
        content.push_str("<th scope=\"col\">false alarms an hour</th>");
    }
    content.push_str("</tr></thead>\n<tbody>\n");
    for (label, recognition) in models {
        let _ = write!(
            content,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{:.2}</td>",
            Escaped(label),
            share(recognition.recognised, recognition.known),
            share(recognition.rejected, recognition.strangers),
            recognition.threshold
        );
        if expected {
            let rate = recognition.false_alarms.map_or("–".to_owned(), |found| {
                let FalseAlarms {
                    per_hour,
                    ci95: [low, high],
                    ..
                } = found;
                format!("{per_hour:.1} <small>{low:.1} to {high:.1}</small>")
            });
            let _ = write!(content, "<td>{rate}</td>");
        }
        content.push_str("</tr>\n");
    }
    content.push_str("</tbody></table></div>\n");
    for (label, recognition) in models {
        let _ = writeln!(
            content,
            "<h3>{}</h3>\n{}",
            Escaped(label),
            confusion(&recognition.confusion)
        );
    }
    content
}

/// Writes a share, such as `95 % <small>57 of 60</small>`.
fn share(part: usize, whole: usize) -> String {
    format!(
        "{:.0} % <small>{part} of {whole}</small>",
        100.0 * part as f64 / whole.max(1) as f64
    )
}

/// Writes the counts of answers: a row for each true class, a column for each answer. A cell's shade is
/// its share of the row.
fn confusion(confusion: &Confusion) -> String {
    let mut table = String::from(
        "<div class=\"wide\"><table class=\"confusion\">\n<thead><tr><th scope=\"col\">clip ↓ answer →</th>",
    );
    for column in &confusion.columns {
        let _ = write!(
            table,
            "<th scope=\"col\"><span>{}</span></th>",
            Escaped(column)
        );
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    for (r, (row, counts)) in confusion.rows.iter().zip(&confusion.counts).enumerate() {
        let total: usize = counts.iter().sum();
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", Escaped(row));
        for (c, &count) in counts.iter().enumerate() {
            let share = 100.0 * count as f64 / total.max(1) as f64;
            let kind = if r == c { "right" } else { "wrong" };
            let shown = if count == 0 {
                String::new()
            } else {
                count.to_string()
            };
            let strong = if share > 55.0 { " strong" } else { "" };
            let _ = write!(
                table,
                "<td class=\"{kind}{strong}\" style=\"--share:{share:.0}%\">{shown}</td>"
            );
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody></table></div>");
    table
}

pub(super) fn costs(body: &mut String, models: &[ModelFindings]) {
    let models: Vec<&ModelFindings> = models.iter().filter(|m| !m.costs.is_empty()).collect();
    match &models[..] {
        [] => {}
        [model] => section(
            body,
            "The packed model",
            "What it takes on the device.",
            &facts(&model.costs),
        ),
        several => section(
            body,
            "The packed models",
            "What they take on the device.",
            &cost_table(several),
        ),
    }
}

/// Most bytes of a table's value that is kept on one line.
const LONG: usize = 20;

/// Writes a row for each cost that any of the models has.
fn cost_table(models: &[&ModelFindings]) -> String {
    let mut table =
        String::from("<div class=\"wide\"><table class=\"figures\">\n<thead><tr><th></th>");
    for model in models {
        let _ = write!(table, "<th scope=\"col\">{}</th>", Escaped(&model.label));
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    let mut names: Vec<&str> = Vec::new();
    for cost in models.iter().flat_map(|model| &model.costs) {
        if !names.contains(&cost.name.as_str()) {
            names.push(&cost.name);
        }
    }
    for name in names {
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", Escaped(name));
        for model in models {
            let cost = model.costs.iter().find(|cost| cost.name == name);
            let value = cost.map_or("–", |cost| cost.value.as_str());
            let class = if value.len() > LONG {
                " class=\"long\""
            } else {
                ""
            };
            let _ = write!(table, "<td{class}>{}</td>", Escaped(value));
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody></table></div>");
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Fact;

    fn recognised(label: &str, recognised: usize) -> ModelFindings {
        let confusion = Confusion {
            rows: vec!["hum".into(), "never enrolled".into()],
            columns: vec!["hum".into(), "unknown".into()],
            counts: vec![vec![recognised, 4 - recognised], vec![0, 2]],
        };
        ModelFindings {
            label: label.into(),
            recognition: Some(Recognition {
                head: "ridge".into(),
                threshold: 0.25,
                recognised,
                known: 4,
                rejected: 2,
                strangers: 2,
                false_alarms: FalseAlarms::expected(0, 2),
                confusion,
            }),
            evaluation: None,
            costs: vec![Fact::new("Flash, all", "1 KiB")],
        }
    }

    #[test]
    fn one_model_is_told_of_and_several_are_set_side_by_side() {
        let models = [recognised("first", 4), recognised("second", 3)];
        let mut one = String::new();
        recognition(&mut one, &models[..1]);
        assert!(
            one.contains("4 of 4 unseen clips") && !one.contains("first"),
            "{one}"
        );
        let mut both = String::new();
        recognition(&mut both, &models);
        assert!(both.contains("100 % <small>4 of 4</small>"), "{both}");
        assert!(both.contains("75 % <small>3 of 4</small>"), "{both}");
        assert_eq!(both.matches("class=\"confusion\"").count(), 2);
        assert!(
            both.contains("<td>0.0 <small>0.0 to 270.0</small></td>"),
            "{both}"
        );
        assert!(one.contains("Expect 0.0 false alarms an hour"), "{one}");
        assert!(both.contains("where 180 other sounds an hour"), "{both}");
        let mut dear = recognised("third", 1);
        dear.costs = vec![Fact::new("Arena", "2 KiB")];
        let mut prices = String::new();
        costs(&mut prices, &[models[0].clone(), dear]);
        let rows: Vec<&str> = prices.lines().filter(|l| l.starts_with("<tr>")).collect();
        assert!(
            rows[0].ends_with("<td>1 KiB</td><td>–</td></tr>"),
            "{prices}"
        );
        assert!(
            rows[1].ends_with("<td>–</td><td>2 KiB</td></tr>"),
            "{prices}"
        );
    }
}
