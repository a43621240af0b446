//! `cargo xtask fuzz`: coverage-guided fuzzing of every parser of outside bytes, with the compiler that
//! builds everything else.
//!
//! libFuzzer needs counters in the code and no nightly compiler: the flags below are what `cargo fuzz`
//! passes, without a sanitizer. Only the fuzzer itself, C++, needs a C++ compiler.

use crate::{process, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use xtask::document::with_table;

/// A target and the folders of its seeds, which are in the repository.
struct Target {
    name: &'static str,
    parser: &'static str,
    seeds: &'static [&'static str],
    /// Executions are slow: it decodes audio or reads graphs.
    slow: bool,
    /// It needs the crate that trains.
    train: bool,
}

const GOLDEN: &str = "runtime/tests/golden";

const TARGETS: [Target; 13] = [
    target("model_open", "packed model", &[GOLDEN]),
    target("snapshot_import", "snapshot", &[GOLDEN]),
    target("flash_load", "flash", &["tests/fuzz/seeds/flash_load"]),
    target("clips_load", "recordings in flash", &[GOLDEN]),
    target(
        "link_session",
        "link of a device",
        &["tests/fuzz/seeds/link_session"],
    ),
    target(
        "wav_read",
        "WAV of the firmware",
        &["tests/fuzz/seeds/wav_read"],
    ),
    target(
        "journal_open",
        "journal",
        &["tests/fuzz/seeds/journal_open"],
    ),
    target(
        "cache_read",
        "decode cache",
        &["tests/fuzz/seeds/cache_read"],
    ),
    target(
        "manifest_read",
        "manifest",
        &["tests/fuzz/seeds/manifest_read"],
    ),
    Target {
        slow: true,
        ..target(
            "audio_read",
            "audio reader",
            &["trainer/audio/src/fixtures"],
        )
    },
    Target {
        slow: true,
        ..target(
            "onnx_read",
            "ONNX import",
            &["trainer/pack/src/onnx/fixtures"],
        )
    },
    Target {
        train: true,
        ..target("config_read", "configuration", &["trainer/train/presets"])
    },
    Target {
        train: true,
        ..target(
            "checkpoint_read",
            "checkpoint",
            &["tests/fuzz/seeds/checkpoint_read"],
        )
    },
];

const fn target(
    name: &'static str,
    parser: &'static str,
    seeds: &'static [&'static str],
) -> Target {
    Target {
        name,
        parser,
        seeds,
        slow: false,
        train: false,
    }
}

/// Executions of each target.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// Executions of a parser of bytes.
    pub bytes: u64,
    /// Executions of the audio reader and of the ONNX import.
    pub slow: u64,
}

/// Executions that `cargo xtask fuzz` does.
pub const LONG: Runs = Runs {
    bytes: 5_000_000,
    slow: 500_000,
};

/// Executions that `cargo xtask test --all` does.
pub const TEST_ALL: Runs = Runs {
    bytes: 500_000,
    slow: 50_000,
};

/// Executions that `cargo xtask test` does.
pub const SHORT: Runs = Runs {
    bytes: 200_000,
    slow: 20_000,
};

/// Outcome of fuzzing a target.
struct Outcome {
    parser: &'static str,
    executions: u64,
    time: Duration,
}

/// The same corpus gives the same inputs every time.
const SEED: u32 = 1;

/// Longest time for one input, seconds.
const TIMEOUT: u32 = 20;

/// Most memory of one target, MiB.
const MEMORY: u32 = 2048;

/// The flags that put the fuzzer's counters into the code.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares \
     -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// Fuzzes the targets called `names`, or all of them; those of the crate that trains only with `train`.
/// `ended` gets the row of a table for each target as it ends. One that finds an input that fails ends, too; the
/// others go on.
pub fn fuzz(
    names: &[String],
    train: bool,
    runs: Runs,
    ended: impl FnMut(&str) -> Result<()> + Send,
) -> Result<()> {
    for name in names {
        ensure!(
            TARGETS.iter().any(|target| target.name == name),
            "there is no target {name}; the targets are {}",
            TARGETS.map(|target| target.name).join(", ")
        );
    }
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| names.is_empty() || names.iter().any(|name| name == target.name))
        .filter(|target| train || !target.train)
        .collect();
    let folder = build(&chosen)?;
    let queue = Mutex::new(chosen.into_iter());
    let (ended, failed) = (Mutex::new(ended), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = queue.lock().expect("no panic while locked").next();
            let Some(target) = next else {
                return;
            };
            let count = if target.slow { runs.slow } else { runs.bytes };
            let row = run(target, &folder, count).and_then(|outcome| {
                let row = outcome.row();
                eprintln!("{row}");
                ended.lock().expect("no panic while locked")(&row)
            });
            if let Err(error) = row {
                eprintln!("{error:#}");
                failed
                    .lock()
                    .expect("no panic while locked")
                    .push(target.name);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().expect("no panic while locked");
    ensure!(
        failed.is_empty(),
        "failed: {}; what it said stands above",
        failed.join(", ")
    );
    Ok(())
}

/// Builds the targets and returns the folder that they are in.
fn build(targets: &[&Target]) -> Result<PathBuf> {
    let host = process::output(workspace::host_rustc().arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say its host")?;
    let folder = workspace::target_dir().join("fuzz");
    let mut command = workspace::host_cargo()?;
    command
        .args(["build", "--release", "--locked"])
        .args(["--manifest-path", "tests/fuzz/Cargo.toml"])
        // With a target named, build scripts and macros stay without counters.
        .args(["--target", host])
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", COVERAGE);
    if targets.iter().any(|target| target.train) {
        command.args(["--features", "train"]);
    }
    for target in targets {
        command.args(["--bin", target.name]);
    }
    process::run(&mut command)?;
    Ok(folder.join(host).join("release"))
}

/// Runs a target on `count` inputs, which begin with its seeds.
fn run(target: &Target, folder: &std::path::Path, count: u64) -> Result<Outcome> {
    let root = workspace::root();
    let corpus = root.join("tests/fuzz/corpus").join(target.name);
    let findings = root.join("tests/fuzz/artifacts").join(target.name);
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let seeds = target.seeds.iter().map(|seeds| root.join(seeds));
    let began = Instant::now();
    let mut command = Command::new(folder.join(target.name));
    command
        .current_dir(root)
        .args([
            format!("-runs={count}"),
            format!("-seed={SEED}"),
            format!("-timeout={TIMEOUT}"),
            format!("-rss_limit_mb={MEMORY}"),
            format!("-artifact_prefix={}/", findings.display()),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
        ])
        .arg(&corpus)
        .args(seeds)
        .stdin(Stdio::null());
    let line = process::shown(&command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "{}: found an input that fails; it is in {}\n{said}",
            target.name,
            findings.display()
        );
    }
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|number| number.trim().parse().ok());
    Ok(Outcome {
        parser: target.parser,
        executions: executions.context("the fuzzer does not say how much it did")?,
        time: began.elapsed(),
    })
}

impl Outcome {
    /// Returns the row of a table in Markdown. A finding is an error, and no row.
    fn row(&self) -> String {
        let (executions, seconds) = (self.executions, self.time.as_secs_f64());
        format!("| {} | {executions} | {seconds:.0} | 0 |", self.parser)
    }
}

/// Puts a row of [`fuzz`] into the table in `tests/RELIABILITY.md`, in the place of the parser's last one.
///
/// # Errors
/// If the document cannot be read or written, or lacks the table's markers.
pub fn write(row: &str) -> Result<()> {
    let path = workspace::root().join("tests/RELIABILITY.md");
    let document = fs::read_to_string(&path)?;
    let table = table_with(&document, row);
    fs::write(&path, with_table(&document, "fuzzing", &table)?)?;
    Ok(())
}

/// Returns the table that `document` has, in the order of the targets, with `row` in it.
fn table_with(document: &str, row: &str) -> String {
    let mut text =
        "| parser | executions | seconds | findings |\n|---|---:|---:|---:|\n".to_owned();
    for parser in TARGETS.map(|target| target.parser) {
        let begin = format!("| {parser} | ");
        let rows = std::iter::once(row).chain(document.lines());
        // Other tables may have a row that begins alike.
        let mut rows = rows.filter(|row| row.starts_with(&begin) && row.ends_with(" | 0 |"));
        if let Some(row) = rows.next() {
            text.push_str(row);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_the_place_of_the_parser_s_last_one() {
        let document = "| flash | 5 | 1 | 0 |\n| flash | erased | x |\n| journal | 6 | 2 | 0 |\n";
        let table = table_with(document, "| flash | 7 | 3 | 0 |");
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows, ["| flash | 7 | 3 | 0 |", "| journal | 6 | 2 | 0 |"]);
        let table = table_with(document, "| packed model | 1 | 1 | 0 |");
        assert_eq!(table.lines().nth(2), Some("| packed model | 1 | 1 | 0 |"));
        assert_eq!(table.lines().count(), 5);
    }
}
