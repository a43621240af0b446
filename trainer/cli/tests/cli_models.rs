//! The shipped backbones by name, and beside each other: what commands take for a model, and what `eval`
//! and `demo` show without being told which.
#![cfg(feature = "train")]

mod small_model;

use serde_json::Value;
use small_model::model;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The program, run in a folder of its own.
struct Place(TempDir);

impl Place {
    /// With a small labelled set, `sounds`.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let sizes = ["--classes", "3", "--clips", "6", "--seconds", "0.5"];
        place.succeeds(&[&["synth", "sounds"], &sizes[..]].concat());
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
        command.args(args).current_dir(self.path());
        command.output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        output
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.succeeds(args).stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, args: &[&str], named: &[&str]) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?} succeeded");
        for name in named {
            assert!(said.contains(name), "{args:?}: {name:?} in {said}");
        }
    }
}

/// A file of `models/`.
fn shipped(name: &str, file: &str) -> Vec<u8> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    fs::read(models.join(name).join(file)).unwrap()
}

/// What stands under `key` in each entry.
fn texts<'v>(entries: &'v Value, key: &str) -> Vec<&'v str> {
    let entries = entries.as_array().unwrap().iter();
    entries.map(|entry| entry[key].as_str().unwrap()).collect()
}

#[test]
fn a_model_is_a_shipped_one_unless_a_file_or_folder_has_its_name() {
    let place = Place::new();
    for name in ["edge-s", "edge-m"] {
        let inspected = place.json(&["inspect", name, "--json"]);
        assert_eq!(inspected["format"], "slvr");
        assert_eq!(inspected["file_bytes"], shipped(name, "model.slvr").len());
    }
    let embedded = place.json(&["embed", "sounds", "--out", "e.npy", "--json"]);
    assert_eq!(embedded["model"], "edge-s");
    let embedded = place.json(&[
        "embed", "sounds", "--out", "f.npy", "--model", "edge-m", "--json",
    ]);
    assert_eq!(embedded["model"], "edge-m");
    let timed = place.json(&["bench", "--rounds", "1", "--json"]);
    assert_eq!(timed["model"], "edge-s");
    assert_eq!(texts(&timed["engines"], "name")[0], "packed");
    let all_cores = &timed["all_cores"];
    assert_eq!(all_cores["rounds"], 1);
    assert!(all_cores["patches_per_second"].as_f64() > Some(1.0));

    let expected = ["edge-x", "no such file", ".slvr", "edge-s or edge-m"];
    place.fails(&["inspect", "edge-x"], &expected);
    place.fails(&["bench", "--model", "edge-x"], &expected);
    place.fails(
        &["listen", "x.wav", "--model", "edge-x", "--profile", "p"],
        &expected,
    );
    place.fails(
        &["eval", "--data", "sounds", "--model", "edge-x"],
        &expected,
    );

    // A folder of the name is the model where it is named, and is passed over where it is not.
    let folder = place.path().join("edge-m");
    fs::create_dir(&folder).unwrap();
    place.fails(&["inspect", "edge-m"], &["edge-m", "holds no model.slvr"]);
    model(&folder);
    assert_eq!(
        place.json(&["inspect", "edge-m", "--json"])["name"],
        "small"
    );
    fs::create_dir(place.path().join("edge-s")).unwrap();
    place.succeeds(&["embed", "sounds", "--out", "g.npy"]);
}

#[test]
fn eval_measures_every_shipped_backbone_on_the_same_tasks() {
    let place = Place::new();
    let small = ["--data", "sounds", "--ways", "3", "--tasks", "20"];
    let figures = |more: &[&str]| {
        let args = [&["eval", "--json", "-"], &small[..], more].concat();
        let output = place.succeeds(&args);
        let table = String::from_utf8(output.stderr).unwrap();
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        (figures, table)
    };
    let (both, table) = figures(&[]);
    // Before the first seconds of work it says which they are.
    let steps: Vec<&str> = table.lines().take(4).collect();
    assert_eq!(steps[0], "preparing edge-s and its controls", "{table}");
    assert_eq!(steps[1], "preparing edge-m and its controls", "{table}");
    assert_eq!(steps[2], "reading sounds: 18 clips", "{table}");
    assert!(
        steps[3].starts_with("embedding sounds with edge-s: "),
        "{table}"
    );
    assert_eq!(texts(&both["models"], "model"), ["edge-s", "edge-m"]);
    assert!(
        table.contains("set     classes  clips  model   "),
        "{table}"
    );
    let row = |model: usize| &both["models"][model]["sets"][0];
    assert_eq!(row(0)["clips"], 18);
    // The control of both sees the same features and has the same tasks.
    assert_eq!(row(0)["mfcc"], row(1)["mfcc"]);
    for model in 0..2 {
        assert!(row(model)["random"].as_f64().is_some());
        assert!(row(model)["accuracy"].as_f64().unwrap() > 100.0 / 3.0);
    }

    // One model stays the object that it was, with the figures that it has among others.
    let (one, table) = figures(&["--model", "edge-s"]);
    assert_eq!(one, both["models"][0]);
    assert!(!table.contains("clips  model"), "{table}");

    // A model with other features has an MFCC control of its own.
    let (slvr, _) = model(place.path());
    let (mixed, _) = figures(&["--model", slvr.to_str().unwrap(), "edge-s"]);
    let rows = [0, 1].map(|model| &mixed["models"][model]["sets"][0]);
    assert_ne!(rows[0]["mfcc"], rows[1]["mfcc"]);
    assert_eq!(*rows[1], one["sets"][0]);

    // A report is of one model, by default the smallest.
    let report = |more: &[&str]| {
        let args = [
            &["eval", "open-set"],
            &small[..],
            &["--json", "-", "--shots", "1"],
            more,
        ];
        place.json(&args.concat())
    };
    assert_eq!(report(&["--report", "r.md"])["model"], "edge-s");
    assert_eq!(report(&["--model", "edge-m"])["model"], "edge-m");
    for report in ["open-set", "bias"] {
        let two = ["--model", "edge-s", "edge-m"];
        place.fails(&[&["eval", report], &small[..], &two].concat(), &["edge-m"]);
    }
}

/// What the demo wrote into `out`, and what it said.
fn demo(place: &Place, seconds: &str) -> (Value, String) {
    let args = ["demo", "--seconds", seconds, "--data", "sounds"];
    let output = place.succeeds(&[&args[..], &["--out", "out"]].concat());
    let results = fs::read(place.path().join("out/results.json")).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (serde_json::from_slice(&results).unwrap(), said)
}

#[test]
fn the_demo_tests_the_shipped_backbones_beside_the_one_it_trains() {
    let place = Place::new();
    let (results, said) = demo(&place, "1");
    let labels = ["trained here", "shipped edge-s", "shipped edge-m"];
    assert_eq!(texts(&results["models"], "label"), labels);
    for (index, label) in labels.iter().enumerate() {
        // Of the costs no row is about it, of recognition and accuracy one each.
        let heads = said.lines().filter(|line| line.contains(label)).count();
        assert!(heads >= 2, "{label}: {said}");
        let model = &results["models"][index];
        assert!(model["recognition"]["known"].as_u64().unwrap() > 0);
        assert!(model["evaluation"]["mean"].as_f64().is_some());
        assert!(model["evaluation"]["mean_random"].as_f64().is_some());
    }
    // All were asked the same.
    let asked = |model: &Value| {
        let recognition = &model["recognition"];
        (
            recognition["known"].clone(),
            recognition["strangers"].clone(),
        )
    };
    let models = results["models"].as_array().unwrap();
    assert!(models.iter().all(|model| asked(model) == asked(&models[0])));
    assert!(said.contains("Best on these sounds: "), "{said}");
    assert!(said.contains("mtslvr enrol"), "{said}");
    let page = fs::read_to_string(place.path().join("out/report.html")).unwrap();
    assert!(labels.iter().all(|label| page.contains(label)));
}

#[test]
fn a_demo_that_trains_nothing_is_of_a_shipped_backbone() {
    let place = Place::new();
    let (results, said) = demo(&place, "0");
    let labels = ["shipped edge-s", "shipped edge-m"];
    assert_eq!(texts(&results["models"], "label"), labels);
    assert_eq!(results["curves"].as_array().unwrap().len(), 0);
    // Nothing is held out of a training that is none.
    assert_eq!(results["models"][0]["evaluation"]["sets"][0]["clips"], 18);
    for file in ["model.onnx", "model.slvr"] {
        let written = fs::read(place.path().join("out").join(file)).unwrap();
        assert!(written == shipped("edge-s", file), "{file}");
    }
    assert!(said.contains("Nothing is trained"), "{said}");
    place.fails(&["demo", "--seconds=-1"], &["--seconds", "0 or more", "-1"]);
}
