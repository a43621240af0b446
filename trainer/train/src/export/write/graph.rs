//! The graph that a backbone is written into: nodes for both paths, and initialisers.

use super::error::WriteError;
use crate::net::{PATH_OUTPUTS, PATHS, Weights};
use mtslvr_pack::onnx::pb;
use ndarray::{Array1, Array2};
use std::collections::BTreeSet;

/// The names of a value in both paths; equal where the paths share it.
pub(super) type Paths = [String; PATHS];

/// The graph so far, and the weights that go into it.
pub(super) struct Writer<'w> {
    pub(super) weights: &'w Weights,
    pub(super) graph: pb::GraphProto,
    /// Initialisers already in the graph.
    pub(super) written: BTreeSet<String>,
    /// Frames and mels of a patch.
    pub(super) patch: [usize; 2],
}

impl<'w> Writer<'w> {
    /// Adds a node without weights for each path, or one for both where the inputs are shared.
    pub(super) fn each(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&Paths],
        attributes: Vec<pb::AttributeProto>,
    ) -> Paths {
        self.each_with(op, name, inputs, |_| vec![], attributes, false)
    }

    /// Adds a node for each path, or one for both where inputs and weights are shared.
    pub(super) fn each_with(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&Paths],
        weights: impl Fn(usize) -> Vec<String>,
        attributes: Vec<pb::AttributeProto>,
        per_path_weights: bool,
    ) -> Paths {
        let shared = !per_path_weights && inputs.iter().all(|input| input[0] == input[1]);
        let mut node = |path: usize, name: String| {
            let mut all: Vec<String> = inputs.iter().map(|input| input[path].clone()).collect();
            all.extend(weights(path));
            let output = format!("{name}:out");
            self.node(op, &name, all, &output, attributes.clone());
            output
        };
        if shared {
            let output = node(0, format!("shared/{name}"));
            [output.clone(), output]
        } else {
            [0, 1].map(|path| node(path, format!("{}/{name}", PATH_OUTPUTS[path])))
        }
    }

    /// Adds a node.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: &str,
        input: Vec<String>,
        output: &str,
        attribute: Vec<pb::AttributeProto>,
    ) {
        self.graph.node.push(pb::NodeProto {
            op_type: op.into(),
            name: name.into(),
            input,
            output: vec![output.into()],
            attribute,
            ..Default::default()
        });
    }

    /// Puts a tensor among the initialisers, once.
    pub(super) fn initialiser(&mut self, name: &str, shape: &[usize]) -> Result<(), WriteError> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let values = self.tensor(name, shape)?;
        self.add(name, shape, values);
        Ok(())
    }

    /// Returns the values of a tensor, which must have `shape`.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'w [f32], WriteError> {
        let (found, values) = self
            .weights
            .get(name)
            .ok_or_else(|| WriteError::Missing(name.to_owned()))?;
        if found != shape || values.len() != shape.iter().product::<usize>() {
            return Err(WriteError::Shape {
                name: name.to_owned(),
                found: found.clone(),
                expected: shape.to_vec(),
            });
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(WriteError::NotFinite(name.to_owned()));
        }
        Ok(values)
    }

    /// Adds an initialiser.
    pub(super) fn add(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            dims: shape.iter().map(|&dim| dim as i64).collect(),
            data_type: pb::tensor_proto::DataType::Float as i32,
            raw_data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            ..Default::default()
        });
    }
}

/// `weight x + bias`
pub(super) struct Affine {
    /// `[out, in]`
    pub(super) weight: Array2<f64>,
    pub(super) bias: Array1<f64>,
}

impl Affine {
    /// This layer and then `next`, as one layer: nothing lies between them that could not be folded.
    pub(super) fn then(self, next: Self) -> Self {
        Self {
            bias: next.weight.dot(&self.bias) + &next.bias,
            weight: next.weight.dot(&self.weight),
        }
    }
}
