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

#[test]
#[cfg(unix)]
fn ctrl_c_stops_between_clips() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut running = program(dir.path(), &["--hours", "20"]);
    let running = running
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while clips(&out).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "no clips");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = running.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(
        text(&output).contains("goes on from here"),
        "{}",
        text(&output)
    );
    // Every clip is whole, and nothing half done is left.
    let made = clips(&out);
    for path in made.keys() {
        let reader = hound::WavReader::open(path).unwrap();
        assert!(reader.into_samples::<i16>().all(|sample| sample.is_ok()));
    }
    assert!(!out.join("manifest.csv").exists());
}

/// Words go to the programs that speak; here to one that writes a fixed sound and notes the word.
#[test]
#[cfg(unix)]
fn evaluated_words_are_never_spoken() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let programs = dir.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let (fixture, said) = (dir.path().join("said.wav"), dir.path().join("said.txt"));
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 22_050,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&fixture, spec).unwrap();
    (0..11_025).for_each(|n| writer.write_sample((n % 100) as i16 * 100).unwrap());
    writer.finalize().unwrap();
    let script = format!(
        "#!/bin/sh\n\
         if [ \"$1\" = --voices=variant ]; then\n\
           for v in f1 f2 m1; do echo \" 5 variant --/M $v !v/$v\"; done; exit\n\
         fi\n\
         while [ $# -gt 0 ]; do\n\
           case $1 in -w) out=$2 ;; --) echo \"$2\" >>{said} ;; esac\n\
           shift\n\
         done\n\
         /bin/cp {fixture} \"$out\"\n",
        said = said.display(),
        fixture = fixture.display()
    );
    let espeak = programs.join("espeak-ng");
    fs::write(&espeak, script).unwrap();
    fs::set_permissions(&espeak, fs::Permissions::from_mode(0o755)).unwrap();

    let root = dir.path().join("packages/wamerican/usr/share");
    for (path, text) in [
        ("doc/wamerican/copyright", "Public domain."),
        (
            "dict/american-english",
            "yes\nno\nup\ndown\nleft\nright\non\noff\nstop\ngo\nzero\none\ntwo\nthree\nfour\n\
             five\nsix\nseven\neight\nnine\nSeven\nnine's\nhouse\nupward\ngarden\n",
        ),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_mtslvr-corpus"))
        .env("PATH", &programs)
        .arg("make")
        .arg(dir.path().join("out"))
        .arg("--packages")
        .arg(dir.path().join("packages"))
        .args(["--offline", "--only", "speech", "--hours", "1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("flite"), "{}", text(&output));
    let said = fs::read_to_string(said).unwrap();
    let words: std::collections::BTreeSet<_> = said.lines().collect();
    assert_eq!(
        words.into_iter().collect::<Vec<_>>(),
        ["garden", "house", "upward"]
    );
    // Eight accents of three variants are more than the ten voices of a word.
    let manifest = fs::read_to_string(dir.path().join("out/manifest.csv")).unwrap();
    let house = manifest
        .lines()
        .filter(|row| row.contains(",words/en_house,"));
    assert_eq!(house.count(), 10);
    assert_eq!(manifest.lines().count(), 31);
}
