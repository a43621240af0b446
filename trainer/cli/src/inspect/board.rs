//! Whether a model fits a board, and how long it takes there.
//!
//! Instructions come from those that the firmware was measured to take on emulated boards
//! (`firmware-examples/bench/figures.json`, written by `cargo xtask bench-firmware --accept`); boards and cycles from
//! `firmware-examples/boards.json`.

use anyhow::{Context, Result, bail};
use mtslvr_runtime::fewshot::Storage;
use mtslvr_runtime::fewshot::persist::{longest_snapshot, store_scratch_len};
use mtslvr_runtime::link::frame_buffer_len;
use mtslvr_runtime::listener::{Listener, ListenerConfig};
use mtslvr_runtime::model::{Model, Op};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// Classes and examples that memory is counted for: those of the example firmwares.
const CLASSES: usize = 10;
const EXAMPLES: usize = 64;
/// Bytes of a block of the link.
const BLOCK: usize = 512;
/// Seconds of samples that are kept while the device is busy.
const RECORDED_SECONDS: usize = 2;
/// Bytes of flash for the profile.
const PROFILE: usize = 96 * 1024;
/// The head that decisions are counted for: the default.
const HEAD: &str = "ridge";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../firmware-examples/boards.json"))
        .expect("a test reads it")
});

static FIGURES: LazyLock<Figures> = LazyLock::new(|| {
    serde_json::from_str(include_str!(
        "../../../../firmware-examples/bench/figures.json"
    ))
    .expect("a test reads it")
});

#[derive(Debug, Deserialize)]
struct Table {
    cores: Vec<Core>,
    boards: Vec<Board>,
}

#[derive(Debug, Deserialize)]
struct Core {
    name: String,
    measured: String,
    cycles_per_instruction: f64,
    because: String,
}

/// A board that a model may run on.
#[derive(Debug, Deserialize)]
pub(super) struct Board {
    name: String,
    title: String,
    core: String,
    mhz: u32,
    flash: usize,
    ram: usize,
    /// Bytes of RAM of the firmware that do not depend on the model.
    drivers: usize,
}

#[derive(Debug, Deserialize)]
struct Figures {
    boards: BTreeMap<String, Measured>,
}

/// Figures of the firmware on an emulated board.
#[derive(Debug, Deserialize)]
struct Measured {
    instructions: u64,
    macs: u64,
    stack_bytes: usize,
    memory: Memory,
    layers: Vec<Layer>,
    shapes: Vec<Layer>,
    frontend: Frontend,
    idle: Idle,
    heads: Vec<Head>,
}

#[derive(Debug, Deserialize)]
struct Memory {
    program_bytes: usize,
    #[cfg(test)]
    arena_bytes: usize,
    #[cfg(test)]
    head_bytes: usize,
}

#[derive(Debug, Deserialize)]
struct Layer {
    name: String,
    macs: u64,
    instructions: u64,
}

#[derive(Debug, Deserialize)]
struct Frontend {
    instructions_per_frame: u64,
}

#[derive(Debug, Deserialize)]
struct Idle {
    instructions: u64,
}

#[derive(Debug, Deserialize)]
struct Head {
    name: String,
    decide_instructions: u64,
}

impl Layer {
    /// Returns the kernel, such as `3x3`, and whether each channel has one of its own.
    fn kernel(&self) -> (&str, bool) {
        let mut words = self.name.split(' ');
        let kernel =
            words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('x'));
        (kernel.unwrap_or(""), self.name.contains("depthwise"))
    }
}

impl Measured {
    /// Estimates the instructions of an operator: those of the measured layer that is most like it, for each
    /// multiply-accumulate.
    fn of_op(&self, op: &Op<'_>) -> u64 {
        let macs = op.macs();
        if macs == 0 {
            // It moves or looks up values, for which the measured pool stands.
            let pool = self.layers.iter().find(|layer| layer.macs == 0);
            let most = pool.map_or(0, |pool| pool.instructions);
            let values = op.input.shape.len() as u64;
            return most * values / POOLED;
        }
        let [height, width] = op.window.kernel;
        let kernel = format!("{height}x{width}");
        let depthwise = op.kind.name().starts_with("depthwise");
        let all = self.layers.iter().chain(&self.shapes);
        let unlike = |layer: &Layer| {
            let (other, others) = layer.kernel();
            let size = (layer.macs as f64 / macs as f64).ln().abs();
            let linear = layer.name.contains("linear") == (op.kind.name() == "linear");
            1e6 * f64::from(u8::from(others != depthwise))
                + 1e4 * f64::from(u8::from(!linear))
                + 1e2 * f64::from(u8::from(other != kernel))
                + size
        };
        let like = all
            .filter(|layer| layer.macs > 0)
            .min_by(|a, b| unlike(a).total_cmp(&unlike(b)));
        let (instructions, of) = like.map_or((self.instructions, self.macs), |layer| {
            (layer.instructions, layer.macs)
        });
        (instructions as f64 / of as f64 * macs as f64) as u64
    }
}

/// Values that the measured pool reads.
const POOLED: u64 = 4 * 4 * 96;

/// Bytes that are needed, and those that there are.
#[derive(Debug, Serialize)]
struct Bytes {
    /// Each use with its bytes.
    uses: Vec<(&'static str, usize)>,
    needed: usize,
    there: usize,
}

impl Bytes {
    fn new(uses: Vec<(&'static str, usize)>, there: usize) -> Self {
        let needed = uses.iter().map(|(_, bytes)| bytes).sum();
        Self {
            uses,
            needed,
            there,
        }
    }

    fn fits(&self) -> bool {
        self.needed <= self.there
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let uses = self
            .uses
            .iter()
            .map(|(what, bytes)| format!("{what} {bytes}"));
        let uses: Vec<String> = uses.collect();
        let (needed, there) = (self.needed, self.there);
        writeln!(
            f,
            "{name:<12}{needed} of {there} bytes: {}",
            uses.join(", ")
        )
    }
}

/// A model on a board.
#[derive(Debug, Serialize)]
pub(super) struct OnBoard {
    board: &'static str,
    title: &'static str,
    core: &'static str,
    mhz: u32,
    fits: bool,
    flash: Bytes,
    ram: Bytes,
    cycles_per_instruction: f64,
    because: &'static str,
    patch_instructions: u64,
    frame_instructions: u64,
    decision_instructions: u64,
    quiet_instructions: u64,
    patch_ms: f64,
    second_ms: f64,
    quiet_ms: f64,
    real_time_percent: f64,
}

/// Returns the names of the boards.
pub(super) fn names() -> Vec<&'static str> {
    TABLE
        .boards
        .iter()
        .map(|board| board.name.as_str())
        .collect()
}

/// Finds a board by its name.
///
/// # Errors
/// If there is none: the error lists those that there are.
pub(super) fn find(name: &str) -> Result<&'static Board> {
    let board = TABLE.boards.iter().find(|board| board.name == name);
    match board {
        Some(board) => Ok(board),
        None => bail!("no board {name:?}; expected one of: {}", names().join(", ")),
    }
}

impl OnBoard {
    /// Estimates what `model` takes on `board`.
    pub(super) fn new(model: &Model<'_>, board: &'static Board) -> Result<Self> {
        let core = TABLE.cores.iter().find(|core| core.name == board.core);
        let core = core.with_context(|| format!("{}: no core of boards.json", board.core))?;
        let measured = FIGURES.boards.get(&core.measured);
        let measured = measured.with_context(|| format!("no figures of {}", core.measured))?;
        let space = model.space();
        let (frontend, dim) = (space.frontend(), space.dim());
        let listener = 4 * Listener::buffer_len(frontend, dim, CLASSES);
        let samples = 2 * RECORDED_SECONDS * frontend.sample_rate as usize;
        let flash = Bytes::new(
            vec![
                ("model", model.as_bytes().len()),
                ("code", measured.memory.program_bytes),
                ("profile", PROFILE),
            ],
            board.flash,
        );
        let ram = Bytes::new(
            vec![
                ("arena", model.arena_len()),
                ("frontend and listener", listener),
                ("head", head_len(dim)),
                ("store", store_scratch_len(CLASSES, EXAMPLES, dim)),
                ("link", link_len(dim)),
                ("last sounds", 2 * 4 * dim),
                ("samples", samples),
                ("drivers and tasks", board.drivers),
                ("stack", 2 * measured.stack_bytes),
            ],
            board.ram,
        );
        let head = measured.heads.iter().find(|head| head.name == HEAD);
        let decision = head.map_or(0, |head| head.decide_instructions);
        let patch = model.ops().map(|op| measured.of_op(&op)).sum();
        let frame = measured.frontend.instructions_per_frame;
        let ms = |instructions: f64| {
            instructions * core.cycles_per_instruction / (f64::from(board.mhz) * 1e3)
        };
        let frames = f64::from(frontend.frames_per_second());
        // While something is heard, a window every half second.
        let windows = 1.0 / f64::from(ListenerConfig::DEFAULT.hop);
        let second = frames * frame as f64 + windows * (patch + decision) as f64;
        let second_ms = ms(second);
        Ok(Self {
            board: &board.name,
            title: &board.title,
            core: &core.name,
            mhz: board.mhz,
            fits: flash.fits() && ram.fits(),
            flash,
            ram,
            cycles_per_instruction: core.cycles_per_instruction,
            because: &core.because,
            patch_instructions: patch,
            frame_instructions: frame,
            decision_instructions: decision,
            quiet_instructions: measured.idle.instructions,
            patch_ms: ms(patch as f64),
            second_ms,
            quiet_ms: ms(measured.idle.instructions as f64),
            real_time_percent: second_ms / 10.0,
        })
    }

    /// Fails if the model does not fit the board.
    ///
    /// # Errors
    /// A sentence with the bytes that are missing.
    pub(super) fn check(&self) -> Result<()> {
        for (what, bytes) in [("flash", &self.flash), ("RAM", &self.ram)] {
            if !bytes.fits() {
                bail!(
                    "does not fit {}: {} bytes of {what}, expected at most {}; take a smaller backbone or another \
                     board",
                    self.board,
                    bytes.needed,
                    bytes.there
                );
            }
        }
        Ok(())
    }
}

/// Returns the bytes of a learner's memory: examples, and the rest for as many.
const fn head_len(dim: usize) -> usize {
    size_of::<Storage<CLASSES, EXAMPLES, 0>>() + (EXAMPLES + 1) * dim
}

/// Returns the bytes of a session of the link: a profile on its way, and a frame in each direction.
const fn link_len(dim: usize) -> usize {
    longest_snapshot(CLASSES, EXAMPLES, dim) + 2 * frame_buffer_len(BLOCK)
}

impl fmt::Display for OnBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            title, core, mhz, ..
        } = self;
        let fits = if self.fits { "fits" } else { "does not fit" };
        writeln!(
            f,
            "board       {title}: {core}, {mhz} MHz; the model {fits}"
        )?;
        self.flash.line(f, "flash")?;
        self.ram.line(f, "RAM")?;
        writeln!(
            f,
            "patch       {:.1} ms, {} instructions",
            self.patch_ms, self.patch_instructions
        )?;
        writeln!(
            f,
            "second      {:.1} ms of work while a sound is heard: {:.0} % of the time",
            self.second_ms, self.real_time_percent
        )?;
        writeln!(
            f,
            "            {:.1} ms while nothing is heard",
            self.quiet_ms
        )?;
        writeln!(
            f,
            "instructions are measured in an emulator; {} cycles for each are assumed: {}",
            self.cycles_per_instruction, self.because
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::model::AlignedBytes;

    fn shipped() -> AlignedBytes {
        AlignedBytes::new(include_bytes!("../../../../models/edge-s/model.slvr"))
    }

    /// On the model that was measured, the estimate is the measurement.
    #[test]
    fn the_measured_model_takes_what_was_measured() {
        let bytes = shipped();
        let model = Model::open(&bytes).unwrap();
        for board in &TABLE.boards {
            let on_board = OnBoard::new(&model, board).unwrap();
            let core = TABLE.cores.iter().find(|core| core.name == board.core);
            let measured = &FIGURES.boards[&core.unwrap().measured];
            let ratio = on_board.patch_instructions as f64 / measured.instructions as f64;
            assert!((0.95..1.05).contains(&ratio), "{}: {ratio}", board.name);
            // Nothing is counted twice: the firmware's own account is in what a board needs.
            assert!(on_board.ram.needed > measured.memory.arena_bytes + measured.memory.head_bytes);
            let head = head_len(model.space().dim()) as f64 / measured.memory.head_bytes as f64;
            assert!((0.95..1.05).contains(&head), "{head}");
        }
    }

    /// RAM as the firmwares take it: the tables in their READMEs are written from what was built.
    #[test]
    fn the_boards_take_the_ram_that_their_firmwares_take() {
        let bytes = shipped();
        let model = Model::open(&bytes).unwrap();
        for name in ["nrf52840", "rp2350", "stm32h743", "esp32c3"] {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../firmware-examples");
            let readme = std::fs::read_to_string(format!("{root}/{name}/README.md")).unwrap();
            let row = readme
                .lines()
                .find(|line| line.starts_with("| RAM: statics"));
            let numbers: Vec<usize> = row
                .unwrap()
                .split('|')
                .filter_map(|cell| cell.trim().replace(',', "").parse().ok())
                .collect();
            let on_board = OnBoard::new(&model, find(name).unwrap()).unwrap();
            let uses = on_board.ram.uses.iter();
            let statics: usize = uses
                .filter(|(what, _)| *what != "stack")
                .map(|(_, b)| b)
                .sum();
            let ratio = statics as f64 / numbers[0] as f64;
            assert!(
                (0.98..1.02).contains(&ratio),
                "{name}: {statics}, {numbers:?}"
            );
            assert_eq!(on_board.ram.there, numbers[1], "{name}");
        }
    }

    #[test]
    fn a_board_that_is_too_small_is_refused() {
        let bytes = shipped();
        let model = Model::open(&bytes).unwrap();
        let small: &'static Board = Box::leak(Box::new(Board {
            flash: 1 << 19,
            ram: 1 << 17,
            ..serde_json::from_str(
                r#"{"name":"x","title":"x","core":"Cortex-M4F","mhz":1,"flash":1,"ram":1,"drivers":0}"#,
            )
            .unwrap()
        }));
        let on_board = OnBoard::new(&model, small).unwrap();
        assert!(!on_board.fits);
        let said = on_board.check().unwrap_err().to_string();
        assert!(
            said.contains("bytes of flash, expected at most 524288"),
            "{said}"
        );
        let said = find("pico").unwrap_err().to_string();
        assert!(said.contains("nrf52840, "), "{said}");
    }
}
