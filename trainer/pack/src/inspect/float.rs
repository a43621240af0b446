//! What is in an ONNX model.

use super::{
    FlashParts, Inspection, Operator, Part, RamParts, clip_buffer, in_all, pair, statistics,
};
use crate::engine::{EQUIVARIANT, INVARIANT, SINGLE_OUTPUT};
use crate::graph::Graph;
use crate::onnx::{self, ImportError};
use crate::part_shares;

impl Inspection {
    /// Looks into an ONNX model that says how its input is made.
    pub fn of_onnx(bytes: &[u8]) -> Result<Self, ImportError> {
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
                _ => &[INVARIANT, EQUIVARIANT],
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
}

fn operator(graph: &Graph, index: usize, used: &FlashParts) -> Operator {
    use crate::graph::OpKind;
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

/// Leading operators whose paths are equal.
fn shared_ops(graph: &Graph) -> usize {
    let equal = |op: &&crate::graph::Op| op.kind.channels().windows(2).all(|c| c[0] == c[1]);
    graph.ops.iter().take_while(equal).count()
}
