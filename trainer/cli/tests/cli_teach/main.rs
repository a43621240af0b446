//! `mtslvr enrol`, `mtslvr classes` and `mtslvr listen` as a user runs them, with the shipped backbone
//! and sounds from `mtslvr synth`.

mod broker;
mod microphone;
mod process;
#[path = "../search_path/mod.rs"]
mod search_path;

use mtslvr_audio::{load, write_wav};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const RATE: u32 = 16_000;

/// A folder with sounds in it, and a profile beside them.
struct Bench {
    root: TempDir,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let bench = Self { root };
        let made = ["synth", "sounds", "--classes", "4", "--clips", "6"];
        bench.succeeds(&made);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The program in the folder, its data folder being there too.
    fn mtslvr(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr"));
        command.args(args).current_dir(self.root.path());
        command.env("XDG_DATA_HOME", self.root.path().join("data"));
        command.env("PATH", search_path::without_the_program());
        command
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.mtslvr(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, args: &[&str], named: &[&str]) -> Output {
        let output = self.mtslvr(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        for name in named {
            assert!(said.contains(name), "{args:?}: {name:?} in {said}");
        }
        output
    }

    /// The clips of a made-up class, by its number.
    fn clips(&self, class: usize) -> Vec<String> {
        let folders = sorted(&self.path("sounds"));
        let clips = sorted(&folders[class]);
        clips
            .iter()
            .map(|clip| clip.to_str().unwrap().to_owned())
            .collect()
    }

    /// Enrols clips of a made-up class.
    #[track_caller]
    fn enrol(&self, name: &str, class: usize, clips: std::ops::Range<usize>) {
        let paths = self.clips(class);
        let mut args = vec!["enrol", name];
        args.extend(paths[clips].iter().map(String::as_str));
        self.succeeds(&args);
    }

    fn list(&self) -> Value {
        serde_json::from_str(&self.succeeds(&["classes", "list", "--json"])).unwrap()
    }

    /// Names and numbers of examples.
    fn classes(&self) -> Vec<(String, usize)> {
        let list = self.list();
        let classes = list["classes"].as_array().unwrap().iter();
        let class = |class: &Value| {
            let name = class["name"]
                .as_str()
                .unwrap_or(class["role"].as_str().unwrap());
            (name.to_owned(), class["examples"].as_array().unwrap().len())
        };
        classes.map(class).collect()
    }

    fn profile(&self) -> PathBuf {
        self.path("data/mtslvr/profile.mtss")
    }

    /// Faint noise with a clip of each of `classes` in it, 4 s apart, the first at 4 s.
    fn scene(&self, classes: &[usize]) -> Vec<f32> {
        let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
        let length = 4 * RATE * (classes.len() as u32 + 1) + RATE;
        let mut samples: Vec<f32> = (0..length).map(|n| 0.0005 * noise(n)).collect();
        for (class, at) in classes.iter().zip(1..) {
            let clip = load(Path::new(&self.clips(*class)[5]), RATE).unwrap();
            let place = samples[at * 4 * RATE as usize..].iter_mut();
            place.zip(clip).for_each(|(sample, sound)| *sample += sound);
        }
        samples
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn pcm(samples: &[f32]) -> Vec<u8> {
    let sample = |s: &f32| ((s * 32_768.0).round() as i16).to_le_bytes();
    samples.iter().flat_map(sample).collect()
}

/// What `--json` printed.
fn json_lines(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of `listen --json` that are of this kind.
fn lines_of(lines: &str, kind: &str) -> Vec<Value> {
    let mut lines = json_lines(lines);
    lines.retain(|line| line["event"] == kind);
    lines
}

/// The sounds that `listen --json` recognised.
fn events(lines: &str) -> Vec<Value> {
    lines_of(lines, "begin")
}

fn classes_of(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["class"].as_str().unwrap())
        .collect()
}

#[test]
fn taught_sounds_are_recognised_in_a_file_and_from_a_pipe_alike() {
    let bench = Bench::new();
    // The program is called again as it was called.
    let program = env!("CARGO_BIN_EXE_mtslvr");
    let again = format!("`{program} enrol NAME");
    bench.fails(&["listen", "x.wav"], &["profile.mtss", &again]);
    let mut on_path = bench.mtslvr(&["listen", "x.wav"]);
    on_path.env("PATH", Path::new(program).parent().unwrap());
    let said = on_path.output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("`mtslvr enrol NAME"), "{said}");
    bench.enrol("chime", 0, 0..5);
    bench.enrol("beep", 1, 0..5);
    let scene = bench.scene(&[0, 1, 0]);
    let wav = bench.path("scene.wav");
    write_wav(&wav, &scene, RATE).unwrap();

    let from_file = events(&bench.succeeds(&["listen", "scene.wav", "--json"]));
    assert_eq!(classes_of(&from_file), ["chime", "beep", "chime"]);
    for (event, second) in from_file.iter().zip([4.0, 8.0, 12.0]) {
        let start = event["start"].as_f64().unwrap();
        assert!((start - second).abs() < 0.7, "{event} at {second}");
        assert!(event["confidence"].as_f64().unwrap() > 0.3 && event.get("unix_time").is_none());
        assert!(event["score"].as_f64().unwrap() >= event["threshold"].as_f64().unwrap());
    }
    let plain = bench.succeeds(&["listen", "scene.wav"]);
    assert_eq!(plain.lines().count(), 3, "{plain}");
    assert!(
        plain.contains("chime") && !plain.contains('\x1b'),
        "{plain}"
    );

    // The pipe: every event is printed while the pipe is still open.
    let mut child = bench
        .mtslvr(&["listen", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let bytes = pcm(&scene);
    let mut sent = 0;
    for (at, expected) in [7, 11, 15].into_iter().zip(&from_file) {
        let now = at * 2 * RATE as usize;
        stdin.write_all(&bytes[sent..now]).unwrap();
        stdin.flush().unwrap();
        sent = now;
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        for key in ["class", "start", "recognised", "score", "confidence"] {
            assert_eq!(event[key], expected[key], "{key}");
        }
        assert!(event["unix_time"].as_f64().unwrap() > 1e9);
        let end: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(
            (&end["event"], &end["start"]),
            (&"end".into(), &event["start"])
        );
    }
    // Half a sample at the end is no reason to fail.
    stdin.write_all(&[1]).unwrap();
    drop(stdin);
    let summary: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&summary["event"], &summary["sounds"]),
        (&"summary".into(), &3.into())
    );
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());

    // A pipe with a header, an empty one, and sound that is none.
    let piped = |bytes: &[u8]| {
        let mut child = bench
            .mtslvr(&["listen", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have ended before all was written.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(piped(&fs::read(&wav).unwrap()).contains("-t raw"));
    assert!(piped(b"").contains("0 bytes"));
    bench.fails(&["listen", "gone.wav"], &["gone.wav"]);
}

/// The score that is shown is the one that the threshold is compared with.
#[test]
fn what_is_shown_is_what_decides() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..5);
    bench.enrol("beep", 1, 0..5);
    write_wav(&bench.path("scene.wav"), &bench.scene(&[0, 1]), RATE).unwrap();
    let listen =
        |args: &[&str]| bench.succeeds(&[&["listen", "scene.wav", "--json"], args].concat());
    let begun = events(&listen(&[]));
    let ended = lines_of(&listen(&[]), "end");
    assert_eq!(classes_of(&begun), classes_of(&ended));
    let number = |line: &Value, key: &str| line[key].as_f64().unwrap();
    for (begin, end) in begun.iter().zip(&ended) {
        let length = number(end, "end") - number(end, "start");
        assert!(
            (length - number(end, "duration")).abs() < 1e-3 && length > 0.1,
            "{end}"
        );
        assert!(number(end, "score") >= number(begin, "score"));
    }
    // A margin below the lead leaves it, one above takes it away.
    let best = number(&ended[0], "score") - number(&ended[0], "threshold");
    let with = |margin: f64| {
        let margin = margin.to_string();
        events(&listen(&["--margin", &margin]))
    };
    assert!(classes_of(&with(best - 0.01)).contains(&"chime"));
    assert!(!classes_of(&with(best + 0.01)).contains(&"chime"));

    // Where nothing is found, the nearest miss is named, and its number is right.
    let lines = listen(&["--margin", "1"]);
    let summary = lines_of(&lines, "summary");
    let closest = &summary[0]["closest"];
    let missed = number(closest, "threshold") - number(closest, "score");
    assert!(
        (missed - number(closest, "missed_by")).abs() < 1e-4,
        "{closest}"
    );
    assert!(events(&listen(&["--margin", &(1.0 - missed - 0.001).to_string()])).len() == 1);
    let output = bench
        .mtslvr(&["listen", "scene.wav", "--margin", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("Closest was") && said.contains("missed by"),
        "{said}"
    );

    // Every window is explained, and no field goes without its line in the help.
    let lines = listen(&["--explain", "--margin", "0.2"]);
    let windows = lines_of(&lines, "window");
    let verdicts: Vec<&str> = windows
        .iter()
        .map(|w| w["verdict"].as_str().unwrap())
        .collect();
    assert!(
        verdicts.contains(&"quiet") && verdicts.contains(&"below-threshold"),
        "{verdicts:?}"
    );
    let help = bench.succeeds(&["listen", "--help"]);
    let all = json_lines(&(lines + &listen(&[])));
    for key in all.iter().flat_map(|line| line.as_object().unwrap().keys()) {
        assert!(key == "event" || help.contains(key.as_str()), "{key}");
    }
    let text = bench.succeeds(&["listen", "scene.wav", "--explain"]);
    assert!(
        text.contains("quiet") && text.contains("recognised"),
        "{text}"
    );

    // A sound that is too short for --min-duration is none.
    let long = number(&ended[0], "duration").max(number(&ended[1], "duration")) + 0.1;
    assert!(events(&listen(&["--min-duration", &long.to_string()])).is_empty());
    assert_eq!(
        events(&listen(&["--min-duration", "0.05"])).len(),
        begun.len()
    );
    let nothing = bench.path("nothing.wav");
    write_wav(&nothing, &bench.scene(&[])[..], RATE).unwrap();
    let output = bench
        .mtslvr(&["listen", "nothing.wav", "--gate", "30"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("0 sounds"), "{said}");
}

#[test]
fn what_counts_as_recognised_follows_the_profile() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..5);
    bench.enrol("beep", 1, 0..5);
    write_wav(&bench.path("scene.wav"), &bench.scene(&[0, 1]), RATE).unwrap();
    let heard = || {
        let events = events(&bench.succeeds(&["listen", "scene.wav", "--json"]));
        let classes = events
            .iter()
            .map(|event| event["class"].as_str().unwrap().to_owned());
        classes.collect::<Vec<_>>()
    };
    let does = |args: &[&str]| bench.succeeds(args);
    assert_eq!(heard(), ["chime", "beep"]);
    does(&["classes", "threshold", "chime", "1"]);
    assert_eq!(heard(), ["beep"]);
    does(&["classes", "threshold", "chime", "none"]);
    does(&["classes", "threshold", "--default", "1"]);
    assert!(heard().is_empty());
    does(&["classes", "threshold", "--default", "none"]);
    does(&["classes", "disable", "beep"]);
    assert_eq!(heard(), ["chime"]);
    does(&["classes", "enable", "beep"]);
    does(&["classes", "rename", "beep", "Türgong"]);
    assert_eq!(heard(), ["chime", "Türgong"]);
    // "That was not it."
    let clip = &bench.clips(1)[5];
    does(&["enrol", "--negative", clip]);
    assert_eq!(heard(), ["chime"]);
    does(&["classes", "delete", "--negative"]);
    assert_eq!(heard(), ["chime", "Türgong"]);
    assert_eq!(bench.list()["classes"][1]["threshold"], Value::Null);
}

#[test]
fn classes_are_changed_and_mistakes_named() {
    let bench = Bench::new();
    bench.fails(&["classes", "list"], &["profile.mtss", "no profile yet"]);
    bench.enrol("chime", 0, 0..3);
    bench.enrol("beep", 1, 0..2);
    bench.succeeds(&["enrol", "--background", &bench.clips(2)[0]]);
    let named = |classes: &[(&str, usize)]| {
        let owned = classes
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        owned.collect::<Vec<_>>()
    };
    assert_eq!(
        bench.classes(),
        named(&[("chime", 3), ("beep", 2), ("background", 1)])
    );
    let before = fs::read(bench.profile()).unwrap();
    // The same again changes nothing.
    bench.enrol("beep", 1, 0..2);
    assert_eq!(fs::read(bench.profile()).unwrap(), before);

    let classes = |args: &[&str], named: &[&str]| {
        bench.fails(&[&["classes"], args].concat(), named);
    };
    classes(
        &["rename", "gong", "x"],
        &["gong", "chime, beep, (background)"],
    );
    classes(&["rename", "beep", "chime"], &["chime", "3 examples"]);
    classes(&["rename", "beep", ""], &["name"]);
    classes(&["rename", "beep", "none"], &["\"none\"", "review"]);
    let long = "thirty-three bytes are too many..";
    classes(&["rename", "beep", long], &["33 bytes", "32"]);
    classes(&["delete", "gong"], &["gong"]);
    classes(&["delete", "--negative"], &["(negatives)"]);
    classes(
        &["delete", "chime", "--example", "4"],
        &["chime", "4", "1 to 3"],
    );
    classes(&["threshold", "chime", "1.5"], &["1.5", "-1 to 1"]);
    classes(&["threshold", "chime"], &["NAME VALUE"]);
    classes(&["import", "gone.mtss"], &["gone.mtss"]);
    assert_eq!(fs::read(bench.profile()).unwrap(), before);

    let list = bench.succeeds(&["classes", "list", "--clips"]);
    assert!(list.contains("chime") && list.contains("000.wav"), "{list}");
    bench.succeeds(&["classes", "export", "backup.mtss"]);
    assert_eq!(fs::read(bench.path("backup.mtss")).unwrap(), before);
    let piped = bench.mtslvr(&["classes", "export", "-"]).output().unwrap();
    assert!(piped.status.success() && piped.stdout == before);
    let said = String::from_utf8(piped.stderr).unwrap();
    assert!(said.contains("3 classes with 6 examples"), "{said}");
    let mut import = bench.mtslvr(&["classes", "import", "-", "--profile", "piped.mtss"]);
    let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(&before).unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(fs::read(bench.path("piped.mtss")).unwrap(), before);
    classes(&["export", "backup.mtss"], &["backup.mtss", "--force"]);
    bench.succeeds(&["classes", "delete", "chime", "--example", "2"]);
    bench.succeeds(&["classes", "delete", "beep"]);
    assert_eq!(bench.classes(), named(&[("chime", 2), ("background", 1)]));
    classes(&["import", "backup.mtss"], &["2 classes", "--force"]);
    bench.succeeds(&["classes", "import", "backup.mtss", "--force"]);
    assert_eq!(fs::read(bench.profile()).unwrap(), before);
    // On another device, which has none.
    bench.succeeds(&[
        "classes",
        "import",
        "backup.mtss",
        "--profile",
        "new/p.mtss",
    ]);
    assert_eq!(fs::read(bench.path("new/p.mtss")).unwrap(), before);

    let mut damaged = before;
    damaged[40] ^= 8;
    fs::write(bench.path("damaged.mtss"), &damaged).unwrap();
    classes(&["import", "damaged.mtss"], &["damaged.mtss", "checksum"]);
    fs::write(bench.profile(), &damaged).unwrap();
    classes(&["list"], &["profile.mtss", "checksum", "import"]);
    bench.succeeds(&["classes", "import", "backup.mtss"]);
}

/// A folder of clips is enrolled whole; one of folders is of several sounds, and refused.
#[test]
fn a_folder_of_clips_is_enrolled() {
    let bench = Bench::new();
    let folder = bench.path("doorbell");
    fs::create_dir(&folder).unwrap();
    bench.fails(&["enrol", "doorbell", "doorbell"], &["holds no clips"]);
    for (number, clip) in bench.clips(0).iter().take(3).enumerate() {
        fs::copy(clip, folder.join(format!("{number}.wav"))).unwrap();
    }
    fs::write(folder.join("notes.txt"), "not a clip").unwrap();
    let said = bench.succeeds(&["enrol", "doorbell", "doorbell"]);
    assert!(said.contains("doorbell has 3 examples"), "{said}");
    bench.fails(
        &["enrol", "dog", "."],
        &["clips of one sound, such as ./doorbell"],
    );
    // A place that cannot be written to is named as it was given.
    let output = bench.fails(
        &["classes", "export", "no/folder.mtss"],
        &["no/folder.mtss: ", "its folder does not exist"],
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains(".unfinished"), "{said}");
}

#[test]
fn bad_recordings_are_explained_and_good_ones_learnt() {
    let bench = Bench::new();
    let sound = load(Path::new(&bench.clips(0)[0]), RATE).unwrap();
    let write = |name: &str, gain: f32, length: usize| {
        let samples: Vec<f32> = sound.iter().take(length).map(|s| s * gain).collect();
        write_wav(&bench.path(name), &samples, RATE).unwrap();
    };
    write("quiet.wav", 0.001, usize::MAX);
    write("clipped.wav", 100.0, usize::MAX);
    write("short.wav", 1.0, 160);
    write("silent.wav", 0.0, usize::MAX);
    write("good.wav", 0.9, usize::MAX);
    for (file, words) in [
        ("quiet.wav", ["too quiet", "dB", "-54 dB"]),
        ("clipped.wav", ["clipped", "%", "1.0 %"]),
        ("short.wav", ["too short", "0.010 s", "0.030 s"]),
        ("silent.wav", ["silent", "microphone", "again"]),
    ] {
        bench.fails(&["enrol", "chime", file], &[&[file], &words[..]].concat());
        assert!(!bench.profile().exists());
    }
    let args = ["enrol", "chime", "quiet.wav", "good.wav", "--json"];
    let output = bench.fails(&args, &["1 of 2", "--force"]);
    let outcomes = json_lines(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(
        (&outcomes[0]["enrolled"], &outcomes[1]["enrolled"]),
        (&false.into(), &true.into())
    );
    assert_eq!(outcomes[0]["reason"], "too-quiet");
    assert_eq!(outcomes[0]["unit"], "dB");
    let [found, limit] = ["found", "limit"].map(|key| outcomes[0][key].as_f64().unwrap());
    assert!(
        found < limit && (limit + 54.0).abs() < 0.1,
        "{found} {limit}"
    );
    assert_eq!(bench.classes(), [("chime".to_owned(), 1)]);
    // The very recording under another name, in whatever file.
    fs::copy(bench.path("good.wav"), bench.path("copy.wav")).unwrap();
    for file in ["good.wav", "copy.wav"] {
        let named = ["an example of chime already", "beep", "rename chime"];
        bench.fails(&["enrol", "beep", file], &named);
        bench.fails(&["enrol", "beep", file, "--force"], &named);
    }
    // Nearly the very sound.
    write("again.wav", 0.5, usize::MAX);
    bench.fails(&["enrol", "beep", "again.wav"], &["too like chime", "0.98"]);
    bench.succeeds(&["enrol", "beep", "again.wav", "quiet.wav", "--force"]);
    // A dead microphone is no question of thresholds.
    let strange = load(Path::new(&bench.clips(2)[0]), RATE).unwrap();
    let peak = strange.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    // Two steps of 16 bits.
    let faint: Vec<f32> = strange.iter().map(|s| s * 6e-5 / peak).collect();
    write_wav(&bench.path("faint.wav"), &faint, RATE).unwrap();
    for (file, word) in [
        ("silent.wav", "every sample is 0"),
        ("faint.wav", "nearly silent"),
    ] {
        let output = bench.mtslvr(&["listen", file, "--margin", "1"]).output();
        let said = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(said.contains(word) && said.contains("microphone"), "{said}");
        assert!(!said.contains("threshold"), "{said}");
    }
    bench.fails(&["enrol", "beep", "silent.wav", "--force"], &["silent"]);
    assert_eq!(
        bench.classes(),
        [("chime".to_owned(), 1), ("beep".to_owned(), 2)]
    );

    // One recording that cannot be read: nothing is learned.
    let before = fs::read(bench.profile()).unwrap();
    fs::write(bench.path("notes.wav"), "no audio").unwrap();
    bench.fails(
        &["enrol", "beep", &bench.clips(1)[0], "notes.wav"],
        &["notes.wav"],
    );
    bench.fails(&["enrol", "good.wav"], &["good.wav", "enrol NAME"]);
    bench.fails(&["enrol", "chime"], &["no clips of chime"]);
    bench.fails(&["enrol"], &["mtslvr enrol NAME CLIP"]);
    // Words that mean something else are no names.
    for (word, reason) in [
        ("(negatives)", "--negative"),
        ("right", "recognised rightly"),
        ("quit", "the end"),
        ("unknown", "none of yours"),
    ] {
        bench.fails(&["enrol", word, "good.wav"], &[word, reason]);
    }
    assert_eq!(fs::read(bench.profile()).unwrap(), before);
    if !cfg!(feature = "mic") {
        bench.fails(&["listen", "--mic"], &["--features mic", "arecord"]);
    }
}

/// Noise of a quiet room, as long as `seconds`.
fn room(seconds: f32) -> Vec<f32> {
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
    let length = (seconds * RATE as f32) as u32;
    (0..length).map(|n| 0.001 * noise(n)).collect()
}

/// Adds a tap: a tone that dies away within `seconds`, at `hertz`.
fn add_tap(samples: &mut [f32], from: f32, seconds: f32, hertz: f32) {
    let first = (from * RATE as f32) as usize;
    let length = seconds * RATE as f32;
    let taps = samples.iter_mut().skip(first).take(length as usize);
    for (n, sample) in taps.enumerate() {
        let (time, fade) = (n as f32 / RATE as f32, 1.0 - n as f32 / length);
        let phase = std::f32::consts::TAU * hertz * time;
        *sample += 0.3 * fade * fade * (phase.sin() + 0.5 * (2.7 * phase).sin());
    }
}

/// A sound is found in a clip that is not trimmed, also a very short one, and found again in the place.
#[test]
fn what_is_taught_is_cut_as_it_is_heard() {
    let bench = Bench::new();
    let write = |name: &str, samples: &[f32]| {
        write_wav(&bench.path(name), samples, RATE).unwrap();
    };
    let chime = load(Path::new(&bench.clips(0)[0]), RATE).unwrap();
    let mut long = room(5.0);
    long.iter_mut()
        .skip(32_000)
        .zip(&chime)
        .for_each(|(to, sample)| *to += sample);
    write("long.wav", &long);
    let said = bench.succeeds(&["enrol", "chime", "long.wav"]);
    assert!(said.contains("of 5.0 s, from 2."), "{said}");
    for (name, seconds, hertz) in [
        ("tap", 0.04, 900.0),
        ("click", 0.06, 3100.0),
        ("knock", 0.1, 320.0),
    ] {
        // One clip with much around it, and one that is trimmed.
        let mut around = room(5.0);
        add_tap(&mut around, 3.0, seconds, hertz);
        let mut trimmed = vec![0.0; (seconds * RATE as f32) as usize];
        add_tap(&mut trimmed, 0.0, seconds, 1.03 * hertz);
        let [long, short] = ["around", "trimmed"].map(|kind| format!("{name}-{kind}.wav"));
        write(&long, &around);
        write(&short, &trimmed);
        let said = bench.succeeds(&["enrol", name, &long, &short]);
        assert!(
            said.contains("of 5.0 s") && said.contains("2 examples"),
            "{said}"
        );
    }
    let mut scene = room(16.0);
    scene
        .iter_mut()
        .skip(4 * RATE as usize)
        .zip(&chime)
        .for_each(|(to, sample)| *to += sample);
    add_tap(&mut scene, 8.0, 0.04, 910.0);
    add_tap(&mut scene, 10.5, 0.06, 3150.0);
    add_tap(&mut scene, 13.0, 0.1, 325.0);
    write("scene.wav", &scene);
    let found = events(&bench.succeeds(&["listen", "scene.wav", "--json"]));
    assert_eq!(
        classes_of(&found),
        ["chime", "tap", "click", "knock"],
        "{found:?}"
    );

    // A long take, first as one example and then as three.
    let mut take = room(9.0);
    for from in [1.0, 4.0, 7.0] {
        add_tap(&mut take, from, 0.08, 1700.0 + 20.0 * from);
    }
    write("take.wav", &take);
    let said = bench.succeeds(&["enrol", "pling", "take.wav"]);
    assert!(said.contains("one of 3 sounds"), "{said}");
    let lines = bench.succeeds(&["enrol", "pling", "take.wav", "--split", "--json"]);
    let lines = json_lines(&lines);
    let enrolled = lines.iter().filter(|line| line["enrolled"] == true).count();
    assert_eq!((lines.len(), enrolled), (3, 2), "{lines:?}");
    let help = bench.succeeds(&["enrol", "--help"]);
    for key in lines
        .iter()
        .flat_map(|line| line.as_object().unwrap().keys())
    {
        assert!(help.contains(key.as_str()), "{key}");
    }
    // Each is embedded again from its part of the take.
    let before = bench.list();
    bench.succeeds(&["classes", "reembed"]);
    assert_eq!(bench.list()["classes"], before["classes"]);

    // A recording of the room holds none, unless it is wanted as it is.
    let empty = room(5.0);
    write(
        "empty.wav",
        &empty.iter().map(|s| 4.0 * s).collect::<Vec<_>>(),
    );
    bench.fails(
        &["enrol", "fan", "empty.wav"],
        &["empty.wav", "stands out", "--whole"],
    );
    bench.succeeds(&["enrol", "fan", "empty.wav", "--whole"]);
}

#[test]
fn a_name_that_may_be_a_slip_is_doubted() {
    let bench = Bench::new();
    bench.enrol("hum", 0, 0..4);
    let enrol = |name: &str, clip: &str| {
        let output = bench.mtslvr(&["enrol", name, clip]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = enrol("huum", &bench.clips(0)[4]);
    for part in ["huum is a new sound", "recognised as hum", "classes undo"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    bench.succeeds(&["classes", "undo"]);
    let said = enrol("hum", &bench.clips(0)[4]);
    assert!(!said.contains("warning"), "{said}");
    let said = enrol("chime", &bench.clips(2)[0]);
    assert!(!said.contains("is a new sound"), "{said}");
}

/// Background that is a sound of the profile is taken, because it may be meant, and the sound is named.
#[test]
fn background_that_is_an_enrolled_sound_is_reported() {
    let bench = Bench::new();
    bench.enrol("chime", 1, 0..3);
    let enrol = |clip: &str| {
        let output = bench
            .mtslvr(&["enrol", "--background", clip, "--json"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let outcome = json_lines(std::str::from_utf8(&output.stdout).unwrap());
        (outcome[0]["enrolled"] == true, said)
    };
    // The very recording of an example, and a softer one that is recognised.
    let sound = load(Path::new(&bench.clips(1)[1]), RATE).unwrap();
    let mut longer = room(0.5);
    longer.extend(sound.iter().map(|sample| 0.7 * sample));
    write_wav(&bench.path("taught.wav"), &longer, RATE).unwrap();
    bench.succeeds(&["enrol", "chime", "taught.wav"]);
    let (enrolled, said) = enrol("taught.wav");
    assert!(enrolled, "{said}");
    assert!(
        said.contains("taught.wav sounds like chime: an example"),
        "{said}"
    );
    bench.succeeds(&["classes", "undo"]);
    let softer: Vec<f32> = longer.iter().map(|sample| 0.6 * sample).collect();
    write_wav(&bench.path("softer.wav"), &softer, RATE).unwrap();
    let (enrolled, said) = enrol("softer.wav");
    assert!(enrolled, "{said}");
    assert!(
        said.contains("softer.wav sounds like chime: it is recognised (score"),
        "{said}"
    );
    bench.succeeds(&["classes", "undo"]);
    // The sound of the room is no chime.
    write_wav(&bench.path("room.wav"), &room(3.0), RATE).unwrap();
    assert_eq!(enrol("room.wav"), (true, String::new()));
}

/// The table, the sums and the suggestion of a test are those of its clips, and a threshold that is
/// suggested does better.
#[test]
fn a_profile_is_tested_on_labelled_clips() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..3);
    bench.enrol("beep", 1, 0..3);
    for (class, name) in [(0, "chime"), (1, "beep"), (2, "other"), (3, "more")] {
        let folder = bench.path("labelled").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (at, clip) in bench.clips(class).iter().enumerate() {
            fs::copy(clip, folder.join(format!("{at}.wav"))).unwrap();
        }
    }
    let test = |args: &[&str]| -> Value {
        let said = bench.succeeds(&[&["classes", "test", "labelled", "--json"], args].concat());
        serde_json::from_str(&said).unwrap()
    };
    let result = test(&[]);
    let number = |value: &Value| value.as_u64().unwrap();
    // Of each enrolled sound, three clips are examples.
    assert_eq!(
        (number(&result["left_out"]), number(&result["known"])),
        (6, 6)
    );
    assert_eq!(number(&result["strangers"]), 12);
    let counts: Vec<Vec<u64>> =
        serde_json::from_value(result["confusion"]["counts"].clone()).unwrap();
    assert_eq!(counts.iter().flatten().sum::<u64>(), 18);
    assert_eq!(counts[0][0] + counts[1][1], number(&result["hits"]));
    assert!(number(&result["hits"]) >= 4, "{result}");
    assert_eq!(
        counts[2][0] + counts[2][1],
        number(&result["false_accepts"])
    );
    let class = &result["classes"][0];
    assert_eq!(class["steps"].as_array().unwrap().len(), 9);
    // With a threshold that nothing reaches, a better one is found, and it is better.
    bench.succeeds(&["classes", "threshold", "chime", "0.999"]);
    let strict = &test(&[])["classes"][0];
    assert_eq!(number(&strict["hits"]), 0);
    let better = strict["suggestion"].as_f64().unwrap().to_string();
    bench.succeeds(&["classes", "threshold", "chime", &better]);
    let now = &test(&[])["classes"][0];
    assert!(
        number(&now["hits"]) > 0 && now["suggestion"].is_null(),
        "{now}"
    );
    let text = bench.succeeds(&["classes", "test", "labelled", "--out", "page"]);
    assert!(
        text.contains("strangers accepted") && text.contains("unknown"),
        "{text}"
    );
    let page = fs::read_to_string(bench.path("page/report.html")).unwrap();
    assert!(page.contains("data:image/png") && page.contains("chime"));
    let help = bench.succeeds(&["classes", "test", "--help"]);
    for key in result
        .as_object()
        .unwrap()
        .keys()
        .chain(class.as_object().unwrap().keys())
    {
        assert!(help.contains(key.as_str()), "{key}");
    }
    bench.fails(&["classes", "test", "gone"], &["gone"]);
    let warned = |folder: &str| {
        let output = bench.mtslvr(&["classes", "test", folder]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(warned("labelled"), "");
    for (folder, name) in [("chime", "bell"), ("beep", "horn")] {
        let folders = bench.path("labelled");
        fs::rename(folders.join(folder), folders.join(name)).unwrap();
    }
    let said = warned("labelled");
    assert!(
        said.contains("no folder has the name") && said.contains("the sounds are chime, beep"),
        "{said}"
    );
}

/// Thresholds come from a recording of the place, and are obeyed.
#[test]
fn thresholds_are_calibrated_on_the_place() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..5);
    bench.enrol("beep", 1, 0..5);
    // A place in which another sound is heard again and again, and once one like the chime.
    write_wav(
        &bench.path("place.wav"),
        &bench.scene(&[2, 3, 2, 3, 0, 2]),
        RATE,
    )
    .unwrap();
    write_wav(&bench.path("quiet.wav"), &bench.scene(&[]), RATE).unwrap();
    let calibrate = |args: &[&str]| -> Value {
        let all = [&["classes", "calibrate", "--json"], args].concat();
        serde_json::from_str(&bench.succeeds(&all)).unwrap()
    };
    let before = fs::read(bench.profile()).unwrap();
    let dry = calibrate(&["place.wav", "--dry-run"]);
    assert_eq!(fs::read(bench.profile()).unwrap(), before);
    assert_eq!(dry["classes"].as_array().unwrap().len(), 2);
    let number = |value: &Value| value.as_f64().unwrap();
    let chime = &dry["classes"][0];
    assert!(
        number(&chime["threshold"]) >= number(&chime["before"]),
        "{chime}"
    );
    // The chime itself is heard there, and it is not calibrated away.
    assert!(number(&chime["threshold"]) < 1.0, "{chime}");
    assert!(chime["missed"].as_u64().unwrap() <= 3 && chime["examples"] == 5);
    let rare = calibrate(&["place.wav", "--false-alarms", "1/d", "--dry-run"]);
    assert!(number(&rare["classes"][0]["threshold"]) >= number(&chime["threshold"]));
    let set = calibrate(&["place.wav"]);
    let listed = number(&bench.list()["classes"][0]["threshold"]);
    assert!((listed - number(&set["classes"][0]["threshold"])).abs() < 1e-6);
    let text = bench.succeeds(&["classes", "calibrate", "place.wav", "--dry-run"]);
    assert!(
        text.contains("if left out") && text.contains("Nothing was set"),
        "{text}"
    );
    let help = bench.succeeds(&["classes", "calibrate", "--help"]);
    for key in set
        .as_object()
        .unwrap()
        .keys()
        .chain(chime.as_object().unwrap().keys())
    {
        assert!(help.contains(key.as_str()), "{key}");
    }
    bench.fails(&["classes", "calibrate", "quiet.wav"], &["at least 10 s"]);
    // Thresholds that accept everything or nothing are set, and told of.
    let warned = |recording: &str, rate: &str| {
        let args = [
            "classes",
            "calibrate",
            recording,
            "--dry-run",
            "--false-alarms",
            rate,
        ];
        let output = bench.mtslvr(&args).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    write_wav(&bench.path("chimes.wav"), &bench.scene(&[0, 0, 0]), RATE).unwrap();
    bench.succeeds(&["classes", "disable", "beep"]);
    let said = warned("chimes.wav", "100000/h");
    assert!(
        said.contains("warning: chime: the threshold")
            && said.contains("accepts nearly everything: of the 4 sounds"),
        "{said}"
    );
    let said = warned("chimes.wav", "0.0001/h");
    assert!(
        said.contains("the place asks for a threshold of") && said.contains("half of its own"),
        "{said}"
    );
    let wrong = bench
        .mtslvr(&[
            "classes",
            "calibrate",
            "place.wav",
            "--false-alarms",
            "often",
        ])
        .output();
    assert_eq!(wrong.unwrap().status.code(), Some(2));
}

/// Several recordings and folders, labels, a command for each sound, and PCM of another shape.
#[test]
fn sounds_are_passed_on() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..5);
    bench.enrol("beep", 1, 0..5);
    fs::create_dir(bench.path("day")).unwrap();
    let scene = bench.scene(&[0, 1]);
    write_wav(&bench.path("day/a, b.wav"), &scene, RATE).unwrap();
    write_wav(&bench.path("day/c.wav"), &bench.scene(&[1]), RATE).unwrap();
    fs::write(bench.path("day/notes.txt"), "none").unwrap();
    let lines = bench.succeeds(&["listen", "day", "--json", "--labels", "day.csv"]);
    let found = events(&lines);
    assert_eq!(classes_of(&found), ["chime", "beep", "beep"]);
    let files: Vec<&str> = found
        .iter()
        .map(|event| event["file"].as_str().unwrap())
        .collect();
    assert!(
        files[0].ends_with("a, b.wav") && files[2].ends_with("c.wav"),
        "{files:?}"
    );
    assert_eq!(lines_of(&lines, "summary").len(), 2);
    let csv = fs::read_to_string(bench.path("day.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.contains("a, b.wav\",chime,4."), "{csv}");
    bench.fails(
        &["listen", "day", "--labels", "day.txt"],
        &["2 recordings", ".csv"],
    );
    let text = bench.succeeds(&["listen", "day"]);
    assert!(text.contains("c.wav:") && text.contains("chime"), "{text}");
    // One that cannot be read is named, and the others are heard.
    fs::write(bench.path("day/b.wav"), "no audio").unwrap();
    let output = bench.fails(&["listen", "day", "--json"], &["b.wav", "1 recordings"]);
    assert_eq!(
        events(std::str::from_utf8(&output.stdout).unwrap()).len(),
        3
    );
    fs::create_dir_all(bench.path("week/monday")).unwrap();
    bench.fails(&["listen", "week"], &["week", "no recordings"]);
    write_wav(&bench.path("week/monday/d.wav"), &bench.scene(&[1]), RATE).unwrap();
    let below = bench.succeeds(&["listen", "week", "--json"]);
    assert_eq!(classes_of(&events(&below)), ["beep"]);
    bench.fails(
        &["listen", "day", "--rate", "8000"],
        &["--rate", "states its own"],
    );

    // Audacity's labels, and a command for each sound.
    let exec = "echo \"$MTSLVR_CLASS $MTSLVR_START\" >> heard.txt";
    bench.succeeds(&[
        "listen",
        "day/a, b.wav",
        "--labels",
        "track.txt",
        "--exec",
        exec,
    ]);
    let track = fs::read_to_string(bench.path("track.txt")).unwrap();
    let labels: Vec<Vec<&str>> = track
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(
        (labels.len(), labels[0][2], labels[1][2]),
        (2, "chime", "beep"),
        "{track}"
    );
    assert!(labels[0][0].parse::<f64>().unwrap() < labels[0][1].parse().unwrap());
    if cfg!(unix) {
        let mut heard: Vec<String> = fs::read_to_string(bench.path("heard.txt"))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        heard.sort();
        assert!(
            heard.len() == 2 && heard[1].starts_with("chime "),
            "{heard:?}"
        );
    }

    // Two channels at three times the rate: each sample thrice in both, which costs a little treble.
    let stereo: Vec<f32> = scene.iter().flat_map(|sample| [*sample; 6]).collect();
    let args = [
        "listen",
        "-",
        "--json",
        "--rate",
        "48000",
        "--channels",
        "2",
        "--margin=-0.05",
    ];
    let mut child = bench
        .mtslvr(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&pcm(&stereo)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let found = events(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(classes_of(&found), ["chime", "beep"]);
    assert!(
        (found[0]["start"].as_f64().unwrap() - 4.0).abs() < 0.7,
        "{found:?}"
    );
}

/// Events and near misses are kept within a limit, and the profile learns from the answers.
#[test]
fn captured_sounds_are_reviewed() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..3);
    bench.enrol("beep", 1, 0..3);
    write_wav(&bench.path("scene.wav"), &bench.scene(&[0, 1, 2]), RATE).unwrap();
    bench.succeeds(&["listen", "scene.wav", "--capture", "kept"]);
    let clips = || -> Vec<PathBuf> {
        let mut paths = sorted(&bench.path("kept"));
        paths.retain(|path| path.extension().unwrap() == "wav");
        paths
    };
    let first = clips();
    assert!(first.len() >= 2, "{first:?}");
    let seconds = load(&first[0], RATE).unwrap().len() as f32 / RATE as f32;
    assert!((0.5..4.0).contains(&seconds), "{seconds}");
    let list = bench.succeeds(&["review", "kept", "--list"]);
    assert!(
        list.contains("taken for chime") && list.contains("no answer yet"),
        "{list}"
    );
    // Everything is a near miss where no score is enough.
    let near = [
        "listen",
        "scene.wav",
        "--capture",
        "near",
        "--margin",
        "1",
        "--near",
        "2",
    ];
    bench.succeeds(&near);
    let list = bench.succeeds(&["review", "near", "--list"]);
    assert!(list.contains("nearly taken for chime"), "{list}");

    let answer = |answers: &str| {
        let mut child = bench
            .mtslvr(&["review", "kept"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(answers.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let said = answer("unknown\nquit\n");
    assert!(said.contains("\"unknown\" cannot be the name"), "{said}");
    let said = answer("right\nnone\nquit\n");
    assert!(
        said.contains("enrolled as chime") && said.contains("(negatives)"),
        "{said}"
    );
    let classes = bench.classes();
    assert!(classes.contains(&("chime".to_owned(), 4)), "{classes:?}");
    assert!(
        classes.contains(&("negatives".to_owned(), 1)),
        "{classes:?}"
    );
    let list = bench.succeeds(&["review", "kept", "--list"]);
    assert!(
        list.contains(": right") && list.contains(": none"),
        "{list}"
    );
    // What is taken back is asked about again.
    bench.succeeds(&["classes", "undo"]);
    let list = bench.succeeds(&["review", "kept", "--list"]);
    assert!(
        list.contains(": right") && !list.contains(": none"),
        "{list}"
    );
    assert!(answer("quit\n").contains("1 of "), "{list}");
    // Within a limit of one megabyte, the oldest go.
    for _ in 0..8 {
        bench.succeeds(&[
            "listen",
            "scene.wav",
            "--capture",
            "kept",
            "--capture-limit",
            "1",
        ]);
    }
    let sizes = clips()
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum::<u64>();
    assert!(sizes <= 1_000_000 && !clips().is_empty(), "{sizes}");
    bench.fails(&["review", "gone"], &["gone"]);
    fs::create_dir(bench.path("none kept")).unwrap();
    let list = bench.succeeds(&["review", "none kept", "--list"]);
    assert!(
        list.contains("no captured sounds") && list.contains("listen --capture 'none kept'"),
        "{list}"
    );
}

/// A profile is used with its own backbone, and its last change can be taken back.
#[test]
fn a_profile_keeps_its_backbone_and_its_last_change() {
    let bench = Bench::new();
    let clips = bench.clips(0);
    bench.fails(&["classes", "undo"], &["no profile yet"]);
    bench.succeeds(&["enrol", "chime", &clips[0], &clips[1], "--model", "edge-m"]);
    // The first change, too.
    let said = bench.succeeds(&["classes", "undo"]);
    assert!(said.contains("0 classes with 0 examples again"), "{said}");
    bench.fails(&["listen", &clips[5]], &["no sound to listen for"]);
    bench.succeeds(&["classes", "undo"]);
    assert_eq!(bench.list()["model"], "edge-m");
    bench.succeeds(&["enrol", "chime", &clips[2]]);
    bench.succeeds(&["listen", &clips[5]]);
    // Without the note, too, because the backbone is a shipped one.
    fs::remove_file(bench.path("data/mtslvr/profile.mtss.backbone.json")).unwrap();
    assert_eq!(bench.list()["model"], "edge-m");
    bench.succeeds(&["listen", &clips[5]]);
    bench.fails(&["listen", &clips[5], "--model", "edge-s"], &["edge-s"]);
    // A model of one's own is found where it was.
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/edge-s/model.slvr"
    );
    bench.succeeds(&["classes", "reembed", "--model", own]);
    bench.succeeds(&["listen", &clips[5]]);

    let before = fs::read(bench.profile()).unwrap();
    bench.succeeds(&["classes", "delete", "chime", "--example", "1"]);
    let after = fs::read(bench.profile()).unwrap();
    let said = bench.succeeds(&["classes", "undo"]);
    assert!(said.contains("3 examples again"), "{said}");
    assert_eq!(fs::read(bench.profile()).unwrap(), before);
    bench.succeeds(&["classes", "undo"]);
    assert_eq!(fs::read(bench.profile()).unwrap(), after);
}

/// Another sound among the examples is named with numbers.
#[test]
fn a_backup_holds_the_clips_if_asked() {
    let bench = Bench::new();
    bench.enrol("first", 1, 0..3);
    bench.enrol("second", 0, 0..2);
    let lost = bench.clips(0)[1].clone();
    fs::remove_file(&lost).unwrap();
    let said = bench.succeeds(&["classes", "export", "backup", "--clips"]);
    for part in ["2 classes with 5 examples", "4 clips", "of 1 example "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    bench.fails(&["classes", "export", "backup", "--clips"], &["not empty"]);
    bench.fails(&["classes", "export", "-", "--clips"], &["name one"]);
    bench.fails(&["classes", "import", "sounds"], &["sounds", "--clips"]);

    // It is a profile as it lies there, and wherever it is moved to.
    fs::rename(bench.path("backup"), bench.path("moved")).unwrap();
    let clip = bench.clips(1)[5].clone();
    let there = ["--profile", "moved/profile.mtss"];
    let heard = bench.succeeds(&[&["listen", &clip, "--json"], &there[..]].concat());
    assert_eq!(classes_of(&events(&heard)), ["first"]);
    let clips = bench.succeeds(&[&["classes", "list", "--clips"], &there[..]].concat());
    assert_eq!(
        clips.matches("moved/profile.mtss.clips").count(),
        4,
        "{clips}"
    );

    // Over itself, nothing is lost.
    let import = ["classes", "import", "moved", "--force"];
    bench.succeeds(&[&import[..], &there[..]].concat());

    // The originals are gone, and the profile, too.
    fs::remove_dir_all(bench.path("sounds")).unwrap();
    fs::remove_dir_all(bench.path("data")).unwrap();
    let said = bench.succeeds(&["classes", "import", "moved"]);
    assert!(said.contains("4 clips"), "{said}");
    fs::remove_dir_all(bench.path("moved")).unwrap();
    let clips = bench.succeeds(&["classes", "list", "--clips"]);
    assert_eq!(clips.matches("profile.mtss.clips").count(), 4, "{clips}");
    let reembed = ["classes", "reembed", "--model", "edge-m"];
    bench.fails(&reembed, &["second, example 2", "1 of 5"]);
    bench.succeeds(&[&reembed[..], &["--drop-missing"]].concat());
    let kept = [("first", 3), ("second", 1)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(bench.classes(), kept);

    // A backup is of its own backbone, and what comes from it belongs to that, too.
    bench.succeeds(&["classes", "export", "bigger", "--clips"]);
    bench.succeeds(&["classes", "import", "bigger", "--force"]);
    let into = ["classes", "import", "bigger/profile.mtss", "--profile"];
    bench.succeeds(&[&into[..], &["other.mtss"]].concat());
    let list = bench.succeeds(&["classes", "list", "--json", "--profile", "other.mtss"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["model"], "edge-m");
    bench.fails(
        &[
            "classes", "import", "bigger", "--force", "--model", "edge-s",
        ],
        &["edge-s is"],
    );
}

#[test]
fn examples_that_do_not_resemble_each_other_are_reported() {
    let bench = Bench::new();
    let good = bench.clips(0);
    let said = |args: &[&str]| {
        let output = bench.mtslvr(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    let quiet = said(&[&["enrol", "chime"], &good[..4]].concat());
    assert!(!quiet.contains("resemble"), "{quiet}");
    let rain: Vec<f32> = room(2.0).iter().map(|sample| 200.0 * sample).collect();
    write_wav(&bench.path("rain.wav"), &rain, RATE).unwrap();
    let doubt = said(&["enrol", "chime", "rain.wav", "--force"]);
    assert!(
        doubt.contains("its 5 examples") && doubt.contains("Example 5"),
        "{doubt}"
    );
    assert!(
        doubt.contains("classes delete chime --example 5"),
        "{doubt}"
    );
}

/// American spelling teaches the same profile.
#[test]
fn enroll_does_what_enrol_does() {
    let bench = Bench::new();
    let clips = bench.clips(0);
    bench.succeeds(&["enrol", "chime", &clips[0]]);
    let said = bench.succeeds(&["enroll", "chime", &clips[1]]);
    assert!(
        said.contains("enrolled as chime") && said.contains("2 examples"),
        "{said}"
    );
    bench.fails(&["enroll"], &["mtslvr enrol NAME CLIP"]);
}

#[test]
fn processes_that_enrol_at_once_lose_nothing() {
    let bench = Bench::new();
    let children: Vec<Child> = (0..8)
        .map(|i| {
            let clips = bench.clips(i % 4);
            let args = ["enrol", &format!("sound {i}"), &clips[i / 4], "--force"];
            let mut command = bench.mtslvr(&args);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut classes = bench.classes();
    classes.sort();
    let expected: Vec<_> = (0..8).map(|i| (format!("sound {i}"), 1)).collect();
    assert_eq!(classes, expected);
    // And every recording is known.
    let list = bench.succeeds(&["classes", "list", "--clips"]);
    assert!(!list.contains("not known"), "{list}");
}

/// Killed by the first byte that is written to a file, and killed at any moment: what was there stays.
#[cfg(unix)]
#[test]
fn a_write_that_is_cut_short_leaves_the_profile_as_it_was() {
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..1);
    let mut state = fs::read(bench.profile()).unwrap();
    let program = env!("CARGO_BIN_EXE_mtslvr");
    let clip = &bench.clips(1)[0];
    let status = Command::new("sh")
        .args([
            "-c",
            "ulimit -f 0; exec \"$@\"",
            "sh",
            program,
            "enrol",
            "beep",
            clip,
        ])
        .env("XDG_DATA_HOME", bench.path("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    assert_eq!(fs::read(bench.profile()).unwrap(), state);

    let mut killed = 0;
    for i in 0..12 {
        let name = format!("sound {i}");
        let args = ["enrol", &name, &bench.clips(i % 4)[1 + i / 4], "--force"];
        let mut command = bench.mtslvr(&args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(4 * i as u64));
        let _ = child.kill();
        killed += usize::from(!child.wait().unwrap().success());
        let classes = bench.classes();
        let now = fs::read(bench.profile()).unwrap();
        let learnt = classes.iter().any(|(class, _)| *class == name);
        assert!(
            learnt || now == state,
            "neither the old profile nor the new one"
        );
        state = now;
    }
    assert!(killed > 0);
    bench.enrol("beep", 1, 0..1);
}

#[cfg(feature = "train")]
#[test]
fn another_backbone_is_refused_and_its_examples_learnt_again() {
    let bench = Bench::new();
    // The same in float: its embeddings are others.
    let other = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/edge-s/model.onnx"
    );
    bench.enrol("chime", 0, 0..3);
    bench.enrol("beep", 1, 0..2);
    bench.succeeds(&["classes", "threshold", "beep", "0.25"]);
    bench.succeeds(&["classes", "disable", "beep"]);
    bench.succeeds(&["enrol", "--negative", &bench.clips(2)[0]]);
    let before = fs::read(bench.profile()).unwrap();
    let clip = bench.clips(0)[5].clone();
    let all = [
        "profile.mtss",
        other,
        "all 6 examples",
        "classes reembed",
        "--model",
    ];
    bench.fails(&["listen", &clip, "--model", other], &all);
    bench.fails(&["enrol", "chime", &clip, "--model", other], &all);
    // It is part of the program, too.
    bench.fails(
        &["listen", &clip, "--engine", "interpreter"],
        &["reembed", "--engine interpreter"],
    );
    // Changing classes needs no backbone.
    bench.succeeds(&["classes", "rename", "beep", "gong"]);
    bench.succeeds(&["classes", "rename", "gong", "beep"]);

    let lost = bench.path("lost.wav");
    fs::rename(&bench.clips(1)[1], &lost).unwrap();
    let reembed = ["classes", "reembed", "--model", other];
    bench.fails(
        &reembed,
        &["beep, example 2", "001.wav", "1 of 6", "--drop-missing"],
    );
    bench.fails(
        &["listen", &clip, "--model", other],
        &["5 of its 6", "--drop-missing"],
    );
    assert_eq!(fs::read(bench.profile()).unwrap(), before);
    fs::rename(&lost, bench.path("sounds/001.wav")).unwrap();
    let said = bench.succeeds(&["classes", "reembed", "--model", other, "--drop-missing"]);
    assert!(said.contains("beep 0.25"), "{said}");
    let list = bench.list();
    assert_eq!(
        bench.classes(),
        [("chime", 3), ("beep", 1), ("negatives", 1)].map(|(name, n)| (name.to_owned(), n))
    );
    // Scores are others now, and so is what they are compared with.
    assert_eq!(list["classes"][1]["threshold"], Value::Null);
    assert_eq!(list["classes"][1]["enabled"], false);
    bench.succeeds(&["listen", &clip, "--model", other]);
    // It belongs to the other now.
    bench.succeeds(&["listen", &clip]);
    bench.fails(
        &["listen", &clip, "--model", "edge-s"],
        &["all 5 examples", "but edge-s is"],
    );
    // Whichever way the change is taken back, the clips and the backbone are known.
    let undone = |examples: usize, model: &str| {
        bench.succeeds(&["classes", "undo"]);
        let list = bench.list();
        let clips = bench.succeeds(&["classes", "list", "--clips"]);
        assert!(!clips.contains("not known"), "{clips}");
        assert_eq!(clips.matches(".wav").count(), examples, "{clips}");
        let found = list["model"].as_str().unwrap();
        assert!(found.ends_with(model), "{found}");
        bench.succeeds(&["listen", &clip]);
    };
    undone(6, "edge-s");
    undone(5, "model.onnx");
    bench.succeeds(&["classes", "reembed"]);
    bench.succeeds(&["listen", &clip]);
    undone(5, "model.onnx");
    undone(5, "edge-s");

    // Without recordings there is nothing to offer.
    bench.succeeds(&["classes", "export", "only.mtss"]);
    let only = ["--profile", "only.mtss", "--model", other];
    bench.fails(
        &[&["listen", clip.as_str()], &only[..]].concat(),
        &["none of its clips"],
    );
    bench.fails(
        &[
            "classes",
            "import",
            "only.mtss",
            "--profile",
            "x.mtss",
            "--model",
            other,
        ],
        &["only.mtss", "--model"],
    );
}

/// `mtslvr inspect FILE | head -1`, and the same of a program that prints line after line.
#[cfg(unix)]
#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    use std::os::unix::process::ExitStatusExt;
    let bench = Bench::new();
    bench.enrol("chime", 0, 0..1);
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/edge-s/model.slvr"
    );
    for args in [&["inspect", model][..], &["classes", "list"], &["--help"]] {
        let mut command = bench.mtslvr(args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Gone before anything is printed, or while it is.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.is_empty(), "{args:?}: {said}");
        const SIGPIPE: i32 = 13;
        let status = output.status;
        assert!(
            status.signal() == Some(SIGPIPE) || status.success(),
            "{args:?}: {status}"
        );
    }
}
