//! The figures of one board, as `cargo xtask bench-firmware` measures and keeps them.

use anyhow::Result;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use xtask::board::Board;

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
    /// Instructions of a whole embedding: all parts of one patch.
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
    /// A second of listening while nothing is heard.
    pub idle: Idle,
    /// Opening and checking the model.
    pub open_instructions: u64,
    /// Opening a model whose bytes were checked before.
    pub open_known_instructions: u64,
    /// Taking only models that a key has signed.
    pub signed: Option<Signed>,
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
    /// Instructions.
    pub instructions: u64,
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

/// A second of listening to a room in which nothing is heard.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Idle {
    /// Instructions.
    pub instructions: u64,
    /// Frames whose features are computed.
    pub frames: f64,
}

/// The cost of taking only models that a key has signed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Signed {
    /// Flash that the example firmware takes more.
    pub flash_bytes: u64,
    /// Computing the hash of the model.
    pub hash_instructions: u64,
    /// Verifying the signature of the hash.
    pub signature_instructions: u64,
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
