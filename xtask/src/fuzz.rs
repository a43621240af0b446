//! `cargo xtask fuzz`: coverage-guided fuzzing of every parser of outside bytes, with the compiler that
//! builds everything else.
//!
//! libFuzzer needs counters in the code and no nightly compiler: the flags below are what `cargo fuzz`
//! passes, without a sanitizer. Only the fuzzer itself, C++, needs a C++ compiler.

use crate::{process, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
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

const TARGETS: [Target; 12] = [
    target("model_open", "packed model", &[GOLDEN]),
    target("snapshot_import", "snapshot", &[GOLDEN]),
    target("flash_load", "flash", &[]),
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

/// Executions that `cargo xtask fuzz` and `cargo xtask test --all` do.
pub const LONG: Runs = Runs {
    bytes: 5_000_000,
    slow: 500_000,
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
/// Returns a table of what was tried.
pub fn fuzz(names: &[String], train: bool, runs: Runs) -> Result<String> {
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
    let outcomes = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let next = queue.lock().expect("no panic while locked").next();
            let Some(target) = next else {
                return Ok(());
            };
            let count = if target.slow { runs.slow } else { runs.bytes };
            let outcome = run(target, &folder, count)?;
            eprintln!("{}: {} executions", target.name, outcome.executions);
            outcomes
                .lock()
                .expect("no panic while locked")
                .push(outcome);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a thread of the fuzzer panicked"))
    })?;
    let outcomes = outcomes.into_inner().expect("no panic while locked");
    Ok(table(outcomes))
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

/// Writes the table into `tests/RELIABILITY.md`.
///
/// # Errors
/// If the document cannot be read or written, or lacks the table's markers.
pub fn write(table: &str) -> Result<()> {
    let path = workspace::root().join("tests/RELIABILITY.md");
    let document = fs::read_to_string(&path)?;
    fs::write(&path, with_table(&document, "fuzzing", table)?)?;
    Ok(())
}

/// Makes a table in Markdown.
fn table(outcomes: Vec<Outcome>) -> String {
    let mut text =
        "| parser | executions | seconds | findings |\n|---|---:|---:|---:|\n".to_owned();
    for parser in TARGETS.map(|target| target.parser) {
        for outcome in outcomes.iter().filter(|outcome| outcome.parser == parser) {
            // Writing to a String cannot fail. A finding is an error, and no table.
            let _ = writeln!(
                text,
                "| {parser} | {} | {:.0} | 0 |",
                outcome.executions,
                outcome.time.as_secs_f64()
            );
        }
    }
    text
}
