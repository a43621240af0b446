//! The page's parts in the order in which they are read.

use super::escape::Escaped;
use super::{Confusion, Curve, EngineAgreement, Fact, Recognition, Report, Spectrogram, chart};
use crate::evaluate::Evaluation;
use std::fmt::{Display, Write};

pub(super) fn render(report: &Report) -> String {
    let mut body = String::new();
    header(&mut body, report);
    if let Some(recognition) = &report.recognition {
        self::recognition(&mut body, recognition);
    }
    if let Some(evaluation) = &report.evaluation {
        self::evaluation(&mut body, evaluation);
    }
    if let Some(drawing) = report.map.as_ref().and_then(chart::embedding_map) {
        section(
            &mut body,
            "Embedding map",
            "Each point is a clip: its centred and normalised embedding, seen along the two directions in which \
             the clips differ most. What lies close together here sounds alike to the model; two dimensions \
             show only part of it.",
            &format!("<figure>{drawing}</figure>"),
        );
    }
    spectrograms(&mut body, &report.spectrograms);
    curves(&mut body, &report.curves);
    engines(&mut body, &report.engines);
    if !report.costs.is_empty() {
        section(
            &mut body,
            "The packed model",
            "What it takes on the device.",
            &facts(&report.costs),
        );
    }
    if !report.facts.is_empty() {
        section(&mut body, "The run", "", &facts(&report.facts));
    }
    if !report.notes.is_empty() {
        let mut list = String::from("<ul class=\"notes\">");
        for note in &report.notes {
            let _ = write!(list, "<li>{}</li>", Escaped(note));
        }
        list.push_str("</ul>");
        section(&mut body, "How to read this", "", &list);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n{body}\
         <footer>Made by mtslvr {}. The same figures are in <code>results.json</code> beside this page.</footer>\n\
         </main>\n</body>\n</html>\n",
        Escaped(&report.title),
        include_str!("page.css"),
        env!("CARGO_PKG_VERSION"),
    )
}

fn section(body: &mut String, title: &str, lead: &str, content: &str) {
    let _ = write!(body, "<section>\n<h2>{}</h2>\n", Escaped(title));
    if !lead.is_empty() {
        let _ = writeln!(body, "<p>{}</p>", Escaped(lead));
    }
    let _ = write!(body, "{content}\n</section>\n");
}

fn header(body: &mut String, report: &Report) {
    let _ = write!(
        body,
        "<header>\n<h1>{}</h1>\n<p class=\"summary\">{}</p>\n",
        Escaped(&report.title),
        Escaped(&report.summary)
    );
    if !report.headline.is_empty() {
        body.push_str("<div class=\"headline\">\n");
        for figure in &report.headline {
            let _ = writeln!(
                body,
                "<div><strong>{}</strong><span>{}</span><small>{}</small></div>",
                Escaped(&figure.value),
                Escaped(&figure.name),
                Escaped(&figure.context)
            );
        }
        body.push_str("</div>\n");
    }
    body.push_str("</header>\n");
}

fn recognition(body: &mut String, recognition: &Recognition) {
    let lead = format!(
        "After enrolment with the {} head, {} of {} unseen clips of enrolled sounds were answered with the right \
         name, and {} of {} clips of sounds never enrolled were answered “unknown”. An answer is unknown where \
         the cosine similarity to the nearest class stays below {:.2}.",
        recognition.head,
        recognition.recognised,
        recognition.known,
        recognition.rejected,
        recognition.strangers,
        recognition.threshold
    );
    section(
        body,
        "Recognition",
        &lead,
        &confusion(&recognition.confusion),
    );
}

/// Rows are what the clips are, columns what was answered; a cell's shade is its share of the row.
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

fn evaluation(body: &mut String, evaluation: &Evaluation) {
    let lead = evaluation.sets.first().map_or_else(String::new, |set| {
        format!(
            "Mean over {} tasks a set of {} sounds with {} each, classified by the {} head on {} features; \
             ± is the 95 % interval over tasks. Chance is {:.0} %.",
            set.tasks,
            set.ways,
            if set.shots == 1 { "one example".to_owned() } else { format!("{} examples", set.shots) },
            set.head,
            evaluation.features,
            100.0 / set.ways.max(1) as f64
        )
    });
    let mut content = format!("<figure>{}", chart::accuracies(&evaluation.sets));
    content.push_str("<ul class=\"legend\">");
    for (kind, name) in [
        ("model", "this model"),
        ("mfcc", "MFCC statistics"),
        ("random", "random weights"),
    ] {
        if kind == "random" && evaluation.mean_random.is_none() {
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
    content.push_str(
        "<div class=\"wide\"><table class=\"figures\">\n<thead><tr><th scope=\"col\">set</th><th scope=\"col\">classes</th>\
         <th scope=\"col\">clips</th><th scope=\"col\">this model</th><th scope=\"col\">MFCC</th>\
         <th scope=\"col\">random weights</th></tr></thead>\n<tbody>\n",
    );
    for set in &evaluation.sets {
        let _ = writeln!(
            content,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td><b>{}</b></td><td>{}</td><td>{}</td></tr>",
            Escaped(&set.name),
            set.classes,
            set.clips,
            interval(Some(set.accuracy), Some(set.ci95)),
            interval(Some(set.mfcc), Some(set.mfcc_ci95)),
            interval(set.random, set.random_ci95),
        );
    }
    content.push_str("</tbody>");
    if evaluation.sets.len() > 1 {
        let _ = write!(
            content,
            "<tfoot><tr><th scope=\"row\">mean</th><td></td><td></td><td><b>{}</b></td><td>{}</td><td>{}</td></tr></tfoot>",
            interval(Some(evaluation.mean), None),
            interval(Some(evaluation.mean_mfcc), None),
            interval(evaluation.mean_random, None),
        );
    }
    content.push_str("</table></div>\n");
    for note in &evaluation.notes {
        let _ = writeln!(content, "<p class=\"note\">{}</p>", Escaped(note));
    }
    section(body, "Accuracy beside the controls", &lead, &content);
}

fn interval(mean: Option<f64>, ci95: Option<f64>) -> String {
    match (mean, ci95) {
        (Some(mean), Some(ci95)) => format!("{mean:.1} <small>± {ci95:.1}</small>"),
        (Some(mean), None) => format!("{mean:.1}"),
        (None, _) => "–".to_owned(),
    }
}

fn spectrograms(body: &mut String, pictures: &[Spectrogram]) {
    if pictures.is_empty() {
        return;
    }
    // Whole rows where the number allows it.
    let columns = [5, 4, 3]
        .into_iter()
        .find(|columns| pictures.len().is_multiple_of(*columns));
    let columns = columns.unwrap_or(5);
    let mut grid = format!("<div class=\"pictures\" style=\"--columns:{columns}\">\n");
    for picture in pictures {
        let _ = writeln!(
            grid,
            "<figure><img alt=\"Log-mel spectrogram of {title}\" src=\"{}\"><figcaption>{title}</figcaption></figure>",
            Escaped(&picture.image),
            title = Escaped(&picture.title),
        );
    }
    grid.push_str("</div>");
    section(
        body,
        "What the model hears",
        "Log-mel frames from the same frontend that runs on the device: time to the right, pitch upwards, \
         brighter is louder.",
        &grid,
    );
}

fn curves(body: &mut String, curves: &[Curve]) {
    let mut grid = String::new();
    for curve in curves {
        if let Some(drawing) = chart::curve(curve) {
            let _ = writeln!(
                grid,
                "<figure><figcaption>{}</figcaption>{drawing}</figure>",
                Escaped(&curve.name)
            );
        }
    }
    if !grid.is_empty() {
        let lead = if curves.iter().any(|c| c.points.len() >= chart::SMOOTHED) {
            "As measured (thin) and as a running mean (strong)."
        } else {
            ""
        };
        section(
            body,
            "Training",
            lead,
            &format!("<div class=\"curves\">\n{grid}</div>"),
        );
    }
}

fn engines(body: &mut String, engines: &[EngineAgreement]) {
    if engines.is_empty() {
        return;
    }
    let mut table = String::from(
        "<div class=\"wide\"><table class=\"figures\">\n<thead><tr><th scope=\"col\">engine</th>\
         <th scope=\"col\">largest difference</th><th scope=\"col\">relative</th>\
         <th scope=\"col\">cosine</th><th scope=\"col\" class=\"text\">note</th></tr></thead>\n<tbody>\n",
    );
    let cell = |value: Option<f64>, show: fn(f64) -> String| value.map_or("–".to_owned(), show);
    for engine in engines {
        let _ = writeln!(
            table,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>",
            Escaped(&engine.engine),
            cell(engine.largest_difference, |v| format!("{v:.1e}")),
            cell(engine.relative_difference, |v| format!("{v:.1e}")),
            cell(engine.cosine, |v| format!("{v:.5}")),
            Escaped(&engine.note),
        );
    }
    table.push_str("</tbody></table></div>");
    section(
        body,
        "Do the engines agree?",
        "The same inputs through every engine, compared with the network as it was trained.",
        &table,
    );
}

fn facts(facts: &[Fact]) -> String {
    let mut list = String::from("<dl>\n");
    for Fact { name, value } in facts {
        let (name, value): (&dyn Display, &dyn Display) = (&Escaped(name), &Escaped(value));
        let _ = writeln!(list, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    list.push_str("</dl>");
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EmbeddingMap, Figure, MapPoint};

    fn hostile() -> String {
        "<img src=x onerror=alert(1)>\"'&".to_owned()
    }

    #[test]
    fn every_label_is_escaped_and_nothing_is_fetched() {
        let fact = || Fact {
            name: hostile(),
            value: hostile(),
        };
        let report = Report {
            title: hostile(),
            summary: hostile(),
            headline: vec![Figure {
                value: hostile(),
                name: hostile(),
                context: hostile(),
            }],
            facts: vec![fact()],
            recognition: Some(Recognition {
                head: hostile(),
                threshold: 0.5,
                recognised: 1,
                known: 2,
                rejected: 1,
                strangers: 1,
                confusion: Confusion {
                    rows: vec![hostile()],
                    columns: vec![hostile()],
                    counts: vec![vec![1]],
                },
            }),
            evaluation: None,
            map: Some(EmbeddingMap {
                classes: vec![hostile()],
                points: vec![MapPoint {
                    x: 0.0,
                    y: 0.0,
                    class: Some(0),
                    enrolled: true,
                }],
                explained: [0.5, 0.2],
            }),
            spectrograms: vec![Spectrogram {
                title: hostile(),
                image: hostile(),
            }],
            curves: vec![Curve {
                name: hostile(),
                over: hostile(),
                points: vec![[0.0, 1.0], [1.0, 0.5]],
            }],
            engines: vec![EngineAgreement {
                engine: hostile(),
                largest_difference: None,
                relative_difference: None,
                cosine: None,
                note: hostile(),
            }],
            costs: vec![fact()],
            notes: vec![hostile()],
        };
        let html = report.to_html();
        assert!(
            !html.contains("<img src=x"),
            "a label was written as markup"
        );
        for forbidden in ["<script", "http://", "https://", "@import", "url("] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let html = Report::default().to_html();
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
        assert!(!html.contains("<section>"));
    }
}
