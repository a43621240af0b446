//! Describes the contents of an ONNX model.

use super::{
    FlashParts, Inspection, Needs, Operator, Part, RamParts, Stored, clip_buffer, pair, statistics,
};
use crate::graph::{Graph, Op};
use crate::onnx::{self, ImportError};

impl Inspection {
    /// Looks into an ONNX model that says how its input is made.
    ///
    /// # Errors
    /// If the model cannot be read, as [`onnx::read`] says.
    pub fn of_onnx(bytes: &[u8]) -> Result<Self, ImportError> {
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
            version_counter: None,
            signature: None,
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
}

impl FlashParts {
    /// Counts the bytes of an operator with weights in floats.
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
