//! The check of the trainer on a machine with a CUDA GPU: the archive that is carried there, and the page
//! of what comes back.

mod page;
mod results;

use crate::{embedded, process, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that the archive may take.
const LIMIT: u64 = 40_000_000;

/// Name of the archive, and of the folder in it.
const NAME: &str = "gpu-check";

/// The programs in it, each with its package.
const PROGRAMS: [(&str, &str); 2] = [("mtslvr", "mtslvr"), ("gpu-check", "mtslvr-train")];

/// The script in it that runs the check.
const SCRIPT: &str = "gpu_check.sh";

/// The script's Python side.
const PYTHON: [&str; 4] = [
    "gpu_against_pytorch.py",
    "gpu_pytorch_side.py",
    "gpu_report.py",
    "pytorch_network.py",
];

/// Builds the programs with the feature `cuda`, packs them with the script, and prints how to run it.
///
/// # Errors
/// If a program cannot be built, or the archive grows beyond [`LIMIT`].
pub fn archive() -> Result<()> {
    let mut build = workspace::host_cargo()?;
    build.args(["build", "--release", "--locked"]);
    for (program, package) in PROGRAMS {
        build.args(["--package", package, "--bin", program]);
        build.args(["--features", &format!("{package}/cuda")]);
    }
    process::run(&mut build)?;
    let built = workspace::target_dir().join("release");
    let archive = pack(&built, &workspace::target_dir())?;
    let bytes = within_limit(&archive)?;
    println!("{}: {bytes} bytes of {LIMIT}", archive.display());
    println!("On the machine with the GPU, beside the archive:");
    println!("  tar -xJf {NAME}.tar.xz || python3 -m tarfile -e {NAME}.tar.xz");
    println!("  {NAME}/{SCRIPT} check results");
    println!("To train there: {NAME}/{SCRIPT} train results NAME --preset edge-m --minutes 4");
    println!("Then here: cargo xtask gpu-check --page results/gpu.json");
    Ok(())
}

/// Strips the programs in `built`, and writes the archive of them and the script into `folder`.
fn pack(built: &Path, folder: &Path) -> Result<PathBuf> {
    let staged = folder.join(NAME);
    if staged.exists() {
        fs::remove_dir_all(&staged).with_context(|| staged.display().to_string())?;
    }
    fs::create_dir_all(&staged).with_context(|| staged.display().to_string())?;
    for (program, _) in PROGRAMS {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(staged.join(program));
        process::run(strip.arg(built.join(program)))
            .context("strip comes with binutils, as the linker does")?;
    }
    for file in PYTHON.into_iter().chain([SCRIPT]) {
        let from = benches().join(file);
        fs::copy(&from, staged.join(file)).with_context(|| from.display().to_string())?;
    }
    let archive = folder.join(format!("{NAME}.tar.xz"));
    let mut tar = Command::new("tar");
    tar.env("XZ_OPT", "-9e").arg("-C").arg(folder);
    tar.args(["--owner=0", "--group=0", "--sort=name", "-cJf"]);
    let has_xz = || process::succeeds(Command::new("xz").arg("--version"));
    embedded::provide("xz, which tar needs", has_xz, &["xz-utils"])?;
    process::run(tar.arg(&archive).arg(NAME))?;
    Ok(archive)
}

/// Returns the length of the archive, which must not be over [`LIMIT`].
fn within_limit(archive: &Path) -> Result<u64> {
    let metadata = fs::metadata(archive).with_context(|| archive.display().to_string())?;
    let bytes = metadata.len();
    ensure!(
        bytes <= LIMIT,
        "{} takes {bytes} bytes, and may take {LIMIT}",
        archive.display()
    );
    Ok(bytes)
}

/// Keeps the results in `files` beside the page, and writes the page's tables. Where two files hold the same
/// part, the later one counts; trainings of other names are kept.
///
/// # Errors
/// If a file is no `gpu.json`, or the page cannot be written.
pub fn write_page(files: &[PathBuf]) -> Result<()> {
    let mut merged = Map::new();
    for file in files {
        let named = || file.display().to_string();
        let text = fs::read_to_string(file).with_context(named)?;
        merge(
            &mut merged,
            serde_json::from_str(&text).with_context(named)?,
        );
    }
    let merged = Value::Object(merged);
    let results = serde_json::from_value(merged.clone()).context("these are no results")?;
    let document = page::with_tables(&read_page()?, Some(&results))?;
    let kept = serde_json::to_string_pretty(&merged)? + "\n";
    for (path, text) in [(results_path(), kept), (page_path(), document)] {
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Puts the parts of `new` into `merged`.
fn merge(merged: &mut Map<String, Value>, new: Map<String, Value>) {
    const TRAINING: &str = "training";
    for (name, mut part) in new {
        if let (TRAINING, Value::Array(runs)) = (&*name, &mut part)
            && let Some(Value::Array(earlier)) = merged.get(TRAINING)
        {
            let replaced = |run: &Value| runs.iter().any(|new| new["name"] == run["name"]);
            let mut all: Vec<Value> = earlier
                .iter()
                .filter(|run| !replaced(run))
                .cloned()
                .collect();
            all.append(runs);
            *runs = all;
        }
        merged.insert(name, part);
    }
}

fn benches() -> PathBuf {
    workspace::root().join("trainer/train/benches")
}

fn page_path() -> PathBuf {
    benches().join("GPU.md")
}

fn results_path() -> PathBuf {
    benches().join("gpu.json")
}

fn read_page() -> Result<String> {
    let path = page_path();
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Reads the committed results; `None` where no GPU has run the check.
#[cfg(test)]
fn committed() -> Result<Option<results::Results>> {
    let path = results_path();
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path)?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else {
            panic!("an object");
        };
        map
    }

    #[test]
    fn the_page_is_that_of_the_results() {
        let document = read_page().unwrap();
        let expected = page::with_tables(&document, committed().unwrap().as_ref()).unwrap();
        assert!(
            document == expected,
            "trainer/train/benches/GPU.md differs from the results: run `cargo xtask gpu-check --page \
             trainer/train/benches/gpu.json`"
        );
    }

    #[test]
    fn later_results_replace_parts_and_add_trainings() {
        let mut merged = object(json!({
            "cores": 4,
            "operators": {"error": "none"},
            "training": [{"name": "a", "seconds": 1}, {"name": "b", "seconds": 2}],
        }));
        let new = json!({"cores": 16, "training": [{"name": "a", "seconds": 3}]});
        merge(&mut merged, object(new));
        let expected = json!({
            "cores": 16,
            "operators": {"error": "none"},
            "training": [{"name": "b", "seconds": 2}, {"name": "a", "seconds": 3}],
        });
        assert_eq!(Value::Object(merged), expected);
    }

    #[test]
    fn the_archive_holds_all_that_the_script_starts() {
        let script = fs::read_to_string(benches().join(SCRIPT)).unwrap();
        let begun = script.split("$here/").skip(1).map(|rest| {
            let end = rest.find(['"', ' ']).unwrap();
            &rest[..end]
        });
        let mut begun: Vec<&str> = begun.collect();
        begun.sort_unstable();
        begun.dedup();
        assert!(begun.len() >= 4, "{begun:?}");
        for name in begun {
            let packed =
                PYTHON.contains(&name) || PROGRAMS.iter().any(|(program, _)| *program == name);
            assert!(packed, "{name} is not in the archive");
        }
    }

    /// Checks that the page reads every field that the script's Python side writes.
    #[test]
    fn the_report_of_the_parts_can_be_read() {
        let folder = workspace::target_dir().join("gpu-report-test");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let checks = json!([{"name": "norm", "error": 0.5, "limit": 0.1, "passed": false}]);
        let operators = json!({"device": "A GPU", "driver": "1.2", "checks": checks});
        let step =
            json!({"preset": "edge-s", "step_ms": 2.0, "parts": [{"name": "norm", "ms": 1.0}]});
        let last = json!({"step": 7, "seconds": 1.5, "loss": null});
        let trained = json!({"interrupted": false, "last": last});
        let views = json!({
            "pairs": 8, "median_apart": 1e-5, "most_apart": 0.01, "views_apart": 0, "labels_apart": 1, "labels": 112,
            "draws_ms": 0.5, "gpu_ms": 4.0, "processor_ms": 99.0,
        });
        for (name, printed, log, status) in [
            ("operators", operators.to_string(), "", "1 3 45"),
            ("views", views.to_string(), "", "0 3 30"),
            (
                "comparison",
                String::new(),
                "first\nsecond\n",
                "124 118 118",
            ),
            ("profile-edge-s", step.to_string(), "", "0 2 12"),
            ("training-m", format!("begins\n{trained}\n"), "", "0 9 280"),
        ] {
            for (suffix, text) in [("out", &*printed), ("log", log), ("status", status)] {
                fs::write(folder.join(format!("{name}.{suffix}")), text).unwrap();
            }
        }
        fs::write(folder.join("training-m.options"), "--steps\n7\n").unwrap();
        let mut report = Command::new("python3");
        report.arg(benches().join("gpu_report.py"));
        let done = report.args([&folder, &folder]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(1), "a check failed: {said}");
        assert!(
            said.contains("FAILED  norm: error 0.5, limit 0.1"),
            "{said}"
        );
        let text = fs::read_to_string(folder.join("gpu.json")).unwrap();
        let results = serde_json::from_str(&text).unwrap();
        let page = page::with_tables(&read_page().unwrap(), Some(&results)).unwrap();
        for line in [
            "| GPU | A GPU |",
            "| norm | 5.0e-1 | 1.0e-1 | **failed** |",
            "Failed: took more than 118 s: first / second",
            "| `edge-s` | norm | 1.000 | 50 % |",
            "| 8 | 1.0e-5 | 1.0e-2 | 1 of 112 | 0.50 | 4.00 | 99 |",
            "| m | `--steps 7` | 7 | 2 |  |  |  |  |  |  |",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_archive_is_packed_and_measured() {
        let folder = workspace::target_dir().join("gpu-check-test");
        let built = folder.join("built");
        fs::create_dir_all(&built).unwrap();
        for (program, _) in PROGRAMS {
            fs::copy(std::env::current_exe().unwrap(), built.join(program)).unwrap();
        }
        let archive = pack(&built, &folder).unwrap();
        let listed = process::output(Command::new("tar").arg("-tJf").arg(&archive)).unwrap();
        let files = PYTHON.into_iter().chain([SCRIPT]);
        for file in files.chain(PROGRAMS.map(|(program, _)| program)) {
            let entry = format!("{NAME}/{file}");
            assert!(
                listed.lines().any(|line| line == entry),
                "{entry} in {listed}"
            );
        }
        let script = fs::metadata(folder.join(NAME).join(SCRIPT)).unwrap();
        assert!(
            script.permissions().mode() & 0o100 != 0,
            "the script can be run"
        );
        assert!(within_limit(&archive).is_ok());
        fs::File::create(&archive)
            .unwrap()
            .set_len(LIMIT + 1)
            .unwrap();
        let error = within_limit(&archive).unwrap_err().to_string();
        assert!(error.contains("40000001 bytes"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
