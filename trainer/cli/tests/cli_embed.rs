//! `mtslvr embed` and `mtslvr bench` as a user runs them.
#![cfg(feature = "train")]

mod search_path;
mod small_model;

use mtslvr_audio::{load, write_wav};
use mtslvr_pack::engine::FloatEngine;
use mtslvr_pack::open_backbone;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::clip::embed_clip;
use serde_json::Value;
use small_model::model;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn mtslvr() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
    command.env("PATH", search_path::without_the_program());
    command
}

fn embed(dir: &Path, out: &Path, model: &Path) -> Command {
    let mut command = mtslvr();
    command.arg("embed").arg(dir).arg("--out").arg(out);
    command.arg("--model").arg(model);
    command
}

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output
}

#[track_caller]
fn fails(command: &mut Command, named: &[&str]) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for name in named {
        assert!(said.contains(name), "{name:?} in {said}");
    }
}

fn tone(path: &Path, frequency: f32, seconds: f32, rate: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let samples: Vec<f32> = (0..(seconds * rate as f32) as usize)
        .map(|n| 0.4 * (std::f32::consts::TAU * frequency * n as f32 / rate as f32).sin())
        .collect();
    write_wav(path, &samples, rate).unwrap();
}

/// Recordings whose order by path is the order of `NAMES`.
const NAMES: [&str; 4] = ["a/z.wav", "a.wav", "b/deep/er.flac", "c, with comma.wav"];

fn recordings(folder: &Path) {
    for (i, name) in NAMES.into_iter().enumerate() {
        if name.ends_with(".flac") {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let fixtures = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../audio/src/fixtures/tone.flac"
            );
            std::fs::copy(fixtures, path).unwrap();
        } else {
            tone(&folder.join(name), 300.0 * (1 + i) as f32, 0.7, 22_050);
        }
    }
}

/// The rows of an `.npy` file of float32.
fn read_npy(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data]).unwrap();
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"));
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(", ").map(|n| n.parse().unwrap()).collect();
    let values: Vec<f32> = bytes[data..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    assert_eq!(values.len(), shape[0] * shape[1], "{header}");
    values.chunks(shape[1]).map(<[f32]>::to_vec).collect()
}

/// Names and values of a `.csv` file of embeddings, and its header.
fn read_csv(path: &Path) -> (Vec<String>, Vec<(String, Vec<f32>)>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let row = |record: csv::StringRecord| {
        let values = record.iter().skip(1).map(|v| v.parse().unwrap()).collect();
        (record[0].to_owned(), values)
    };
    (header, reader.records().map(|r| row(r.unwrap())).collect())
}

fn names_of(sidecar: &Path) -> Vec<String> {
    let mut reader = csv::Reader::from_path(sidecar).unwrap();
    assert_eq!(reader.headers().unwrap(), ["row", "path"].as_slice());
    reader
        .records()
        .map(|record| record.unwrap()[1].to_owned())
        .collect()
}

/// What stands in a folder, partial files included.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn rows_are_the_recordings_in_order_in_either_format() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, onnx) = model(root.path());
    let dir = root.path().join("in");
    recordings(&dir);
    let out = root.path().join("out");
    std::fs::create_dir(&out).unwrap();

    let npy = out.join("x.npy");
    let summary = succeeds(embed(&dir, &npy, &slvr).arg("--json")).stdout;
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!((&summary["rows"], &summary["dim"]), (&4.into(), &12.into()));
    assert_eq!(summary["engine"], "packed");
    assert_eq!(names_of(&out.join("x.names.csv")), NAMES);
    let rows = read_npy(&npy);
    let mut backbone = open_backbone(&slvr, None).unwrap();
    for (name, row) in NAMES.iter().zip(&rows) {
        let samples = load(&dir.join(name), backbone.space().frontend().sample_rate).unwrap();
        assert_eq!(row, &embed_clip(&mut backbone, &samples).unwrap(), "{name}");
    }

    let csv = out.join("x.csv");
    succeeds(&mut embed(&dir, &csv, &slvr));
    let (header, table) = read_csv(&csv);
    assert_eq!(
        (&*header[0], &*header[1], &*header[12]),
        ("path", "invariant_0", "equivariant_5")
    );
    for ((name, values), (expected, row)) in table.iter().zip(NAMES.iter().zip(&rows)) {
        assert_eq!((name.as_str(), values), (*expected, row));
    }
    succeeds(embed(&dir, &csv, &slvr).args(["--parts", "equivariant"]));
    let (header, table) = read_csv(&csv);
    assert_eq!(header[1], "equivariant_0");
    assert!(
        table
            .iter()
            .zip(&rows)
            .all(|((_, half), row)| half[..] == row[6..])
    );
    succeeds(embed(&dir, &csv, &onnx).args(["--engine", "interpreter"]));
    assert_eq!(files(&out), ["x.csv", "x.names.csv", "x.npy"]);
}

/// Ctrl-C, then a torn last record as a crash leaves it: the next run makes what one run makes.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, onnx) = model(root.path());
    let dir = root.path().join("in");
    for i in 0..16 {
        tone(
            &dir.join(format!("{i:02}.wav")),
            200.0 + 50.0 * i as f32,
            20.0,
            44_100,
        );
    }
    let whole = root.path().join("whole.npy");
    succeeds(&mut embed(&dir, &whole, &slvr));

    let out = root.path().join("out.npy");
    let partial = root.path().join("out.npy.partial");
    let interrupted = || {
        let mut child = embed(&dir, &out, &slvr)
            .env("RAYON_NUM_THREADS", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = || partial.metadata().is_ok_and(|m| m.len() > 150);
        while !begun() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let pid = child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    // A run may end before the signal comes, where this process has to wait for its turn.
    let (mut code, mut said) = interrupted();
    for _ in 0..20 {
        if code != Some(0) {
            break;
        }
        std::fs::remove_file(&out).unwrap();
        (code, said) = interrupted();
    }
    assert_eq!(code, Some(130));
    // The command to go on with is the one that was given.
    let line = said.lines().find(|line| line.contains("mtslvr embed"));
    let words = shlex::split(line.expect("a command line")).unwrap();
    let given = embed(&dir, &out, &slvr);
    let given: Vec<_> = given
        .get_args()
        .map(|word| word.to_str().unwrap())
        .collect();
    assert_eq!(words[0], env!("CARGO_BIN_EXE_mtslvr"));
    assert_eq!(words[1..], given);
    assert!(!out.exists());
    fails(
        &mut embed(&dir, &out, &onnx),
        &["out.npy.partial", "delete the file"],
    );

    let bytes = std::fs::read(&partial).unwrap();
    std::fs::write(&partial, &bytes[..bytes.len() - 5]).unwrap();
    // A recording that was embedded has changed since.
    tone(&dir.join("00.wav"), 999.0, 1.0, 16_000);
    succeeds(&mut embed(&dir, &whole, &slvr));
    let summary = succeeds(embed(&dir, &out, &slvr).arg("--json")).stdout;
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["rows"], 16);
    assert!(summary["kept"].as_u64().unwrap() < 16);
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&whole).unwrap());
    assert!(!partial.exists());
}

/// What an earlier run finished is not done again.
#[test]
fn finished_recordings_are_taken_from_the_partial_file() {
    use mtslvr_evaluate::embed::{Journal, Origin, Recordings};
    use std::sync::atomic::{AtomicBool, Ordering};
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let dir = root.path().join("in");
    recordings(&dir);
    let out = root.path().join("x.npy");
    let file = mtslvr_pack::BackboneFile::read(&slvr, None).unwrap();
    let origin = Origin {
        model: file.backbone().unwrap().space().backbone(),
        engine: "packed".into(),
        dim: 12,
    };
    let mut journal = Journal::open(&root.path().join("x.npy.partial"), &origin).unwrap();
    let stop = AtomicBool::new(false);
    let recordings = Recordings::find(&dir).unwrap();
    let mut engine = [file.backbone().unwrap()];
    let outcome = recordings
        .embed(&mut engine, &mut journal, &stop, |done| {
            stop.store(done > 0, Ordering::Relaxed);
        })
        .unwrap();
    assert!(outcome.finished.len() < NAMES.len() || !outcome.interrupted);
    let done = outcome.finished.len();
    drop(journal);
    let summary = succeeds(embed(&dir, &out, &slvr).arg("--json")).stdout;
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(
        (&summary["rows"], &summary["kept"]),
        (&4.into(), &done.into())
    );
}

#[test]
fn what_cannot_be_read_is_named_skipped_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let dir = root.path().join("in");
    recordings(&dir);
    std::fs::write(dir.join("b/notes.wav"), "no audio").unwrap();
    let whole = std::fs::read(dir.join("a.wav")).unwrap();
    std::fs::write(dir.join("cut.wav"), &whole[..30]).unwrap();
    let out = root.path().join("x.npy");
    let output = succeeds(&mut embed(&dir, &out, &slvr));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("notes.wav") && said.contains("cut.wav"),
        "{said}"
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("2 files skipped"), "{printed}");
    assert_eq!(names_of(&root.path().join("x.names.csv")), NAMES);

    let before = std::fs::read(&out).unwrap();
    let path = |name: &str| root.path().join(name);
    fails(
        &mut embed(&dir, &path("x.txt"), &slvr),
        &["x.txt", ".npy or .csv"],
    );
    fails(&mut embed(&dir, &path("no/x.npy"), &slvr), &["no/x.npy"]);
    fails(&mut embed(&path("gone"), &out, &slvr), &["gone"]);
    fails(&mut embed(&dir, &out, &path("gone.slvr")), &["gone.slvr"]);
    std::fs::create_dir(path("bad")).unwrap();
    std::fs::write(path("bad/x.wav"), "no audio").unwrap();
    fails(
        &mut embed(&path("bad"), &out, &slvr),
        &["x.wav", "none of the 1"],
    );
    assert_eq!(std::fs::read(&out).unwrap(), before);
    assert!(!path("x.npy.partial").exists());
}

#[test]
fn bench_times_the_engines_that_are_there_and_names_the_others() {
    let root = tempfile::tempdir().unwrap();
    let (slvr, _) = model(root.path());
    let bench = |model: &Path| {
        let mut command = mtslvr();
        command.arg("bench").arg("--model").arg(model);
        command.args(["--rounds", "3", "--json"]);
        command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        command
    };
    let names = |report: &Value, part: &str| -> Vec<String> {
        let entries = report[part].as_array().unwrap();
        entries
            .iter()
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let folder: PathBuf = slvr.parent().unwrap().into();
    let report: Value = serde_json::from_slice(&succeeds(&mut bench(&folder)).stdout).unwrap();
    let (timed, mut absent) = (names(&report, "engines"), vec!["ort", "ort-int8"]);
    match FloatEngine::BUILT_IN {
        FloatEngine::Tract => assert_eq!(timed, ["packed", "tract"]),
        _ => {
            assert_eq!(timed, ["packed"]);
            absent.insert(0, "tract");
        }
    }
    for engine in report["engines"].as_array().unwrap() {
        let [median, low, high] = ["median_ms", "lower_quartile_ms", "upper_quartile_ms"]
            .map(|k| engine[k].as_f64().unwrap());
        assert!(0.0 < low && low <= median && median <= high, "{engine}");
    }
    assert_eq!(report["engines"][0]["times_packed"], 1.0);
    assert_eq!(names(&report, "absent"), absent);
    let ort = report["absent"].as_array().unwrap().iter();
    let ort = ort.clone().find(|engine| engine["name"] == "ort").unwrap();
    assert!(ort["reason"].as_str().unwrap().contains("ORT_DYLIB_PATH"));
    let report: Value = serde_json::from_slice(&succeeds(&mut bench(&slvr)).stdout).unwrap();
    assert_eq!(names(&report, "engines"), ["packed"]);
    assert_eq!(names(&report, "absent"), ["tract", "ort", "ort-int8"]);
    fails(
        &mut bench(&root.path().join("gone")),
        &["gone", "run folder", "edge-s or edge-m"],
    );
    fails(mtslvr().args(["bench", "--rounds", "0"]), &["--rounds"]);
}
