//! `mtslvr train` as a user runs it: what it leaves behind, also when something goes wrong.
#![cfg(feature = "train")]

mod search_path;

use std::path::Path;
use std::process::{Command, Output};

const SMALL: [&str; 14] = [
    "--set",
    "frontend.frames=17",
    "--set",
    "frontend.mels=16",
    "--set",
    "backbone.stem.width=4",
    "--set",
    "backbone.stages=[{ width = 6, blocks = 1, stride = 2 }]",
    "--set",
    "backbone.output.bands=1",
    "--set",
    "train.batch=4",
    "--set",
    "train.seed=3",
];

fn mtslvr() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
    command.env("PATH", search_path::without_the_program());
    command
}

fn train(out: &Path, extra: &[&str]) -> Output {
    mtslvr()
        .arg("train")
        .arg("--out")
        .arg(out)
        .args(extra)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_leaves_a_folder_that_can_be_resumed_but_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let first = train(&out, &[&SMALL[..], &["--steps", "3"]].concat());
    assert!(first.status.success(), "{}", stderr(&first));
    for file in [
        "config.toml",
        "metrics.csv",
        "events.out.tfevents.mtslvr",
        "checkpoint.safetensors",
        "weights.safetensors",
        "model.onnx",
        "model.slvr",
        "results.json",
        "report.html",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }
    let again = train(&out, &[&SMALL[..], &["--steps", "3"]].concat());
    assert!(!again.status.success());
    assert!(stderr(&again).contains("--resume"), "{}", stderr(&again));
    let resumed = train(&out, &["--resume", "--steps", "5", "--no-export", "--json"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let outcome: serde_json::Value = serde_json::from_slice(&resumed.stdout).unwrap();
    assert_eq!(outcome["last"]["step"], 5);
    assert_eq!(outcome["interrupted"], false);
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    assert!(
        metrics.lines().last().unwrap().starts_with("5,"),
        "{metrics}"
    );
}

#[test]
fn bad_files_in_a_training_folder_are_named_skipped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let made = mtslvr()
        .arg("synth")
        .arg(&data)
        .args(["--classes", "2", "--clips", "2", "--seconds", "0.5"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    std::fs::write(data.join("notes.wav"), "this is no audio").unwrap();
    let data = data.to_str().unwrap();
    let run = train(
        &directory.path().join("run"),
        &[&SMALL[..], &["--steps", "2", "--no-export", "--data", data]].concat(),
    );
    assert!(run.status.success(), "{}", stderr(&run));
    let said = stderr(&run);
    assert!(
        said.contains("notes.wav") && said.contains("1 files skipped"),
        "{said}"
    );
}

#[test]
fn a_manifest_tells_what_is_of_one_thing_and_what_is_held_out() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let made = mtslvr()
        .arg("synth")
        .arg(&data)
        .args(["--classes", "3", "--clips", "2", "--seconds", "0.5"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let mut manifest = "path,kind,same,split\n".to_owned();
    let mut classes: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|class| class.unwrap().file_name().into_string().unwrap())
        .collect();
    classes.sort();
    for (class, split) in classes.iter().zip(["train", "", "choose"]) {
        for clip in 0..2 {
            manifest += &format!("{class}/{clip:03}.wav,sound,{class},{split}\n");
        }
    }
    let file = data.join("manifest.csv");
    std::fs::write(&file, &manifest).unwrap();
    let out = directory.path().join("run");
    let folder = data.to_str().unwrap();
    let settings = [
        "--steps",
        "2",
        "--data",
        folder,
        "--set",
        "pairs.same=0.375",
        "--set",
        "environment.background.probability=0.7",
    ];
    let run = train(&out, &[&SMALL[..], &settings].concat());
    let said = stderr(&run);
    assert!(run.status.success(), "{said}");
    assert!(
        said.contains("4 recordings (0.00 h), 4 of them in 2 groups of one thing; 2 held out"),
        "{said}"
    );
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("[environment.background]\nprobability = 0.7"));
    assert!(config.contains("[pairs]\nsame = 0.375"), "{config}");
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    for fact in ["Environment", "in 70 % of the views", "37.5 % of all pairs"] {
        assert!(report.contains(fact), "{fact}");
    }

    // Every sound alone, and nothing that says so.
    let settings = [&SMALL[..], &settings, &["--no-export"]].concat();
    std::fs::write(
        &file,
        manifest.replace("/001.wav,sound,", "/001.wav,sound,x"),
    )
    .unwrap();
    let error = stderr(&train(&directory.path().join("alone"), &settings));
    assert!(
        error.contains(file.to_str().unwrap()) && error.contains("column `same`"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    let run = train(&directory.path().join("plain"), &settings);
    let said = stderr(&run);
    assert!(
        run.status.success() && said.contains("no folder of recordings has a manifest.csv"),
        "{said}"
    );
}

#[test]
fn a_missing_folder_and_a_wrong_setting_are_sentences() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    for (extra, named) in [
        (&["--data", "no/such/folder"][..], "no/such/folder"),
        (&["--set", "train.bath=4"], "bath"),
        (&["--preset", "edge-xl"], "edge-s, edge-m, resnet18"),
        (&["--resume"], "no run to continue"),
        (&["--teacher", "events=x.onnx"], "no teacher events"),
        (&["--steps", "0"], "`train.minutes`; expected 1 or more"),
        (
            &["--from", "edge-m"],
            "edge-s, whose weights are part of the program",
        ),
        (
            &["--set", "backbone.parts=[{ name = \"events\", dim = 8 }]"],
            "no teacher teaches the part events",
        ),
    ] {
        let run = train(&out, extra);
        assert!(!run.status.success());
        assert!(stderr(&run).contains(named), "{}", stderr(&run));
    }
}

#[test]
fn a_run_goes_on_from_the_weights_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let folder = |name: &str| directory.path().join(name);
    let first = train(
        &folder("first"),
        &[&SMALL[..], &["--steps", "2", "--no-export"]].concat(),
    );
    assert!(first.status.success(), "{}", stderr(&first));
    let file = folder("first.safetensors");
    let exported = mtslvr()
        .arg("export")
        .arg(folder("first"))
        .arg("--weights")
        .arg(&file)
        .output()
        .unwrap();
    assert!(exported.status.success(), "{}", stderr(&exported));
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let whole = size(&folder("first").join("weights.safetensors"));
    assert!(size(&file) < whole * 3 / 4, "{} of {whole}", size(&file));

    let config = |name: &str| {
        let text = std::fs::read_to_string(folder(name).join("config.toml")).unwrap();
        text.parse::<toml::Table>().unwrap()
    };
    for (name, from) in [("file", file), ("folder", folder("first"))] {
        let from = from.to_str().unwrap().to_owned();
        let next = train(
            &folder(name),
            &["--from", &from, "--steps", "2", "--no-export"],
        );
        assert!(next.status.success(), "{}", stderr(&next));
        assert!(folder(name).join("start.safetensors").exists());
        let (before, after) = (config("first"), config(name));
        assert_eq!(before["backbone"], after["backbone"]);
        assert_eq!(before["frontend"], after["frontend"]);
        assert_eq!(after["train"]["learning_rate"].as_float(), Some(5e-4));
    }
}

/// A full disk, as a limit on the size of files: a write beyond it fails.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_checkpoint_before() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let first = train(
        &out,
        &[&SMALL[..], &["--steps", "2", "--no-export"]].concat(),
    );
    assert!(first.status.success(), "{}", stderr(&first));
    let checkpoint = out.join("checkpoint.safetensors");
    let before = std::fs::read(&checkpoint).unwrap();
    // Blocks of 512 bytes; the shell's signal for the limit is ignored, so that writes fail.
    let blocks = before.len() / 1024;
    let resumed = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f $0; exec \"$@\"",
            &blocks.to_string(),
            env!("CARGO_BIN_EXE_mtslvr"),
        ])
        .args(["train", "--resume", "--steps", "4", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(!resumed.status.success());
    assert!(
        stderr(&resumed).contains("checkpoint.safetensors"),
        "{}",
        stderr(&resumed)
    );
    assert_eq!(
        std::fs::read(&checkpoint).unwrap(),
        before,
        "the checkpoint before stays whole"
    );
    let left: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with('.')),
        "{left:?}"
    );
}

/// Ctrl-C: the program prints the command that continues the run, and that command works as it is.
#[cfg(unix)]
#[test]
fn a_stopped_run_prints_the_command_that_continues_it() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("my data");
    let out = directory.path().join("it's a run");
    let sizes = ["--classes", "2", "--clips", "2", "--seconds", "0.5"];
    let made = mtslvr()
        .arg("synth")
        .arg(&data)
        .args(sizes)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let mut child = mtslvr()
        .args(["train", "--minutes", "5", "--no-export", "--out"])
        .arg(&out)
        .arg("--data")
        .arg(&data)
        .args(SMALL)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = said.find(|line| line.as_ref().unwrap().starts_with("training "));
    assert!(begun.is_some(), "it has ended before a step");
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    // Read to the end, so that the child never waits for room.
    said.for_each(drop);
    let mut printed = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut printed)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{printed}");

    let line = printed.lines().find(|line| line.contains("mtslvr train"));
    assert!(line.is_some(), "{printed}");
    let words = shlex::split(line.unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_mtslvr");
    let [out, data] = [out, data].map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(
        words,
        [
            program,
            "train",
            "--resume",
            "--out",
            &out,
            "--data",
            &data,
            "--no-export"
        ]
    );
    // Without its recordings it does not go on, and the command stays.
    let continuing = Path::new(&out).join("continue.txt");
    let kept = std::fs::read_to_string(&continuing).unwrap();
    let resumed = mtslvr()
        .args(["train", "--resume", "--steps", "1", "--out", &out])
        .output()
        .unwrap();
    let said = stderr(&resumed);
    assert_eq!(resumed.status.code(), Some(1), "{said}");
    assert!(
        said.contains("--data") && said.contains(line.unwrap()),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&continuing).unwrap(), kept);
    // It would go on for minutes: one step is enough.
    let resumed = mtslvr()
        .args(&words[1..])
        .args(["--steps", "1"])
        .output()
        .unwrap();
    assert!(resumed.status.success(), "{}", stderr(&resumed));
}
