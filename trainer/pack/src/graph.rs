//! A backbone as the packer sees it: the few operators that the packed engine has, batch norm
//! folded into a gain and a shift of each channel, adapters beside the kernels they belong to.
//!
//! Maps are `[height = time][width = mel][channels]`, channels innermost.

use crate::builder::Activation;
use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::nn::{Shape, Window};
use std::sync::Arc;

/// One or two paths that run the same operators with weights of their own or shared ones.
#[derive(Clone, Debug)]
pub struct Graph {
    /// How the input patch is made; its shape is `frames x mels x 1`.
    pub frontend: FrontendConfig,
    /// Where the weights come from, as the ONNX file says.
    pub provenance: Option<String>,
    /// Number of paths, 1 or 2.
    pub paths: usize,
    /// The operators in an order that can run. Operator `i` writes tensor `i + 1`; tensor 0 is the
    /// patch; the last operator writes the features of a path.
    pub ops: Vec<Op>,
}

/// One operator and the map that it writes.
#[derive(Clone, Debug)]
pub struct Op {
    /// What the ONNX file calls it.
    pub name: String,
    /// What it computes.
    pub kind: OpKind,
    /// Applied to its result.
    pub activation: Activation,
    /// Shape of its result.
    pub output: Shape,
}

/// What an operator computes, and from which tensors.
#[derive(Clone, Debug)]
pub enum OpKind {
    /// A convolution whose kernels are `[output channels][kernel height][kernel width][input channels]`.
    Convolution {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding with zeros.
        window: Window,
        /// Weights, one entry for each path.
        paths: Vec<Channels>,
    },
    /// A linear layer over all values of its input, kernels `[outputs][inputs]`.
    Linear {
        /// The tensor it reads.
        input: usize,
        /// Weights, one entry for each path.
        paths: Vec<Channels>,
    },
    /// A sum of two tensors of one shape.
    Add {
        /// One addend.
        a: usize,
        /// The other.
        b: usize,
    },
    /// A maximum over windows; padding does not take part.
    MaxPool {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding.
        window: Window,
    },
    /// A mean over windows, padding counted as zero.
    AveragePool {
        /// The tensor it reads.
        input: usize,
        /// Kernel, stride and padding.
        window: Window,
    },
}

/// Weights of one path and what becomes of each output channel:
/// `gain[o] * (sum(x * weights[o]) + sum(centre * adapter[o])) + shift[o]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// Kernels; equal ones of both paths are one allocation.
    pub weights: Arc<[f32]>,
    /// A parallel 1x1 convolution with the same stride, `[output channels][input channels]`.
    pub adapter: Option<Arc<[f32]>>,
    /// Factor of each output channel; may be negative or zero.
    pub gain: Vec<f32>,
    /// Added to each output channel.
    pub shift: Vec<f32>,
}

/// Operators with weights, by whether two paths have the same kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sharing {
    /// Stored once for both paths.
    pub shared: usize,
    /// Each path has kernels of its own, which are stored for each.
    pub own: usize,
}

impl Sharing {
    /// What a user should know of it, where something is not shared.
    pub fn note(&self) -> Option<String> {
        (self.own > 0).then(|| {
            format!(
                "{} of {} operators with weights are packed with kernels of each path's own: what differs between \
                 the paths there (series adapters, layers of one path) can only be folded into the kernels, which \
                 are then stored twice",
                self.own,
                self.own + self.shared
            )
        })
    }
}

impl Graph {
    /// Shape of the patch.
    pub fn input_shape(&self) -> Shape {
        Shape::new(self.frontend.frames.into(), self.frontend.mels.into(), 1)
    }

    /// Shape of tensor `tensor`: 0 is the patch, `i + 1` what operator `i` writes.
    pub fn shape(&self, tensor: usize) -> Shape {
        match tensor.checked_sub(1) {
            None => self.input_shape(),
            Some(op) => self.ops[op].output,
        }
    }

    /// Length of one path's features.
    pub fn path_dim(&self) -> usize {
        self.shape(self.ops.len()).len()
    }

    /// Multiply-accumulates of path `path` for one patch; kernels count in full where they cover
    /// padding.
    pub fn macs(&self, path: usize) -> u64 {
        self.ops.iter().map(|op| op.macs(path)).sum()
    }

    /// How far the paths share kernels.
    pub fn sharing(&self) -> Sharing {
        let mut sharing = Sharing::default();
        for op in &self.ops {
            match op.kind.channels() {
                [] | [_] => {}
                [first, rest @ ..] if rest.iter().all(|c| c.weights == first.weights) => {
                    sharing.shared += 1;
                }
                _ => sharing.own += 1,
            }
        }
        sharing
    }

    /// Adds each adapter to the centre of its path's kernels, so that each path has plain kernels
    /// of its own.
    pub fn fold_adapters(&mut self) {
        for op in &mut self.ops {
            let OpKind::Convolution { window, paths, .. } = &mut op.kind else {
                continue;
            };
            let (area, centre) = (window.area(), window.area() / 2);
            for channels in paths {
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
}

impl Op {
    /// Multiply-accumulates of path `path`; zero for an operator without weights.
    pub fn macs(&self, path: usize) -> u64 {
        let positions = self.output.height * self.output.width;
        self.kind.channels().get(path).map_or(0, |channels| {
            let adapter = channels.adapter.as_ref().map_or(0, |a| a.len());
            ((channels.weights.len() + adapter) * positions) as u64
        })
    }
}

impl OpKind {
    /// The tensors that it reads.
    pub fn operands(&self) -> (usize, Option<usize>) {
        match *self {
            Self::Convolution { input, .. }
            | Self::Linear { input, .. }
            | Self::MaxPool { input, .. }
            | Self::AveragePool { input, .. } => (input, None),
            Self::Add { a, b } => (a, Some(b)),
        }
    }

    /// The weights of each path; empty for an operator without.
    pub fn channels(&self) -> &[Channels] {
        match self {
            Self::Convolution { paths, .. } | Self::Linear { paths, .. } => paths,
            _ => &[],
        }
    }

    fn channels_mut(&mut self) -> Option<&mut Vec<Channels>> {
        match self {
            Self::Convolution { paths, .. } | Self::Linear { paths, .. } => Some(paths),
            _ => None,
        }
    }

    /// Whether it is the same operator on the same tensors as `other`, weights aside.
    fn same_structure(&self, other: &Self) -> bool {
        let window = |kind: &Self| match kind {
            Self::Convolution { window, .. }
            | Self::MaxPool { window, .. }
            | Self::AveragePool { window, .. } => Some(*window),
            _ => None,
        };
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.operands() == other.operands()
            && window(self) == window(other)
    }
}

/// Lays the operators of two paths, each with its own weights, over each other; `Err` names the
/// first operators that are not alike.
pub(super) fn merge_paths(first: Vec<Op>, second: Vec<Op>) -> Result<Vec<Op>, (String, String)> {
    let name = |op: Option<&Op>| op.map_or("the end".to_owned(), |op| format!("`{}`", op.name));
    let mut merged = first;
    if let Some(index) = (0..merged.len().max(second.len())).find(|&index| {
        let (a, b) = (merged.get(index), second.get(index));
        !a.zip(b).is_some_and(|(a, b)| {
            a.kind.same_structure(&b.kind) && a.activation == b.activation && a.output == b.output
        })
    }) {
        return Err((name(merged.get(index)), name(second.get(index))));
    }
    for (op, other) in merged.iter_mut().zip(second) {
        let mut other = other.kind;
        if let (Some(paths), Some(others)) = (op.kind.channels_mut(), other.channels_mut()) {
            let mut channels = others.remove(0);
            if channels.weights == paths[0].weights {
                channels.weights = paths[0].weights.clone();
            }
            paths.push(channels);
        }
    }
    Ok(merged)
}
