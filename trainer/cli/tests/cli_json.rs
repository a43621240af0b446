//! The fields that `--json` prints are in the help of each command.
#![cfg(feature = "train")]

mod json_fields;
mod small_model;

use json_fields::untold;
use serde_json::Value;
use small_model::model;
use std::path::Path;
use std::process::Command;

/// A small experiment.
const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/experiment_tiny.toml");

/// Runs the program in `folder` and returns its standard output.
#[track_caller]
fn said(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
    let output = command.args(args).current_dir(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Commands that print JSON, with small work for each; `BACKGROUND` stands for a class of the sounds, `PLAN` for
/// the experiment.
const RUNS: [(&str, &str); 13] = [
    (
        "train",
        "--out run --steps 1 --no-export --json \
         --set 'backbone.stages=[{ width = 6, blocks = 1, stride = 2 }]'",
    ),
    ("export", "run --json"),
    ("pack", "model.onnx --out packed.slvr --json"),
    ("embed", "sounds --out e.npy --json"),
    ("bench", "--rounds 1 --json"),
    ("inspect", "edge-s --json"),
    ("inspect", "edge-s --board nrf52840 --json"),
    ("inspect", "profile.mtss --json"),
    (
        "eval",
        "--model model.slvr --data sounds --ways 2 --tasks 2 --json -",
    ),
    (
        "stream",
        "--model model.slvr --data sounds --background BACKGROUND --streams 1 --minutes 1 --sounds 1 \
         --shots 1 --heard 1 --others 1 --snr 20 --source other --taught clean --json",
    ),
    (
        "eval open-set",
        "--model model.slvr --data sounds others --ways 2 --tasks 2 --shots 1 --json -",
    ),
    (
        "eval bias",
        "--model model.slvr --data sounds --choose-on others --ways 2 --tasks 2 --shots 1 --json -",
    ),
    (
        "experiment",
        "PLAN --data sounds --data others --set train.steps=1 --out experiment --json",
    ),
];

#[test]
fn every_field_is_described() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    model(folder);
    for set in ["sounds", "others"] {
        let made = ["synth", set, "--classes", "3", "--clips", "4"];
        said(folder, &made);
    }
    let first = std::fs::read_dir(folder.join("sounds")).unwrap().next();
    let first = first.unwrap().unwrap().file_name().into_string().unwrap();
    let clips = ["000.wav", "001.wav"].map(|clip| format!("sounds/{first}/{clip}"));
    let enrol = ["enrol", "first", &clips[0], &clips[1]];
    said(
        folder,
        &[&enrol[..], &["--profile", "profile.mtss"]].concat(),
    );
    for (command, args) in RUNS {
        let args = args.replace("BACKGROUND", &format!("sounds/{first}"));
        let args = args.replace("PLAN", &shlex::try_quote(PLAN).unwrap());
        let args = shlex::split(&args).unwrap();
        let args = args.iter().map(String::as_str);
        let command: Vec<&str> = command.split(' ').collect();
        let args: Vec<&str> = command.iter().copied().chain(args).collect();
        let figures = said(folder, &args);
        let figures: Value = serde_json::from_str(&figures).unwrap();
        let fields = figures.as_object();
        assert!(
            fields.is_some_and(|fields| fields.len() > 1),
            "{command:?}: {figures}"
        );
        let help = said(folder, &[&command[..], &["--help"]].concat());
        let untold = untold(&figures, &help);
        assert!(
            untold.is_empty(),
            "{command:?} --help says nothing of {untold:?}"
        );
    }
}
