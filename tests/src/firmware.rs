//! The example firmware in QEMU, and the same work done by the runtime on this host.

mod host;

pub use host::Host;

use anyhow::{Context, Result, ensure};
use mtslvr_runtime::fewshot::HeadKind;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use xtask::board::Board;
use xtask::report::{Line, Report};

/// Most classes that the firmware enrols.
pub const CLASSES: usize = 8;
/// Most examples that the firmware enrols, of all classes together.
pub const EXAMPLES: usize = 64;

/// What the firmware is asked to do: its arguments.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Examples: label and WAV file.
    pub support: Vec<(String, PathBuf)>,
    /// WAV files to classify.
    pub queries: Vec<PathBuf>,
    /// Threshold of the *unknown* decision, if it is not the model's.
    pub threshold: Option<f32>,
    /// The head, as the firmware's `head=` says it, if it is not the default.
    pub head: Option<&'static str>,
}

impl Script {
    /// The firmware's command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(threshold) = self.threshold {
            arguments.push(format!("threshold={threshold}"));
        }
        if let Some(head) = self.head {
            arguments.push(format!("head={head}"));
        }
        for (label, path) in &self.support {
            arguments.push(format!("support:{label}={}", path.display()));
        }
        for path in &self.queries {
            arguments.push(format!("query={}", path.display()));
        }
        arguments
    }
}

/// A built firmware and the model inside it.
#[derive(Debug)]
pub struct Firmware {
    elf: PathBuf,
    model: PathBuf,
}

impl Firmware {
    /// The ones that `cargo xtask test` built.
    pub fn from_env() -> Result<Self> {
        let file = |name: &str| -> Result<PathBuf> {
            let path = PathBuf::from(env::var_os(name).with_context(|| {
                format!(
                    "{name} is not set: run `cargo xtask test`, which builds the firmware and runs \
                     this test on it"
                )
            })?);
            ensure!(path.is_file(), "{name} is {}: no such file", path.display());
            Ok(path)
        };
        Ok(Self {
            elf: file("MTSLVR_TEST_FIRMWARE")?,
            model: file("MTSLVR_TEST_MODEL")?,
        })
    }

    /// The host's runtime with the firmware's model.
    pub fn host(&self) -> Result<Host> {
        Host::open(&self.model)
    }

    /// Runs `script` in QEMU and on the host (with the head `kind`, which `script.head` names) and
    /// checks that decisions, scores and embeddings are the same bits.
    pub fn check(&self, script: &Script, kind: HeadKind) -> Result<Report> {
        let (report, passed) = self.run(&script.arguments())?;
        ensure!(passed, "the firmware failed: {report:?}");
        let lines = report.lines.iter();
        let told: Vec<Line> = lines
            .filter(|line| line.kind == "support" || line.kind == "query")
            .map(|line| line.without("instructions"))
            .collect();
        let expected = self.host()?.run(script, kind)?.lines;
        ensure!(
            told.len() == expected.len(),
            "{} lines, expected {}",
            told.len(),
            expected.len()
        );
        for (told, expected) in told.iter().zip(&expected) {
            ensure!(
                told == expected,
                "the device says {told:?}, the host {expected:?}"
            );
        }
        Ok(report)
    }

    /// The command that runs the firmware in QEMU, without standard input.
    pub fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = xtask::qemu::command(Board::An386, &self.elf, arguments);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    /// Runs the firmware in QEMU; gives what it printed, and whether it ended well.
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Result<(Report, bool)> {
        let output = self
            .command(arguments)
            .output()
            .with_context(|| format!("cannot start {}", Board::An386.qemu()))?;
        let text = String::from_utf8(output.stdout).context("the firmware's output")?;
        eprintln!("{text}");
        Ok((text.parse()?, output.status.success()))
    }
}
