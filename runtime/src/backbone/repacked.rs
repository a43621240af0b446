//! A program prepared for the instruction set of a host: its operators are found once, and its weights
//! lie in the order in which the kernels read them.

use super::run::{Moment, Observer, convolution, copy_addend, depthwise, product, run_op};
use crate::model::{Model, Op, OpKind};
use crate::nn::arch::InstructionSet;
use crate::nn::arch::host::{self, PaddedMap, RepackedConvolution, Repacker};
use crate::nn::{Convolution, Padding, Quantisation, Window};

/// The operators of a model, ready to run.
#[derive(Debug)]
pub(super) struct Repacked<'a> {
    instruction_set: InstructionSet,
    ops: Vec<RepackedOp<'a>>,
    padded: PaddedMap,
}

#[derive(Debug)]
struct RepackedOp<'a> {
    op: Op<'a>,
    /// The repacked layer, if the operator is a convolution or linear layer.
    convolution: Option<RepackedConvolution>,
}

impl<'a> Repacked<'a> {
    /// Prepares `model`. `None` for the portable instruction set, whose kernels read a model as it is, and
    /// for one that this machine lacks.
    pub fn new(model: &Model<'a>, instruction_set: InstructionSet) -> Option<Self> {
        if instruction_set == InstructionSet::Portable || !instruction_set.is_available() {
            return None;
        }
        let mut repacker = Repacker::new(instruction_set);
        let ops = model.ops().map(|op| {
            let described = match op.kind {
                OpKind::Convolution => Some(convolution(&op)),
                OpKind::Linear => Some(as_convolution(&op)),
                _ => None,
            };
            RepackedOp {
                op,
                convolution: described.map(|described| repacker.convolution(&described)),
            }
        });
        Some(Self {
            instruction_set,
            ops: ops.collect(),
            padded: PaddedMap::default(),
        })
    }

    /// Returns the instruction set that it runs on.
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }

    /// Quantises a patch.
    pub fn quantise(&self, quantisation: Quantisation, patch: &[f32], input: &mut [i8]) {
        host::quantise_all(self.instruction_set, &quantisation, patch, input);
    }

    /// Runs the operators. `None` if the arena has no room for their operands.
    pub fn run(&mut self, arena: &mut [i8], observe: Observer<'_>) -> Option<()> {
        for prepared in &self.ops {
            observe(prepared.op.index, Moment::Before);
            prepared.run(arena, self.instruction_set, &mut self.padded)?;
            observe(prepared.op.index, Moment::After);
        }
        Some(())
    }
}

impl RepackedOp<'_> {
    fn run(
        &self,
        arena: &mut [i8],
        instruction_set: InstructionSet,
        padded: &mut PaddedMap,
    ) -> Option<()> {
        let op = &self.op;
        let has_kernel = matches!(
            op.kind,
            OpKind::Convolution
                | OpKind::Linear
                | OpKind::Add
                | OpKind::Depthwise
                | OpKind::Multiply
        );
        if !has_kernel {
            return run_op(arena, op);
        }
        copy_addend(arena, op)?;
        let ranges = [op.input.range(), op.output.range()];
        let [input, output] = arena.get_disjoint_mut(ranges).ok()?;
        match (&self.convolution, op.kind) {
            (Some(convolution), _) => convolution.run(input, output, padded),
            (None, OpKind::Depthwise) => {
                host::depthwise(instruction_set, &depthwise(op), input, output);
            }
            (None, OpKind::Multiply) => {
                host::multiply(instruction_set, &product(op)?, input, output);
            }
            (None, _) => host::add(instruction_set, &op.tables.add?, input, output),
        }
        Some(())
    }
}

/// Describes a linear layer as the convolution that it is, its kernel as large as the map.
fn as_convolution<'a>(op: &Op<'a>) -> Convolution<'a> {
    let window = Window {
        kernel: [op.input.shape.height, op.input.shape.width],
        stride: [1, 1],
        padding: Padding::default(),
        dilation: [1, 1],
    };
    Convolution {
        window,
        ..convolution(op)
    }
}
