//! What the program says and leaves behind when it is given something wrong: a clear sentence, a
//! non-zero exit, nothing lost.
#![cfg(feature = "train")]

mod small_model;

use mtslvr_audio::write_wav;
use small_model::model;
use std::path::Path;
use std::process::{Command, Output};

fn mtslvr(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtslvr"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs, and asserts that the exit is a failure whose sentence holds every one of `named`.
fn fails(args: &[&str], named: &[&str]) {
    let output = mtslvr(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    for name in named {
        assert!(
            said.contains(name),
            "{args:?} does not say {name:?}: {said}"
        );
    }
}

fn labelled(folder: &Path, classes: usize, clips: usize) {
    let made = mtslvr(&[
        "synth",
        folder.to_str().unwrap(),
        "--classes",
        &classes.to_string(),
        "--clips",
        &clips.to_string(),
        "--seconds",
        "0.5",
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

#[test]
fn folders_and_sets_that_cannot_serve() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let slvr = slvr.to_str().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let eval = |data: &str, more: &[&str], named: &[&str]| {
        fails(
            &[
                &["eval", "--model", slvr, "--data", data, "--tasks", "5"],
                more,
            ]
            .concat(),
            named,
        );
    };
    eval(&path("missing"), &[], &["missing"]);
    std::fs::create_dir(path("empty")).unwrap();
    eval(&path("empty"), &[], &["empty"]);
    labelled(Path::new(&path("few")), 5, 2);
    // Two clips a class leave no query after two shots.
    eval(&path("few"), &["--shots", "2"], &["few"]);
    eval(&path("few"), &["--ways", "9"], &["few", "9"]);
    fails(
        &["eval", "--model", &path("no.slvr"), "--data", &path("few")],
        &["no.slvr"],
    );
}

/// A message names a file once, and the reason of the operating system once.
#[test]
fn a_cause_is_told_once() {
    let root = tempfile::tempdir().unwrap();
    labelled(&root.path().join("sounds"), 3, 3);
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
        command.args(args).current_dir(root.path());
        let output = command.env("XDG_DATA_HOME", root.path()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for args in [
        &["enrol", "chime", "gone.wav"][..],
        &["listen", "sounds", "--profile", "/dev/null/gone"],
        &["classes", "import", "gone"],
        &["classes", "list", "--profile", "/dev/null/gone"],
        &["review", "gone"],
        &["embed", "gone", "--out", "e.npy"],
        &["embed", "sounds", "--out", "e.npy", "--model", "gone.slvr"],
        &["embed", "sounds", "--out", "e.npy", "--model", "gone.onnx"],
        &["inspect", "gone.slvr"],
        &["inspect", "gone.onnx"],
        &["inspect", "edge-s", "--frontend", "gone.toml"],
        &["pack", "gone.onnx", "--out", "x.slvr"],
        &["export", "gone"],
        &["train", "--config", "gone.toml"],
        &["train", "--from", "gone"],
        &["train", "--minutes", "0.001", "--out", "/dev/null/gone"],
        &["experiment", "gone.toml", "--list"],
        &["eval", "--data", "gone"],
        &["eval", "--data", "sounds", "--cache", "/dev/null/gone"],
        &["eval", "--data", "sounds", "--model", "gone.onnx"],
        &["stream", "--data", "gone", "--background", "a/b"],
    ] {
        let said = run(args);
        let line = said.lines().find(|line| line.starts_with("error: "));
        let line = line.unwrap_or_else(|| panic!("{args:?}: {said}"));
        for once in ["gone", "os error"] {
            assert!(line.matches(once).count() <= 1, "{args:?}: {line}");
        }
        let mut pieces: Vec<&str> = line.split(": ").collect();
        let all = pieces.len();
        pieces.sort_unstable();
        pieces.dedup();
        assert_eq!(pieces.len(), all, "{args:?}: {line}");
    }
}

#[test]
fn every_kind_of_wav_is_read_and_a_bad_clip_is_named() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let set = root.path().join("set");
    // Every sample format, one to three channels, the lowest and highest rate, shorter than a window.
    let formats = [
        (8, false),
        (16, false),
        (24, false),
        (32, false),
        (32, true),
    ];
    for class in 0..2usize {
        let folder = set.join(format!("class{class}"));
        std::fs::create_dir_all(&folder).unwrap();
        for (i, (bits, float)) in formats.into_iter().enumerate() {
            let spec = hound::WavSpec {
                channels: 1 + (i as u16) % 3,
                sample_rate: [8_000, 16_000, 44_100, 96_000, 192_000][i],
                bits_per_sample: bits,
                sample_format: if float {
                    hound::SampleFormat::Float
                } else {
                    hound::SampleFormat::Int
                },
            };
            let mut writer =
                hound::WavWriter::create(folder.join(format!("{i}.wav")), spec).unwrap();
            let frequency = 300.0 * (1 + class) as f32;
            for n in 0..spec.sample_rate / 8 {
                let x = 0.5
                    * (std::f32::consts::TAU * frequency * n as f32 / spec.sample_rate as f32)
                        .sin();
                for _ in 0..spec.channels {
                    match float {
                        true => writer.write_sample(x).unwrap(),
                        false => writer
                            .write_sample((x * ((1u64 << (bits - 1)) - 1) as f32) as i32)
                            .unwrap(),
                    }
                }
            }
            writer.finalize().unwrap();
        }
    }
    let eval = [
        "eval",
        "--model",
        slvr.to_str().unwrap(),
        "--data",
        set.to_str().unwrap(),
        "--ways",
        "2",
        "--tasks",
        "20",
        "--json",
        "-",
    ];
    let good = mtslvr(&eval);
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    let figures: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(figures["sets"][0]["clips"], 10);
    for key in [
        "name", "classes", "tasks", "ways", "shots", "head", "accuracy", "ci95", "mfcc", "random",
    ] {
        assert!(!figures["sets"][0][key].is_null(), "{key} is missing");
    }
    assert!(figures["mean"].as_f64().is_some());

    // Not audio, cut short inside the header, and not a number: each named.
    let first = set.join("class0/1.wav");
    let whole = std::fs::read(&first).unwrap();
    let mut holes = vec![0.1f32; 4000];
    holes[7] = f32::NAN;
    for (name, write) in [
        (
            "text.wav",
            Box::new(|p: &Path| std::fs::write(p, "no audio at all").unwrap())
                as Box<dyn Fn(&Path)>,
        ),
        (
            "cut.wav",
            Box::new(|p: &Path| std::fs::write(p, &whole[..30]).unwrap()),
        ),
        ("nan.wav", Box::new(|p: &Path| float_wav(p, &holes))),
    ] {
        let path = set.join("class0").join(name);
        write(&path);
        let output = mtslvr(&eval);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains(name) && !said.contains("panicked"),
            "{name}: {said}"
        );
        std::fs::remove_file(path).unwrap();
    }
}

fn float_wav(path: &Path, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for &x in samples {
        writer.write_sample(x).unwrap();
    }
    writer.finalize().unwrap();
}

#[test]
fn damaged_models_are_errors() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, onnx) = model(root.path());
    let bytes = std::fs::read(&slvr).unwrap();
    let damaged = root.path().join("damaged.slvr");
    let name = damaged.to_str().unwrap();
    for cut in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&damaged, &bytes[..cut]).unwrap();
        fails(&["inspect", name], &["damaged.slvr"]);
    }
    for at in [0, 5, 9, bytes.len() / 3, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&damaged, flipped).unwrap();
        fails(&["inspect", name], &["damaged.slvr"]);
    }
    let bad_onnx = root.path().join("bad.onnx");
    let out = root.path().join("out.slvr");
    let (bad, out_name) = (bad_onnx.to_str().unwrap(), out.to_str().unwrap());
    let whole = std::fs::read(onnx).unwrap();
    std::fs::write(&bad_onnx, &whole[..whole.len() / 2]).unwrap();
    fails(&["pack", bad, "--out", out_name], &["bad.onnx"]);
    std::fs::write(&bad_onnx, "not a protobuf").unwrap();
    fails(&["pack", bad, "--out", out_name], &["bad.onnx"]);
    assert!(!out.exists());
}

#[test]
fn an_operator_that_cannot_be_packed_is_named_with_its_node() {
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../pack/src/onnx/fixtures/unsupported.onnx"
    );
    let root = tempfile::tempdir().unwrap();
    let (out, frontend) = (
        root.path().join("out.slvr"),
        root.path().join("frontend.toml"),
    );
    let pack = ["pack", fixture, "--out", out.to_str().unwrap()];
    // A foreign model does not say how its input is made: the error says how to.
    fails(&pack, &["--frontend FILE.toml", "sample_rate"]);
    let description = [
        "sample_rate = 16000",
        "window = 256",
        "hop = 128",
        "mels = 8",
        "frames = 11",
        "f_min = 60.0",
        "f_max = 7600.0",
        "floor = 1e-4",
        "mean = -4.0",
        "scale = 0.25",
        "layout = \"time-mel\"",
    ];
    std::fs::write(&frontend, description.join("\n")).unwrap();
    let frontend = ["--frontend", frontend.to_str().unwrap()];
    fails(
        &[&pack[..], &frontend].concat(),
        &["unsupported.onnx", "squash", "Softmax"],
    );
    assert!(!out.exists());
}

#[test]
fn synth_keeps_a_folder_that_holds_something() {
    let root = tempfile::tempdir().unwrap();
    let set = root.path().join("set");
    labelled(&set, 2, 3);
    let count = || std::fs::read_dir(&set).unwrap().count();
    let before = count();
    fails(&["synth", set.to_str().unwrap()], &["set"]);
    assert_eq!(count(), before);
}

/// Silence under a class's name is found before anything is learned from it.
#[test]
fn a_silent_clip_is_not_enrolled() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    labelled(&data, 2, 4);
    let silent = data.join("silence");
    std::fs::create_dir(&silent).unwrap();
    for i in 0..4 {
        write_wav(&silent.join(format!("{i}.wav")), &[0.0; 8000], 16_000).unwrap();
    }
    let out = root.path().join("out");
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    fails(
        &["demo", "--seconds", "1", "--data", data, "--out", out],
        &["silence", "silent"],
    );
}

/// The work of minutes is not lost at the end for want of a folder: the place is looked at first, before anything else
/// that is wrong.
#[test]
fn a_place_that_cannot_be_written_to_is_named_before_the_work() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (data, file) = (path("absent"), path("no/file.npy"));
    let named = ["no/file.npy", "its folder does not exist; make it first"];
    for args in [
        &["embed", &data, "--out", &file][..],
        &["eval", "--data", &data, "--json", &file],
        &["eval", "open-set", "--data", &data, &data, "--json", &file],
        &[
            "eval", "open-set", "--data", &data, &data, "--report", &file,
        ],
        &["pack", &data, "--out", &file],
        &["cut", &data, "--from", "x", "--out", &file],
    ] {
        fails(args, &named);
    }
    // Folders are made.
    fails(
        &[
            "stream",
            "--data",
            &data,
            "--background",
            "a/b",
            "--out",
            &path("made/here"),
        ],
        &["absent"],
    );
    assert!(root.path().join("made/here").is_dir());
}
