//! What a user may do next, by what the demo measured.

use mtslvr_pack::{ModelSource, SHIPPED, shipped_names};
use std::path::Path;

/// How a backbone did.
pub(super) struct Standing<'t> {
    /// What tables call it.
    pub(super) label: &'t str,
    /// What `--model` takes.
    pub(super) model: &'t str,
    /// Mean over tasks, percent.
    pub(super) accuracy: f64,
    /// Half-width of its 95 % interval.
    pub(super) ci95: f64,
}

impl Standing<'_> {
    fn is_shipped(&self) -> bool {
        SHIPPED.iter().any(|shipped| shipped.name == self.model)
    }
}

/// The one with the highest accuracy.
fn best<'a, 't>(standings: &'a [Standing<'t>]) -> &'a Standing<'t> {
    let best = standings
        .iter()
        .max_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
    best.expect("at least one backbone was tested")
}

/// Which did best, and what is to be said against that: others whose intervals overlap with its, and
/// that what was trained on made-up sounds was also tested on such.
pub(super) fn verdict(standings: &[Standing], made_up: bool) -> String {
    let best = best(standings);
    let mut verdict = format!(
        "Best on these sounds: {}, {:.1} %",
        best.label, best.accuracy
    );
    let near: Vec<&str> = standings
        .iter()
        .filter(|other| other.label != best.label)
        .filter(|other| best.accuracy - best.ci95 <= other.accuracy + other.ci95)
        .map(|other| other.label)
        .collect();
    if near.is_empty() {
        verdict += ".";
    } else {
        verdict += &format!("; within the intervals no worse: {}.", near.join(", "));
    }
    if made_up && !best.is_shipped() {
        verdict += " It was trained on made-up sounds alone, and these are made up, too; the shipped backbones \
                    were trained mostly on recordings.";
    }
    verdict
}

/// Commands to go on with, the best backbone's first.
pub(super) fn next_steps(standings: &[Standing], data: Option<&Path>) -> String {
    let best = best(standings);
    let option = match best.model == ModelSource::default().to_string() {
        true => String::new(),
        false => format!(" --model {}", best.model),
    };
    let teach = format!(
        "Teach it sounds of yours: mtslvr enroll{option} NAME CLIP..., then mtslvr listen{option} FILE."
    );
    let go_on = match data {
        None => "Or see how they do on your own recordings: mtslvr demo --data DIR, with a folder for each class in DIR."
            .to_owned(),
        Some(data) => {
            format!(
                "Or train longer: mtslvr train --data {} --minutes 20, and compare on recordings kept apart: \
                 mtslvr eval --model mtslvr-run {} --data DIR",
                data.display(),
                shipped_names(" ")
            )
        }
    };
    format!("{teach}\n{go_on}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(label: &'static str, model: &'static str, accuracy: f64) -> Standing<'static> {
        Standing {
            label,
            model,
            accuracy,
            ci95: 0.6,
        }
    }

    #[test]
    fn the_best_backbone_is_pointed_to() {
        let mut standings = [
            standing("trained here", "out/model.slvr", 60.0),
            standing("shipped edge-s", "edge-s", 70.0),
            standing("shipped edge-m", "edge-m", 75.0),
        ];
        let text = verdict(&standings, true);
        assert_eq!(text, "Best on these sounds: shipped edge-m, 75.0 %.");
        let text = next_steps(&standings, None);
        assert!(text.contains("enroll --model edge-m NAME"), "{text}");
        assert!(text.contains("demo --data DIR"), "{text}");

        // The default needs no option, and an overlap is told of.
        standings[1].accuracy = 75.9;
        let text = verdict(&standings, true);
        assert!(text.contains("no worse: shipped edge-m."), "{text}");
        let text = next_steps(&standings, Some(Path::new("clips")));
        assert!(text.contains("mtslvr enroll NAME"), "{text}");
        assert!(text.contains("train --data clips"), "{text}");
        assert!(text.contains("mtslvr-run edge-s edge-m"), "{text}");

        // Home advantage is no secret.
        standings[0].accuracy = 90.0;
        assert!(verdict(&standings, true).contains("trained on made-up"));
        assert!(!verdict(&standings, false).contains("trained on made-up"));
        let text = next_steps(&standings, None);
        assert!(text.contains("--model out/model.slvr"), "{text}");
    }
}
