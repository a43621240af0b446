//! The example firmware in QEMU, and the same work done by the runtime on this host.

mod host;
mod linked;
mod script;

pub use host::Host;
pub use linked::{Faults, Linked};
pub use script::{CLASSES, EXAMPLES, Flash, Script};

use anyhow::{Context, Result, ensure};
use mtslvr_runtime::fewshot::HeadKind;
use mtslvr_runtime::fewshot::persist::flash_len;
use script::PAGE;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};
use xtask::board::Board;
use xtask::report::{Line, Report};

/// A built firmware and the model inside it.
#[derive(Debug)]
pub struct Firmware {
    elf: PathBuf,
    model: PathBuf,
}

impl Firmware {
    /// Finds the firmware and the model that `cargo xtask test` built.
    ///
    /// # Errors
    /// If a variable is not set, or names no file.
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

    /// Takes a firmware that needs no model file beside it.
    pub fn at(elf: PathBuf) -> Self {
        Self {
            elf,
            model: PathBuf::new(),
        }
    }

    /// Makes flash of the firmware's size, erased.
    ///
    /// # Errors
    /// If the model cannot be opened.
    pub fn blank_flash(&self) -> Result<Flash> {
        let host = self.host()?;
        let model = host.model()?;
        let dim = model.space().dim();
        let len = flash_len(CLASSES, EXAMPLES, dim, PAGE).context("pages for the flash")?;
        Ok(Flash::new(len / PAGE))
    }

    /// Opens the host's runtime with the firmware's model.
    ///
    /// # Errors
    /// If the model cannot be read.
    pub fn host(&self) -> Result<Host> {
        Host::open(&self.model)
    }

    /// Runs `script` in QEMU and on the host (with the head `kind`, which `script.head` names) and
    /// checks that decisions, scores and embeddings are the same bits.
    ///
    /// # Errors
    /// If the firmware fails, or its lines differ from the host's.
    pub fn check(&self, script: &Script, kind: HeadKind) -> Result<Report> {
        let (report, passed) = self.run(&script.arguments())?;
        ensure!(passed, "the firmware failed: {report:?}");
        same_lines(&report, &self.host()?.run(script, kind, None)?)?;
        Ok(report)
    }

    /// [`Self::check`] of a script that keeps what it enrols: `flash` holds what the firmware's file
    /// does, and afterwards both hold the same bytes again. If the power goes on the way, it is back
    /// afterwards.
    ///
    /// # Errors
    /// If the firmware fails, or its lines or its flash differ from the host's.
    pub fn check_kept(&self, script: &Script, flash: &mut Flash) -> Result<Report> {
        let file = script.flash.as_ref().context("a file for the flash")?;
        let (report, passed) = self.run(&script.arguments())?;
        let expected = self.host()?.run(script, HeadKind::default(), Some(flash))?;
        ensure!(
            passed == flash.is_powered(),
            "the firmware's exit status says {passed}: {report:?}"
        );
        same_lines(&report, &expected)?;
        flash.restore_power();
        let kept = fs::read(file).with_context(|| file.display().to_string())?;
        let at = kept.iter().zip(flash.content()).position(|(a, b)| a != b);
        ensure!(
            kept.len() == flash.content().len() && at.is_none(),
            "the flashes of device and host differ at {at:?}"
        );
        Ok(report)
    }

    /// The command that runs the firmware in QEMU, without standard input.
    pub fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = xtask::qemu::command(Board::An386, &self.elf, arguments);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    /// Runs the firmware in QEMU; returns its output, and whether it ended well.
    ///
    /// # Errors
    /// If QEMU cannot be started, or the output cannot be parsed.
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

/// Checks that the firmware told what the host expects, but for its counts of instructions and what
/// only a device has to tell.
fn same_lines(report: &Report, expected: &Report) -> Result<()> {
    let device_only = ["model", "memory", "fit", "stack"];
    let lines = report.lines.iter();
    let told: Vec<Line> = lines
        .filter(|line| !device_only.contains(&line.kind.as_str()))
        .map(|line| line.without("instructions"))
        .collect();
    for (told, expected) in told.iter().zip(&expected.lines) {
        ensure!(
            told == expected,
            "the device says {told:?}, the host {expected:?}"
        );
    }
    let (told, expected) = (told.len(), expected.lines.len());
    ensure!(told == expected, "{told} lines, expected {expected}");
    Ok(())
}
