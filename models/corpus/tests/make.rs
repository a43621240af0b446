//! The program as it is run: whole, killed in between, and again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

/// The program on `out`, with packages from the folder beside it only.
fn program(dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtslvr-corpus"));
    command
        .arg("make")
        .arg(dir.join("out"))
        .arg("--packages")
        .arg(dir.join("packages"))
        .args(["--offline", "--only", "patches", "--only", "drumkits"])
        .args(more);
    command
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A package of drums, unpacked: two kits of one drum each, one of them under the GPL.
fn drums(dir: &Path) {
    let root = dir.join("packages/hydrogen-drumkits");
    let doc = root.join("usr/share/doc/hydrogen-drumkits");
    fs::create_dir_all(&doc).unwrap();
    let copyright = "Files: *\nCopyright: N. N.\nLicense: GPL-2+\n";
    fs::write(doc.join("copyright"), copyright).unwrap();
    for (kit, licence) in [("Free", "CC0"), ("Gnu", "GPL")] {
        let folder = root.join("usr/share/hydrogen/data/drumkits").join(kit);
        fs::create_dir_all(&folder).unwrap();
        let xml = format!(
            "<drumkit_info><author>N. N.</author><license>{licence}</license><instrumentList>\
             <instrument><name>Cowbell</name><filename>bell.wav</filename></instrument>\
             </instrumentList></drumkit_info>"
        );
        fs::write(folder.join("drumkit.xml"), xml).unwrap();
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(folder.join("bell.wav"), spec).unwrap();
        for n in 0..20_000 {
            let sample = if n / 50 % 2 == 0 { 8000i16 } else { -8000 };
            writer.write_sample(sample).unwrap();
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
    }
}

/// Every clip below `folder`: when it was written, and its bytes.
fn clips(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut clips = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            clips.extend(self::clips(&path));
        } else if path.extension().is_some_and(|e| e == "wav")
            && !path
                .file_name()
                .unwrap()
                .as_encoded_bytes()
                .starts_with(b".")
        {
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            clips.insert(path.clone(), (time, fs::read(&path).unwrap()));
        }
    }
    clips
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    drums(dir.path());
    let out = dir.path().join("out");

    // Killed hard, as soon as a few clips are there; it would make a thousand.
    let more = ["--hours", "3"];
    let mut running = program(dir.path(), &more).spawn().unwrap();
    let start = Instant::now();
    while clips(&out).len() < 20 {
        assert!(start.elapsed() < Duration::from_secs(60), "no clips");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let before = clips(&out);
    assert!(!out.join("manifest.csv").exists());

    let output = program(dir.path(), &more).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let after = clips(&out);
    assert!(before.len() < after.len(), "it was killed too late");
    for (path, clip) in &before {
        assert_eq!(after[path], *clip, "{}", path.display());
    }

    // The same as in one go, and nothing is made a third time.
    let manifest = fs::read_to_string(out.join("manifest.csv")).unwrap();
    let output = program(dir.path(), &more).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(clips(&out), after);
    let again = fs::read_to_string(out.join("manifest.csv")).unwrap();
    assert_eq!(again, manifest);
    assert_eq!(manifest.lines().count(), after.len() + 1);

    for kit in ["Free", "Gnu"] {
        let row = manifest
            .lines()
            .find(|row| row.contains(&format!(",{kit},")));
        let row = row.unwrap();
        let gpl = if kit == "Gnu" { ",yes," } else { ",no," };
        assert!(
            row.contains(gpl) && row.contains(",drums/cowbell,"),
            "{row}"
        );
    }
    let sources = fs::read_to_string(out.join("SOURCES.md")).unwrap();
    assert!(sources.contains("kit Free: CC0-1.0; N. N."), "{sources}");
    // With fewer hours, what is too much goes, and nothing of the user's.
    fs::write(out.join("patches/notes.txt"), "mine").unwrap();
    let output = program(dir.path(), &["--hours", "1"]).output().unwrap();
    assert!(
        text(&output).contains("no longer wanted"),
        "{}",
        text(&output)
    );
    let fewer = fs::read_to_string(out.join("manifest.csv")).unwrap();
    assert_eq!(fewer.lines().count(), clips(&out).len() + 1);
    assert!(fewer.lines().all(|row| manifest.contains(row)));
    assert!(fewer.len() < manifest.len() && out.join("patches/notes.txt").exists());
    // What is held out lies with the sets to choose on, and nowhere else.
    let held = fewer.lines().filter(|row| row.ends_with(",choose")).count();
    let choose = clips(&out.join("choose")).len();
    assert!(held > 0 && held == choose, "{held} rows, {choose} clips");
}

#[test]
fn what_is_missing_is_named_and_the_rest_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let output = program(dir.path(), &["--hours", "0.1"]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("apt-get install --no-install-recommends hydrogen-drumkits"),
        "{said}"
    );
    assert!(!clips(&dir.path().join("out")).is_empty());
    let output = program(dir.path(), &["--only", "drums"]).output().unwrap();
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("drumkits, effects"),
        "{said}"
    );
}

#[test]
fn recordings_of_another_folder_are_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("recordings");
    fs::create_dir_all(from.join("pico_wake")).unwrap();
    let mut manifest = String::from("path,source,seconds,kind,gpl\n");
    for index in 0..4 {
        let path = format!("pico_wake/alexa_{index}.ogg");
        fs::write(from.join(&path), "a recording").unwrap();
        manifest.push_str(&format!("{path},pico_wake,1.000,voice,no\n"));
    }
    fs::write(from.join("manifest.csv"), manifest).unwrap();
    let sources = "# Sources\n\n## pico_wake (4 clips)\n\n- licence: Apache-2.0\n";
    fs::write(from.join("SOURCES.md"), sources).unwrap();
    let from = from.to_str().unwrap();
    let output = program(dir.path(), &["--hours", "0", "--pretrain", from])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let out = dir.path().join("out");
    let manifest = fs::read_to_string(out.join("manifest.csv")).unwrap();
    let row = "pretrain/pico_wake/alexa_0.ogg,pico_wake,Apache-2.0,no,1.0,voice,,,train";
    assert!(manifest.contains(row), "{manifest}");
    // Sorted from the corpus as from the folder.
    let sets = dir.path().join("sets");
    let mut sort = Command::new(env!("CARGO_BIN_EXE_mtslvr-corpus"));
    let output = sort.arg("sort").arg(&out).arg(&sets).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("wake_words: 1 classes (alexa 4)"));
    assert!(sets.join("wake_words/alexa/alexa_3.ogg").is_file());
    let sources = fs::read_to_string(out.join("SOURCES.md")).unwrap();
    assert!(sources.contains("### pico_wake (4 clips)"), "{sources}");
}
