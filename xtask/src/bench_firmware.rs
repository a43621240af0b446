//! `cargo xtask bench-firmware`: measures the runtime's cost on an emulated microcontroller.

mod sounds;
mod table;

pub use table::memory_rows;

use crate::embedded::{self, Toolchain};
use crate::measured::{Frontend, Head, Idle, Layer, Measured, Memory, Paths, Signed};
use crate::{elf, firmware, process};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use xtask::board::Board;
use xtask::qemu;
use xtask::report::{Line, Report};

/// Model and board to measure.
#[derive(Debug)]
pub struct Request {
    /// The packed model; the committed `edge-s` if there is none.
    pub model: Option<PathBuf>,
    /// Where.
    pub board: Board,
}

/// Builds, runs and reads everything.
pub fn measure(toolchain: Toolchain, request: &Request) -> Result<Measured> {
    let board = request.board;
    let model = firmware::model_or_shipped(request.model.as_deref())?;
    let build = |program| firmware::build(toolchain, board, program, &model);
    let bench = build(firmware::BENCH)?;
    let footprint = elf::sizes(&build(firmware::FOOTPRINT)?)?;
    let example = build(firmware::EXAMPLE)?;
    let sizes = elf::sizes(&example)?;
    // Nothing runs it: what matters is its size.
    let trust = firmware::Trust::golden()?;
    let trusting = firmware::EXAMPLE;
    let trusting = firmware::build_trusting(toolchain, board, trusting, &model, Some(&trust))?;
    let trusting = elf::sizes(&trusting)?;

    let counted = run(board, &bench, &[])?;
    let sounds = sounds::write(&embedded::target_dir().join("sounds"))?;
    let used = run(board, &example, &sounds)?;

    let inference = one(&counted, "inference")?;
    let (instructions, macs) = (inference.number("instructions")?, inference.number("macs")?);
    let frontend = one(&counted, "frontend")?;
    let idle = one(&counted, "idle")?;
    let seconds = idle.number("seconds")?.max(1);
    let memory = one(&used, "memory")?;
    let model_bytes = memory.number("model")?;
    Ok(Measured {
        model: inference.get("name")?.to_owned(),
        board,
        machine: format!("{}, {}", board.machine(), board.core()),
        compiler: toolchain.version()?,
        instructions,
        macs,
        flash_bytes: sizes.flash,
        ram_bytes: sizes.ram,
        stack_bytes: one(&used, "stack")?.number("used")?,
        memory: Memory {
            model_bytes,
            program_bytes: sizes.program - model_bytes,
            runtime_bytes: footprint.program - model_bytes,
            runtime_functions: footprint.functions,
            arena_bytes: memory.number("arena")?,
            frontend_bytes: memory.number("frontend")?,
            head_bytes: memory.number("head")?,
        },
        layers: layers(&counted, "layer")?,
        shapes: layers(&counted, "shape")?,
        paths: counted.of("paths").map(paths).collect::<Result<_>>()?,
        frontend: Frontend {
            set_up_instructions: frontend.number("set_up_instructions")?,
            instructions_per_frame: frontend.number("instructions")? / frontend.number("frames")?,
        },
        idle: Idle {
            instructions: idle.number("instructions")? / seconds,
            frames: idle.number("frames")? as f64 / seconds as f64,
        },
        open_instructions: one(&counted, "open")?.number("instructions")?,
        open_known_instructions: one(&counted, "open")?.number("known")?,
        signed: Some(Signed {
            flash_bytes: trusting.flash - sizes.flash,
            hash_instructions: one(&counted, "signed")?.number("hash_instructions")?,
            signature_instructions: one(&counted, "signed")?.number("signature_instructions")?,
        }),
        heads: counted.of("head").map(head).collect::<Result<_>>()?,
    })
}

/// Runs a firmware to its end.
fn run(board: Board, elf: &Path, arguments: &[String]) -> Result<Report> {
    let mut command = qemu::command(board, elf, arguments);
    let line = process::shown(&command);
    eprintln!("$ {line}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", board.qemu()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{} failed ({}); it printed:\n{text}",
        elf.display(),
        output.status
    );
    text.parse()
}

fn one<'a>(report: &'a Report, kind: &'a str) -> Result<&'a Line> {
    let line = report.of(kind).next();
    line.with_context(|| format!("the firmware printed no line {kind:?}"))
}

fn layers(report: &Report, kind: &str) -> Result<Vec<Layer>> {
    let layer = |line: &Line| {
        Ok(Layer {
            name: line.get("name")?.to_owned(),
            macs: line.number("macs")?,
            instructions: line.number("instructions")?,
        })
    };
    report.of(kind).map(layer).collect()
}

fn paths(line: &Line) -> Result<Paths> {
    Ok(Paths {
        name: line.get("name")?.to_owned(),
        one_after_the_other: line.number("one_after_the_other")?,
        together: line.number("together")?,
    })
}

fn head(line: &Line) -> Result<Head> {
    Ok(Head {
        name: line.get("name")?.to_owned(),
        classes: line.number("classes")?,
        examples: line.number("examples")?,
        enrol_instructions: line.number("enrol_instructions")?,
        fit_instructions: line.number("fit_instructions")?,
        decide_instructions: line.number("decide_instructions")?,
    })
}
