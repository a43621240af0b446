//! Keys, signatures and what `inspect` says of them, as a maker of devices uses the program.
#![cfg(unix)]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn mtslvr(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtslvr"))
        .args(args)
        .current_dir(folder)
        .env("XDG_DATA_HOME", folder)
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(folder: &TempDir, args: &[&str]) -> String {
    let output = mtslvr(folder.path(), args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs, and asserts that it fails with a sentence that holds every one of `named`. Returns what it printed.
#[track_caller]
fn fails(folder: &TempDir, args: &[&str], named: &[&str]) -> String {
    let output = mtslvr(folder.path(), args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    for name in named {
        assert!(
            said.contains(name),
            "{args:?} does not say {name:?}: {said}"
        );
    }
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with a key `maker.key` and another, `other.key`.
fn with_keys() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["maker.key", "other.key"] {
        succeeds(&folder, &["keygen", name]);
    }
    folder
}

fn inspected(folder: &TempDir, args: &[&str]) -> Value {
    let args = [&["inspect", "--json"], args].concat();
    serde_json::from_str(&succeeds(folder, &args)).unwrap()
}

#[test]
fn a_key_is_private_whole_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let told = succeeds(&folder, &["keygen", "maker.key"]);
    let mode = |name: &str| {
        let found = fs::metadata(folder.path().join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode("maker.key"), 0o600);
    assert_eq!(mode("maker.key.pub") & 0o600, 0o600);
    let digits = told
        .lines()
        .find_map(|line| line.strip_prefix("public key  "))
        .unwrap();
    assert!(told.contains(&format!("from_hex(\n        \"{digits}\",")));

    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let before = [read("maker.key"), read("maker.key.pub")];
    assert!(before[0].starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(before[1].starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(!told.contains(before[0].lines().nth(1).unwrap()));
    fails(
        &folder,
        &["keygen", "maker.key"],
        &["maker.key", "exists already"],
    );
    // Neither one whose other half is there.
    fs::write(folder.path().join("half.pub"), b"").unwrap();
    fails(
        &folder,
        &["keygen", "half"],
        &["half.pub", "exists already"],
    );
    assert!(!folder.path().join("half").exists());
    fails(
        &folder,
        &["keygen", "no/folder"],
        &["no/folder", "cannot be written"],
    );
    assert_eq!([read("maker.key"), read("maker.key.pub")], before);
}

#[test]
fn a_signed_model_names_its_key_and_is_verified() {
    let folder = with_keys();
    let plain = inspected(&folder, &["edge-s"]);
    assert!(plain["signature"].is_null() && plain["version_counter"].is_null());
    let sign = ["sign", "edge-s", "--key", "maker.key", "--out", "s.slvr"];
    succeeds(&folder, &sign);
    // It is the same backbone, and everything that runs it runs it.
    let signed = inspected(&folder, &["s.slvr"]);
    assert_eq!(signed["hash"], plain["hash"]);
    assert!(signed["signature"]["trusted"].is_null());
    let text = succeeds(&folder, &["inspect", "s.slvr"]);
    assert!(text.contains("signed by   the key"), "{text}");

    let trusted = inspected(&folder, &["s.slvr", "--trusted-key", "maker.key.pub"]);
    assert_eq!(trusted["signature"]["trusted"], true);
    let digits = fs::read_to_string(folder.path().join("maker.key.pub")).unwrap();
    assert!(digits.lines().count() >= 3);
    let other = ["inspect", "s.slvr", "--trusted-key", "other.key.pub"];
    let text = fails(&folder, &other, &["s.slvr", "signed by the key"]);
    assert!(text.contains("not trusted"), "{text}");
    let unsigned = ["inspect", "edge-s", "--trusted-key", "maker.key.pub"];
    fails(&folder, &unsigned, &["edge-s", "not signed"]);

    // In place, with a counter, which makes it another backbone.
    let count = [
        "sign",
        "s.slvr",
        "--key",
        "maker.key",
        "--version-counter",
        "3",
    ];
    let told = succeeds(&folder, &count);
    assert!(
        told.contains("version counter 3") && told.contains("do not fit"),
        "{told}"
    );
    let counted = inspected(&folder, &["s.slvr", "--trusted-key", "maker.key.pub"]);
    assert_eq!(counted["version_counter"], 3);
    assert_ne!(counted["hash"], plain["hash"]);
    // Signed by another, the counter stays.
    succeeds(&folder, &["sign", "s.slvr", "--key", "other.key"]);
    let theirs = inspected(&folder, &["s.slvr", "--trusted-key", "other.key.pub"]);
    assert_eq!(theirs["version_counter"], 3);
    assert_eq!(theirs["hash"], counted["hash"]);
    // Devices that have seen it take nothing older, and the counter does not go back in silence.
    let least = ["--trusted-key", "other.key.pub", "--least-version"];
    let at_least = |least_version| [&["inspect", "s.slvr"], &least[..], &[least_version]].concat();
    succeeds(&folder, &at_least("3"));
    fails(
        &folder,
        &at_least("4"),
        &["version counter is 3, at least 4 expected"],
    );
    let lower = [&count[..5], &["2"]].concat();
    fails(
        &folder,
        &lower,
        &["s.slvr", "has version counter 3", "refuse 2"],
    );
}

#[test]
fn a_signed_profile_is_imported_where_a_key_is_asked_for() {
    let folder = with_keys();
    let sizes = ["--classes", "2", "--clips", "2", "--seconds", "0.8"];
    succeeds(&folder, &[&["synth", "sounds"], &sizes[..]].concat());
    let class = fs::read_dir(folder.path().join("sounds")).unwrap();
    let mut class: Vec<_> = class
        .map(|c| c.unwrap().path())
        .filter(|c| c.is_dir())
        .collect();
    class.sort();
    let mut clips = fs::read_dir(&class[0]).unwrap();
    let clip = clips.next().unwrap().unwrap().path();
    succeeds(&folder, &["enrol", "ding", clip.to_str().unwrap()]);
    succeeds(&folder, &["classes", "export", "p.mtss"]);
    let import = ["classes", "import", "p.mtss", "--force", "--trusted-key"];
    let trusting = |key| [&import[..], &[key]].concat();
    fails(
        &folder,
        &trusting("maker.key.pub"),
        &["p.mtss", "not signed"],
    );
    let sign = [
        "sign",
        "p.mtss",
        "--key",
        "maker.key",
        "--version-counter",
        "4",
    ];
    succeeds(&folder, &sign);
    let found = inspected(&folder, &["p.mtss", "--trusted-key", "maker.key.pub"]);
    assert_eq!(found["format"], "mtss");
    assert_eq!(found["version_counter"], 4);
    assert_eq!(found["signature"]["trusted"], true);
    assert_eq!(
        (&found["classes"], &found["examples"]),
        (&1.into(), &1.into())
    );
    let text = succeeds(&folder, &["inspect", "p.mtss"]);
    assert!(text.contains("classes     1 with 1 examples"), "{text}");
    fails(
        &folder,
        &trusting("other.key.pub"),
        &["p.mtss", "signed by the key"],
    );
    let older = [&trusting("maker.key.pub")[..], &["--least-version", "5"]].concat();
    fails(&folder, &older, &["version counter is 4, at least 5"]);
    fails(
        &folder,
        &[&sign[..5], &["3"]].concat(),
        &["p.mtss", "has version counter 4"],
    );
    succeeds(&folder, &trusting("maker.key.pub"));
    // What is enrolled here afterwards needs no signature, and neither does the import without a key.
    succeeds(&folder, &["classes", "rename", "ding", "dong"]);
    succeeds(&folder, &["classes", "import", "p.mtss", "--force"]);
}

#[test]
fn what_cannot_be_signed_or_is_no_key_is_named() {
    let folder = with_keys();
    fs::write(folder.path().join("text.slvr"), b"a text").unwrap();
    let sign = |file, key| ["sign", file, "--key", key, "--out", "out.slvr"];
    for (file, key, named) in [
        (
            "text.slvr",
            "maker.key",
            ["text.slvr", "neither a packed model"],
        ),
        ("gone.slvr", "maker.key", ["gone.slvr", "cannot read"]),
        (".", "maker.key", [".", "a folder"]),
        ("edge-s", "gone.key", ["gone.key", "cannot read the key"]),
        (
            "edge-s",
            "maker.key.pub",
            ["maker.key.pub", "not a private Ed25519 key"],
        ),
        (
            "edge-s",
            "text.slvr",
            ["text.slvr", "not a private Ed25519 key"],
        ),
    ] {
        fails(&folder, &sign(file, key), &named);
    }
    assert!(!folder.path().join("out.slvr").exists());
    fails(
        &folder,
        &["sign", "edge-s", "--key", "maker.key"],
        &["edge-s", "--out"],
    );
    let inspect = ["inspect", "edge-s", "--trusted-key", "maker.key"];
    fails(
        &folder,
        &inspect,
        &["maker.key", "not a public Ed25519 key"],
    );
}
