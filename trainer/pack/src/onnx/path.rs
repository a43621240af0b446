//! Reads one output of an ONNX graph: walks from it back to the input, and joins nodes to the
//! operators of the packed engine (convolution + adapter + batch norm + ReLU are one).
//!
//! Each output is read as if it were the only one. Operators that several outputs share come out the
//! same each time, and the graph takes them once.

mod channels;
mod elementwise;
mod layers;
mod maps;

use super::error::ImportError;
use super::message::{needed, node_name};
use super::normalise::Normal;
use super::pb::NodeProto;
use super::tensor::Constant;
use crate::builder::Activation;
use crate::graph::{GraphBuilder, Op, OpKind};
use crate::metadata::Layout;
use mtslvr_runtime::nn::Shape;
use std::collections::HashMap;

/// A value of the graph while an output is read.
#[derive(Clone)]
struct Value {
    /// The tensor that holds it, once its operator is in the graph.
    tensor: Option<usize>,
    /// The operator that makes it, while norms, adapters or an activation can still join.
    pending: Option<Op>,
    /// Time, mel and channels.
    shape: Shape,
    /// Whether the graph has it as `[batch, values]`.
    flat: bool,
    /// The tensor that the pending operator only scales and shifts, channel by channel: whoever reads
    /// the value may do that in its own weights.
    norm_of: Option<usize>,
    /// The shape in which the pending operator writes the value, if not its own: the same values in the same
    /// order.
    view: Option<Shape>,
}

/// State of reading one output.
pub(super) struct OutputReader<'g, 'b> {
    nodes: &'g [NodeProto],
    constants: &'g HashMap<String, Constant>,
    input: &'g str,
    layout: Layout,
    values: HashMap<&'g str, Value>,
    uses: HashMap<&'g str, usize>,
    graph: &'b mut GraphBuilder,
}

impl<'g, 'b> OutputReader<'g, 'b> {
    pub fn new(normal: &'g Normal, builder: &'b mut GraphBuilder) -> Self {
        let config = &normal.frontend.config;
        let value = Value {
            tensor: Some(0),
            pending: None,
            shape: Shape::new(config.frames.into(), config.mels.into(), 1),
            flat: false,
            norm_of: None,
            view: None,
        };
        Self {
            nodes: &normal.nodes,
            constants: &normal.constants,
            input: &normal.input,
            layout: normal.frontend.layout,
            values: HashMap::from([(normal.input.as_str(), value)]),
            uses: HashMap::new(),
            graph: builder,
        }
    }

    /// Adds the operators that make the graph's output `output`, and returns the tensor that holds it.
    pub fn read(mut self, output: &'g str) -> Result<usize, ImportError> {
        let given =
            |name: &str| name.is_empty() || name == self.input || self.constants.contains_key(name);
        let order = needed(self.nodes, &[output.to_owned()], given)?;
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
            // An operator is complete with its activation, or as soon as several nodes read it: it must
            // then be computed once.
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

    fn evaluate(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(NodeError::Unsupported);
        }
        match node.op_type.as_str() {
            "Conv" => self.convolution(node),
            "Gemm" | "MatMul" => self.linear(node),
            "BatchNormalization" => self.batch_norm(node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            "Pow" | "Max" | "Min" => self.combination(node),
            "Relu" => self.activate(node, Activation::Relu),
            "Clip" => self.clip(node),
            "PRelu" => self.slopes(node),
            "Concat" => self.concatenate(node),
            "Slice" => self.slice(node),
            "Split" => self.split(node),
            "Expand" => self.expand(node),
            "Identity" | "Dropout" => self.value(node, 0).cloned(),
            "GlobalAveragePool" | "GlobalMaxPool" => self.pool_all(node, [true, true], false),
            "ReduceMean" | "ReduceMax" => self.reduce(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "Flatten" | "Reshape" => self.flatten(node),
            _ => self.function(node),
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

    /// Makes the value of an operator that has just been read. A pool is added to the graph at once.
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
            norm_of: None,
            view: None,
        }
    }

    /// Returns the tensor that holds the value `name`; adds its operator to the graph if that is still
    /// pending.
    fn tensor(&mut self, name: &str) -> Result<usize, String> {
        let value = self
            .values
            .get_mut(name)
            .ok_or_else(|| format!("`{name}` is not a value of the network"))?;
        if let Some(tensor) = value.tensor {
            return Ok(tensor);
        }
        let op = value.pending.clone().ok_or("a value without an operator")?;
        let back = value.view.map(|_| (op.name.clone(), value.shape));
        let mut tensor = self.graph.tensor(op);
        if let Some((name, output)) = back {
            tensor = self.graph.tensor(Op {
                name,
                kind: OpKind::Reshape { input: tensor },
                activation: Activation::Linear,
                output,
            });
        }
        value.tensor = Some(tensor);
        Ok(tensor)
    }
}

/// Explains why a node cannot be taken.
enum NodeError {
    /// Its operator is unknown.
    Unsupported,
    /// Its operator is known, but not in this use.
    Reason(String),
}

impl From<String> for NodeError {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}
