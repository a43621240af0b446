//! Reads the nodes that work on each value by itself, and those that join or part channels.

use super::{NodeError, OutputReader, Value};
use crate::builder::{Activation, Combination, Curve, Function};
use crate::graph::OpKind;
use crate::onnx::attributes;
use crate::onnx::pb::NodeProto;
use mtslvr_runtime::nn::Shape;
use std::sync::Arc;

impl<'g> OutputReader<'g, '_> {
    /// Reads a function of one value.
    pub(super) fn function(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let function = function(node)?;
        let value = self.value(node, 0)?.clone();
        let (source, curve) = self.curve_of(&node.input[0])?;
        Ok(self.put_curve(node, source, curve.then(function), &value))
    }

    /// Reads arithmetic that gives a function of one tensor: of a function and a number, or of two
    /// functions of the same tensor, such as `x * sigmoid(x)`. Returns `None` for all other arithmetic.
    pub(super) fn curve(&mut self, node: &'g NodeProto) -> Result<Option<Value>, NodeError> {
        let Some(combination) = combination(node) else {
            return Ok(None);
        };
        let (Some(a), Some(b)) = (node.input.first(), node.input.get(1)) else {
            return Ok(None);
        };
        let number = |name: &String| match self.constants.get(name)?.floats() {
            Some(&[number]) => Some(Curve::Constant(number)),
            _ => None,
        };
        let (name, a_number, b_number) = match (number(a), number(b)) {
            (None, None) => return self.curve_of_two(node, combination),
            (None, b_number) => (a, None, b_number),
            (a_number, None) => (b, a_number, None),
            _ => return Ok(None),
        };
        let Some(value) = self.values.get(name.as_str()).cloned() else {
            return Ok(None);
        };
        // What only one operator reads can be scaled and shifted for nothing.
        let read_once = self.uses.get(name.as_str()).is_none_or(|&uses| uses < 2);
        let affine = matches!(node.op_type.as_str(), "Add" | "Sub" | "Mul" | "Div");
        if affine && read_once && lookup(&value).is_none() {
            return Ok(None);
        }
        let (source, curve) = self.curve_of(name)?;
        let a = a_number.as_ref().unwrap_or(&curve);
        let b = b_number.as_ref().unwrap_or(&curve);
        Ok(Some(self.put_curve(
            node,
            source,
            a.with(combination, b),
            &value,
        )))
    }

    fn curve_of_two(
        &mut self,
        node: &'g NodeProto,
        combination: Combination,
    ) -> Result<Option<Value>, NodeError> {
        let names = [&node.input[0], &node.input[1]];
        let sources = names.map(|name| {
            let value = self.values.get(name.as_str())?;
            lookup(value).map(|(source, _)| source).or(value.tensor)
        });
        let same = names[0] == names[1] || sources[0].is_some() && sources[0] == sources[1];
        if !same || combination == Combination::Add && names[0] == names[1] {
            return Ok(None);
        }
        let value = self.value(node, 0)?.clone();
        let (source, a) = self.curve_of(names[0])?;
        let (_, b) = self.curve_of(names[1])?;
        Ok(Some(self.put_curve(
            node,
            source,
            a.with(combination, &b),
            &value,
        )))
    }

    /// Reads a power, maximum or minimum.
    pub(super) fn combination(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        self.curve(node)?
            .ok_or_else(|| NodeError::Reason("only a function of one value is supported".into()))
    }

    /// Applies an activation to a function that is still to be made into a table, or to a value whose
    /// operator can take none. Returns `None` where the operator of the value can.
    pub(super) fn activated_curve(
        &mut self,
        node: &'g NodeProto,
        activation: Activation,
    ) -> Result<Option<Value>, NodeError> {
        let value = self.value(node, 0)?.clone();
        let takes_one = value
            .pending
            .as_ref()
            .is_some_and(|op| op.activation == Activation::Linear && lookup(&value).is_none());
        let (lo, hi) = match activation {
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Clip { lo, hi } => (lo, hi),
            Activation::Linear => return Ok(Some(value)),
        };
        if takes_one {
            return Ok(None);
        }
        let (source, curve) = self.curve_of(&node.input[0])?;
        let clipped = curve.then(Function::Clip(lo, hi));
        Ok(Some(self.put_curve(node, source, clipped, &value)))
    }

    /// Returns the value `name` as a function of a tensor.
    fn curve_of(&mut self, name: &str) -> Result<(usize, Curve), String> {
        match self.values.get(name).and_then(lookup) {
            Some((source, curve)) => Ok((source, curve.clone())),
            None => Ok((self.tensor(name)?, Curve::Input)),
        }
    }

    fn put_curve(&mut self, node: &NodeProto, input: usize, curve: Curve, like: &Value) -> Value {
        let curve = Arc::new(curve);
        self.put(node, OpKind::Lookup { input, curve }, like.shape, like.flat)
    }

    /// Reads a PReLU: one slope, or one for each channel.
    pub(super) fn slopes(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        let channels = value.shape.channels;
        let constant = self.constant(node, 1)?;
        let trimmed: Vec<usize> = constant
            .dims
            .iter()
            .copied()
            .filter(|&dim| dim != 1)
            .collect();
        match constant.floats() {
            Some(&[slope]) => {
                let (source, curve) = self.curve_of(&node.input[0])?;
                let curve = curve.then(Function::LeakyRelu(slope));
                Ok(self.put_curve(node, source, curve, &value))
            }
            Some(slopes) if trimmed == [channels] => {
                let kind = OpKind::Slopes {
                    input: self.tensor(&node.input[0])?,
                    slopes: slopes.into(),
                };
                Ok(self.put(node, kind, value.shape, value.flat))
            }
            _ => Err(NodeError::Reason(format!(
                "its slopes have shape {:?}, expected one or one for each of {channels} channels",
                constant.dims
            ))),
        }
    }

    /// Reads a product of two values, such as a map and its gates.
    pub(super) fn multiply(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let (a, b) = (self.value(node, 0)?.clone(), self.value(node, 1)?.clone());
        let [whole, repeated] = repeated(node, [&a, &b])?;
        let kind = OpKind::Multiply {
            a: self.tensor(&node.input[whole])?,
            b: self.tensor(&node.input[repeated])?,
        };
        let value = if whole == 0 { a } else { b };
        Ok(self.put(node, kind, value.shape, value.flat))
    }

    /// Reads an Expand before sums and products alone, which repeat their operand themselves.
    pub(super) fn expand(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        let made = &node.output[0];
        let mut readers = self
            .nodes
            .iter()
            .filter(|reader| reader.input.contains(made));
        let repeats = |reader: &NodeProto| {
            let other = reader.input.iter().find(|name| *name != made);
            matches!(reader.op_type.as_str(), "Add" | "Mul")
                && other.is_some_and(|other| !self.constants.contains_key(other))
        };
        if value.flat || !readers.all(repeats) {
            return Err(NodeError::Reason(
                "only a map that is added or multiplied can be repeated".into(),
            ));
        }
        Ok(value)
    }

    /// Reads a concatenation of channels, two by two.
    pub(super) fn concatenate(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let first = self.value(node, 0)?.clone();
        check_channel_axis(node, &first, attributes::int(node, "axis", 1))?;
        let mut maps = Vec::new();
        for (index, name) in node.input.iter().enumerate() {
            let value = self.value(node, index)?;
            let (shape, flat) = (value.shape, value.flat);
            let sides = [shape.height, shape.width];
            if sides != [first.shape.height, first.shape.width] || flat != first.flat {
                return Err(NodeError::Reason(format!(
                    "it puts {} behind {}; only channels can be joined",
                    shape, first.shape
                )));
            }
            maps.push((self.tensor(name)?, shape.channels));
        }
        self.joined(node, &first, maps)
    }

    /// Puts the channels of `maps`, tensors and their channels, one behind the other. The last step is
    /// left pending.
    pub(super) fn joined(
        &mut self,
        node: &NodeProto,
        like: &Value,
        mut maps: Vec<(usize, usize)>,
    ) -> Result<Value, NodeError> {
        loop {
            let mut made = Vec::new();
            for pair in maps.chunks(2) {
                let &[(a, first), (b, second)] = pair else {
                    made.extend_from_slice(pair);
                    continue;
                };
                let channels = first + second;
                let kind = OpKind::Concatenate { a, b };
                let value = self.put(
                    node,
                    kind,
                    Shape {
                        channels,
                        ..like.shape
                    },
                    like.flat,
                );
                if maps.len() == 2 {
                    return Ok(value);
                }
                let op = value
                    .pending
                    .ok_or_else(|| "a value without an operator".to_owned())?;
                made.push((self.graph.tensor(op), channels));
            }
            if let &[(tensor, _)] = &made[..] {
                return Ok(Value {
                    tensor: Some(tensor),
                    pending: None,
                    norm_of: None,
                    ..like.clone()
                });
            }
            maps = made;
        }
    }

    /// Reads a slice of channels.
    pub(super) fn slice(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        let ints = |index: usize| -> Result<Option<i64>, NodeError> {
            if node.input.get(index).is_none_or(String::is_empty) {
                return Ok(None);
            }
            match self.constant(node, index)?.ints() {
                Some(&[number]) => Ok(Some(number)),
                _ => Err(NodeError::Reason("only one axis can be sliced".into())),
            }
        };
        let (start, end) = (ints(1)?.unwrap_or(0), ints(2)?.unwrap_or(i64::MAX));
        check_channel_axis(node, &value, ints(3)?.unwrap_or(0))?;
        if ints(4)?.unwrap_or(1) != 1 {
            return Err(NodeError::Reason(
                "only neighbouring channels can be taken".into(),
            ));
        }
        let channels = value.shape.channels;
        let place = |at: i64| {
            let from_end = if at < 0 {
                at.saturating_add(channels as i64)
            } else {
                at
            };
            from_end.clamp(0, channels as i64) as usize
        };
        let (first, end) = (place(start), place(end));
        if first >= end {
            return Err(NodeError::Reason("it takes no channels".into()));
        }
        let input = self.tensor(&node.input[0])?;
        Ok(self.some_channels(node, &value, input, first, end - first))
    }

    /// Reads a split of channels; all its outputs but the first are values from here on.
    pub(super) fn split(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        check_channel_axis(node, &value, attributes::int(node, "axis", 0))?;
        let (channels, parts) = (value.shape.channels, node.output.len());
        let given = match attributes::ints(node, "split") {
            Some(sizes) => Some(sizes),
            None if node.input.get(1).is_some_and(|name| !name.is_empty()) => {
                self.constant(node, 1)?.ints()
            }
            None => None,
        };
        let even = vec![channels.div_ceil(parts) as i64; parts];
        let sizes = given.unwrap_or(&even);
        let input = self.tensor(&node.input[0])?;
        let mut first = 0;
        let mut made = Vec::new();
        for &size in sizes {
            let count = (usize::try_from(size).unwrap_or(0)).min(channels - first);
            if count == 0 {
                return Err(NodeError::Reason("it makes a part without channels".into()));
            }
            made.push(self.some_channels(node, &value, input, first, count));
            first += count;
        }
        if made.len() != parts {
            return Err(NodeError::Reason(format!(
                "it has {} sizes for {parts} parts",
                made.len()
            )));
        }
        for (name, part) in node.output.iter().zip(&made).skip(1) {
            self.values.insert(name, part.clone());
        }
        Ok(made.swap_remove(0))
    }

    pub(super) fn some_channels(
        &mut self,
        node: &NodeProto,
        value: &Value,
        input: usize,
        first: usize,
        channels: usize,
    ) -> Value {
        let shape = Shape {
            channels,
            ..value.shape
        };
        self.put(node, OpKind::Slice { input, first }, shape, value.flat)
    }
}

/// Returns which of two inputs has the shape of the result, and which is repeated to it.
pub(super) fn repeated(node: &NodeProto, [a, b]: [&Value; 2]) -> Result<[usize; 2], NodeError> {
    let repeats = |part: Shape, whole: Shape| {
        let fits = |part: usize, whole: usize| part == whole || part == 1;
        fits(part.height, whole.height)
            && fits(part.width, whole.width)
            && fits(part.channels, whole.channels)
    };
    let fit = a.flat == b.flat && (!a.flat || a.shape == b.shape);
    match (fit, repeats(b.shape, a.shape), repeats(a.shape, b.shape)) {
        (true, true, _) => Ok([0, 1]),
        (true, _, true) => Ok([1, 0]),
        _ => Err(NodeError::Reason(format!(
            "{} of {} and {} is not supported",
            node.op_type, a.shape, b.shape
        ))),
    }
}

/// Checks that `axis` is that of the channels.
fn check_channel_axis(node: &NodeProto, value: &Value, axis: i64) -> Result<(), NodeError> {
    let flat = value.flat && value.shape.height * value.shape.width == 1;
    let channels = axis == 1 || flat && axis == -1 || !value.flat && axis == -3;
    if channels && (flat || !value.flat) {
        return Ok(());
    }
    Err(NodeError::Reason(format!(
        "{} along axis {axis} is not supported, only along the channels (axis 1)",
        node.op_type
    )))
}

/// Returns the tensor and its function, where `value` is one that is not in the graph yet.
fn lookup(value: &Value) -> Option<(usize, &Curve)> {
    let op = value.pending.as_ref()?;
    match &op.kind {
        OpKind::Lookup { input, curve } if op.activation == Activation::Linear => {
            Some((*input, curve))
        }
        _ => None,
    }
}

fn combination(node: &NodeProto) -> Option<Combination> {
    Some(match node.op_type.as_str() {
        "Add" => Combination::Add,
        "Sub" => Combination::Sub,
        "Mul" => Combination::Mul,
        "Div" => Combination::Div,
        "Pow" => Combination::Pow,
        "Max" if node.input.len() == 2 => Combination::Max,
        "Min" if node.input.len() == 2 => Combination::Min,
        _ => return None,
    })
}

/// Returns the function of a node, with its attributes.
fn function(node: &NodeProto) -> Result<Function, NodeError> {
    let float = |name: &str, default: f32| attributes::float(node, name, default);
    Ok(match node.op_type.as_str() {
        "Abs" => Function::Abs,
        "Elu" => Function::Elu(float("alpha", 1.0)),
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Gelu" => match attributes::find(node, "approximate").map_or(&b"none"[..], |a| &a.s) {
            b"tanh" => Function::GeluTanh,
            _ => Function::Gelu,
        },
        "HardSigmoid" => Function::HardSigmoid(float("alpha", 0.2), float("beta", 0.5)),
        "HardSwish" => Function::HardSwish,
        "LeakyRelu" => Function::LeakyRelu(float("alpha", 0.01)),
        "Log" => Function::Log,
        "Mish" => Function::Mish,
        "Neg" => Function::Neg,
        "Reciprocal" => Function::Reciprocal,
        "Selu" => Function::Selu(float("alpha", 1.673_263_2), float("gamma", 1.050_701)),
        "Sigmoid" => Function::Sigmoid,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Sqrt" => Function::Sqrt,
        "Tanh" => Function::Tanh,
        _ => return Err(NodeError::Unsupported),
    })
}
