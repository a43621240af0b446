//! `mtslvr eval open-set` and `mtslvr eval bias`: the files they write, and the mistakes they name.
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

    let open_set = ["eval", "open-set", "--data", &first, &second];
    let output = mtslvr(&[&open_set, &common[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["results"].as_array().unwrap().len(), 4);
    for key in ["auroc", "accuracy"] {
        assert!(
            figures["results"][3]["other_sets"][key].as_f64().is_some(),
            "{key}"
        );
    }
    let text = std::fs::read_to_string(report).unwrap();
    assert!(
        text.contains(&format!("mtslvr eval open-set --model {slvr} ")),
        "{text}"
    );
    assert!(
        text.contains("| first |") && text.contains("| second |"),
        "{text}"
    );

    let bias = ["eval", "bias", "--data", &first, "--choose-on", &second];
    let output = mtslvr(&[&bias, &common[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["results"].as_array().unwrap().len(), 2);
    assert_eq!(figures["chosen_on"][0]["name"], "second");
    let text = std::fs::read_to_string(report).unwrap();
    assert!(
        text.contains(&format!("mtslvr eval bias --model {slvr} ")),
        "{text}"
    );
    assert!(
        text.contains("plain concatenation") && text.contains("in hindsight"),
        "{text}"
    );
}

/// Each subcommand has the options that it needs and no others; a value out of range is named.
#[test]
fn a_report_refuses_what_it_has_no_use_for() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let slvr = slvr.to_str().unwrap();
    let data = labelled(&root.path().join("set"), "1");
    let data = ["--data", &data, "--model", slvr];
    for (args, status, named) in [
        (&["open-set", "--head", "paper"][..], 2, "nearest-mean"),
        (
            &["open-set", "--false-acceptance", "1"],
            1,
            "--false-acceptance",
        ),
        (&["open-set", "--parts", "invariant"], 2, "--parts"),
        (&["open-set", "--choose-on", "x"], 2, "--choose-on"),
        (&["bias", "--lambda", "0"], 1, "--lambda"),
        (&["bias", "--head", "ridge"], 2, "--head"),
        (&["bias", "--tasks", "0"], 1, "--tasks"),
        (
            &["open-set", "--ways", "1"],
            1,
            "--ways must be from 2 to 256, not 1",
        ),
        // And those of a report are not taken without its name.
        (&["--shots", "1,2"], 2, "--shots"),
        (&["--report", "r.md"], 2, "--report"),
        (&["--open-set"], 2, "--open-set"),
    ] {
        let (subcommand, rest) = match args[0].starts_with('-') {
            true => (&[][..], args),
            false => args.split_at(1),
        };
        let output = mtslvr(&[&["eval"], subcommand, &data, rest].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
        assert!(said.contains(named), "{args:?}: {said}");
    }
}

/// The sets are needed with a subcommand and without, and belong to the subcommand.
#[test]
fn every_form_of_eval_needs_data_of_its_own() {
    for args in [&["eval"][..], &["eval", "open-set"], &["eval", "bias"]] {
        let output = mtslvr(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(said(&output).contains("--data"), "{}", said(&output));
    }
    let output = mtslvr(&["eval", "--seed", "2", "open-set", "--data", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("open-set"), "{}", said(&output));
}
