//! The program without training, as a user of a small machine runs it.
#![cfg(not(feature = "train"))]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program, behind the words of `MTSLVR_TEST_RUNNER` where it is one for another processor.
fn mtslvr(folder: &Path, args: &[&str]) -> Output {
    let runner = std::env::var("MTSLVR_TEST_RUNNER").unwrap_or_default();
    let mut words = runner
        .split_whitespace()
        .chain([env!("CARGO_BIN_EXE_mtslvr")]);
    let mut command = Command::new(words.next().expect("the program at least"));
    command
        .args(words)
        .args(args)
        .current_dir(folder)
        .env("XDG_DATA_HOME", folder)
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let output = mtslvr(folder, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn commands_that_train_are_absent() {
    let folder = tempfile::tempdir().unwrap();
    let help = succeeds(folder.path(), &["--help"]);
    for command in ["train", "demo", "export", "pack", "experiment"] {
        let listed = help
            .lines()
            .any(|line| line.split_whitespace().next() == Some(command));
        assert!(!listed, "{command} in {help}");
        let output = mtslvr(folder.path(), &[command]);
        assert_eq!(output.status.code(), Some(2), "{command}");
    }
}

#[test]
fn sounds_are_taught_recognised_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let sizes = ["--classes", "4", "--clips", "6", "--seconds", "0.6"];
    succeeds(at, &[&["synth", "sounds"], &sizes[..]].concat());
    let mut classes: Vec<_> = std::fs::read_dir(at.join("sounds"))
        .unwrap()
        .map(|class| class.unwrap().path())
        .filter(|class| class.is_dir())
        .collect();
    classes.sort();
    let mut clips: Vec<String> = std::fs::read_dir(&classes[0])
        .unwrap()
        .map(|clip| clip.unwrap().path().display().to_string())
        .collect();
    clips.sort();
    let examples = clips[..5].iter().map(String::as_str);
    let args: Vec<&str> = ["enrol", "chime"].into_iter().chain(examples).collect();
    succeeds(at, &args);
    let list: Value = serde_json::from_str(&succeeds(at, &["classes", "list", "--json"])).unwrap();
    assert_eq!(list["classes"][0]["name"], "chime");
    succeeds(at, &["listen", &clips[5]]);

    let inspected: Value =
        serde_json::from_str(&succeeds(at, &["inspect", "edge-s", "--json"])).unwrap();
    assert_eq!(inspected["format"], "slvr");

    let eval = [
        "eval", "--model", "edge-s", "--data", "sounds", "--json", "-",
    ];
    let few = ["--ways", "3", "--tasks", "20", "--queries", "2"];
    let measured: Value =
        serde_json::from_str(&succeeds(at, &[eval.as_slice(), &few].concat())).unwrap();
    assert!(measured["mean"].as_f64().unwrap() > 0.0);
    assert!(measured["mean_random"].is_null(), "{measured}");
    let notes = measured["notes"].to_string();
    assert!(notes.contains("built without training"), "{notes}");

    let timed = succeeds(at, &["bench", "--rounds", "1", "--json"]);
    let timed: Value = serde_json::from_str(&timed).unwrap();
    assert_eq!(timed["engines"].as_array().unwrap().len(), 1, "{timed}");
    assert_eq!(timed["absent"].as_array().unwrap().len(), 3, "{timed}");
}

#[test]
fn a_float_model_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.onnx"), b"a model").unwrap();
    let output = mtslvr(folder.path(), &["inspect", "m.onnx"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("m.onnx: this program was built without ONNX"),
        "{said}"
    );
}
