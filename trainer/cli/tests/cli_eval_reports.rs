//! `mtslvr eval --open-set` and `--bias`: what they write and what they refuse.
#![cfg(feature = "train")]

mod small_model;

use small_model::model;
use std::path::Path;
use std::process::{Command, Output};

fn mtslvr(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtslvr"))
        .args(args)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn labelled(folder: &Path, seed: &str) -> String {
    let folder = folder.to_str().unwrap();
    let sizes = ["--classes", "5", "--clips", "4", "--seconds", "0.5"];
    let made = mtslvr(&[&["synth", folder, "--seed", seed], &sizes[..]].concat());
    assert!(made.status.success(), "{}", said(&made));
    folder.to_owned()
}

#[test]
fn both_reports_are_written_and_say_what_made_them() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let slvr = slvr.to_str().unwrap();
    let first = labelled(&root.path().join("first"), "1");
    let second = labelled(&root.path().join("second"), "2");
    let report = root.path().join("report.md");
    let report = report.to_str().unwrap();
    let common = [
        "--model", slvr, "--ways", "3", "--tasks", "20", "--shots", "1,2", "--json", "-",
        "--report", report,
    ];

    let output = mtslvr(
        &[
            &["eval", "--open-set", "--data", &first, &second],
            &common[..],
        ]
        .concat(),
    );
    assert!(output.status.success(), "{}", said(&output));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["measured"], true);
    assert_eq!(figures["results"].as_array().unwrap().len(), 4);
    for key in ["auroc", "accuracy"] {
        assert!(
            figures["results"][3]["other_sets"][key].as_f64().is_some(),
            "{key}"
        );
    }
    let text = std::fs::read_to_string(report).unwrap();
    assert!(
        text.contains(&format!("eval --open-set --model {slvr}")),
        "{text}"
    );
    assert!(
        text.contains("| first |") && text.contains("| second |"),
        "{text}"
    );

    let output = mtslvr(
        &[
            &["eval", "--bias", "--data", &first, "--choose-on", &second],
            &common[..],
        ]
        .concat(),
    );
    assert!(output.status.success(), "{}", said(&output));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["results"].as_array().unwrap().len(), 2);
    assert_eq!(figures["chosen_on"][0]["name"], "second");
    let text = std::fs::read_to_string(report).unwrap();
    assert!(
        text.contains("plain concatenation") && text.contains("in hindsight"),
        "{text}"
    );

    for (args, named) in [
        (&["--open-set", "--head", "paper"][..], "head"),
        (&["--bias", "--head", "nearest-mean"], "ridge"),
        (
            &["--open-set", "--false-acceptance", "1"],
            "--false-acceptance",
        ),
        (&["--shots", "1,2"], "one number"),
        (&["--report", report], "--open-set"),
    ] {
        let output = mtslvr(&[&["eval", "--model", slvr, "--data", &first], args].concat());
        assert!(
            !output.status.success() && said(&output).contains(named),
            "{args:?}: {}",
            said(&output)
        );
    }
}
