//! Brings a graph of any exporter into one form before it is read or run.
//!
//! Constants are computed, nodes that do nothing are left out, and the transposes of a layout with
//! channels last are moved behind what they do not change, until they meet their inverse or a weight.
//! Every value has a shape afterwards, found for one patch and checked against [`Limits`]. Whatever is
//! rewritten computes the same function.

mod fold;
mod input;
#[cfg(test)]
mod operator_tests;
pub(super) mod patch_norm;
mod rules;
mod shapes;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
pub(super) mod tests;

use super::error::ImportError;
use super::limits::{Limits, count};
use super::message::{self, decode, metadata_of, node_name};
use super::pb;
use super::tensor::Constant;
use crate::metadata::FrontendDescription;
use prost::Message;
use shapes::{Failed, Inputs};
use std::collections::{HashMap, HashSet};

/// A model in the form that engines are given: every shape in it is known and within [`Limits`].
#[derive(Clone, Debug)]
pub struct Checked {
    /// The ONNX file, with its own metadata.
    pub bytes: Vec<u8>,
    /// How its input is made; a norm of the input has become part of it.
    pub frontend: FrontendDescription,
    /// Names of the outputs, and the values that each gives for a patch.
    pub outputs: Vec<(String, usize)>,
}

/// Normalises an ONNX file for an engine. `frontend` overrides the frontend in the file's metadata.
///
/// # Errors
/// [`ImportError`] if the file is no ONNX model of one patch, a node cannot be computed, an operator is
/// unknown so that its shapes cannot be checked, or the model asks for more than [`Limits::from_environment`].
pub fn checked(
    bytes: &[u8],
    frontend: Option<&FrontendDescription>,
) -> Result<Checked, ImportError> {
    let mut model = decode(bytes)?;
    let metadata = metadata_of(&model)?;
    let frontend = frontend.or(metadata.frontend.as_ref());
    let frontend = frontend.ok_or(ImportError::NoFrontend)?;
    let normal = normalise(&mut model, frontend, &Limits::from_environment()?)?;
    let frontend = normal.frontend.clone();
    let width = |name: &String| {
        let shape = normal.shapes.get(name).map_or(&[][..], Vec::as_slice);
        (name.clone(), count(shape.get(1..).unwrap_or_default()))
    };
    let outputs = normal.outputs.iter().map(width).collect();
    model.graph = Some(normal.into_graph()?);
    Ok(Checked {
        bytes: model.encode_to_vec(),
        frontend,
        outputs,
    })
}

/// A graph in its one form.
pub(super) struct Normal {
    /// How the input is made.
    pub frontend: FrontendDescription,
    /// Name of the input.
    pub input: String,
    /// Names of the outputs, in the order of the file.
    pub outputs: Vec<String>,
    /// Nodes in an order that can run.
    pub nodes: Vec<pb::NodeProto>,
    /// All constants, those that no node reads any more too.
    pub constants: HashMap<String, Constant>,
    shapes: HashMap<String, Vec<usize>>,
}

/// Normalises the graph of `model`, and takes the graph out of it.
pub(super) fn normalise(
    model: &mut pb::ModelProto,
    frontend: &FrontendDescription,
    limits: &Limits,
) -> Result<Normal, ImportError> {
    let opset = model
        .opset_import
        .iter()
        .find(|set| is_standard(&set.domain));
    let opset = opset.map_or(1, |set| set.version);
    let graph = model
        .graph
        .take()
        .ok_or_else(|| ImportError::NotOnnx("it holds no graph".into()))?;
    let nodes: u64 = graph.node.iter().map(message::count_nodes).sum();
    Limits::check("nodes", nodes, limits.nodes as u64)?;
    let initialised: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let given = input::find(&graph, &initialised, frontend)?;
    let outputs: Vec<String> = graph
        .output
        .iter()
        .map(|output| output.name.clone())
        .collect();
    let keep_quantised = graph
        .node
        .iter()
        .any(|node| node.op_type == "QuantizeLinear");

    let mut pass = Pass::new(limits, opset, keep_quantised);
    for tensor in &graph.initializer {
        pass.initialiser(tensor)?;
    }
    let input = given.name.clone();
    let mut source = graph.node;
    pass.begin(&given, &mut source);
    if let Some(norm) = &frontend.norm {
        patch_norm::prepend(&mut pass, norm, frontend.layout, &input, &mut source);
    }
    pass.run(source, &input, &outputs)?;
    // Again for a single patch: the file may fix another batch, and rules may meet new neighbours.
    let mut again = Pass::new(limits, opset, keep_quantised);
    again.constants = std::mem::take(&mut pass.constants);
    again.unreadable = std::mem::take(&mut pass.unreadable);
    again.shapes.insert(input.clone(), given.patch(1));
    again.run(std::mem::take(&mut pass.nodes), &input, &outputs)?;
    if let Some((name, reason)) = again.missing(&outputs) {
        return Err(ImportError::Constant { name, reason });
    }
    let mut normal = Normal {
        frontend: FrontendDescription {
            // It is in the graph now.
            norm: None,
            ..frontend.clone()
        },
        input,
        outputs,
        nodes: again.nodes,
        constants: again.constants,
        shapes: again.shapes,
    };
    input::join_norms(&mut normal);
    Ok(normal)
}

pub(super) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

impl Normal {
    /// Writes the graph for an engine, which takes any number of patches.
    fn into_graph(self) -> Result<pb::GraphProto, ImportError> {
        let unknown = |node: &&pb::NodeProto| {
            let mut outputs = node.output.iter().filter(|name| !name.is_empty());
            !outputs.all(|name| self.shapes.contains_key(name))
        };
        if let Some(node) = self.nodes.iter().find(unknown) {
            return Err(ImportError::Unchecked {
                node: node_name(node),
                op: node.op_type.clone(),
            });
        }
        let used: HashSet<&String> = self.nodes.iter().flat_map(|node| &node.input).collect();
        let mut constants: Vec<(&String, &Constant)> = self
            .constants
            .iter()
            .filter(|(name, _)| used.contains(name) || self.outputs.contains(name))
            .collect();
        constants.sort_by_key(|(name, _)| *name);
        let info = |name: &String| {
            let shape = self.shapes.get(name).map_or(&[][..], |shape| shape);
            let dims: Vec<i64> = shape.iter().skip(1).map(|&dim| dim as i64).collect();
            super::value_info(name, &dims)
        };
        Ok(pb::GraphProto {
            name: "normalised".into(),
            input: vec![info(&self.input)],
            output: self.outputs.iter().map(info).collect(),
            initializer: constants.iter().map(|(name, c)| c.write(name)).collect(),
            node: self.nodes,
            ..Default::default()
        })
    }
}

/// One walk over the nodes: each is taken with all before it in their final form.
struct Pass<'l> {
    limits: &'l Limits,
    opset: i64,
    /// Whether activations are quantised in the graph, so that weights stay quantised, too.
    keep_quantised: bool,
    /// Nodes in their final form.
    nodes: Vec<pb::NodeProto>,
    /// The node that makes a value.
    makers: HashMap<String, usize>,
    constants: HashMap<String, Constant>,
    /// Constants that cannot be read, and why.
    unreadable: HashMap<String, String>,
    shapes: HashMap<String, Vec<usize>>,
    /// Values that are the same as another.
    aliases: HashMap<String, String>,
    elements: u64,
    work: u64,
    fresh: usize,
}

impl<'l> Pass<'l> {
    fn new(limits: &'l Limits, opset: i64, keep_quantised: bool) -> Self {
        Self {
            limits,
            opset,
            keep_quantised,
            nodes: Vec::new(),
            makers: HashMap::new(),
            constants: HashMap::new(),
            unreadable: HashMap::new(),
            shapes: HashMap::new(),
            aliases: HashMap::new(),
            elements: 0,
            work: 0,
            fresh: 0,
        }
    }

    fn initialiser(&mut self, tensor: &pb::TensorProto) -> Result<(), ImportError> {
        let dims = tensor
            .dims
            .iter()
            .map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX));
        let elements = count(&dims.collect::<Vec<_>>());
        Limits::check(
            "values in one tensor",
            elements as u64,
            self.limits.elements as u64,
        )?;
        let name = tensor.name.clone();
        match Constant::read(tensor) {
            Ok(constant) => drop(self.constants.insert(name, constant)),
            // It matters only if a node is left that reads it.
            Err(reason) => drop(self.unreadable.insert(name, reason)),
        }
        Ok(())
    }

    /// Makes the input known. A graph that takes a patch with its axes in another form gets it by a
    /// reshape.
    fn begin(&mut self, given: &input::Given, nodes: &mut Vec<pb::NodeProto>) {
        self.shapes
            .insert(given.name.clone(), given.patch(given.batch));
        if given.patch(given.batch) == given.dims {
            return;
        }
        let made = self.fresh_name(&given.name, "as_given");
        for input in nodes.iter_mut().flat_map(|node| &mut node.input) {
            if *input == given.name {
                input.clone_from(&made);
            }
        }
        let mut target: Vec<i64> = given.dims.iter().map(|&dim| dim as i64).collect();
        target[0] = 0;
        let target = Constant::int(vec![target.len()], target);
        let target = self.new_constant(&made, "shape", target);
        nodes.insert(
            0,
            rules::node("Reshape", &[&given.name, &target], &made, vec![]),
        );
    }

    /// Takes the nodes that the `outputs` need.
    fn run(
        &mut self,
        nodes: Vec<pb::NodeProto>,
        input: &str,
        outputs: &[String],
    ) -> Result<(), ImportError> {
        let known = |name: &str| {
            name.is_empty()
                || name == input
                || self.constants.contains_key(name)
                || self.unreadable.contains_key(name)
        };
        let order = message::needed(&nodes, outputs, known)?;
        let mut nodes: Vec<Option<pb::NodeProto>> = nodes.into_iter().map(Some).collect();
        for index in order {
            if let Some(node) = nodes[index].take() {
                self.take(node)?;
            }
        }
        for output in outputs {
            // An output keeps its name.
            let source = self.resolved(output);
            if source != *output || self.constants.contains_key(output) {
                let node = rules::node("Identity", &[&source], output, vec![]);
                self.aliases.remove(output);
                self.constants
                    .remove(output)
                    .into_iter()
                    .for_each(|constant| {
                        self.constants.insert(format!("{output}/value"), constant);
                    });
                let mut node = node;
                if source == *output {
                    node.input = vec![format!("{output}/value")];
                }
                self.emit(node)?;
            }
        }
        let known = |name: &str| {
            name.is_empty()
                || name == input
                || self.constants.contains_key(name)
                || self.unreadable.contains_key(name)
        };
        let order = message::needed(&self.nodes, outputs, known)?;
        let mut made: Vec<Option<pb::NodeProto>> = std::mem::take(&mut self.nodes)
            .into_iter()
            .map(Some)
            .collect();
        self.nodes = order
            .into_iter()
            .filter_map(|index| made[index].take())
            .collect();
        Ok(())
    }

    /// Returns an unreadable constant that a node or an output still needs.
    fn missing(&self, outputs: &[String]) -> Option<(String, String)> {
        let names = self
            .nodes
            .iter()
            .flat_map(|node| &node.input)
            .chain(outputs);
        names
            .filter_map(|name| self.unreadable.get_key_value(name))
            .map(|(name, reason)| (name.clone(), reason.clone()))
            .next()
    }

    fn resolved(&self, name: &str) -> String {
        let mut name = name;
        // An alias never leads to another: it is resolved when it is made.
        if let Some(other) = self.aliases.get(name) {
            name = other;
        }
        name.to_owned()
    }

    fn alias(&mut self, name: &str, to: &str) {
        let to = self.resolved(to);
        self.aliases.insert(name.to_owned(), to);
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        match self.constants.get(name) {
            Some(constant) => Some(&constant.dims),
            None => self.shapes.get(name).map(Vec::as_slice),
        }
    }

    fn inputs(&self, node: &pb::NodeProto) -> Inputs<'_> {
        Inputs {
            shapes: node.input.iter().map(|name| self.shape(name)).collect(),
            constants: node
                .input
                .iter()
                .map(|name| self.constants.get(name))
                .collect(),
        }
    }

    /// Finds and checks the shapes of what a node makes; `None` if they cannot be known.
    fn infer(&self, node: &pb::NodeProto) -> Result<Option<Vec<Vec<usize>>>, ImportError> {
        let inputs = self.inputs(node);
        let shapes = match shapes::infer(node, &inputs) {
            Ok(shapes) => shapes,
            Err(Failed::Unknown) => return Ok(None),
            Err(Failed::Wrong(reason)) => {
                return Err(ImportError::Node {
                    node: node_name(node),
                    op: node.op_type.clone(),
                    reason,
                });
            }
        };
        for shape in &shapes {
            let most = self.limits.elements as u64;
            Limits::check("values in one tensor", count(shape) as u64, most)?;
        }
        Ok(Some(shapes))
    }

    /// Charges what a node makes to the limits.
    fn charge(&mut self, node: &pb::NodeProto, shapes: &[Vec<usize>]) -> Result<(), ImportError> {
        let sizes = || shapes.iter().map(|shape| count(shape) as u64);
        let largest = sizes().max().unwrap_or_default();
        let most = self.limits.made as u64;
        Limits::check("values in one tensor of a patch", largest, most)?;
        let made: u64 = sizes().sum();
        self.elements = self.elements.saturating_add(made);
        Limits::check(
            "values for one patch",
            self.elements,
            self.limits.patch_elements,
        )?;
        let work = shapes::work(node, &self.inputs(node), shapes);
        self.work = self.work.saturating_add(work);
        Limits::check(
            "multiply-accumulates for one patch",
            self.work,
            self.limits.work,
        )
    }

    /// Appends a node in its final form.
    fn emit(&mut self, node: pb::NodeProto) -> Result<(), ImportError> {
        Limits::check(
            "nodes",
            self.nodes.len() as u64,
            4 * self.limits.nodes as u64,
        )?;
        if let Some(shapes) = self.infer(&node)? {
            self.charge(&node, &shapes)?;
            let made = node.output.iter().filter(|name| !name.is_empty());
            self.shapes.extend(made.cloned().zip(shapes));
        }
        for name in &node.output {
            self.makers.insert(name.clone(), self.nodes.len());
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Computes a node of constants. Returns whether it was one.
    fn fold(
        &mut self,
        node: &pb::NodeProto,
        shapes: Option<&Vec<Vec<usize>>>,
    ) -> Result<bool, ImportError> {
        let Some(output) = node.output.first() else {
            return Ok(true);
        };
        if !is_standard(&node.domain) {
            return Ok(false);
        }
        let made = match node.op_type.as_str() {
            "Constant" => match fold::constant(node) {
                Ok(constant) => Some(vec![constant]),
                Err(reason) => {
                    self.unreadable.insert(output.clone(), reason);
                    return Ok(true);
                }
            },
            "Range" => fold::range(&self.inputs(node), self.limits.elements).map(|c| vec![c]),
            "DequantizeLinear" if self.keep_quantised => None,
            _ => shapes.and_then(|shapes| fold::evaluate(node, &self.inputs(node), shapes)),
        };
        let Some(made) = made else {
            return Ok(false);
        };
        let dims: Vec<Vec<usize>> = made.iter().map(|constant| constant.dims.clone()).collect();
        self.charge(node, &dims)?;
        self.constants.extend(node.output.iter().cloned().zip(made));
        Ok(true)
    }

    fn fresh_name(&mut self, base: &str, tag: &str) -> String {
        loop {
            self.fresh += 1;
            let name = format!("{base}/{tag}{}", self.fresh);
            if self.shape(&name).is_none() && !self.makers.contains_key(&name) {
                return name;
            }
        }
    }

    fn new_constant(&mut self, base: &str, tag: &str, constant: Constant) -> String {
        let name = self.fresh_name(base, tag);
        self.constants.insert(name.clone(), constant);
        name
    }

    /// Returns the node in its final form that makes a value.
    fn maker(&self, name: &str) -> Option<&pb::NodeProto> {
        self.makers.get(name).map(|&index| &self.nodes[index])
    }
}
