//! `mtslvr experiment` as a user runs it: tables, going on, and what it refuses.
#![cfg(feature = "train")]

use std::path::Path;
use std::process::{Command, Output};

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/experiment_tiny.toml");

fn mtslvr() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mtslvr"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn experiment(plan: &str, root: &Path, extra: &[&str]) -> Output {
    mtslvr()
        .args(["experiment", plan, "--data"])
        .arg(root.join("data"))
        .arg("--out")
        .arg(root.join("out"))
        .args(extra)
        .output()
        .unwrap()
}

#[test]
fn a_grid_is_run_once_and_tabled() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for set in ["one", "two"] {
        let made = mtslvr()
            .arg("synth")
            .arg(root.join("data").join(set))
            .args(["--classes", "3", "--clips", "4", "--seconds", "0.4"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", stderr(&made));
    }
    let listed = experiment(PLAN, root, &["--list"]);
    let list = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(list.lines().count(), 5, "{list}");
    assert!(
        list.contains("simsiam-series-1: 2 steps of 4 pairs"),
        "{list}"
    );

    let first = experiment(PLAN, root, &["--json"]);
    assert!(first.status.success(), "{}", stderr(&first));
    let summary: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(
        (&summary["finished"], &summary["cells"]),
        (&5.into(), &5.into())
    );
    let rows = summary["variants"].as_array().unwrap();
    assert_eq!(rows[0]["mean"]["over_seeds"]["seeds"], 2);
    assert!(rows[0]["gain"].is_null() && rows[1]["gain"].is_array());
    assert_eq!(rows[1]["operators"].as_array().unwrap().len(), 14);
    assert_eq!(rows[1]["int8_gain"].as_array().unwrap().len(), 2);

    let out = root.join("out");
    let table = std::fs::read_to_string(out.join("table.md")).unwrap();
    for part in [
        "# Tiny",
        "| **SimCLR** |",
        "| MFCC statistics |",
        "| random weights |",
        "## By shots",
        "## Heads",
        "## Each part's features alone",
        "## Invariance by operator",
        "## int8 less float",
        "## What training took",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let csv = std::fs::read_to_string(out.join("measurements.csv")).unwrap();
    // Controls: 2 sets of 2 shots each. A cell: 2 sets, each of 2 shots with 2 heads, one int8
    // figure, and 2 shots of 2 halves where there are two paths.
    assert_eq!(
        csv.lines().count(),
        1 + 2 * 4 + 2 * 2 * (4 + 1) + 3 * 2 * (4 + 1 + 4)
    );

    // A second time nothing is trained or measured, and the tables are the same.
    let result = out.join("simclr-parallel-2/result.json");
    let changed = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let before = (
        changed(&result),
        changed(&out.join("simclr-parallel-2/checkpoint.safetensors")),
    );
    let again = experiment(PLAN, root, &[]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(changed(&result), before.0);
    assert_eq!(
        std::fs::read_to_string(out.join("table.md")).unwrap(),
        table
    );

    // A cell whose result is lost is measured anew, from the weights that it has.
    std::fs::remove_file(&result).unwrap();
    let repaired = experiment(PLAN, root, &[]);
    assert!(repaired.status.success(), "{}", stderr(&repaired));
    assert!(
        !stderr(&repaired).contains("contrastive only"),
        "{}",
        stderr(&repaired)
    );
    let without_times = |text: &str| -> Vec<String> {
        text.lines()
            .take_while(|l| !l.contains("What training took"))
            .map(str::to_owned)
            .collect()
    };
    let repaired = std::fs::read_to_string(out.join("table.md")).unwrap();
    assert_eq!(without_times(&repaired), without_times(&table));

    // Another configuration is not mixed with this one.
    let other = experiment(PLAN, root, &["--set", "train.warmup=0.2"]);
    assert!(!other.status.success());
    let said = stderr(&other);
    assert!(
        said.contains("warmup") && said.contains("another --out"),
        "{said}"
    );
}

/// The files that the shipped results come from stay readable.
#[test]
fn every_shipped_experiment_lists_its_cells() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/experiments");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let listed = mtslvr()
                .arg("experiment")
                .arg(&path)
                .arg("--list")
                .output()
                .unwrap();
            assert!(listed.status.success(), "{}", stderr(&listed));
            files += 1;
        }
    }
    assert!(files > 0);
}
