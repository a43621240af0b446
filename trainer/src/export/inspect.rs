//! What a model costs on a device and what is in it.

use super::graph::Graph;
use super::memory_plan::MemoryPlan;
use super::onnx;
use super::part_shares;
use crate::net::{BackboneSpec, PATH_OUTPUTS, SINGLE_OUTPUT};
use anyhow::Result;
use mtslvr_runtime::clip::ClipEmbedder;
use mtslvr_runtime::fewshot::{REFERENCE_TAILS, Reference};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::model::Model;
use serde::Serialize;
use std::fmt;

/// A model seen from outside; its JSON form is what `mtslvr inspect --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// `slvr` or `onnx`.
    pub format: &'static str,
    /// What the model is called; empty for ONNX.
    pub name: String,
    /// Where the weights come from.
    pub provenance: String,
    /// Bytes of the file.
    pub file_bytes: usize,
    /// Bytes by part, which add up to the file.
    pub flash: FlashParts,
    /// Bytes of working memory; for ONNX only the clip's buffer is known.
    pub ram: RamParts,
    /// How activations share the arena; `None` for ONNX.
    pub memory_plan: Option<MemoryPlan>,
    /// Multiply-accumulates for one patch, one entry for each path.
    pub macs: Vec<u64>,
    /// Leading operators that both paths share and that run once.
    pub shared_ops: usize,
    /// Multiply-accumulates for one patch through all paths, those of shared operators once.
    pub macs_in_all: u64,
    /// How patches are made.
    pub frontend: Frontend,
    /// The parts of an embedding in their order.
    pub parts: Vec<Part>,
    /// What heads centre with.
    pub statistics: Option<Statistics>,
    /// The operators in the order they run.
    pub operators: Vec<Operator>,
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
    /// Header, base mean, names, padding.
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
    /// What it is called.
    pub name: String,
    /// Number of its values.
    pub len: usize,
    /// Share in the similarity of two embeddings, 0 to 1.
    pub share: f32,
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
    /// What it is called; a packed model has no names.
    pub name: Option<String>,
    /// What it computes.
    pub kind: String,
    /// `height x width x channels` of what it reads.
    pub input: String,
    /// The same of what it writes.
    pub output: String,
    /// `height x width` of its kernel.
    pub kernel: String,
    /// `height x width` of its stride.
    pub stride: String,
    /// Whether each path has an adapter beside the shared kernels.
    pub adapter: bool,
    /// Multiply-accumulates of one path.
    pub macs: u64,
    /// Bytes of the file.
    pub bytes: usize,
}

impl Inspection {
    /// Looks into a packed model.
    pub fn of_packed(model: &Model<'_>) -> Self {
        let mut flash = FlashParts::default();
        let mut operators = Vec::new();
        let mut macs = vec![0; model.paths()];
        for op in model.ops() {
            let used = op.flash();
            flash.weights += used.weights;
            flash.adapters += used.adapters;
            flash.tables += used.tables;
            for (path, total) in macs.iter_mut().enumerate() {
                *total += op.macs(path);
            }
            operators.push(Operator {
                name: None,
                kind: match op.second {
                    Some(_) if op.kind.name() != "add" => format!("{} + add", op.kind.name()),
                    _ => op.kind.name().to_owned(),
                },
                input: op.input_shape.to_string(),
                output: op.output_shape.to_string(),
                kernel: pair(op.window.kernel),
                stride: pair(op.window.stride),
                adapter: used.adapters > 0,
                macs: op.macs(0),
                bytes: used.weights + used.adapters + used.tables,
            });
        }
        let shared_ops = model.shared_ops();
        let file_bytes = model.as_bytes().len();
        flash.other = file_bytes - flash.weights - flash.adapters - flash.tables;
        let space = model.space();
        let parts = space.parts().as_slice().iter();
        Self {
            format: "slvr",
            name: model.name().to_owned(),
            provenance: model.provenance().to_owned(),
            file_bytes,
            flash,
            ram: RamParts {
                arena: Some(model.arena_len()),
                clip_buffer: clip_buffer(space.frontend(), space.dim()),
            },
            memory_plan: Some(MemoryPlan::of(model)),
            macs_in_all: in_all(&macs, &operators[..shared_ops]),
            macs,
            shared_ops,
            frontend: space.frontend().into(),
            parts: parts
                .map(|part| Part {
                    name: part.name.to_owned(),
                    len: part.len,
                    share: part.share,
                })
                .collect(),
            statistics: Some(statistics(space.base_mean(), space.reference())),
            operators,
        }
    }

    /// Looks into an ONNX model that says how its input is made.
    pub fn of_onnx(bytes: &[u8]) -> Result<Self> {
        let metadata = onnx::read_metadata(bytes)?;
        let graph = onnx::read(bytes, None)?;
        let measured = metadata.base_mean.as_ref().zip(metadata.reference.as_ref());
        let mut flash = FlashParts::default();
        let mut operators = Vec::new();
        for (index, op) in graph.ops.iter().enumerate() {
            let channels = op.kind.channels();
            let mut used = FlashParts::default();
            let shared = channels.windows(2).all(|c| c[0].weights == c[1].weights);
            for (path, channels) in channels.iter().enumerate() {
                let adapter = channels.adapter.as_ref().map_or(0, |a| a.len());
                used.adapters += 4 * adapter;
                if path == 0 || !shared {
                    used.weights += 4 * channels.weights.len();
                }
                // Gain, bias, mean and variance.
                used.tables += 16 * channels.gain.len();
            }
            flash.weights += used.weights;
            flash.adapters += used.adapters;
            flash.tables += used.tables;
            operators.push(operator(&graph, index, &used));
        }
        let counted = flash.weights + flash.adapters + flash.tables;
        flash.other = bytes.len().saturating_sub(counted);
        let shared_ops = shared_ops(&graph);
        let macs: Vec<u64> = (0..graph.paths).map(|path| graph.macs(path)).collect();
        let len = graph.path_dim();
        let named = metadata.parts.unwrap_or_else(|| {
            let names: &[&str] = match graph.paths {
                1 => &[SINGLE_OUTPUT],
                _ => &PATH_OUTPUTS,
            };
            let names = names.iter().map(|name| (*name).to_owned());
            names.zip(part_shares(graph.paths)).collect()
        });
        Ok(Self {
            format: "onnx",
            name: String::new(),
            provenance: graph.provenance.clone().unwrap_or_default(),
            file_bytes: bytes.len(),
            flash,
            ram: RamParts {
                arena: None,
                clip_buffer: clip_buffer(&graph.frontend, len * graph.paths),
            },
            memory_plan: None,
            macs_in_all: in_all(&macs, &operators[..shared_ops]),
            macs,
            shared_ops,
            frontend: (&graph.frontend).into(),
            parts: named
                .into_iter()
                .map(|(name, share)| Part { name, len, share })
                .collect(),
            statistics: measured.map(|(mean, reference)| statistics(mean, reference)),
            operators,
        })
    }

    /// Shape of the trunk, if the exporter wrote it into the provenance.
    pub fn trunk(&self) -> Option<BackboneSpec> {
        BackboneSpec::from_provenance(&self.provenance)
    }
}

fn operator(graph: &Graph, index: usize, used: &FlashParts) -> Operator {
    use super::graph::OpKind;
    let op = &graph.ops[index];
    let (kind, window) = match &op.kind {
        OpKind::Convolution { window, .. } => ("convolution", Some(window)),
        OpKind::Linear { .. } => ("linear", None),
        OpKind::Add { .. } => ("add", None),
        OpKind::MaxPool { window, .. } => ("max pool", Some(window)),
        OpKind::AveragePool { window, .. } => ("average pool", Some(window)),
    };
    let input = graph.shape(op.kind.operands().0);
    Operator {
        name: Some(op.name.clone()),
        kind: kind.to_owned(),
        input: input.to_string(),
        output: op.output.to_string(),
        kernel: pair(window.map_or([1, 1], |w| w.kernel)),
        stride: pair(window.map_or([1, 1], |w| w.stride)),
        adapter: used.adapters > 0,
        macs: op.macs(0),
        bytes: used.weights + used.adapters + used.tables,
    }
}

/// Multiply-accumulates of paths that take `macs` each, where the operators `shared` by all run once.
fn in_all(macs: &[u64], shared: &[Operator]) -> u64 {
    let once: u64 = shared.iter().map(|op| op.macs).sum();
    macs.iter().map(|path| path - once).sum::<u64>() + once
}

/// Leading operators whose paths are equal.
fn shared_ops(graph: &Graph) -> usize {
    let equal = |op: &&super::graph::Op| op.kind.channels().windows(2).all(|c| c[0] == c[1]);
    graph.ops.iter().take_while(equal).count()
}

fn clip_buffer(frontend: &FrontendConfig, dim: usize) -> usize {
    4 * ClipEmbedder::buffer_len(frontend, dim)
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

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            writeln!(f, "name        {}", self.name)?;
        }
        for (index, line) in self.provenance.lines().enumerate() {
            let label = if index == 0 { "provenance" } else { "" };
            writeln!(f, "{label:<12}{line}")?;
        }
        let FlashParts {
            weights,
            adapters,
            tables,
            other,
        } = self.flash;
        writeln!(
            f,
            "flash       {} bytes: weights {weights}, adapters {adapters}, tables {tables}, other {other}",
            self.file_bytes
        )?;
        let arena = match self.ram.arena {
            Some(arena) => format!("arena {arena} bytes, "),
            None => String::new(),
        };
        writeln!(
            f,
            "RAM         {arena}clip buffer {} bytes",
            self.ram.clip_buffer
        )?;
        let macs: Vec<String> = self.macs.iter().map(|m| millions(*m)).collect();
        writeln!(
            f,
            "MAC         {} a patch; by path {}, of which the first {} of {} operators run once for all",
            millions(self.macs_in_all),
            macs.join(" + "),
            self.shared_ops,
            self.operators.len()
        )?;
        let c = &self.frontend;
        writeln!(
            f,
            "frontend    {} Hz, window {}, hop {}, {} mels {} to {} Hz, {} frames; (ln(power + {:e}) - {}) * {}",
            c.sample_rate,
            c.window,
            c.hop,
            c.mels,
            c.f_min,
            c.f_max,
            c.frames,
            c.floor,
            c.mean,
            c.scale
        )?;
        for (index, part) in self.parts.iter().enumerate() {
            let label = if index == 0 { "embedding" } else { "" };
            let Part { name, len, share } = part;
            writeln!(f, "{label:<12}{name}: {len} values, share {share}")?;
        }
        if let Some(s) = &self.statistics {
            writeln!(
                f,
                "statistics  length of the base mean {:.4}",
                s.base_mean_norm
            )?;
            let tails = REFERENCE_TAILS.iter().zip(s.unrelated_similarity);
            let tails = tails.map(|(tail, q)| format!("{} % above {q:.3}", 100.0 * tail));
            let tails: Vec<String> = tails.collect();
            writeln!(f, "reference   of unrelated pairs, {}", tails.join(", "))?;
        }
        writeln!(
            f,
            "\n  #  {:<18} {:>12} {:>12} {:>7} {:>7} {:>9} {:>9}  name",
            "operator", "input", "output", "kernel", "stride", "MAC", "bytes"
        )?;
        for (index, op) in self.operators.iter().enumerate() {
            let kind = if op.adapter {
                format!("{} (adapted)", op.kind.replace("convolution", "conv"))
            } else {
                op.kind.clone()
            };
            writeln!(
                f,
                "{index:>3}  {kind:<18} {:>12} {:>12} {:>7} {:>7} {:>9} {:>9}  {}",
                op.input,
                op.output,
                op.kernel,
                op.stride,
                millions(op.macs),
                op.bytes,
                op.name.as_deref().unwrap_or("")
            )?;
        }
        if let Some(plan) = &self.memory_plan {
            write!(f, "\n{plan}")?;
        }
        Ok(())
    }
}

fn millions(macs: u64) -> String {
    format!("{:.3} M", macs as f64 / 1e6)
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
        assert_eq!(float.parts, int8.parts);
        let named = |at: usize| (float.parts[at].name.as_str(), float.parts[at].len);
        assert_eq!(
            [named(0), named(1)],
            [("invariant", 12), ("equivariant", 12)]
        );
        // The stem and a block of two convolutions and their sum, which is fused when packed.
        assert_eq!((float.shared_ops, int8.shared_ops), (4, 3));
        assert_eq!(float.macs_in_all, int8.macs_in_all);
        let shared: u64 = int8.operators[..3].iter().map(|op| op.macs).sum();
        assert!(shared > 0 && int8.macs_in_all + shared == int8.macs.iter().sum::<u64>());
        let f = int8.flash;
        assert_eq!(f.weights + f.adapters + f.tables + f.other, packed.len());
        assert_eq!(float.flash.adapters, 4 * int8.flash.adapters);
        let text = int8.to_string();
        for part in [
            "arena",
            "conv (adapted)",
            "5x5",
            "16000 Hz",
            "rejection similarity",
        ] {
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
        assert_eq!((0..=8).map(needed_at).max(), Some(plan.lower_bound));
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
