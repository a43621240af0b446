//! Makes the program that is packed: additions are fused into the convolution before them.
//!
//! A convolution whose result is only ever added to something needs no place for it: each value is
//! added as soon as it is made, by the same arithmetic and so with the same bytes. In a residual
//! block that leaves two maps alive at a time instead of three.

use super::{Activation, ModelSpec, OpKindSpec, OpSpec, TensorSpec};
use mtslvr_runtime::nn::Shape;

/// An operator of the packed program. Operands are packed tensors: 0 is the input, `i + 1` what
/// packed operator `i` writes.
#[derive(Debug)]
pub(super) struct Step<'s> {
    /// Its index in the description; for a fused addition that of the convolution.
    pub op: usize,
    pub kind: &'s OpKindSpec,
    pub input: usize,
    pub second: Option<usize>,
    /// The tensor it writes.
    pub output: &'s TensorSpec,
    /// Activation of the result.
    pub activation: Activation,
    /// The convolution by itself, if an addition is fused into it.
    pub fused: Option<&'s OpSpec>,
}

/// The packed program.
pub(super) struct Program<'s> {
    pub steps: Vec<Step<'s>>,
    /// The packed tensor of each part of the description.
    pub parts: Vec<usize>,
}

/// Makes the packed program of `spec`, whose operands and parts have been checked.
pub(super) fn program(spec: &ModelSpec) -> Program<'_> {
    let reads = Reads::of(spec);
    let mut gone = vec![false; spec.ops.len() + 1];
    for index in 0..spec.ops.len() {
        if let Some((convolved, _)) = fused_into(spec, &reads, index) {
            gone[convolved] = true;
        }
    }

    // Packed tensor of each tensor of the description.
    let mut packed = vec![0; spec.ops.len() + 1];
    let mut steps: Vec<Step<'_>> = Vec::new();
    for index in 0..spec.ops.len() {
        if gone[index + 1] {
            continue;
        }
        let mut step = match fused_into(spec, &reads, index) {
            Some((convolved, other)) => fused_step(spec, index, convolved, other),
            None => plain_step(spec, &reads, index),
        };
        step.input = packed[step.input];
        step.second = step.second.map(|tensor| packed[tensor]);
        steps.push(step);
        packed[index + 1] = steps.len();
    }
    let parts = spec.parts.iter().map(|part| packed[part.tensor]);
    Program {
        parts: parts.collect(),
        steps,
    }
}

/// How often each tensor of a description is read, and by which operator last.
struct Reads {
    count: Vec<usize>,
    last: Vec<usize>,
}

impl Reads {
    fn of(spec: &ModelSpec) -> Self {
        let mut count = vec![0usize; spec.ops.len() + 1];
        let mut last = vec![0; spec.ops.len() + 1];
        for (index, op) in spec.ops.iter().enumerate() {
            let (first, second) = op.kind.operands();
            for tensor in [Some(first), second].into_iter().flatten() {
                count[tensor] += 1;
                last[tensor] = index;
            }
        }
        // A part is read when all operators have run.
        for part in &spec.parts {
            count[part.tensor] += 1;
            last[part.tensor] = spec.ops.len();
        }
        Self { count, last }
    }
}

/// Finds the tensor of the convolution that operator `index`, if it is an addition, can be fused into,
/// and the tensor of the other addend. The later addend is preferred: a fused convolution runs at the
/// addition, and its input must live until then.
fn fused_into(spec: &ModelSpec, reads: &Reads, index: usize) -> Option<(usize, usize)> {
    let OpKindSpec::Add { a, b } = spec.ops[index].kind else {
        return None;
    };
    let (later, other) = if a >= b { (a, b) } else { (b, a) };
    [(later, other), (other, later)]
        .into_iter()
        .find(|&(tensor, _)| {
            let made_by_convolution = tensor
                .checked_sub(1)
                .is_some_and(|op| matches!(spec.ops[op].kind, OpKindSpec::Convolution { .. }));
            // Another reader would need the convolution's own result.
            made_by_convolution
                && reads.count[tensor] == 1
                // The other addend may be repeated, the convolution's own result not.
                && spec.ops[tensor - 1].output.shape == spec.ops[index].output.shape
        })
}

/// Makes the step of addition `index`, fused into the convolution that writes tensor `convolved`. Its
/// operands are still tensors of the description.
fn fused_step(spec: &ModelSpec, index: usize, convolved: usize, other: usize) -> Step<'_> {
    let (op, convolution) = (&spec.ops[index], &spec.ops[convolved - 1]);
    Step {
        op: convolved - 1,
        kind: &convolution.kind,
        input: convolution.kind.operands().0,
        second: Some(other),
        output: &op.output,
        activation: op.activation,
        fused: Some(convolution),
    }
}

/// Makes the step of operator `index` by itself. Its operands are still tensors of the description.
fn plain_step<'s>(spec: &'s ModelSpec, reads: &Reads, index: usize) -> Step<'s> {
    let op = &spec.ops[index];
    let (mut input, mut second) = op.kind.operands();
    // A sum can be written over its second operand: make that the one that is not needed any more.
    let commutes = matches!(
        op.kind,
        OpKindSpec::Add { .. } | OpKindSpec::Multiply { .. }
    );
    if let Some(b) = second
        && commutes
        && shape(spec, input) == shape(spec, b)
        && reads.last[b] > index
    {
        (input, second) = (b, Some(input));
    }
    Step {
        op: index,
        kind: &op.kind,
        input,
        second,
        output: &op.output,
        activation: op.activation,
        fused: None,
    }
}

/// Returns the shape of a tensor of the description; `None` for the patch.
fn shape(spec: &ModelSpec, tensor: usize) -> Option<Shape> {
    let op = tensor.checked_sub(1)?;
    Some(spec.ops[op].output.shape)
}
