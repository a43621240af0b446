//! Writes the page's parts in the order in which they are read.

use super::data::{Curve, EngineAgreement, Report, Spectrogram};
use super::escape::Escaped;
use super::pieces::{facts, section};
use super::{accuracy, chart, models};
use std::fmt::Write;

pub(super) fn render(report: &Report) -> String {
    let mut body = String::new();
    header(&mut body, report);
    models::recognition(&mut body, &report.models);
    accuracy::accuracy(&mut body, &report.models);
    if let Some(map) = &report.map
        && let Some(drawing) = chart::embedding_map(map)
    {
        section(
            &mut body,
            &format!("Embedding map: {}", map.model),
            &format!(
                "Each point is a clip: its centred and normalised embedding by the model “{}”, seen along the two directions \
                 in which the clips differ most. What lies close together here sounds alike to that model; two \
                 dimensions show only part of it.",
                map.model
            ),
            &format!("<figure>{drawing}</figure>"),
        );
    }
    spectrograms(&mut body, &report.spectrograms);
    curves(&mut body, &report.curves);
    engines(&mut body, &report.engines);
    models::costs(&mut body, &report.models);
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
        "The same inputs through every engine, compared with the network in floating point.",
        &table,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Confusion, EmbeddingMap, Fact, Figure, MapPoint, ModelFindings, Recognition,
    };

    fn hostile() -> String {
        "<img src=x onerror=alert(1)>\"'&".to_owned()
    }

    #[test]
    fn every_label_is_escaped_and_nothing_is_fetched() {
        let fact = || Fact {
            name: hostile(),
            value: hostile(),
        };
        let findings = || ModelFindings {
            label: hostile(),
            recognition: Some(Recognition {
                head: hostile(),
                threshold: 0.5,
                recognised: 1,
                known: 2,
                rejected: 1,
                strangers: 1,
                false_alarms: None,
                confusion: Confusion {
                    rows: vec![hostile()],
                    columns: vec![hostile()],
                    counts: vec![vec![1]],
                },
            }),
            evaluation: None,
            costs: vec![fact()],
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
            models: vec![findings(), findings()],
            map: Some(EmbeddingMap {
                classes: vec![hostile()],
                model: hostile(),
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
