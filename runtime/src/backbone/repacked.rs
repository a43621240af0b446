//! A program prepared for the instruction set of a host: operators resolved once, weights in the
//! order in which its kernels read them.

use core::ops::Range;

use super::packed::{Moment, Observer, copy_addend, run_op};
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
    input: Range<usize>,
    output: Range<usize>,
    /// One for each path; none for what is not a convolution or linear layer.
    convolutions: Vec<RepackedConvolution>,
}

impl<'a> Repacked<'a> {
    /// Prepares `model`; `None` for the portable instruction set, whose kernels read a model as it is.
    ///
    /// # Panics
    /// If this machine lacks the instruction set.
    pub fn new(model: &Model<'a>, instruction_set: InstructionSet) -> Option<Self> {
        if instruction_set == InstructionSet::Portable {
            return None;
        }
        let mut repacker = Repacker::new(instruction_set);
        let ops = model.ops().map(|op| {
            let paths = match op.kind {
                OpKind::Convolution | OpKind::Linear => 0..model.paths(),
                _ => 0..0,
            };
            let convolutions =
                paths.map(|path| repacker.convolution(&convolution(model, &op, path)));
            RepackedOp {
                op,
                input: model.tensor(op.input).range(),
                output: model.tensor(op.index + 1).range(),
                convolutions: convolutions.collect(),
            }
        });
        Some(Self {
            instruction_set,
            ops: ops.collect(),
            padded: PaddedMap::default(),
        })
    }

    /// What it runs on.
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }

    /// Quantises a patch.
    pub fn quantise(&self, quantisation: Quantisation, patch: &[f32], input: &mut [i8]) {
        host::quantise_all(self.instruction_set, &quantisation, patch, input);
    }

    /// Runs the operators from `first` on.
    pub fn run(
        &mut self,
        model: &Model<'a>,
        arena: &mut [i8],
        path: usize,
        first: usize,
        observe: Observer<'_>,
    ) {
        for prepared in &self.ops[first..] {
            observe(prepared.op.index, Moment::Before);
            prepared.run(model, arena, path, self.instruction_set, &mut self.padded);
            observe(prepared.op.index, Moment::After);
        }
    }
}

impl RepackedOp<'_> {
    fn run(
        &self,
        model: &Model<'_>,
        arena: &mut [i8],
        path: usize,
        instruction_set: InstructionSet,
        padded: &mut PaddedMap,
    ) {
        let op = &self.op;
        let convolution = self.convolutions.get(path);
        let addition = op.tables(path).add.filter(|_| op.kind == OpKind::Add);
        if convolution.is_none() && addition.is_none() {
            run_op(model, arena, path, op);
            return;
        }
        copy_addend(model, arena, op);
        let parts = [self.input.clone(), self.output.clone()];
        let Ok([input, output]) = arena.get_disjoint_mut(parts) else {
            return;
        };
        if let Some(convolution) = convolution {
            convolution.run(input, output, padded);
        } else if let Some(rule) = &addition {
            host::add(instruction_set, rule, input, output);
        }
    }
}

/// The operator of one path; a linear layer as the convolution that it is, its kernel as large as the
/// map.
fn convolution<'a>(model: &Model<'a>, op: &Op<'a>, path: usize) -> Convolution<'a> {
    let convolution = super::packed::convolution(model, op, path);
    if op.kind == OpKind::Linear {
        let window = Window {
            kernel: [op.input_shape.height, op.input_shape.width],
            stride: [1, 1],
            padding: Padding::default(),
        };
        return Convolution {
            window,
            ..convolution
        };
    }
    convolution
}
