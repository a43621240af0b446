//! Completions, manual pages and a service, which come with the program when it is installed.
#![cfg(unix)]

use clap::CommandFactory;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mtslvr");
const UNIT: &str = include_str!("../../../packaging/systemd/mtslvr-listen.service");

fn mtslvr(folder: &Path, args: &[&str]) -> Output {
    let output = Command::new(PROGRAM)
        .args(args)
        .current_dir(folder)
        .env("XDG_DATA_HOME", folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    output
}

/// Names of all commands, `mtslvr-classes-rename` for one below another.
fn commands() -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![("mtslvr".to_owned(), mtslvr_cli::Cli::command())];
    while let Some((name, command)) = open.pop() {
        let subs = command.get_subcommands();
        open.extend(subs.map(|sub| (format!("{name}-{}", sub.get_name()), sub.clone())));
        names.push(name);
    }
    names
}

#[test]
fn shells_complete_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = mtslvr(folder.path(), &["completions", shell]).stdout;
        let script = String::from_utf8(script).unwrap();
        for sub in mtslvr_cli::Cli::command().get_subcommands() {
            assert!(
                script.contains(sub.get_name()),
                "{shell}: {}",
                sub.get_name()
            );
        }
        assert!(script.contains("--profile") || script.contains("-l profile"));
    }
    // A shell takes what it is given.
    let script = mtslvr(folder.path(), &["completions", "bash"]).stdout;
    let path = folder.path().join("mtslvr.bash");
    fs::write(&path, script).unwrap();
    let check = Command::new("bash").arg("-n").arg(&path).output().unwrap();
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        mtslvr(folder.path(), &["man", "pages/man1"]);
    }
    let names = commands();
    let pages = fs::read_dir(folder.path().join("pages/man1")).unwrap();
    assert_eq!(pages.count(), names.len());
    for name in names {
        let page = folder.path().join(format!("pages/man1/{name}.1"));
        let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".TH "), "{name}");
        assert!(page.replace("\\-", "-").contains(&name), "{name}");
    }
    let page = fs::read_to_string(folder.path().join("pages/man1/mtslvr-enrol.1")).unwrap();
    assert!(page.contains("\\-\\-profile"), "{page}");
}

/// systemd, where it is there, knows every line of the service.
#[test]
#[cfg(target_os = "linux")]
fn systemd_finds_nothing_wrong_with_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("mtslvr-listen.service");
    fs::write(&unit, UNIT).unwrap();
    let mut check = Command::new("systemd-analyze");
    let Ok(output) = check.arg("verify").arg(&unit).output() else {
        eprintln!("not tested: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // A line that it does not know is only a warning.
    assert!(!said.contains("mtslvr-listen.service:"), "{said}");
}

/// Runs the service's own command line with a sound card that is a file, and a profile that may only be read.
#[test]
fn the_service_recognises_what_was_taught() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    mtslvr(folder.path(), &["synth", "sounds"]);
    let clips: Vec<String> = (0..5)
        .map(|clip| format!("sounds/000_harmonic/{clip:03}.wav"))
        .collect();
    let clips: Vec<&str> = clips.iter().map(String::as_str).collect();
    let enrol = [&["enrol", "hum", "--profile", "secret/profile"], &clips[..]].concat();
    fs::create_dir(path("secret")).unwrap();
    mtslvr(folder.path(), &enrol);
    // What systemd hands over: these files, to be read.
    let handed = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("LoadCredential="));
    let handed: Vec<&str> = handed.map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(handed, ["profile", "profile.backbone.json"]);
    for entry in fs::read_dir(path("secret")).unwrap() {
        let file = entry.unwrap().path();
        if handed.iter().any(|name| file.ends_with(name)) {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
    }
    fs::set_permissions(path("secret"), fs::Permissions::from_mode(0o500)).unwrap();

    // 16-bit PCM of a clip of the sound, with silence around it, as a sound card gives it.
    let clip = path("sounds/000_harmonic/012.wav");
    let mut reader = hound::WavReader::open(clip).unwrap();
    let samples = reader.samples::<i16>().map(Result::unwrap);
    let silence = std::iter::repeat_n(0i16, 16_000);
    let stream = silence.clone().chain(samples).chain(silence);
    let bytes: Vec<u8> = stream.flat_map(i16::to_le_bytes).collect();
    fs::write(path("card.raw"), bytes).unwrap();
    fs::create_dir(path("bin")).unwrap();
    for (name, text) in [
        (
            "arecord",
            format!("#!/bin/sh\ncat '{}'\n", path("card.raw").display()),
        ),
        ("mtslvr", format!("#!/bin/sh\nexec '{PROGRAM}' \"$@\"\n")),
    ] {
        let file = path("bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/bin/sh -c '"))
        .and_then(|line| line.strip_suffix('\''))
        .unwrap();
    let old = std::env::var("PATH").unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir("/")
        .env("PATH", format!("{}:{old}", path("bin").display()))
        .env("CREDENTIALS_DIRECTORY", path("secret"))
        // A service with DynamicUser has no home.
        .env_remove("HOME")
        .env_remove("XDG_DATA_HOME")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8(output.stdout).unwrap();
    let first = told
        .lines()
        .next()
        .unwrap_or_else(|| panic!("nothing was heard: {said}"));
    let event: serde_json::Value = serde_json::from_str(first).unwrap();
    assert!(first.contains("\"hum\""), "{event}");
    fs::set_permissions(path("secret"), fs::Permissions::from_mode(0o700)).unwrap();
}
