//! Runs the program on hostile files, full disks, signals and strange names.
#![cfg(unix)]

use clap::CommandFactory;
use mtslvr_audio::write_wav;
use mtslvr_pack::builder::{
    Activation, ChannelRules, ModelSpec, OpKindSpec, OpSpec, PartSpec, TensorSpec, build,
};
use mtslvr_runtime::frontend::{FrontendConfig, FrontendForm};
use mtslvr_runtime::nn::{Quantisation, Shape, Window};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder to run in, which is the user's data folder, too.
struct Room {
    folder: TempDir,
}

impl Room {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A room with `sounds/<class>/<clip>.wav`.
    fn with_sounds() -> Self {
        let room = Self::new();
        room.succeeds(&["synth", "sounds", "--classes", "2", "--clips", "4"]);
        room
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mtslvr(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
        command
            .args(args)
            .current_dir(&self.folder)
            .env("XDG_DATA_HOME", self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.mtslvr(args).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs, and asserts that it fails with a sentence that holds every one of `named`.
    #[track_caller]
    fn fails(&self, args: &[&str], named: &[&str]) {
        let output = self.run(args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        for name in named {
            assert!(
                said.contains(name),
                "{args:?} does not say {name:?}: {said}"
            );
        }
    }

    /// The clips, class after class.
    fn clips(&self) -> Vec<String> {
        let mut clips: Vec<String> = files(&self.at("sounds"))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "wav"))
            .map(|path| path.to_str().unwrap().to_owned())
            .collect();
        clips.sort();
        clips
    }

    /// Names of unfinished files anywhere in the room.
    fn unfinished(&self) -> Vec<PathBuf> {
        let mut found = files(self.folder.path());
        found.retain(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(".unfinished")
        });
        found
    }
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Settings of a training of a moment.
const TINY: &str = "--set frontend.frames=17 --set frontend.mels=16 --set backbone.stem.width=4 --set \
                    backbone.stages=[{width=6,blocks=1,stride=2}] --set backbone.output.bands=1 --set train.batch=4";

/// Commands that print something, one a line; a word in braces is a path of the room.
const PRINTING: &str = "\
help enrol
completions bash
man pages
synth more --classes 2 --clips 1
inspect edge-s
keygen maker.key
sign edge-s --key held.key --out s.slvr
bench --rounds 1
embed sounds --out e.csv
enrol dong {other}
listen {clip} --json
review kept --list
classes list
classes rename ding dung
classes undo
classes threshold dung 0.5
classes disable dung
classes enable dung
classes reembed --model edge-m
classes reembed --model edge-s
classes test sounds
classes calibrate quiet.wav
classes delete dong
classes export backup.mtss
classes import backup.mtss --force
eval --model edge-s --data sounds --ways 2 --tasks 2 --queries 1
eval --model edge-s --data sounds --ways 2 --tasks 2 --queries 1 --json -
";

/// Those of the whole program.
const PRINTING_OF_TRAINING: &str = "\
demo --seconds 0 --out demo
train --out run --resume --steps 3
export run
pack run/model.onnx --out p.slvr
cut run/model.onnx --from log_mel --frontend net.toml --out c.onnx
experiment tiny.toml --list
eval open-set --model edge-s --data sounds set --ways 2 --tasks 2
eval bias --model edge-s --data sounds --ways 2 --tasks 2
stream --model edge-s --data sounds place --background place/{class} --enrol sounds --sounds 1 --shots 1 --heard 1 --others 1 --streams 1 --minutes 1 --snr 20 --source recording --taught clean
";

/// Description of the input of [`TINY`]'s network.
const TINY_INPUT: &str = "\
sample_rate = 16000
window = 512
hop = 256
mels = 16
frames = 17
f_min = 50.0
f_max = 8000.0
floor = 1e-4
mean = -4.0
scale = 0.25
layout = \"time-mel\"
";

/// Commands that print nothing without a device.
const OF_DEVICES: [&str; 4] = [
    "device show",
    "device push",
    "device pull",
    "device install",
];

#[test]
fn output_that_cannot_be_written_is_an_error_of_every_command() {
    let room = Room::with_sounds();
    let clips = room.clips();
    let clip = clips[0].as_str();
    room.succeeds(&["enrol", "ding", clip]);
    room.succeeds(&["keygen", "held.key"]);
    room.succeeds(&["listen", clip, "--capture", "kept"]);
    write_wav(&room.at("quiet.wav"), &vec![1e-4; 200_000], 16_000).unwrap();
    let mut printing = PRINTING.to_owned();
    if cfg!(feature = "train") {
        let tiny: Vec<&str> = TINY.split(' ').collect();
        room.succeeds(&[&["train", "--out", "run", "--steps", "2"], &tiny[..]].concat());
        let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/experiment_tiny.toml");
        fs::copy(plan, room.at("tiny.toml")).unwrap();
        fs::write(room.at("net.toml"), TINY_INPUT).unwrap();
        for set in ["set", "place"] {
            room.succeeds(&[
                "synth",
                set,
                "--classes",
                "2",
                "--clips",
                "4",
                "--seed",
                "2",
            ]);
        }
        printing.push_str(PRINTING_OF_TRAINING);
    }
    let class = files(&room.at("sounds"))[0].parent().unwrap().to_owned();
    let class = class.file_name().unwrap().to_str().unwrap();
    let printing = printing
        .replace("{clip}", clip)
        .replace("{other}", &clips[5])
        .replace("{class}", class);
    let lines = || printing.lines().chain(["--help", "--version"]);
    each_command(&mut |words| {
        let tried = lines().any(|line| format!("{line} ").starts_with(&format!("{words} ")));
        assert!(
            tried || OF_DEVICES.contains(&words),
            "`{words}` is not among the commands that are tried"
        );
    });
    for line in lines() {
        let args: Vec<&str> = line.split(' ').collect();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = room.mtslvr(&args).stdout(full).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(
            said.contains("standard output cannot be written"),
            "{line}: {said}"
        );
        // Whoever reads a pipe and goes has had what it wanted.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = room.mtslvr(&args).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("standard output") && !said.contains("panicked"),
            "{line}: {said}"
        );
    }
    assert_eq!(room.unfinished(), [] as [PathBuf; 0]);
}

/// Calls `check` with the words of each command that has no commands below it, or runs without them.
fn each_command(check: &mut dyn FnMut(&str)) {
    fn visit(words: &str, command: &clap::Command, check: &mut dyn FnMut(&str)) {
        if !words.is_empty() && !command.is_subcommand_required_set() {
            check(words);
        }
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            visit(format!("{words} {}", sub.get_name()).trim(), sub, check);
        }
    }
    visit("", &mtslvr_cli::Cli::command(), check);
}

/// A set is there whole, or not at all.
#[test]
fn a_set_that_is_interrupted_leaves_nothing() {
    let room = Room::new();
    let mut child = room
        .mtslvr(&["synth", "sounds", "--classes", "200", "--clips", "200"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while room.unfinished().is_empty() && files(room.folder.path()).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left: Vec<_> = fs::read_dir(room.folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Where nothing can be heard, nothing is replaced and nothing is made.
#[test]
fn a_recording_that_is_missing_leaves_the_outputs_alone() {
    let room = Room::with_sounds();
    room.succeeds(&["enrol", "ding", &room.clips()[0]]);
    fs::write(room.at("day.csv"), b"of yesterday").unwrap();
    room.fails(
        &[
            "listen",
            "gone.wav",
            "--capture",
            "kept",
            "--labels",
            "day.csv",
        ],
        &["gone.wav"],
    );
    assert!(!room.at("kept").exists());
    assert_eq!(fs::read(room.at("day.csv")).unwrap(), b"of yesterday");
}

/// Whether a process has its own answer to SIGINT; elsewhere than on Linux, whether it ran for long.
fn watches_for_signals(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        std::thread::sleep(Duration::from_secs(2));
        return true;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() >> 1 & 1 == 1)
}

#[test]
fn every_signal_ends_a_command_in_order() {
    let room = Room::new();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut child = room
            .mtslvr(&["bench", "--rounds", "1000000"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !watches_for_signals(child.id()) && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = child.id().to_string();
        Command::new("kill").args([signal, &pid]).status().unwrap();
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{signal} did not end it"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{signal}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_killed_write_leaves_nothing_behind_for_long() {
    let room = Room::with_sounds();
    room.succeeds(&["embed", "sounds", "--out", "e.npy"]);
    // As a killed process leaves it.
    fs::write(room.at(".unfinished-e.npy-a1B2c3"), b"half").unwrap();
    room.succeeds(&["embed", "sounds", "--out", "e.npy"]);
    assert_eq!(room.unfinished(), [] as [PathBuf; 0]);
}

/// Where the rows cannot be written, their names stay as they are.
#[test]
fn rows_and_their_names_are_replaced_together() {
    let room = Room::with_sounds();
    room.succeeds(&["embed", "sounds", "--out", "e.npy"]);
    let names = fs::read(room.at("e.names.csv")).unwrap();
    let more = room.at("sounds/another");
    fs::create_dir(&more).unwrap();
    fs::copy(&room.clips()[0], more.join("0.wav")).unwrap();
    fs::rename(room.at("e.npy"), room.at("old.npy")).unwrap();
    fs::create_dir(room.at("e.npy")).unwrap();
    room.fails(
        &["embed", "sounds", "--out", "e.npy"],
        &["e.npy", "it is a folder"],
    );
    assert!(fs::read(room.at("e.names.csv")).unwrap() == names);
    assert_eq!(room.unfinished(), [] as [PathBuf; 0]);
    // What was embedded is not lost.
    fs::remove_dir(room.at("e.npy")).unwrap();
    let summary = room.succeeds(&["embed", "sounds", "--out", "e.npy", "--json"]);
    assert!(summary.contains("\"kept\": 9"), "{summary}");
}

#[test]
fn a_profile_keeps_its_mode_and_links_and_is_no_pipe() {
    let room = Room::with_sounds();
    let clips = room.clips();
    room.succeeds(&["enrol", "ding", &clips[0], "--profile", "real.mtss"]);
    fs::set_permissions(room.at("real.mtss"), PermissionsExt::from_mode(0o600)).unwrap();
    symlink("real.mtss", room.at("link.mtss")).unwrap();
    room.succeeds(&["enrol", "ding", &clips[1], "--profile", "link.mtss"]);
    assert!(room.at("link.mtss").is_symlink());
    let mode = fs::metadata(room.at("real.mtss"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // What lies beside it, and a copy, tell as much.
    room.succeeds(&["classes", "export", "copy.mtss", "--profile", "real.mtss"]);
    let told: Vec<PathBuf> = files(room.folder.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending != "wav"))
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.contains(".mtss.") || name == "copy.mtss"
        })
        .collect();
    assert_eq!(told.len(), 5, "{told:?}");
    for path in told {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }

    symlink("nowhere.mtss", room.at("dangling.mtss")).unwrap();
    let made = Command::new("mkfifo").arg(room.at("pipe.mtss")).status();
    assert!(made.unwrap().success());
    let began = Instant::now();
    for (profile, reason) in [
        ("dangling.mtss", "a link to a file that is not there"),
        ("pipe.mtss", "not a regular file"),
        ("/dev/zero", "not a regular file"),
    ] {
        room.fails(
            &["enrol", "ding", &clips[2], "--profile", profile],
            &[profile, reason],
        );
    }
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(room.at("dangling.mtss").is_symlink());
    room.fails(
        &[
            "classes",
            "export",
            "pipe.mtss",
            "--force",
            "--profile",
            "real.mtss",
        ],
        &["pipe"],
    );
}

/// A pipe that nobody writes into would be waited for, without an ear for signals, and a device be read for ever.
#[test]
fn what_is_no_file_is_refused_before_it_is_opened() {
    let room = Room::with_sounds();
    let clip = &room.clips()[0];
    room.succeeds(&["enrol", "ding", clip, "--profile", "p.mtss"]);
    room.succeeds(&["synth", "set", "--classes", "2", "--clips", "2"]);
    for name in [
        "pipe.slvr",
        "pipe.onnx",
        "pipe.wav",
        "pipe.csv",
        "pipe.safetensors",
        "set/manifest.csv",
    ] {
        let made = Command::new("mkfifo").arg(room.at(name)).status();
        assert!(made.unwrap().success());
    }
    let broker = [
        "listen",
        "--mqtt",
        "mqtts://localhost:1",
        "--profile",
        "p.mtss",
        clip,
    ];
    let with_ca = |ca| [&broker[..], &["--mqtt-ca", ca]].concat();
    let began = Instant::now();
    for args in [
        &["inspect", "pipe.slvr"][..],
        &["inspect", "pipe.onnx"],
        &["pack", "pipe.onnx", "--out", "out.slvr"],
        &["bench", "--model", "pipe.slvr", "--rounds", "1"],
        &["enrol", "ding", "pipe.wav", "--profile", "p.mtss"],
        &[
            "enrol",
            "ding",
            clip,
            "--model",
            "pipe.slvr",
            "--profile",
            "q.mtss",
        ],
        &["listen", "pipe.wav", "--profile", "p.mtss"],
        &[
            "listen",
            clip,
            "--labels",
            "pipe.csv",
            "--profile",
            "p.mtss",
        ],
        &with_ca("pipe.csv"),
        &with_ca("/dev/zero"),
        &["classes", "calibrate", "pipe.wav", "--profile", "p.mtss"],
        &["train", "--from", "pipe.safetensors", "--out", "run"],
        &["train", "--from", "/dev/zero", "--out", "run"],
        &["export", "/dev/zero", "--out", "models"],
        &["eval", "--data", "set"],
        &["train", "--data", "set", "--steps", "1", "--out", "run"],
        &["experiment", "pipe.csv", "--list"],
    ] {
        room.fails(args, &["not a regular file"]);
    }
    assert!(began.elapsed() < Duration::from_secs(120));
    assert!(!room.at("run").exists(), "a folder of nothing stays behind");
}

#[test]
fn names_that_steer_a_terminal_are_refused_and_escaped() {
    let room = Room::with_sounds();
    let clips = room.clips();
    for (name, reason) in [
        ("a\u{1b}[31mb", "U+001B"),
        ("a\nb", "U+000A"),
        ("gnp\u{202e}vaw", "U+202E"),
        (" \u{3000} ", "blank"),
        ("..", "blank, `.` or `..`"),
    ] {
        let output = room.run(&["enrol", name, &clips[0]]);
        let said = said(&output);
        assert!(
            !output.status.success() && said.contains(reason),
            "{name:?}: {said}"
        );
        assert!(
            !said.contains('\u{1b}') && !said.contains('\u{202e}'),
            "{said:?}"
        );
    }
    room.fails(&["classes", "list"], &["no profile yet"]);
    // So are the arguments that are not understood.
    for args in [&["gnp\u{202e}vaw"][..], &["enrol", "--a\u{9b}"]] {
        let output = room.run(args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("\\u202e") || said.contains("\\u009b"),
            "{said:?}"
        );
        assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
    }

    let strange = "sounds/\u{1b}]0;x\u{7}\u{202e}.wav";
    fs::write(room.at(strange), b"not a sound").unwrap();
    fs::copy(&clips[0], room.at("sounds/\u{202e}ok\n.wav")).unwrap();
    fs::create_dir(room.at("sounds/=1+1")).unwrap();
    fs::copy(&clips[0], room.at("sounds/=1+1/a.wav")).unwrap();
    let output = room.run(&["embed", "sounds", "--out", "e.npy"]);
    let said = said(&output);
    assert!(said.contains("\\u001b]0;x\\u0007\\u202e.wav"), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
    let names = fs::read_to_string(room.at("e.names.csv")).unwrap();
    assert!(names.contains("\\u202eok\\u000a.wav"), "{names}");
    assert!(names.contains(",'=1+1/a.wav"), "{names}");
    assert_eq!(names.lines().count(), 11, "{names}");
}

#[test]
fn the_same_letters_are_the_same_name() {
    let room = Room::with_sounds();
    let clips = room.clips();
    room.succeeds(&["enrol", "T\u{fc}r", &clips[0]]);
    room.succeeds(&["enrol", "Tu\u{308}r", &clips[1]]);
    let listed = room.succeeds(&["classes", "list", "--json"]);
    assert_eq!(listed.matches("T\u{fc}r").count(), 1, "{listed}");
    room.succeeds(&["classes", "rename", "Tu\u{308}r", "Gera\u{308}t"]);
    let listed = room.succeeds(&["classes", "list"]);
    assert!(listed.contains("Ger\u{e4}t"), "{listed}");
}

/// A valid model of 5.3e10 multiply-accumulates for a patch.
fn slow_model() -> Vec<u8> {
    let (width, frames, mels) = (64, 2_000, 128);
    let quantisation = Quantisation {
        scale: 0.05,
        zero_point: 0,
    };
    let convolution = |input: usize, inputs: usize| OpSpec {
        kind: OpKindSpec::Convolution {
            input,
            window: Window::square(7, 1, 3),
            channels: ChannelRules {
                weights: vec![1; 49 * inputs * width],
                adapter: None,
                scale: vec![0.01; width],
                gain: vec![1.0; width],
                shift: vec![0.0; width],
            },
        },
        activation: Activation::Relu,
        output: TensorSpec {
            shape: Shape::new(frames, mels, width),
            quantisation,
        },
    };
    let pool = OpSpec {
        kind: OpKindSpec::AveragePool {
            input: 2,
            window: Window {
                kernel: [frames, mels],
                ..Window::square(1, 1, 0)
            },
        },
        activation: Activation::Linear,
        output: TensorSpec {
            shape: Shape::new(1, 1, width),
            quantisation,
        },
    };
    let spec = ModelSpec {
        name: "slow".into(),
        provenance: "a test".into(),
        frontend: FrontendConfig {
            sample_rate: 16_000,
            window: 512,
            hop: 256,
            mels: mels as u16,
            frames: frames as u16,
            f_min: 60.0,
            f_max: 7_800.0,
            floor: 1e-6,
            mean: -4.0,
            scale: 0.25,
            form: FrontendForm::PLAIN,
        },
        input: quantisation,
        ops: vec![convolution(0, 1), convolution(1, width), pool],
        parts: vec![PartSpec {
            name: "features".into(),
            tensor: 3,
            share: 1.0,
        }],
        base_mean: vec![0.0; width],
        reference: None,
        cohort: Vec::new(),
        cohort_weights: Vec::new(),
        patch_norm: None,
        version_counter: None,
    };
    build(&spec).unwrap().to_vec()
}

#[test]
fn a_model_that_would_run_for_hours_is_described_and_not_run() {
    let room = Room::with_sounds();
    fs::write(room.at("slow.slvr"), slow_model()).unwrap();
    let described = room.succeeds(&["inspect", "slow.slvr"]);
    assert!(described.contains("MAC         52"), "{described}");
    let limit = ["slow.slvr", "at most 30,000,000,000", "MTSLVR_MAX_MACS=N"];
    let clip = room.clips()[0].clone();
    room.fails(&["enrol", "ding", &clip, "--model", "slow.slvr"], &limit);
    room.fails(
        &["embed", "sounds", "--out", "e.npy", "--model", "slow.slvr"],
        &limit,
    );
    let mut bench = room.mtslvr(&["bench", "--model", "edge-s", "--rounds", "1"]);
    let output = bench.env("MTSLVR_MAX_MACS", "1000").output().unwrap();
    assert!(
        said(&output).contains("at most 1,000 "),
        "{}",
        said(&output)
    );
}

/// One sound that goes on for days does not end the others.
#[test]
fn a_recording_beyond_the_budget_is_left_out() {
    let room = Room::with_sounds();
    write_wav(&room.at("sounds/long.wav"), &vec![0.1; 400_000], 16_000).unwrap();
    let mut embed = room.mtslvr(&["embed", "sounds", "--out", "e.npy"]);
    let output = embed.env("MTSLVR_MAX_SAMPLES", "300000").output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("long.wav") && said.contains("300000"),
        "{said}"
    );
    let names = fs::read_to_string(room.at("e.names.csv")).unwrap();
    assert_eq!(names.lines().count(), 9, "{names}");
}

#[test]
fn clips_of_equal_size_and_time_are_told_apart_by_the_cache() {
    let room = Room::with_sounds();
    let clips = room.clips();
    let old = |path: &str| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1))
            .unwrap();
    };
    for clip in &clips {
        old(clip);
    }
    let eval = "eval --model edge-s --data sounds --ways 2 --tasks 5 --queries 1";
    let eval: Vec<&str> = eval.split(' ').collect();
    let cached = [&eval[..], &["--cache", "kept"]].concat();
    assert_eq!(room.succeeds(&eval), room.succeeds(&cached));
    let [a, b] = [&clips[0], &clips[4]];
    let (first, second) = (fs::read(a).unwrap(), fs::read(b).unwrap());
    fs::write(a, second).unwrap();
    fs::write(b, first).unwrap();
    for clip in &clips {
        old(clip);
    }
    assert_eq!(room.succeeds(&eval), room.succeeds(&cached));
}
