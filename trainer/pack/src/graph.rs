//! Describes a backbone for the packer: by the few operators that the packed engine has, with batch
//! norm folded into a gain and a shift of each channel, and adapters beside the kernels they belong to.
//!
//! Maps are `[height = time][width = mel][channels]`, channels innermost.

use crate::builder::{Activation, OpKindSpec, OwnedPatchNorm};
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::nn::Shape;
use std::collections::HashMap;
use std::sync::Arc;

/// A network with one or several named outputs. Operators that outputs share are there once.
#[derive(Clone, Debug)]
pub struct Graph {
    /// How the input patch is made; its shape is `frames x mels x 1`.
    pub frontend: FrontendConfig,
    /// Norm of a patch before the first operator reads it, if there is one.
    pub patch_norm: Option<OwnedPatchNorm>,
    /// Origin of the weights, as stated in the ONNX file.
    pub provenance: Option<String>,
    /// The operators in an order that can run. Operator `i` writes tensor `i + 1`; tensor 0 is the
    /// patch.
    pub ops: Vec<Op>,
    /// The parts of an embedding.
    pub outputs: Vec<Output>,
}

/// A part of an embedding, and the tensor that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name of the part.
    pub name: String,
    /// The tensor: `i + 1` is what operator `i` writes.
    pub tensor: usize,
    /// Share in the similarity.
    pub share: f32,
}

/// One operator and the map that it writes.
#[derive(Clone, Debug)]
pub struct Op {
    /// Its name in the ONNX file.
    pub name: String,
    /// The computation, and the tensors it reads.
    pub kind: OpKind,
    /// Activation of its result.
    pub activation: Activation,
    /// Shape of its result.
    pub output: Shape,
}

/// An operator's computation, and the tensors it reads.
pub type OpKind = OpKindSpec<Channels>;

/// Weights and the rule of each output channel:
/// `gain[o] * (sum(x * weights[o]) + sum(centre * adapter[o])) + shift[o]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// Kernels. In a [`Graph`], equal ones are one allocation.
    pub weights: Arc<[f32]>,
    /// A parallel 1x1 convolution with the same stride, `[output channels][input channels]`.
    pub adapter: Option<Arc<[f32]>>,
    /// Factor of each output channel; may be negative or zero.
    pub gain: Vec<f32>,
    /// Constant added to each output channel.
    pub shift: Vec<f32>,
}

/// A graph under construction, which holds each table of weights and each operator once.
#[derive(Default)]
pub(super) struct GraphBuilder {
    ops: Vec<Op>,
    kernels: HashMap<Vec<u32>, Arc<[f32]>>,
}

impl GraphBuilder {
    /// Returns the tensor that `op` writes. An operator that is already there, with the same weights
    /// over the same tensors, is not added again.
    pub fn tensor(&mut self, mut op: Op) -> usize {
        if let Some(channels) = op.kind.channels_mut() {
            channels.weights = self.kernels(&channels.weights);
        }
        let same = |other: &Op| {
            other.kind == op.kind && other.activation == op.activation && other.output == op.output
        };
        let known = self.ops.iter().position(same);
        let index = known.unwrap_or(self.ops.len());
        if known.is_none() {
            self.ops.push(op);
        }
        index + 1
    }

    /// Returns the one allocation of these kernels. They are compared bit by bit.
    fn kernels(&mut self, kernels: &Arc<[f32]>) -> Arc<[f32]> {
        let bits = kernels.iter().map(|weight| weight.to_bits()).collect();
        let known = self.kernels.entry(bits);
        known.or_insert_with(|| kernels.clone()).clone()
    }

    /// Returns the operators.
    pub fn finish(self) -> Vec<Op> {
        self.ops
    }
}

impl Graph {
    /// Returns the shape of the patch.
    pub fn input_shape(&self) -> Shape {
        Shape::new(self.frontend.frames.into(), self.frontend.mels.into(), 1)
    }

    /// Returns the shape of tensor `tensor`: 0 is the patch, `i + 1` what operator `i` writes.
    pub fn shape(&self, tensor: usize) -> Shape {
        match tensor.checked_sub(1) {
            None => self.input_shape(),
            Some(op) => self.ops[op].output,
        }
    }

    /// Returns the length of an embedding: of all outputs together.
    pub fn dim(&self) -> usize {
        let outputs = self.outputs.iter();
        outputs.map(|output| self.shape(output.tensor).len()).sum()
    }

    /// Counts the multiply-accumulates of one patch; kernels count in full where they cover padding.
    pub fn macs(&self) -> u64 {
        self.ops.iter().map(Op::macs).sum()
    }

    /// Adds each adapter to the centre of its kernels, so that every operator has plain kernels.
    pub fn fold_adapters(&mut self) {
        for op in &mut self.ops {
            let OpKind::Convolution {
                window, channels, ..
            } = &mut op.kind
            else {
                continue;
            };
            let (area, centre) = (window.area(), window.area() / 2);
            let Some(adapter) = channels.adapter.take() else {
                continue;
            };
            let inputs = adapter.len() / channels.gain.len();
            let mut weights = channels.weights.to_vec();
            for (row, taps) in weights
                .chunks_exact_mut(area * inputs)
                .zip(adapter.chunks_exact(inputs))
            {
                for (weight, tap) in row[centre * inputs..].iter_mut().zip(taps) {
                    *weight += tap;
                }
            }
            channels.weights = weights.into();
        }
    }
}

impl Op {
    /// Counts its multiply-accumulates; zero for an operator without weights.
    pub fn macs(&self) -> u64 {
        let positions = self.output.height * self.output.width;
        self.kind.channels().map_or(0, |channels| {
            let adapter = channels.adapter.as_ref().map_or(0, |a| a.len());
            ((channels.weights.len() + adapter) * positions) as u64
        })
    }
}
