//! Reads the nodes that have kernels: convolutions and linear layers.

use super::channels::Norm;
use super::maps::window_output;
use super::{NodeError, OutputReader, Value};
use crate::graph::{Channels, Op, OpKind};
use crate::metadata::Layout;
use crate::onnx::adapter::{compose, same_reading};
use crate::onnx::attributes;
use crate::onnx::pb::NodeProto;
use mtslvr_runtime::nn::{Shape, Window};

/// Most groups of a convolution that is not depthwise: each takes three operators.
const MOST_GROUPS: usize = 32;

/// The attributes of a Gemm, `alpha x W + beta bias`; a MatMul has those of a plain product.
struct Gemm {
    /// Whether the weights are `[outputs, inputs]`.
    transposed: bool,
    alpha: f32,
    beta: f32,
}

impl Gemm {
    fn of(node: &NodeProto) -> Result<Self, NodeError> {
        if node.op_type != "Gemm" {
            return Ok(Self {
                transposed: false,
                alpha: 1.0,
                beta: 1.0,
            });
        }
        if attributes::int(node, "transA", 0) != 0 {
            return Err(NodeError::Reason("transA is not supported".into()));
        }
        Ok(Self {
            transposed: attributes::int(node, "transB", 0) != 0,
            alpha: attributes::float(node, "alpha", 1.0),
            beta: attributes::float(node, "beta", 1.0),
        })
    }
}

impl<'g> OutputReader<'g, '_> {
    pub(super) fn convolution(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let input = self.value(node, 0)?.clone();
        let kernels = self.constant(node, 1)?;
        let (&[outputs, inputs, kh, kw], Some(values)) = (&kernels.dims[..], kernels.floats())
        else {
            return Err(NodeError::Reason(format!(
                "its kernels have shape {:?}, expected [out, in, height, width]",
                kernels.dims
            )));
        };
        let groups = usize::try_from(attributes::int(node, "group", 1)).unwrap_or(0);
        let fits = groups > 0
            && inputs.checked_mul(groups) == Some(input.shape.channels)
            && outputs.is_multiple_of(groups);
        if input.flat || !fits || outputs * inputs * kh * kw == 0 {
            return Err(NodeError::Reason(format!(
                "its kernels have shape {:?} in {groups} groups and do not fit its input of {} (time x mel x \
                 channels)",
                kernels.dims, input.shape
            )));
        }
        let window = attributes::window(node, [kh, kw], input.shape, self.layout)?;
        let [height, width] = window_output(&window, input.shape)?;

        let channels = Channels {
            weights: self.channels_last(values, [outputs, inputs, kh, kw]).into(),
            adapter: None,
            gain: vec![1.0; outputs],
            shift: self.bias(node, 2, outputs)?,
        };
        let output = Shape::new(height, width, outputs);
        match groups {
            1 => self.dense(node, window, channels, output),
            _ => self.grouped(node, groups, window, channels, output),
        }
    }

    /// Makes a dense convolution. A norm before it joins where that is exact, and an adapter behind it.
    fn dense(
        &mut self,
        node: &'g NodeProto,
        window: Window,
        mut channels: Channels,
        output: Shape,
    ) -> Result<Value, NodeError> {
        let input = self.value(node, 0)?.clone();
        // Padding is zeros behind the norm, so that it must stay before a padded convolution.
        let unpadded = window.padding == Window::square(1, 1, 0).padding;
        let norm = Norm::of(&input).filter(|_| unpadded);
        if let Some(norm) = &norm {
            let mut weights = channels.weights.to_vec();
            norm.join(&mut weights, &mut channels.shift);
            channels.weights = weights.into();
        }
        if norm.is_none()
            && let Some(composed) = self.compose_adapter(node, &window, &channels)
        {
            return Ok(Value {
                tensor: None,
                pending: Some(composed),
                norm_of: None,
                ..input
            });
        }
        let input = match norm {
            Some(norm) => norm.source,
            None => self.tensor(&node.input[0])?,
        };
        Ok(self.put(
            node,
            OpKind::Convolution {
                input,
                window,
                channels,
            },
            output,
            false,
        ))
    }

    /// Brings kernels `[out, in, height, width]` into the order `[out][time][mel][in]`.
    fn channels_last(&self, values: &[f32], [outputs, inputs, kh, kw]: [usize; 4]) -> Vec<f32> {
        let [height, width] = match self.layout {
            Layout::TimeMel => [kh, kw],
            Layout::MelTime => [kw, kh],
        };
        let at = |o: usize, i: usize, y: usize, x: usize| {
            let (y, x) = match self.layout {
                Layout::TimeMel => (y, x),
                Layout::MelTime => (x, y),
            };
            values[((o * inputs + i) * kh + y) * kw + x]
        };
        let mut weights = Vec::with_capacity(values.len());
        for o in 0..outputs {
            for y in 0..height {
                for x in 0..width {
                    weights.extend((0..inputs).map(|i| at(o, i, y, x)));
                }
            }
        }
        weights
    }

    /// Makes a convolution in groups of channels: a depthwise one where each group is one channel in and
    /// out, or else a slice, a convolution and a concatenation for each.
    fn grouped(
        &mut self,
        node: &'g NodeProto,
        groups: usize,
        window: Window,
        channels: Channels,
        output: Shape,
    ) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        let input = self.tensor(&node.input[0])?;
        let (inputs, outputs) = (value.shape.channels / groups, output.channels / groups);
        if inputs == 1 && outputs == 1 {
            let kind = OpKind::Depthwise {
                input,
                window,
                channels,
            };
            return Ok(self.put(node, kind, output, false));
        }
        if groups > MOST_GROUPS {
            return Err(NodeError::Reason(format!(
                "{groups} groups of {inputs} channels to {outputs}: only up to {MOST_GROUPS} are supported, \
                 or groups of one channel in and out"
            )));
        }
        let row = window.area() * inputs;
        let mut maps = Vec::new();
        for group in 0..groups {
            let own = group * outputs..(group + 1) * outputs;
            let some = self.some_channels(node, &value, input, group * inputs, inputs);
            let some = some
                .pending
                .ok_or_else(|| "a value without an operator".to_owned())?;
            let kind = OpKind::Convolution {
                input: self.graph.tensor(some),
                window,
                channels: Channels {
                    weights: channels.weights[own.start * row..own.end * row].into(),
                    adapter: None,
                    gain: channels.gain[own.clone()].to_vec(),
                    shift: channels.shift[own].to_vec(),
                },
            };
            let shape = Shape {
                channels: outputs,
                ..output
            };
            let made = self.put(node, kind, shape, false).pending;
            let made = made.ok_or_else(|| "a value without an operator".to_owned())?;
            maps.push((self.graph.tensor(made), outputs));
        }
        let like = Value {
            shape: output,
            ..value
        };
        self.joined(node, &like, maps)
    }

    /// Composes a 1x1 convolution and the one before it, if the result can join the convolution that it
    /// is added to: a series adapter, `z + W (g z + s)` with `z` a convolution.
    ///
    /// Elsewhere the two stay apart: composed, a narrow convolution between two wide ones would cost
    /// more.
    fn compose_adapter(
        &self,
        node: &'g NodeProto,
        window: &Window,
        point: &Channels,
    ) -> Option<Op> {
        if *window != Window::square(1, 1, 0) {
            return None;
        }
        let inner = self.values.get(node.input.first()?.as_str())?;
        let inner = inner.pending.as_ref()?;
        // Only a sum may read the result.
        let output = node.output.first()?;
        if self.uses.get(output.as_str()) != Some(&1) {
            return None;
        }
        let reader = self.nodes.iter().find(|n| n.input.contains(output))?;
        let other = reader.input.iter().find(|name| *name != output)?;
        let other = self.values.get(other.as_str())?.pending.as_ref()?;
        if reader.op_type != "Add" || !same_reading(inner, other) {
            return None;
        }
        compose(inner, point)
    }

    pub(super) fn linear(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        let kernels = self.constant(node, 1)?;
        let (&[rows, columns], Some(values)) = (&kernels.dims[..], kernels.floats()) else {
            return Err(NodeError::Reason(format!(
                "its weights have shape {:?}, expected two dimensions",
                kernels.dims
            )));
        };
        let gemm = Gemm::of(node)?;
        let (inputs, outputs) = if gemm.transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let shape = value.shape;
        if !value.flat || inputs != shape.len() || outputs == 0 {
            return Err(NodeError::Reason(format!(
                "its weights have shape {:?} and do not fit its input, {}{shape} (time x mel x channels)",
                kernels.dims,
                if value.flat {
                    "a flattened map of "
                } else {
                    "a map of "
                },
            )));
        }
        // Flattened, the graph's order is channels first; the packed engine's is channels last.
        let position = |h: usize, w: usize, c: usize| match self.layout {
            Layout::TimeMel => (c * shape.height + h) * shape.width + w,
            Layout::MelTime => (c * shape.width + w) * shape.height + h,
        };
        let mut weights = Vec::with_capacity(values.len());
        for o in 0..outputs {
            for h in 0..shape.height {
                for w in 0..shape.width {
                    weights.extend((0..shape.channels).map(|c| {
                        let i = position(h, w, c);
                        let at = if gemm.transposed {
                            o * inputs + i
                        } else {
                            i * outputs + o
                        };
                        gemm.alpha * values[at]
                    }));
                }
            }
        }
        // A MatMul has two inputs, so that it gets zeros.
        let bias = self.bias(node, 2, outputs)?;
        let mut shift: Vec<f32> = bias.iter().map(|b| b * gemm.beta).collect();
        let input = match Norm::of(&value) {
            Some(norm) => {
                norm.join(&mut weights, &mut shift);
                norm.source
            }
            None => self.tensor(&node.input[0])?,
        };
        let channels = Channels {
            weights: weights.into(),
            adapter: None,
            gain: vec![1.0; outputs],
            shift,
        };
        let kind = OpKind::Linear { input, channels };
        Ok(self.put(node, kind, Shape::new(1, 1, outputs), true))
    }

    pub(super) fn bias(
        &self,
        node: &NodeProto,
        index: usize,
        outputs: usize,
    ) -> Result<Vec<f32>, NodeError> {
        match node.input.get(index) {
            Some(name) if !name.is_empty() => {
                let constant = self.constant(node, index)?;
                match constant.floats() {
                    Some(values) if values.len() == outputs => Ok(values.to_vec()),
                    Some(&[single]) => Ok(vec![single; outputs]),
                    _ => Err(NodeError::Reason(format!(
                        "its bias `{name}` has shape {:?}, expected {outputs} values",
                        constant.dims
                    ))),
                }
            }
            _ => Ok(vec![0.0; outputs]),
        }
    }
}
