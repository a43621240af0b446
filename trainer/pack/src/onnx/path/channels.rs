//! Reads the nodes that join an operator channel by channel (norms, arithmetic, activations), and sums,
//! where adapters join.

use super::elementwise::repeated;
use super::{NodeError, OutputReader, Value};
use crate::builder::Activation;
use crate::graph::{Channels, Op, OpKind};
use crate::metadata::Layout;
use crate::onnx::adapter::{join_adapter, join_kernels};
use crate::onnx::attributes;
use crate::onnx::message::node_name;
use crate::onnx::pb::NodeProto;
use mtslvr_runtime::nn::{Shape, Window};

impl<'g> OutputReader<'g, '_> {
    /// `scale * (x - mean) / sqrt(var + epsilon) + bias`
    pub(super) fn batch_norm(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        if attributes::int(node, "training_mode", 0) != 0 {
            return Err(NodeError::Reason(
                "it is in training mode; export the model for inference".into(),
            ));
        }
        let epsilon = attributes::float(node, "epsilon", 1e-5);
        let channels = self.value(node, 0)?.shape.channels;
        let row = |index: usize| {
            let constant = self.constant(node, index)?;
            let values = constant.floats().filter(|v| v.len() == channels);
            values.ok_or_else(|| {
                NodeError::Reason(format!(
                    "`{}` has shape {:?}, expected {channels} values",
                    node.input[index], constant.dims
                ))
            })
        };
        let (scale, bias, mean, variance) = (row(1)?, row(2)?, row(3)?, row(4)?);
        let mut gain = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for (c, &variance) in variance.iter().enumerate() {
            // In double precision, as a variance near zero makes a large factor.
            let factor = f64::from(scale[c]) / (f64::from(variance) + f64::from(epsilon)).sqrt();
            if !factor.is_finite() {
                return Err(NodeError::Reason(format!(
                    "channel {c} has variance {variance} and epsilon {epsilon}"
                )));
            }
            gain.push(factor as f32);
            shift.push((f64::from(bias[c]) - factor * f64::from(mean[c])) as f32);
        }
        self.affine(node, 0, &gain, &shift)
    }

    /// Reads a sum of two values, or one of the four operations on a value and a constant.
    pub(super) fn arithmetic(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let is_constant = |index: usize| {
            let name = node.input.get(index).map_or("", String::as_str);
            self.constants.contains_key(name)
        };
        let op = node.op_type.as_str();
        if let Some(value) = self.curve(node)? {
            return Ok(value);
        }
        let (data, first) = match (is_constant(0), is_constant(1)) {
            (false, false) if op == "Mul" => return self.multiply(node),
            (false, false) if op == "Add" => return self.add(node),
            (false, true) => (0, false),
            (true, false) if op != "Div" => (1, true),
            _ => {
                return Err(NodeError::Reason(
                    "only sums and products of two values, and arithmetic of a value with a constant, are \
                     supported"
                        .into(),
                ));
            }
        };
        let value = self.value(node, data)?;
        let (channels, flat) = (value.shape.channels, value.flat);
        let constant = self.constant(node, 1 - data)?;
        let trimmed: Vec<usize> = constant
            .dims
            .iter()
            .copied()
            .skip_while(|&d| d == 1)
            .collect();
        let per_channel = if flat {
            trimmed == [channels]
        } else {
            trimmed == [channels, 1, 1]
        };
        let operand: Vec<f32> = match constant.floats() {
            Some(&[single]) => vec![single; channels],
            Some(values) if per_channel => values.to_vec(),
            _ => return self.by_place(node, data, first),
        };
        let (gain, shift) = factors(op, first, operand)?;
        self.affine(node, data, &gain, &shift)
    }

    /// Reads arithmetic with a constant that has a value for each place along mel or time, too. Where all
    /// these places are channels of one map, it is a norm of channels.
    fn by_place(
        &mut self,
        node: &'g NodeProto,
        data: usize,
        first: bool,
    ) -> Result<Value, NodeError> {
        let mut value = self.value(node, data)?.clone();
        let constant = self.constant(node, 1 - data)?;
        let shape = value.shape;
        let place = repeated_dims(&constant.dims, shape, self.layout).filter(|_| !value.flat);
        let (Some([of_time, of_mel, of_channel]), Some(values)) = (place, constant.floats()) else {
            return Err(NodeError::Reason(format!(
                "the constant `{}` has shape {:?}, expected one value, one for each of {} channels, or one \
                 for each place of the map, {shape}",
                node.input[1 - data],
                constant.dims,
                shape.channels
            )));
        };
        let view = match of_time {
            0 => Shape::new(shape.height, 1, shape.width * shape.channels),
            _ => Shape::new(1, 1, shape.len()),
        };
        let operand = (0..view.channels).map(|at| {
            let (pixel, channel) = (at / shape.channels, at % shape.channels);
            let (time, mel) = (pixel / shape.width, pixel % shape.width);
            values[time * of_time + mel * of_mel + channel * of_channel]
        });
        let (gain, shift) = factors(&node.op_type, first, operand.collect())?;
        if value.view != Some(view) || !joins(&value) {
            let source = self.tensor(&node.input[data])?;
            let seen = self.graph.tensor(Op {
                name: node_name(node),
                kind: OpKind::Reshape { input: source },
                activation: Activation::Linear,
                output: view,
            });
            let kind = OpKind::Depthwise {
                input: seen,
                window: Window::square(1, 1, 0),
                channels: Channels {
                    weights: vec![1.0; view.channels].into(),
                    adapter: None,
                    gain,
                    shift,
                },
            };
            value = self.put(node, kind, view, false);
            value.shape = shape;
            value.view = Some(view);
            return Ok(value);
        }
        join(&mut value, &gain, &shift);
        Ok(value)
    }

    pub(super) fn add(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let (a, b) = (self.value(node, 0)?.clone(), self.value(node, 1)?.clone());
        if a.shape != b.shape || a.flat != b.flat {
            let [whole, repeated] = repeated(node, [&a, &b])?;
            let kind = OpKind::Add {
                a: self.tensor(&node.input[whole])?,
                b: self.tensor(&node.input[repeated])?,
            };
            let value = if whole == 0 { a } else { b };
            return Ok(self.put(node, kind, value.shape, value.flat));
        }
        for (main, tap) in [(&a, &b), (&b, &a)] {
            if let (Some(main), Some(tap)) = (&main.pending, &tap.pending)
                && a.view.is_none()
                && b.view.is_none()
                && let Some(joined) = join_adapter(main, tap).or_else(|| join_kernels(main, tap))
            {
                return Ok(Value {
                    tensor: None,
                    pending: Some(joined),
                    norm_of: None,
                    ..a
                });
            }
        }
        // The engine adds inside the convolution that comes last, so the larger one goes last.
        let area = |value: &Value| match value.pending.as_ref().map(|op| &op.kind) {
            Some(OpKind::Convolution { window, .. }) => window.area(),
            _ => 0,
        };
        let (first, second) = if area(&a) > area(&b) { (1, 0) } else { (0, 1) };
        let first = self.tensor(&node.input[first])?;
        let second = self.tensor(&node.input[second])?;
        let kind = OpKind::Add {
            a: second,
            b: first,
        };
        Ok(self.put(node, kind, a.shape, a.flat))
    }

    pub(super) fn clip(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        // Bounds were attributes before operator set 11 and are inputs since.
        let bound = |index: usize, name: &str, default: f32| match node.input.get(index) {
            Some(input) if !input.is_empty() => {
                let constant = self.constant(node, index)?;
                match constant.floats() {
                    Some(&[bound]) => Ok(bound),
                    _ => Err(NodeError::Reason(format!("`{input}` is not one number"))),
                }
            }
            _ => Ok(attributes::float(node, name, default)),
        };
        let lo = bound(1, "min", f32::MIN)?;
        let hi = bound(2, "max", f32::MAX)?;
        let activation = match (lo, hi) {
            (0.0, hi) if hi >= 3.0e38 => Activation::Relu,
            (lo, hi) if lo <= hi => Activation::Clip { lo, hi },
            _ => {
                return Err(NodeError::Reason(format!(
                    "it clips to {lo}..{hi}, which holds nothing"
                )));
            }
        };
        self.activate(node, activation)
    }

    pub(super) fn activate(
        &mut self,
        node: &'g NodeProto,
        activation: Activation,
    ) -> Result<Value, NodeError> {
        let mut value = self.value(node, 0)?.clone();
        if let Some(value) = self.activated_curve(node, activation)? {
            return Ok(value);
        }
        match &mut value.pending {
            Some(op) if op.activation == Activation::Linear => {
                op.activation = activation;
                value.tensor = None;
                value.norm_of = None;
                Ok(value)
            }
            _ => {
                let channels = value.shape.channels;
                let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
                let mut alone = self.norm(node, 0, &ones, &zeros)?;
                if let Some(op) = &mut alone.pending {
                    op.activation = activation;
                }
                alone.norm_of = None;
                Ok(alone)
            }
        }
    }

    /// Applies `gain * x + shift` to each channel: in the operator before it if that is still linear, or
    /// else in one of its own, which the next one may take over.
    pub(super) fn affine(
        &mut self,
        node: &'g NodeProto,
        input: usize,
        gain: &[f32],
        shift: &[f32],
    ) -> Result<Value, NodeError> {
        let mut value = self.value(node, input)?.clone();
        if !joins(&value) {
            return self.norm(node, input, gain, shift);
        }
        join(&mut value, gain, shift);
        Ok(value)
    }

    /// Makes an operator that computes `gain * x + shift` of each channel of an input.
    fn norm(
        &mut self,
        node: &'g NodeProto,
        input: usize,
        gain: &[f32],
        shift: &[f32],
    ) -> Result<Value, NodeError> {
        let value = self.value(node, input)?.clone();
        let source = self.tensor(&node.input[input])?;
        Ok(self.norm_of(node, source, &value, gain, shift))
    }

    /// Makes the operator of [`Self::norm`] for the tensor `source`, which has the form of `value`.
    pub(super) fn norm_of(
        &mut self,
        node: &NodeProto,
        source: usize,
        value: &Value,
        gain: &[f32],
        shift: &[f32],
    ) -> Value {
        let count = value.shape.channels;
        let identity =
            (0..count * count).map(|at| if at / count == at % count { 1.0 } else { 0.0 });
        let kind = OpKind::Convolution {
            input: source,
            window: Window::square(1, 1, 0),
            channels: Channels {
                weights: identity.collect::<Vec<_>>().into(),
                adapter: None,
                gain: gain.to_vec(),
                shift: shift.to_vec(),
            },
        };
        let mut made = self.put(node, kind, value.shape, value.flat);
        made.norm_of = Some(source);
        made
    }
}

/// Tells whether a factor and a constant can join the operator that makes a value.
fn joins(value: &Value) -> bool {
    value
        .pending
        .as_ref()
        .is_some_and(|op| op.kind.channels().is_some() && op.activation == Activation::Linear)
}

/// Applies `gain * x + shift` in the operator that makes a value, whose channels are those of `gain` once or
/// several times over.
fn join(value: &mut Value, gain: &[f32], shift: &[f32]) {
    let pending = value.pending.as_mut();
    if let Some(channels) = pending.and_then(|op| op.kind.channels_mut()) {
        let rules = channels.gain.iter_mut().zip(&mut channels.shift);
        let factors = gain.iter().zip(shift).cycle();
        for ((own, constant), (gain, shift)) in rules.zip(factors) {
            *own *= gain;
            *constant = *constant * gain + shift;
        }
    }
    value.tensor = None;
}

/// Returns factor and constant of arithmetic with `operand`, which is the first input or the second.
fn factors(op: &str, first: bool, operand: Vec<f32>) -> Result<(Vec<f32>, Vec<f32>), NodeError> {
    let (ones, zeros) = (vec![1.0; operand.len()], vec![0.0; operand.len()]);
    let (gain, shift): (Vec<f32>, _) = match (op, first) {
        ("Add", _) => (ones, operand),
        ("Sub", false) => (ones, operand.iter().map(|v| -v).collect()),
        ("Sub", true) => (ones.iter().map(|one| -one).collect(), operand),
        ("Mul", _) => (operand, zeros),
        _ => (operand.iter().map(|v| 1.0 / v).collect(), zeros),
    };
    match gain.iter().all(|g| g.is_finite()) {
        true => Ok((gain, shift)),
        false => Err(NodeError::Reason("it divides by zero".into())),
    }
}

/// Returns how far apart the values of a constant of shape `dims` lie along time, mel and channels of a map,
/// 0 where it is repeated. `None` if it cannot be repeated to the map.
fn repeated_dims(dims: &[usize], map: Shape, layout: Layout) -> Option<[usize; 3]> {
    let sizes = match layout {
        Layout::TimeMel => [1, map.channels, map.height, map.width],
        Layout::MelTime => [1, map.channels, map.width, map.height],
    };
    let missing = sizes.len().checked_sub(dims.len())?;
    let mut steps = [0; 4];
    let mut step = 1;
    for (axis, (&dim, &size)) in dims.iter().zip(&sizes[missing..]).enumerate().rev() {
        if dim != 1 && dim != size {
            return None;
        }
        if dim > 1 {
            steps[missing + axis] = step;
        }
        step *= dim;
    }
    let [_, channel, height, width] = steps;
    Some(match layout {
        Layout::TimeMel => [height, width, channel],
        Layout::MelTime => [width, height, channel],
    })
}

/// The factor and constant of each channel that an operator behind a norm takes over.
pub(super) struct Norm {
    /// The tensor before the norm.
    pub source: usize,
    pub gain: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Norm {
    /// Returns the norm that makes `value`, if nothing else does.
    pub fn of(value: &Value) -> Option<Self> {
        let channels = value.pending.as_ref()?.kind.channels()?;
        Some(Self {
            source: value.norm_of?,
            gain: channels.gain.clone(),
            shift: channels.shift.clone(),
        })
    }

    /// Takes the norm into the weights behind it, whose innermost axis is the channels.
    pub fn join(&self, weights: &mut [f32], shift: &mut [f32]) {
        let row = weights.len() / shift.len().max(1);
        for (kernel, shift) in weights.chunks_exact_mut(row.max(1)).zip(shift) {
            let mut sum = f64::from(*shift);
            for taps in kernel.chunks_exact_mut(self.gain.len()) {
                for ((tap, gain), constant) in taps.iter_mut().zip(&self.gain).zip(&self.shift) {
                    sum += f64::from(*tap) * f64::from(*constant);
                    *tap *= gain;
                }
            }
            *shift = sum as f32;
        }
    }
}
