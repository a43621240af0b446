//! `cargo xtask bench-firmware`: measures the runtime's cost on an emulated microcontroller.

mod sounds;
mod table;

use crate::embedded::{self, Toolchain};
pub use table::memory_rows;

use crate::figures::Figures;
use crate::{elf, firmware, process};
use anyhow::{Context, Result, ensure};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
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

/// All that was measured. Instructions are those that QEMU executes, not cycles; sizes are bytes.
#[derive(Debug, Deserialize, Serialize)]
pub struct Measured {
    /// The model's name.
    pub model: String,
    /// The board.
    #[serde(serialize_with = "board_name", deserialize_with = "board_named")]
    pub board: Board,
    /// QEMU's machine and the processor.
    pub machine: String,
    /// Compiler of the firmwares.
    pub compiler: String,
    /// Instructions of a whole embedding: both paths of one patch.
    pub instructions: u64,
    /// Multiply-accumulates of that.
    pub macs: u64,
    /// Flash of the example firmware.
    pub flash_bytes: u64,
    /// RAM of its statics.
    pub ram_bytes: u64,
    /// The deepest use of its stack.
    pub stack_bytes: u64,
    /// The example firmware by part.
    pub memory: Memory,
    /// Every operator of the model.
    pub layers: Vec<Layer>,
    /// Single layers.
    pub shapes: Vec<Layer>,
    /// 1x1 layers over the maps of two paths.
    pub paths: Vec<Paths>,
    /// Log-mel features.
    pub frontend: Frontend,
    /// Opening and checking the model.
    pub open_instructions: u64,
    /// Learning and deciding.
    pub heads: Vec<Head>,
}

/// A layer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Layer {
    /// Name of the layer.
    pub name: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Instructions; none where they have not been counted.
    pub instructions: Option<u64>,
}

/// A layer over the maps of two paths, whose weights are the same.
#[derive(Debug, Deserialize, Serialize)]
pub struct Paths {
    /// One path's map, channels in and out.
    pub name: String,
    /// Instructions of one path after the other.
    pub one_after_the_other: u64,
    /// Instructions of both over one reading of the weights.
    pub together: u64,
}

/// The frontend's work.
#[derive(Debug, Deserialize, Serialize)]
pub struct Frontend {
    /// Preparing window and filters, once.
    pub set_up_instructions: u64,
    /// Instructions for each frame, its samples' way into the buffer included.
    pub instructions_per_frame: u64,
}

/// A linear head's work.
#[derive(Debug, Deserialize, Serialize)]
pub struct Head {
    /// Which.
    pub name: String,
    /// Enrolled classes.
    pub classes: u64,
    /// Examples of all classes together.
    pub examples: u64,
    /// Taking one example.
    pub enrol_instructions: u64,
    /// Fitting to all examples.
    pub fit_instructions: u64,
    /// Deciding about one query.
    pub decide_instructions: u64,
}

/// The example firmware by part, and the runtime's own code.
#[derive(Debug, Deserialize, Serialize)]
pub struct Memory {
    /// Flash: the packed model.
    pub model_bytes: u64,
    /// Flash: code, constants and start values of the example firmware.
    pub program_bytes: u64,
    /// Flash: the same of a firmware that does all that the runtime is for, without console, files
    /// and messages: the runtime's code, the start-up code and what the compiler adds.
    pub runtime_bytes: u64,
    /// The functions in that, by the crate that wrote them; the rest is constants.
    pub runtime_functions: BTreeMap<String, u64>,
    /// RAM: the arena.
    pub arena_bytes: u64,
    /// RAM: samples, spectrum, tables, patch and embeddings.
    pub frontend_bytes: u64,
    /// RAM: examples, head and what a fit works in.
    pub head_bytes: u64,
}

impl Measured {
    /// Returns the figures that may not grow.
    pub fn figures(&self) -> Figures {
        Figures {
            instructions: self.instructions,
            flash_bytes: self.flash_bytes,
            ram_bytes: self.ram_bytes,
        }
    }

    /// Returns all figures as JSON.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

// serde hands the field over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn board_name<S: Serializer>(board: &Board, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(board.name())
}

fn board_named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Board, D::Error> {
    let name = String::deserialize(deserializer)?;
    Board::from_name(&name).ok_or_else(|| D::Error::custom(format!("no board is called {name}")))
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

    let counted = run(board, &bench, &[])?;
    let sounds = sounds::write(&embedded::target_dir().join("sounds"))?;
    let used = run(board, &example, &sounds)?;

    let inference = one(&counted, "inference")?;
    let (instructions, macs) = (inference.number("instructions")?, inference.number("macs")?);
    let frontend = one(&counted, "frontend")?;
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
        open_instructions: one(&counted, "open")?.number("instructions")?,
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
            instructions: Some(line.number("instructions")?),
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
