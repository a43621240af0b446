//! Tells what a model costs on a device and what is in it.

mod table;

use super::graph::{Graph, Op};
use super::memory_plan::MemoryPlan;
use super::onnx;
use crate::net::BackboneSpec;
use anyhow::Result;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::Reference;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::model::wire::{OpRecord, TensorRecord};
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
    /// Where the weights come from.
    pub provenance: String,
    /// SHA-256 hash of the contents, which identifies a packed model; `None` for ONNX.
    pub hash: Option<Hash>,
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

/// Where a file's bytes go. In ONNX weights are floats, and the tables are its norms.
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
    /// Activations; `None` for a float engine, which sees to its own.
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
}

/// One operator.
#[derive(Clone, Debug, Serialize)]
pub struct Operator {
    /// Its name; a packed model has no names.
    pub name: Option<String>,
    /// What it computes, in the field's terms.
    pub kind: String,
    /// `height x width x channels` of what it reads.
    pub input: String,
    /// The same of what it writes.
    pub output: String,
    /// `height x width` of its kernel.
    pub kernel: String,
    /// `height x width` of its stride.
    pub stride: String,
    /// Whether it has an adapter beside its kernels.
    pub adapter: bool,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of the file that no operator before it takes: tables that operators share count once.
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
            file_bytes,
            flash,
            ram: RamParts {
                arena: Some(model.arena_len()),
                clip_buffer: clip_buffer(space.frontend(), space.dim()),
            },
            memory_plan: Some(MemoryPlan::of(model)),
            macs: needs.all(),
            frontend: space.frontend().into(),
            parts: parts
                .map(|(part, tensor)| Part {
                    name: part.name.to_owned(),
                    len: part.len,
                    share: part.share,
                    macs: needs.of(tensor.index),
                })
                .collect(),
            statistics: Some(statistics(space.base_mean(), space.reference())),
            operators,
        }
    }

    /// Looks into an ONNX model that says how its input is made.
    ///
    /// # Errors
    /// If the model cannot be read, as [`onnx::read`] says.
    pub fn of_onnx(bytes: &[u8]) -> Result<Self> {
        let metadata = onnx::read_metadata(bytes)?;
        let graph = onnx::read(bytes, None)?;
        let measured = metadata.base_mean.as_ref().zip(metadata.reference.as_ref());
        let mut flash = FlashParts::default();
        let mut operators = Vec::new();
        let mut needs = Needs::default();
        let mut stored = Stored::default();
        for op in &graph.ops {
            let used = FlashParts::of_float_op(op, &mut stored);
            flash.add(&used);
            let (first, second) = op.kind.operands();
            needs.push(first, second, op.macs());
            operators.push(operator(&graph, op, &used));
        }
        flash.other = bytes.len().saturating_sub(flash.sum());
        let parts = graph.outputs.iter().map(|output| Part {
            name: output.name.clone(),
            len: graph.shape(output.tensor).len(),
            share: output.share,
            macs: needs.of(output.tensor),
        });
        Ok(Self {
            format: "onnx",
            name: String::new(),
            provenance: graph.provenance.clone().unwrap_or_default(),
            hash: None,
            file_bytes: bytes.len(),
            flash,
            ram: RamParts {
                arena: None,
                clip_buffer: clip_buffer(&graph.frontend, graph.dim()),
            },
            memory_plan: None,
            macs: needs.all(),
            frontend: (&graph.frontend).into(),
            parts: parts.collect(),
            statistics: measured.map(|(mean, reference)| statistics(mean, reference)),
            operators,
        })
    }

    /// Returns the shape of the trunk, if the exporter wrote it into the provenance.
    pub fn trunk(&self) -> Option<BackboneSpec> {
        BackboneSpec::from_provenance(&self.provenance)
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

    /// Counts those of an operator with weights in floats.
    fn of_float_op(op: &Op, stored: &mut Stored) -> Self {
        let Some(channels) = op.kind.channels() else {
            return Self::default();
        };
        Self {
            weights: stored.new_bytes(&channels.weights),
            adapters: channels.adapter.as_ref().map_or(0, |a| size_of_val(&a[..])),
            // Gain, bias, mean and variance.
            tables: 4 * size_of_val(&channels.gain[..]),
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

/// What each operator reads, and its multiply-accumulates.
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
        self.ops.iter().map(|(_, _, macs)| macs).sum()
    }

    /// Counts those of the operators that `tensor` needs.
    fn of(&self, tensor: usize) -> u64 {
        let mut needed = vec![false; self.ops.len() + 1];
        needed[tensor] = true;
        let mut sum = 0;
        for (index, &(first, second, macs)) in self.ops.iter().enumerate().rev() {
            if needed[index + 1] {
                sum += macs;
                needed[first] = true;
                needed[second.unwrap_or(first)] = true;
            }
        }
        sum
    }
}

fn operator(graph: &Graph, op: &Op, used: &FlashParts) -> Operator {
    let (window, input) = (op.kind.window(), graph.shape(op.kind.operands().0));
    Operator {
        name: Some(op.name.clone()),
        kind: op.kind.op_kind().name().to_owned(),
        input: input.to_string(),
        output: op.output.to_string(),
        kernel: pair(window.kernel),
        stride: pair(window.stride),
        adapter: used.adapters > 0,
        macs: op.macs(),
        bytes: used.sum(),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::calibration::RangeRule;
    use crate::export::memory_plan::Buffer;
    use crate::export::{BackboneFile, PackOptions, calibration_clips, pack, random};
    use crate::net::AdapterKind;

    #[test]
    fn both_forms_of_a_model_tell_the_same_of_it() {
        let spec = random::spec(AdapterKind::Parallel, 1);
        let weights = random::weights(&spec, 2);
        let (frontend, statistics) = (random::frontend(), random::statistics(&spec));
        let onnx = onnx::write(&spec, &weights, &frontend, &statistics, "a test").unwrap();
        let graph = onnx::read(&onnx, None).unwrap();
        let options = PackOptions {
            name: "test".into(),
            provenance: "a test".into(),
            fold: false,
            range: RangeRule::default(),
        };
        let clips = &calibration_clips(&frontend)[..8];
        let packed = pack(&graph, clips, &options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inspect = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let file = BackboneFile::read(&path, None).unwrap();
            file.inspect().unwrap()
        };
        let (float, int8) = (inspect("m.onnx", &onnx), inspect("m.slvr", &packed));
        assert_eq!(float.macs, int8.macs);
        // Fusion changes no count of a part either.
        assert_eq!(float.parts, int8.parts);
        let named = |at: usize| (float.parts[at].name.as_str(), float.parts[at].len);
        assert_eq!(
            [named(0), named(1)],
            [("invariant", 12), ("equivariant", 12)]
        );
        // Stem and first stage are there once: a block of two convolutions and their sum, which is
        // fused when packed. The second stage's eight operators and the average are each part's own.
        assert_eq!(
            (float.operators.len(), int8.operators.len()),
            (1 + 3 + 2 * 8, 1 + 2 + 2 * 6)
        );
        let shared: u64 = int8.operators[..3].iter().map(|op| op.macs).sum();
        let alone: u64 = int8.parts.iter().map(|part| part.macs).sum();
        assert!(shared > 0 && int8.macs + shared == alone);
        assert!(int8.hash.as_ref().unwrap().verified);
        let f = int8.flash;
        assert_eq!(f.weights + f.adapters + f.tables + f.other, packed.len());
        assert_eq!(float.flash.adapters, 4 * int8.flash.adapters);
        let text = int8.to_string();
        for part in ["arena", "conv (adapted)", "5x5", "16000 Hz", "share 0.7"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json = serde_json::to_value(&int8).unwrap();
        assert_eq!(json["ram"]["arena"], int8.ram.arena.unwrap());

        // The plan in words is the plan: the fullest moment is the bound, and the arena's end is used.
        let plan = int8.memory_plan.as_ref().unwrap();
        assert_eq!(json["memory_plan"]["arena"], plan.arena);
        assert!(float.memory_plan.is_none());
        let needed_at = |time: usize| -> usize {
            let live = |b: &&Buffer| (b.lifetime[0]..=b.lifetime[1]).contains(&time);
            let over_addend = |b: &&Buffer| b.in_place && b.lifetime[0] == time;
            let buffers = plan.buffers.iter().filter(live);
            buffers.filter(|b| !over_addend(b)).map(|b| b.bytes).sum()
        };
        let end = int8.operators.len() + 1;
        assert_eq!((0..=end).map(needed_at).max(), Some(plan.lower_bound));
        let ends = plan.buffers.iter().map(|b| b.offset + b.bytes);
        assert_eq!(ends.max(), Some(plan.arena));
        assert!(plan.above_bound_percent <= 5.0);
        assert!(plan.buffers.iter().any(|b| b.in_place));
        assert!(
            text.contains("lower bound") && text.contains("output of 0"),
            "{text}"
        );
    }
}
