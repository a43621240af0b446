//! Reads one output of an ONNX graph: walks from it back to the input, and joins nodes to the
//! operators of the packed engine (convolution + adapter + batch norm + ReLU are one).
//!
//! Each output is read as if it were the only one. What several have in common comes out the same each
//! time, and the graph that grows takes it once.

use super::adapter::{compose, join_adapter, join_kernels, same_reading};
use super::attributes;
use super::pb::{GraphProto, NodeProto};
use super::read::ImportError;
use super::tensor::Constant;
use crate::builder::Activation;
use crate::engine::{FrontendDescription, Layout};
use crate::graph::{Channels, GraphBuilder, Op, OpKind};
use mtslvr_runtime::nn::{Shape, Window};
use std::collections::HashMap;

/// A value of the graph while an output is read.
#[derive(Clone)]
struct Value {
    /// The tensor that holds it, once an operator has been put out for it.
    tensor: Option<usize>,
    /// The operator that makes it, while norms, adapters or an activation can still join.
    pending: Option<Op>,
    /// Time, mel and channels.
    shape: Shape,
    /// Whether the graph has it as `[batch, values]`.
    flat: bool,
}

/// State of reading one output.
pub(super) struct PathReader<'g, 'b> {
    nodes: &'g [NodeProto],
    makers: HashMap<&'g str, usize>,
    constants: &'g HashMap<&'g str, Constant>,
    input: &'g str,
    layout: Layout,
    values: HashMap<&'g str, Value>,
    uses: HashMap<&'g str, usize>,
    graph: &'b mut GraphBuilder,
}

impl<'g, 'b> PathReader<'g, 'b> {
    pub fn new(
        graph: &'g GraphProto,
        constants: &'g HashMap<&'g str, Constant>,
        input: &'g str,
        frontend: &FrontendDescription,
        builder: &'b mut GraphBuilder,
    ) -> Self {
        let outputs = |(index, node): (usize, &'g NodeProto)| {
            node.output.iter().map(move |name| (name.as_str(), index))
        };
        let value = Value {
            tensor: Some(0),
            pending: None,
            shape: Shape::new(
                frontend.config.frames.into(),
                frontend.config.mels.into(),
                1,
            ),
            flat: false,
        };
        Self {
            nodes: &graph.node,
            makers: graph.node.iter().enumerate().flat_map(outputs).collect(),
            constants,
            input,
            layout: frontend.layout,
            values: HashMap::from([(input, value)]),
            uses: HashMap::new(),
            graph: builder,
        }
    }

    /// Adds the operators that make the graph's output `output`, and returns the tensor that holds it.
    pub fn read(mut self, output: &'g str) -> Result<usize, ImportError> {
        let order = self.ancestors(output)?;
        for &index in &order {
            for name in &self.nodes[index].input {
                *self.uses.entry(name).or_default() += 1;
            }
        }
        for index in order {
            let node = &self.nodes[index];
            let value = self.evaluate(node).map_err(|error| match error {
                NodeError::Unsupported => ImportError::Operator {
                    node: node_name(node),
                    op: node.op_type.clone(),
                },
                NodeError::Reason(reason) => ImportError::Node {
                    node: node_name(node),
                    op: node.op_type.clone(),
                    reason,
                },
            })?;
            let Some(name) = node.output.first() else {
                continue;
            };
            // With its activation an operator is complete; what several nodes read is computed once.
            let complete = value
                .pending
                .as_ref()
                .is_some_and(|op| op.activation != Activation::Linear);
            let shared = self.uses.get(name.as_str()).is_some_and(|&uses| uses > 1);
            self.values.insert(name, value);
            if complete && shared {
                self.tensor(name).map_err(ImportError::Interface)?;
            }
        }
        let tensor = self.tensor(output).map_err(ImportError::Interface)?;
        let shape = self.values[output].shape;
        if tensor == 0 || shape.height * shape.width != 1 {
            return Err(ImportError::Interface(format!(
                "output `{output}` is a map of {shape}; expected features pooled over time and mel, \
                 [batch, dim]"
            )));
        }
        Ok(tensor)
    }

    /// Indices of the nodes that `output` needs, each after those it needs itself.
    fn ancestors(&self, output: &'g str) -> Result<Vec<usize>, ImportError> {
        let mut order = Vec::new();
        let mut entered = vec![false; self.nodes.len()];
        let mut left = vec![false; self.nodes.len()];
        let missing = |name: &str| {
            ImportError::Interface(format!("nothing in the graph makes the value `{name}`"))
        };
        let is_given =
            |name: &str| name.is_empty() || name == self.input || self.constants.contains_key(name);
        if is_given(output) {
            return Ok(order);
        }
        let first = *self.makers.get(output).ok_or_else(|| missing(output))?;
        let mut stack = vec![(first, 0)];
        entered[first] = true;
        while let Some((index, next)) = stack.pop() {
            let node = &self.nodes[index];
            let Some(name) = node.input.get(next) else {
                left[index] = true;
                order.push(index);
                continue;
            };
            stack.push((index, next + 1));
            if is_given(name) {
                continue;
            }
            let maker = *self
                .makers
                .get(name.as_str())
                .ok_or_else(|| missing(name))?;
            if !entered[maker] {
                entered[maker] = true;
                stack.push((maker, 0));
            } else if !left[maker] {
                return Err(ImportError::Interface(format!(
                    "node `{}` needs its own result",
                    node_name(&self.nodes[maker])
                )));
            }
        }
        Ok(order)
    }

    fn evaluate(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(NodeError::Unsupported);
        }
        match node.op_type.as_str() {
            "Conv" => self.convolution(node),
            "Gemm" | "MatMul" => self.linear(node),
            "BatchNormalization" => self.batch_norm(node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            "Relu" => self.activate(node, Activation::Relu),
            "Clip" => self.clip(node),
            "Identity" | "Dropout" => self.value(node, 0).cloned(),
            "GlobalAveragePool" => self.pool_all(node, [true, true], false),
            "ReduceMean" => self.reduce_mean(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "Flatten" | "Reshape" | "Squeeze" => self.flatten(node),
            _ => Err(NodeError::Unsupported),
        }
    }

    fn convolution(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let input = self.value(node, 0)?.clone();
        let kernels = self.constant(node, 1)?;
        let (&[outputs, inputs, kh, kw], Some(values)) = (&kernels.dims[..], kernels.floats())
        else {
            return Err(NodeError::Reason(format!(
                "its kernels have shape {:?}, expected [out, in, height, width]",
                kernels.dims
            )));
        };
        let group = attributes::int(node, "group", 1);
        if group != 1 {
            return Err(NodeError::Reason(format!(
                "group is {group}, but only dense convolutions (group = 1) are supported"
            )));
        }
        if input.flat || inputs != input.shape.channels || outputs * inputs * kh * kw == 0 {
            return Err(NodeError::Reason(format!(
                "its kernels have shape {:?} and do not fit its input of {} (time x mel x channels)",
                kernels.dims, input.shape
            )));
        }
        let window = attributes::window(node, [kh, kw], input.shape, self.layout)?;
        let [height, width] = window_output(&window, input.shape)?;

        let at = |o: usize, i: usize, y: usize, x: usize| {
            let (y, x) = match self.layout {
                Layout::TimeMel => (y, x),
                Layout::MelTime => (x, y),
            };
            values[((o * inputs + i) * kh + y) * kw + x]
        };
        let mut weights = Vec::with_capacity(values.len());
        for o in 0..outputs {
            for y in 0..window.kernel[0] {
                for x in 0..window.kernel[1] {
                    weights.extend((0..inputs).map(|i| at(o, i, y, x)));
                }
            }
        }
        let channels = Channels {
            weights: weights.into(),
            adapter: None,
            gain: vec![1.0; outputs],
            shift: self.bias(node, 2, outputs)?,
        };
        if let Some(composed) = self.compose_adapter(node, &window, &channels) {
            return Ok(Value {
                tensor: None,
                pending: Some(composed),
                ..input
            });
        }
        let input = self.tensor(&node.input[0])?;
        Ok(self.put(
            node,
            OpKind::Convolution {
                input,
                window,
                channels,
            },
            Shape::new(height, width, outputs),
            false,
        ))
    }

    /// A 1x1 convolution behind another one, as one convolution with the kernels of the two composed,
    /// where that sum of products can join what it is added to: a series adapter, `z + W (g z + s)`
    /// with `z` a convolution.
    ///
    /// Only there: elsewhere a narrow convolution between two wide ones would be undone.
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
        // What the result is added to, and nothing else reads it.
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

    fn linear(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let gemm = node.op_type == "Gemm";
        let value = self.value(node, 0)?.clone();
        let kernels = self.constant(node, 1)?;
        let (&[rows, columns], Some(values)) = (&kernels.dims[..], kernels.floats()) else {
            return Err(NodeError::Reason(format!(
                "its weights have shape {:?}, expected two dimensions",
                kernels.dims
            )));
        };
        if gemm && attributes::int(node, "transA", 0) != 0 {
            return Err(NodeError::Reason("transA is not supported".into()));
        }
        let transposed = gemm && attributes::int(node, "transB", 0) != 0;
        let (inputs, outputs) = if transposed {
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
        let alpha = if gemm {
            attributes::float(node, "alpha", 1.0)
        } else {
            1.0
        };
        let beta = if gemm {
            attributes::float(node, "beta", 1.0)
        } else {
            1.0
        };
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
                        alpha
                            * values[if transposed {
                                o * inputs + i
                            } else {
                                i * outputs + o
                            }]
                    }));
                }
            }
        }
        let bias = if gemm {
            self.bias(node, 2, outputs)?
        } else {
            vec![0.0; outputs]
        };
        let channels = Channels {
            weights: weights.into(),
            adapter: None,
            gain: vec![1.0; outputs],
            shift: bias.iter().map(|b| b * beta).collect(),
        };
        let input = self.tensor(&node.input[0])?;
        let kind = OpKind::Linear { input, channels };
        Ok(self.put(node, kind, Shape::new(1, 1, outputs), true))
    }

    /// `scale * (x - mean) / sqrt(var + epsilon) + bias`
    fn batch_norm(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
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

    /// Two values added, or a value and a constant joined by any of the four operations.
    fn arithmetic(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let is_constant = |index: usize| {
            let name = node.input.get(index).map_or("", String::as_str);
            self.constants.contains_key(name)
        };
        let op = node.op_type.as_str();
        let (data, first) = match (is_constant(0), is_constant(1)) {
            (false, false) if op == "Add" => return self.add(node),
            (false, true) => (0, false),
            (true, false) if op != "Div" => (1, true),
            _ => {
                return Err(NodeError::Reason(
                    "only sums of two values, and arithmetic of a value with a constant, are supported"
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
            _ => {
                return Err(NodeError::Reason(format!(
                    "the constant `{}` has shape {:?}, expected one value or one for each of {channels} channels",
                    node.input[1 - data],
                    constant.dims
                )));
            }
        };
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        let (gain, shift) = match (op, first) {
            ("Add", _) => (ones, operand),
            ("Sub", false) => (ones, operand.iter().map(|v| -v).collect()),
            ("Sub", true) => (vec![-1.0; channels], operand),
            ("Mul", _) => (operand, zeros),
            _ => (operand.iter().map(|v| 1.0 / v).collect(), zeros),
        };
        if !gain.iter().all(|g| g.is_finite()) {
            return Err(NodeError::Reason("it divides by zero".into()));
        }
        self.affine(node, data, &gain, &shift)
    }

    fn add(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let (a, b) = (self.value(node, 0)?.clone(), self.value(node, 1)?.clone());
        if a.shape != b.shape || a.flat != b.flat {
            return Err(NodeError::Reason(format!(
                "it adds {} and {}; sums of different shapes are not supported",
                a.shape, b.shape
            )));
        }
        for (main, tap) in [(&a, &b), (&b, &a)] {
            if let (Some(main), Some(tap)) = (&main.pending, &tap.pending)
                && let Some(joined) = join_adapter(main, tap).or_else(|| join_kernels(main, tap))
            {
                return Ok(Value {
                    tensor: None,
                    pending: Some(joined),
                    ..a
                });
            }
        }
        // The engine adds inside the convolution that comes last: let that be the larger one.
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

    fn clip(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
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

    fn activate(
        &mut self,
        node: &'g NodeProto,
        activation: Activation,
    ) -> Result<Value, NodeError> {
        let mut value = self.value(node, 0)?.clone();
        match &mut value.pending {
            Some(op) if op.activation == Activation::Linear => {
                op.activation = activation;
                value.tensor = None;
                Ok(value)
            }
            // max(max(x, 0), 0)
            Some(op) if op.activation == activation => Ok(value),
            _ => Err(NodeError::Reason(
                "an activation must follow a convolution, linear layer or sum".into(),
            )),
        }
    }

    fn reduce_mean(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let axes = match attributes::ints(node, "axes") {
            Some(axes) => axes.to_vec(),
            None => self
                .constant(node, 1)?
                .ints()
                .map(<[i64]>::to_vec)
                .unwrap_or_default(),
        };
        let keep = attributes::int(node, "keepdims", 1) != 0;
        let mut reduced = [false; 2];
        for &axis in &axes {
            match axis {
                2 | -2 => reduced[0] = true,
                3 | -1 => reduced[1] = true,
                _ => {
                    return Err(NodeError::Reason(format!(
                        "its axes are {axes:?}; only means over time and mel (2, 3) are supported"
                    )));
                }
            }
        }
        if reduced == [false; 2] || !keep && reduced != [true; 2] {
            return Err(NodeError::Reason(format!(
                "its axes are {axes:?}; expected [2, 3], or one of them with keepdims = 1"
            )));
        }
        if self.layout == Layout::MelTime {
            reduced.reverse();
        }
        self.pool_all(node, reduced, !keep)
    }

    /// Means over the whole of time, mel or both.
    fn pool_all(
        &mut self,
        node: &'g NodeProto,
        reduced: [bool; 2],
        flat: bool,
    ) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?;
        if value.flat {
            return Err(NodeError::Reason("its input is already flat".into()));
        }
        let shape = value.shape;
        let size = |reduced: bool, size: usize| if reduced { size } else { 1 };
        let window = Window {
            kernel: [
                size(reduced[0], shape.height),
                size(reduced[1], shape.width),
            ],
            ..Window::square(1, 1, 0)
        };
        let [height, width] = window_output(&window, shape)?;
        let input = self.tensor(&node.input[0])?;
        let kind = OpKind::AveragePool { input, window };
        Ok(self.put(node, kind, Shape::new(height, width, shape.channels), flat))
    }

    fn pool(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?;
        let (shape, flat) = (value.shape, value.flat);
        let kernel = match attributes::ints(node, "kernel_shape") {
            Some(&[a, b]) if a > 0 && b > 0 && !flat => [a as usize, b as usize],
            _ => {
                return Err(NodeError::Reason(
                    "only two-dimensional pools over maps are supported".into(),
                ));
            }
        };
        let window = attributes::window(node, kernel, shape, self.layout)?;
        let [height, width] = window_output(&window, shape)?;
        let input = self.tensor(&node.input[0])?;
        let kind = if node.op_type == "MaxPool" {
            OpKind::MaxPool { input, window }
        } else {
            let counts_padding = attributes::int(node, "count_include_pad", 0) != 0;
            if !counts_padding && window.padding != Window::square(1, 1, 0).padding {
                return Err(NodeError::Reason(
                    "a padded average must have count_include_pad = 1".into(),
                ));
            }
            OpKind::AveragePool { input, window }
        };
        Ok(self.put(node, kind, Shape::new(height, width, shape.channels), false))
    }

    /// `[batch, c, h, w]` to `[batch, c * h * w]`, however it is said.
    fn flatten(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let mut value = self.value(node, 0)?.clone();
        let shape = value.shape;
        let len = shape.len();
        let fits = match node.op_type.as_str() {
            "Flatten" => attributes::int(node, "axis", 1) == 1,
            "Reshape" => matches!(
                self.constant(node, 1)?.ints(),
                Some(&[batch, width])
                    if batch != width && (width == -1 || width == len as i64)
                        && matches!(batch, -1..=1)
            ),
            _ => {
                let axes = match attributes::ints(node, "axes") {
                    Some(axes) => Some(axes.to_vec()),
                    None if node.input.len() > 1 => {
                        self.constant(node, 1)?.ints().map(<[i64]>::to_vec)
                    }
                    None => None,
                };
                let spatial = axes.is_some_and(|mut axes| {
                    axes.iter_mut()
                        .filter(|axis| **axis < 0)
                        .for_each(|axis| *axis += 4);
                    axes.sort_unstable();
                    axes == [2, 3]
                });
                spatial && len == shape.channels
            }
        };
        if !fits {
            return Err(NodeError::Reason(
                "only flattening to [batch, values] is supported".into(),
            ));
        }
        value.flat = true;
        Ok(value)
    }

    /// Applies `gain * x + shift` to each channel of an input that is still a linear operator.
    fn affine(
        &mut self,
        node: &'g NodeProto,
        input: usize,
        gain: &[f32],
        shift: &[f32],
    ) -> Result<Value, NodeError> {
        let mut value = self.value(node, input)?.clone();
        match &mut value.pending {
            Some(Op {
                kind: OpKind::Convolution { channels, .. } | OpKind::Linear { channels, .. },
                activation: Activation::Linear,
                ..
            }) => {
                for (c, (g, s)) in gain.iter().zip(shift).enumerate() {
                    channels.gain[c] *= g;
                    channels.shift[c] = channels.shift[c] * g + s;
                }
                value.tensor = None;
                Ok(value)
            }
            _ => Err(NodeError::Reason(
                "a norm or arithmetic with a constant must follow a convolution or linear layer"
                    .into(),
            )),
        }
    }

    fn bias(&self, node: &NodeProto, index: usize, outputs: usize) -> Result<Vec<f32>, NodeError> {
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

    fn value(&self, node: &NodeProto, index: usize) -> Result<&Value, NodeError> {
        let name = node.input.get(index).map_or("", String::as_str);
        self.values.get(name).ok_or_else(|| {
            NodeError::Reason(format!(
                "input {index} (`{name}`) is not a map of the network"
            ))
        })
    }

    fn constant(&self, node: &NodeProto, index: usize) -> Result<&'g Constant, NodeError> {
        let name = node.input.get(index).map_or("", String::as_str);
        self.constants.get(name).ok_or_else(|| {
            NodeError::Reason(format!(
                "input {index} (`{name}`) must be a constant; simplify the model (onnxsim) if it is \
                 computed from constants"
            ))
        })
    }

    /// The result of an operator that has just been read; a pool is put out at once.
    fn put(&mut self, node: &NodeProto, kind: OpKind, output: Shape, flat: bool) -> Value {
        let op = Op {
            name: node_name(node),
            kind,
            activation: Activation::Linear,
            output,
        };
        let (tensor, pending) = match op.kind {
            OpKind::MaxPool { .. } | OpKind::AveragePool { .. } => {
                (Some(self.graph.tensor(op)), None)
            }
            _ => (None, Some(op)),
        };
        Value {
            tensor,
            pending,
            shape: output,
            flat,
        }
    }

    /// The tensor that holds the value `name`; puts out its operator if that is still pending.
    fn tensor(&mut self, name: &str) -> Result<usize, String> {
        let value = self
            .values
            .get_mut(name)
            .ok_or_else(|| format!("`{name}` is not a value of the network"))?;
        if let Some(tensor) = value.tensor {
            return Ok(tensor);
        }
        let op = value.pending.clone().ok_or("a value without an operator")?;
        let tensor = self.graph.tensor(op);
        value.tensor = Some(tensor);
        Ok(tensor)
    }
}

fn window_output(window: &Window, input: Shape) -> Result<[usize; 2], String> {
    window
        .output_size(input.height, input.width)
        .ok_or_else(|| {
            let p = window.padding;
            format!(
                "a kernel of {:?} with stride {:?} and padding [{}, {}, {}, {}] does not fit a map of {input}",
                window.kernel, window.stride, p.top, p.left, p.bottom, p.right
            )
        })
}

/// Returns a node's name, or else that of its output.
fn node_name(node: &NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

/// Why a node cannot be taken.
enum NodeError {
    /// Its operator is unknown.
    Unsupported,
    /// Its operator is known, but not used like this.
    Reason(String),
}

impl From<String> for NodeError {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}
