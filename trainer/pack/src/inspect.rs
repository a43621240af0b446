//! Describes a model's contents and its cost on a device.

#[cfg(feature = "onnx")]
mod float;
mod table;

use crate::memory_plan::MemoryPlan;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::{FrontendConfig, PatchMean};
use mtslvr_runtime::model::wire::{OpRecord, SignatureRecord, TensorRecord};
use mtslvr_runtime::model::{self, Model};
use serde::Serialize;
use std::collections::HashSet;

/// A model seen from outside; its JSON form is what `mtslvr inspect --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// `slvr` or `onnx`.
    pub format: &'static str,
    /// Name of the model; empty for ONNX.
    pub name: String,
    /// Origin of the weights.
    pub provenance: String,
    /// SHA-256 hash of the contents, which identifies a packed model; `None` for ONNX.
    pub hash: Option<Hash>,
    /// Number that grows from one release of a model to the next; `None` if it has none.
    pub version_counter: Option<u64>,
    /// Who signed the model; `None` if nobody did, and for ONNX.
    pub signature: Option<Signature>,
    /// Bytes of the file.
    pub file_bytes: usize,
    /// Bytes by use, which add up to the file.
    pub flash: FlashParts,
    /// Bytes of working memory; for ONNX only the clip's buffer is known.
    pub ram: RamParts,
    /// How activations share the arena; `None` for ONNX.
    pub memory_plan: Option<MemoryPlan>,
    /// Multiply-accumulates for one patch.
    pub macs: u64,
    /// How patches are made.
    pub frontend: Frontend,
    /// The parts of an embedding in their order.
    pub parts: Vec<Part>,
    /// Statistics of embeddings of ordinary audio.
    pub statistics: Option<Statistics>,
    /// The operators in the order they run.
    pub operators: Vec<Operator>,
}

/// A packed model's hash.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hash {
    /// The hash that the file states, 64 hexadecimal digits.
    pub stated: String,
    /// Whether the contents have this hash.
    pub verified: bool,
}

/// Who signed a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Signature {
    /// Id of the key, 16 hexadecimal digits.
    pub key: String,
    /// Whether it is the signature of the key that is trusted; `None` if nobody said which one is.
    pub trusted: Option<bool>,
}

impl Signature {
    /// Describes the signature of `record`, which has not been verified.
    pub fn of(record: &SignatureRecord) -> Self {
        Self {
            key: hexadecimal(&record.key_id),
            trusted: None,
        }
    }
}

/// Bytes of a file by use. In ONNX weights are floats, and the tables are its norms.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FlashParts {
    /// Kernels.
    pub weights: usize,
    /// Adapters.
    pub adapters: usize,
    /// Biases, multipliers, records of operators and tensors.
    pub tables: usize,
    /// Headers, parts, base mean, names, padding.
    pub other: usize,
}

/// Working memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RamParts {
    /// Activations; `None` for a float engine, which allocates its own.
    pub arena: Option<usize>,
    /// Frontend, patch and embeddings of a clip.
    pub clip_buffer: usize,
}

/// The frontend's parameters.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Frontend {
    sample_rate: u32,
    window: u16,
    hop: u16,
    mels: u16,
    frames: u16,
    f_min: f32,
    f_max: f32,
    floor: f32,
    mean: f32,
    scale: f32,
    transform: usize,
    spectrum: &'static str,
    mel_scale: &'static str,
    band_norm: &'static str,
    floor_rule: &'static str,
    framing: &'static str,
    patch_mean: &'static str,
    bands: bool,
}

/// A part of an embedding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Number of its values.
    pub len: usize,
    /// Share in the similarity of two embeddings, 0 to 1.
    pub share: f32,
    /// Multiply-accumulates for one patch of all operators that it needs; parts may need the same ones.
    pub macs: u64,
}

/// Statistics of embeddings over base audio.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Statistics {
    /// Length of the mean embedding.
    pub base_mean_norm: f32,
    /// Similarities that 50, 25, 10, 5, 2, 1, 0.5 and 0.2 % of unrelated pairs exceed. One that 5 %
    /// exceed is the default threshold of the unknown decision for a single class.
    pub unrelated_similarity: [f32; 8],
    /// Directions of ordinary sounds that a query is compared with; ONNX holds none.
    pub cohort: usize,
    /// Whether each of these says how much the parts count for sounds near it.
    pub cohort_weights: bool,
}

/// One operator.
#[derive(Clone, Debug, Serialize)]
pub struct Operator {
    /// Its name; a packed model has no names.
    pub name: Option<String>,
    /// Its kind, in the field's terms.
    pub kind: String,
    /// `height x width x channels` of its input.
    pub input: String,
    /// `height x width x channels` of its output.
    pub output: String,
    /// `height x width` of its kernel.
    pub kernel: String,
    /// `height x width` of its stride.
    pub stride: String,
    /// Whether it has an adapter beside its kernels.
    pub adapter: bool,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of the file, without tables that an operator before it has.
    pub bytes: usize,
}

impl Inspection {
    /// Looks into a packed model.
    pub fn of_packed(model: &Model<'_>) -> Self {
        let mut flash = FlashParts::default();
        let mut operators = Vec::new();
        let mut needs = Needs::default();
        let mut stored = Stored::default();
        for op in model.ops() {
            let used = FlashParts::of_op(&op, &mut stored);
            flash.add(&used);
            needs.push(
                op.input.index,
                op.second.map(|second| second.index),
                op.macs(),
            );
            operators.push(Operator {
                name: None,
                kind: match op.second {
                    Some(_) if op.kind.name() != "add" => format!("{} + add", op.kind.name()),
                    _ => op.kind.name().to_owned(),
                },
                input: op.input.shape.to_string(),
                output: op.output.shape.to_string(),
                kernel: pair(op.window.kernel),
                stride: pair(op.window.stride),
                adapter: !op.tables.adapter.is_empty(),
                macs: op.macs(),
                bytes: used.sum(),
            });
        }
        let file_bytes = model.as_bytes().len();
        flash.other = file_bytes - flash.sum();
        let norm = model.patch_norm();
        let space = model.space();
        let parts = space.parts().as_slice().iter().zip(model.outputs());
        Self {
            format: "slvr",
            name: model.name().to_owned(),
            provenance: model.provenance().to_owned(),
            hash: Some(Hash {
                stated: hexadecimal(space.backbone().as_bytes()),
                verified: model.verify_hash(),
            }),
            version_counter: model.version_counter(),
            signature: model.signature().as_ref().map(Signature::of),
            file_bytes,
            flash,
            ram: RamParts {
                arena: Some(model.arena_len()),
                clip_buffer: clip_buffer(space.frontend(), space.dim()),
            },
            memory_plan: Some(MemoryPlan::of(model)),
            macs: needs.all(),
            frontend: Frontend {
                patch_mean: norm.map_or(PatchMean::None, |norm| norm.mean).name(),
                bands: norm.is_some_and(|norm| !norm.bands.is_empty()),
                ..space.frontend().into()
            },
            parts: parts
                .map(|(part, tensor)| Part {
                    name: part.name.to_owned(),
                    len: part.len,
                    share: part.share,
                    macs: needs.of(tensor.index),
                })
                .collect(),
            statistics: Some(Statistics {
                cohort: space.cohort().map_or(0, |cohort| cohort.len()),
                cohort_weights: space.cohort().is_some_and(|c| !c.weights().is_empty()),
                ..statistics(space.base_mean(), space.reference())
            }),
            operators,
        }
    }
}

impl FlashParts {
    /// Counts the bytes of a packed operator; those of tables that are in `stored` already are not
    /// counted again.
    fn of_op(op: &model::Op<'_>, stored: &mut Stored) -> Self {
        let tables = &op.tables;
        Self {
            weights: stored.new_bytes(tables.weights),
            adapters: stored.new_bytes(tables.adapter),
            tables: stored.new_bytes(tables.bias)
                + stored.new_bytes(tables.multipliers)
                + OpRecord::LEN
                + TensorRecord::LEN,
            other: 0,
        }
    }

    fn add(&mut self, used: &Self) {
        self.weights += used.weights;
        self.adapters += used.adapters;
        self.tables += used.tables;
        self.other += used.other;
    }

    fn sum(&self) -> usize {
        self.weights + self.adapters + self.tables + self.other
    }
}

/// Addresses of the tables that were counted.
#[derive(Default)]
struct Stored(HashSet<*const ()>);

impl Stored {
    /// Returns the bytes of `table`, or 0 if it was counted before.
    fn new_bytes<T>(&mut self, table: &[T]) -> usize {
        let new = !table.is_empty() && self.0.insert(table.as_ptr().cast());
        if new { size_of_val(table) } else { 0 }
    }
}

/// The operands of each operator, and its multiply-accumulates.
#[derive(Default)]
struct Needs {
    ops: Vec<(usize, Option<usize>, u64)>,
}

impl Needs {
    fn push(&mut self, first: usize, second: Option<usize>, macs: u64) {
        self.ops.push((first, second, macs));
    }

    /// Counts the multiply-accumulates of all operators.
    fn all(&self) -> u64 {
        self.ops
            .iter()
            .fold(0, |sum: u64, (_, _, macs)| sum.saturating_add(*macs))
    }

    /// Counts the multiply-accumulates of the operators that `tensor` needs.
    fn of(&self, tensor: usize) -> u64 {
        let mut needed = vec![false; self.ops.len() + 1];
        needed[tensor] = true;
        let mut sum = 0;
        for (index, &(first, second, macs)) in self.ops.iter().enumerate().rev() {
            if needed[index + 1] {
                sum = macs.saturating_add(sum);
                needed[first] = true;
                needed[second.unwrap_or(first)] = true;
            }
        }
        sum
    }
}

fn clip_buffer(frontend: &FrontendConfig, dim: usize) -> usize {
    4 * ClipEmbedder::buffer_len(frontend, dim)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn statistics(base_mean: &[f32], reference: &Reference) -> Statistics {
    Statistics {
        base_mean_norm: base_mean.iter().map(|v| v * v).sum::<f32>().sqrt(),
        unrelated_similarity: *reference.quantiles(),
        cohort: 0,
        cohort_weights: false,
    }
}

fn pair([height, width]: [usize; 2]) -> String {
    format!("{height}x{width}")
}

impl From<&FrontendConfig> for Frontend {
    fn from(c: &FrontendConfig) -> Self {
        Self {
            sample_rate: c.sample_rate,
            window: c.window,
            hop: c.hop,
            mels: c.mels,
            frames: c.frames,
            f_min: c.f_min,
            f_max: c.f_max,
            floor: c.floor,
            mean: c.mean,
            scale: c.scale,
            transform: c.transform_len(),
            spectrum: c.form.spectrum.name(),
            mel_scale: c.form.mel_scale.name(),
            band_norm: c.form.band_norm.name(),
            floor_rule: c.form.floor_rule.name(),
            framing: c.form.framing.name(),
            patch_mean: PatchMean::None.name(),
            bands: false,
        }
    }
}
