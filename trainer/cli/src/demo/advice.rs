//! Says which backbone did best in the demo, and how a user may go on.

use super::super::command_line::CommandLine;
use mtslvr_pack::{ModelSource, SHIPPED};
use std::path::Path;

/// The accuracy of a backbone in the demo.
pub(super) struct Standing<'t> {
    /// Its name in tables.
    pub(super) label: &'t str,
    /// Its name for `--model`.
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

/// Returns the one with the highest accuracy.
fn best<'a, 't>(standings: &'a [Standing<'t>]) -> &'a Standing<'t> {
    let best = standings
        .iter()
        .max_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
    best.expect("at least one backbone was tested")
}

/// Says which did best, and what limits that: others whose intervals overlap with its own, and that a
/// backbone trained on synthetic sounds was also tested on such.
pub(super) fn verdict(standings: &[Standing], synthetic: bool) -> String {
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
        verdict += &format!("; no worse within the intervals: {}.", near.join(", "));
    }
    if synthetic && !best.is_shipped() {
        verdict += " It was trained on synthetic sounds alone, and these are synthetic, too; the shipped \
                    backbones were trained mostly on recordings.";
    }
    verdict
}

/// Returns commands to go on with, that of the best backbone first.
pub(super) fn next_steps(standings: &[Standing], data: Option<&Path>) -> String {
    let best = best(standings);
    let model = (best.model != ModelSource::default().to_string()).then_some(best.model);
    let command = |name| CommandLine::new(&[name]).option("--model", model);
    let teach = format!(
        "Teach it your own sounds, then listen for them:\n  {}\n  {}",
        command("enrol").words(["NAME", "CLIP.wav"]),
        command("listen").words(["RECORDING.wav"]),
    );
    let go_on = match data {
        None => format!(
            "Or run the demo on your own recordings, with a folder for each class in DIR:\n  {}",
            CommandLine::new(&["demo", "--data", "DIR"])
        ),
        Some(data) => {
            let train = CommandLine::new(&["train", "--data"])
                .words([data])
                .words(["--minutes", "20"]);
            let eval = CommandLine::new(&["eval", "--model", "mtslvr-run"])
                .options("--model", SHIPPED.iter().map(|model| model.name))
                .words(["--data", "DIR"]);
            format!(
                "Or train for longer, and compare on labelled recordings kept apart, in DIR:\n  \
                 {train}\n  {eval}"
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
        assert!(text.contains("enrol --model edge-m NAME"), "{text}");
        assert!(text.contains("demo --data DIR"), "{text}");

        // The default needs no option, and an overlap is told of.
        standings[1].accuracy = 75.9;
        let text = verdict(&standings, true);
        assert!(
            text.contains("no worse within the intervals: shipped edge-m."),
            "{text}"
        );
        let text = next_steps(&standings, Some(Path::new("clips")));
        assert!(text.contains(" enrol NAME"), "{text}");
        assert!(text.contains("train --data clips"), "{text}");
        assert!(
            text.contains("mtslvr-run --model edge-s --model edge-m"),
            "{text}"
        );

        // Home advantage is no secret.
        standings[0].accuracy = 90.0;
        assert!(verdict(&standings, true).contains("trained on synthetic"));
        assert!(!verdict(&standings, false).contains("trained on synthetic"));
        let text = next_steps(&standings, None);
        assert!(text.contains("--model out/model.slvr"), "{text}");
    }
}
