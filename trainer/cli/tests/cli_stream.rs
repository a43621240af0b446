//! `mtslvr stream` as a user runs it, on made-up sounds over noise.
#![cfg(feature = "train")]

mod small_model;

use serde_json::Value;
use small_model::model;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

fn mtslvr(args: &[&[&str]]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtslvr"))
        .args(args.concat())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Six classes of eight sounds, with a manifest in which two and two are of one source if `grouped`,
/// and noise as the class `noise`.
fn labelled(folder: &Path, grouped: bool) -> String {
    let text = folder.to_str().unwrap().to_owned();
    let sizes = ["--classes", "6", "--clips", "8", "--seconds", "0.5"];
    let made = mtslvr(&[&["synth", &text], &sizes]);
    assert!(made.status.success(), "{}", said(&made));
    if grouped {
        let mut manifest = "class,clip,group\n".to_owned();
        for class in std::fs::read_dir(folder).unwrap() {
            let class = class.unwrap();
            let name = class.file_name().into_string().unwrap();
            let mut clips: Vec<String> = std::fs::read_dir(class.path())
                .unwrap()
                .map(|clip| clip.unwrap().file_name().into_string().unwrap())
                .collect();
            clips.sort();
            for (n, clip) in clips.iter().enumerate() {
                writeln!(manifest, "{name},{clip},{name} by {}", n / 4).unwrap();
            }
        }
        std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
    }
    text
}

fn noise(folder: &Path) -> String {
    let samples = |seed: u32| {
        let random = move |n: u32| (n + seed).wrapping_mul(2_654_435_761) >> 8;
        (0..64_000).map(move |n| 0.1 * (random(n) as f32 / 8_388_608.0 - 1.0))
    };
    for seed in 0..2 {
        let clip = folder.join(format!("noise/{seed}.wav"));
        std::fs::create_dir_all(clip.parent().unwrap()).unwrap();
        let samples: Vec<f32> = samples(70_000 * seed).collect();
        mtslvr_audio::write_wav(&clip, &samples, 16_000).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

/// Streams of a minute: three sounds with two examples each, heard four times, among six others.
const SMALL: [&str; 14] = [
    "--minutes",
    "1",
    "--streams",
    "2",
    "--sounds",
    "3",
    "--shots",
    "2",
    "--heard",
    "4",
    "--others",
    "6",
    "--snr",
    "20",
];

#[test]
fn every_kind_of_stream_is_measured_and_the_report_written() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let sounds = labelled(&root.path().join("sounds"), true);
    let place = noise(&root.path().join("place"));
    let out = root.path().join("reports");
    std::fs::create_dir(&out).unwrap();
    let run = |more: &[&str]| {
        let model = ["stream", "--model", slvr.to_str().unwrap()];
        let data = ["--data", &sounds, &place, "--background", "place/noise"];
        mtslvr(&[&model, &data, &SMALL, more])
    };
    let output = run(&["--json", "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let levels = figures["levels"].as_array().unwrap();
    let kinds: Vec<(&str, &str)> = levels
        .iter()
        .map(|l| (l["source"].as_str().unwrap(), l["taught"].as_str().unwrap()))
        .collect();
    let expected = [
        ("other", "in-place"),
        ("other", "clean"),
        ("same", "in-place"),
        ("same", "clean"),
        ("recording", "in-place"),
    ];
    assert_eq!(kinds, expected);
    for level in levels {
        assert_eq!(level["default"]["heard"], 2 * 3 * 4, "{level}");
        assert_eq!(level["gated_away"], 0, "{level}");
        // Noise closes the gate: far from every window is embedded.
        let [with, without] = [level, &level["without_gate"]]
            .map(|listener| listener["embeddings_per_second"].as_f64().unwrap());
        assert!(with > 0.1 && with < 0.6 * without, "{with} of {without}");
        assert_eq!(level["without_gate"]["lost_to_gate"], 0, "{level}");
    }
    let page = std::fs::read_to_string(out.join("stream.md")).unwrap();
    assert!(
        page.contains("| 20 dB, the same recording, taught in place |"),
        "{page}"
    );
    assert!(out.join("stream.svg").exists() && out.join("stream.json").exists());

    // The same streams again, and others with another seed.
    let again = run(&["--json"]);
    assert_eq!(again.stdout, output.stdout);
    let other = run(&["--json", "--seed", "2", "--source", "other"]);
    assert!(other.status.success() && other.stdout != output.stdout);
}

#[test]
fn what_cannot_be_composed_is_named() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let sounds = labelled(&root.path().join("sounds"), false);
    let place = noise(&root.path().join("place"));
    let fails = |background: &str, named: &[&str]| {
        let data = ["--data", &sounds, &place, "--background", background];
        let model = ["stream", "--model", slvr.to_str().unwrap()];
        let output = mtslvr(&[&model, &data, &SMALL, &["--source", "same"]]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for name in named {
            assert!(said.contains(name), "{name:?} in {said}");
        }
    };
    fails("noise", &["`noise`", "SET/CLASS"]);
    fails("plaice/noise", &["plaice", "sounds, place"]);
    fails("place/rain", &["place/rain", "noise"]);
    fails("place/noise", &["0 classes", "same group", "manifest.csv"]);
}

#[test]
fn a_written_stream_gives_the_same_events_when_it_is_listened_to() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let slvr = slvr.to_str().unwrap();
    let sounds = labelled(&root.path().join("sounds"), true);
    let place = noise(&root.path().join("place"));
    let written = root.path().join("written");
    let run = || {
        let data = ["--data", &sounds, &place, "--background", "place/noise"];
        let kind = ["--source", "other", "--taught", "in-place", "--json"];
        let write = ["--write", written.to_str().unwrap()];
        mtslvr(&[&["stream", "--model", slvr], &data, &SMALL, &kind, &write])
    };
    let output = run();
    assert!(output.status.success(), "{}", said(&output));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The folder is in use now.
    let again = run();
    assert!(!again.status.success() && said(&again).contains("not empty"));

    let mut found = 0;
    for number in ["1", "2"] {
        let folder = written
            .join("20_dB-another_source-taught_in_place")
            .join(number);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("stream.txt").lines().count(), 3 * 4);
        assert_eq!(read("others.txt").lines().count(), 6);
        let profile = folder.join("profile.mtss");
        let profile = ["--profile", profile.to_str().unwrap(), "--model", slvr];
        let enrol = |what: &str, clips: &Path| {
            let clips: Vec<String> = (1..)
                .map(|n| clips.join(format!("{n}.wav")))
                .take_while(|clip| clip.exists())
                .map(|clip| clip.to_str().unwrap().to_owned())
                .collect();
            assert!(!clips.is_empty(), "{what}");
            let clips: Vec<&str> = clips.iter().map(String::as_str).collect();
            let enrol = ["enrol", "--whole", "--force", what];
            let output = mtslvr(&[&enrol, &clips, &profile]);
            assert!(output.status.success(), "{}", said(&output));
        };
        // In the order of the cast: that of the ids, which the events name.
        let mut classes: Vec<_> = std::fs::read_dir(folder.join("examples"))
            .unwrap()
            .map(|class| class.unwrap().path())
            .collect();
        classes.sort();
        assert_eq!(classes.len(), 3);
        for class in &classes {
            enrol(class.file_name().unwrap().to_str().unwrap(), class);
        }
        enrol("--background", &folder.join("background"));
        let labels = folder.join("heard.txt");
        let stream = folder.join("stream.wav");
        let listen = ["listen", stream.to_str().unwrap()];
        let output = mtslvr(&[&listen, &["--labels", labels.to_str().unwrap()], &profile]);
        assert!(output.status.success(), "{}", said(&output));
        // `listen` waits for the end of a sound; an event ends where it was recognised.
        let events = |name: &str| -> Vec<(String, String)> {
            let text = read(name);
            let fields = text
                .lines()
                .map(|line| line.split('\t').collect::<Vec<_>>());
            let parts = fields.map(|fields| (fields[0].to_owned(), fields[2].to_owned()));
            parts.collect()
        };
        assert_eq!(events("heard.txt"), events("events.txt"));
        found += read("events.txt").lines().count();
    }
    let default = &figures["levels"][0]["default"];
    let count = |name: &str| default[name].as_u64().unwrap() as usize;
    assert_eq!(
        found,
        count("found") + count("false_alarms") + count("repeats")
    );
    assert!(found > 0);
}
