//! The rules by which nodes are rewritten. Each leaves the function as it is.

use super::fold::{self, index, places, transposed};
use super::shapes::{self, BROADCAST, ELEMENTWISE, Inputs, REDUCTIONS};
use super::{Pass, is_standard};
use crate::onnx::attributes::{find, float, int, ints};
use crate::onnx::error::ImportError;
use crate::onnx::limits::count;
use crate::onnx::pb::tensor_proto::DataType;
use crate::onnx::tensor::Constant;
use crate::onnx::{self, pb};

/// A clip above this has no upper bound.
const UNBOUNDED: f32 = 3.0e38;

/// Makes a node of ONNX's own operators.
pub(super) fn node(
    op: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<pb::AttributeProto>,
) -> pb::NodeProto {
    pb::NodeProto {
        name: output.to_owned(),
        op_type: op.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..Default::default()
    }
}

/// Transposes before the inputs of a node.
enum Turned {
    /// All but constants have one of this order; the values before them, `None` for a constant.
    Alike(Vec<usize>, Vec<Option<String>>),
    /// An input has none.
    NotAll,
    /// Their orders differ, or there are only constants.
    Apart,
}

impl Pass<'_> {
    /// Takes a node of the source: computes it, leaves it out, or appends what it becomes.
    pub(super) fn take(&mut self, mut node: pb::NodeProto) -> Result<(), ImportError> {
        for input in &mut node.input {
            *input = self.resolved(input);
        }
        let shapes = self.infer(&node)?;
        if self.fold(&node, shapes.as_ref())? {
            return Ok(());
        }
        let Some(output) = node.output.first().cloned() else {
            return Ok(());
        };
        // Rules need to know the shapes, and are about ONNX's own operators.
        let (true, Some(shapes), true) =
            (is_standard(&node.domain), shapes, !node.input.is_empty())
        else {
            return self.emit(node);
        };
        let made = shapes.into_iter().next().unwrap_or_default();
        let data = node.input[0].clone();
        if self.does_nothing(&node, &made) {
            self.alias(&output, &data);
            return Ok(());
        }
        match node.op_type.as_str() {
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(&output, &data, &made),
            "Transpose" => match self.permutation(&node) {
                Some(order) => self.transpose(&output, &data, &order),
                None => self.emit(node),
            },
            _ if self.sink(&node, &made)? => Ok(()),
            "Relu" | "Clip" | "Max" | "Min" => self.clamp(node),
            "Neg" => {
                let minus =
                    self.new_constant(&output, "minus", Constant::float(vec![], vec![-1.0]));
                self.emit(self::node("Mul", &[&data, &minus], &output, vec![]))
            }
            "Sum" if node.input.len() == 2 => {
                node.op_type = "Add".into();
                self.emit(node)
            }
            "Conv" => self.convolution(node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool"
            | "BatchNormalization" => self.over_maps(node, &made),
            "Gemm" | "MatMul" => self.product(node, &made),
            op if REDUCTIONS.contains(&op) => self.reduction(node, &made),
            _ => self.emit(node),
        }
    }

    fn shape_of(&self, name: &str) -> Vec<usize> {
        self.shape(name).unwrap_or_default().to_vec()
    }

    fn permutation(&self, node: &pb::NodeProto) -> Option<Vec<usize>> {
        let rank = self.shape(node.input.first()?)?.len();
        shapes::permutation(node, rank).ok()
    }

    /// Tells whether a node gives back its first input, of which it makes a value of shape `made`.
    fn does_nothing(&self, node: &pb::NodeProto, made: &[usize]) -> bool {
        let data = &node.input[0];
        let inputs = self.inputs(node);
        let same = self.shape(data) == Some(made);
        let unread = node.output.len() == 1;
        match node.op_type.as_str() {
            "Identity" | "Dropout" => true,
            "Concat" | "Sum" | "Max" | "Min" | "Mean" => node.input.len() == 1,
            // Values are floats of one width here, unless a node makes them of another kind.
            "Cast" => {
                let kind = i32::try_from(int(node, "to", 1)).unwrap_or(0);
                let to_float = matches!(
                    DataType::try_from(kind),
                    Ok(DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double)
                );
                to_float && !self.is_whole(data)
            }
            "Expand" | "Tile" | "Reshape" => same,
            "Split" => same && unread,
            "Slice" => {
                let shape = inputs.shapes[0].unwrap_or_default();
                let ranges = shapes::slices(node, &inputs, shape).ok();
                same && ranges.is_some_and(|ranges| ranges.iter().all(|range| range.step > 0))
            }
            "Pad" => {
                let pads = shapes::pads(node, &inputs, made.len()).ok();
                pads.is_some_and(|pads| pads.iter().all(|pads| *pads == [0, 0]))
            }
            "MaxPool" | "AveragePool" | "LpPool" => {
                let ones = |name: &str| ints(node, name).is_none_or(|v| v.iter().all(|&v| v == 1));
                let zeros = ints(node, "pads").is_none_or(|v| v.iter().all(|&v| v == 0));
                same && unread && ones("kernel_shape") && ones("strides") && zeros
            }
            op @ ("Add" | "Sub" | "Mul" | "Div" | "Pow") => {
                let neutral = if matches!(op, "Add" | "Sub") {
                    0.0
                } else {
                    1.0
                };
                let second = inputs.constants.get(1).copied().flatten();
                let floats = second.and_then(Constant::floats);
                same && floats.is_some_and(|values| values.iter().all(|&v| v == neutral))
            }
            _ => false,
        }
    }

    /// Tells whether a value holds whole numbers or truths.
    fn is_whole(&self, name: &str) -> bool {
        match self.maker(name).map(|node| node.op_type.as_str()) {
            Some(
                "Cast" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Not"
                | "And" | "Or" | "Xor" | "IsNaN" | "IsInf" | "QuantizeLinear",
            ) => true,
            _ => self.constants.get(name).is_some_and(|c| c.ints().is_some()),
        }
    }

    /// Gives `data` another shape. Several reshapes in a row become one.
    pub(super) fn reshape(
        &mut self,
        output: &str,
        data: &str,
        made: &[usize],
    ) -> Result<(), ImportError> {
        let mut source = data.to_owned();
        while let Some(inner) = self.reshaped(&source) {
            source = inner;
        }
        let shape = self.shape_of(&source);
        if shape == made {
            self.alias(output, &source);
            return Ok(());
        }
        if self.norm_of_places(output, data, made)? {
            return Ok(());
        }
        let keeps_batch = !shape.is_empty() && shape.first() == made.first();
        if keeps_batch && made.len() == 2 {
            let axis = onnx::int("axis", 1);
            return self.emit(node("Flatten", &[&source], output, vec![axis]));
        }
        let mut target: Vec<i64> = made.iter().map(|&dim| dim as i64).collect();
        if keeps_batch {
            target[0] = 0;
        }
        let target = Constant::int(vec![target.len()], target);
        let target = self.new_constant(output, "shape", target);
        self.emit(node("Reshape", &[&source, &target], output, vec![]))
    }

    /// Rewrites a norm whose channels are channels and places of a map that has the shape `made` before and
    /// after it, such as a sub-spectral norm: as a product and a sum with a value for each channel and place.
    /// Returns whether there is one that makes `output`.
    fn norm_of_places(
        &mut self,
        output: &str,
        data: &str,
        made: &[usize],
    ) -> Result<bool, ImportError> {
        let Some((source, nodes)) = self.norm_chain(data, made) else {
            return Ok(false);
        };
        let run = |value: f32| {
            let shape = self.shape_of(&nodes[0].input[self.data_input(&nodes[0])?]);
            let mut last = Constant::float(shape.clone(), vec![value; count(&shape)]);
            for node in &nodes {
                let data = self.data_input(node)?;
                let constants = node.input.iter().enumerate().map(|(at, name)| match at {
                    at if at == data => Some(&last),
                    _ => self.constants.get(name),
                });
                let constants: Vec<Option<&Constant>> = constants.collect();
                let inputs = Inputs {
                    shapes: constants.iter().map(|c| c.map(|c| &c.dims[..])).collect(),
                    constants,
                };
                let shapes = [self.shape(&node.output[0])?.to_vec()];
                last = fold::evaluate(node, &inputs, &shapes)?.into_iter().next()?;
            }
            last.floats().map(<[f32]>::to_vec)
        };
        // Far from zero, so that the factor does not drown in the constant.
        let far = 4_096.0;
        let (Some(shift), Some(there)) = (run(0.0), run(far)) else {
            return Ok(false);
        };
        let factor: Vec<f32> = there
            .iter()
            .zip(&shift)
            .map(|(a, b)| (a - b) / far)
            .collect();
        let product = self.fresh_name(output, "factor");
        for (op, values, from, to) in [
            ("Mul", factor, source.as_str(), product.as_str()),
            ("Add", shift, &product, output),
        ] {
            let constant = without_repeats(&Constant::float(made.to_vec(), values));
            let constant = self.new_constant(output, op, constant);
            let from = self.resolved(from);
            self.take(node(op, &[&from, &constant], to, vec![]))?;
        }
        Ok(true)
    }

    /// Finds nodes that only scale and shift, between a reshape of a map of shape `made` and the value
    /// `last`. Returns the map, and the nodes in their order.
    fn norm_chain(&self, last: &str, made: &[usize]) -> Option<(String, Vec<pb::NodeProto>)> {
        let mut nodes = Vec::new();
        let mut name = last.to_owned();
        loop {
            let maker = self.maker(&name)?;
            match maker.op_type.as_str() {
                "Reshape" if !nodes.is_empty() => {
                    let source = maker.input[0].clone();
                    let same = made.len() == 4 && self.shape(&source) == Some(made);
                    nodes.reverse();
                    return same.then_some((source, nodes));
                }
                "BatchNormalization" | "Add" | "Sub" | "Mul" | "Div" => {
                    let data = self.data_input(maker)?;
                    // A divisor is a constant.
                    if maker.op_type == "Div" && data != 0 {
                        return None;
                    }
                    let source = maker.input[data].clone();
                    // Constants may not make the map larger.
                    if self.shape(&source) != self.shape(&name) {
                        return None;
                    }
                    nodes.push(maker.clone());
                    name = source;
                }
                _ => return None,
            }
        }
    }

    /// Returns the place of the one input of a node that is not constant.
    fn data_input(&self, node: &pb::NodeProto) -> Option<usize> {
        let names = node.input.iter().enumerate();
        let mut data = names.filter(|(_, name)| !self.constants.contains_key(*name));
        match (data.next(), data.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    }

    /// Returns the value that a reshape of this pass makes `name` of.
    fn reshaped(&self, name: &str) -> Option<String> {
        let maker = self.maker(name)?;
        let is_reshape = matches!(maker.op_type.as_str(), "Reshape" | "Flatten");
        is_reshape.then(|| maker.input[0].clone())
    }

    /// Returns the value that a transpose of this pass makes `name` of, and the order of its axes. A
    /// reshape that moves a single channel is such a transpose, too.
    fn turned(&self, name: &str) -> Option<(String, Vec<usize>)> {
        let maker = self.maker(name)?;
        let source = maker.input.first()?.clone();
        match maker.op_type.as_str() {
            "Transpose" => Some((source, self.permutation(maker)?)),
            "Reshape" => {
                let (from, to) = (self.shape(&source)?, self.shape(name)?);
                let orders = [[0, 2, 3, 1], [0, 3, 1, 2]];
                let fits = |order: &&[usize; 4]| {
                    from.len() == 4
                        && to.iter().eq(order.iter().map(|&axis| &from[axis]))
                        && moves_no_value(from, &order[..])
                };
                let order = orders.iter().find(fits)?;
                Some((source, order.to_vec()))
            }
            _ => None,
        }
    }

    /// Puts the axes of `data` in another order. Two transposes in a row become one.
    fn transpose(&mut self, output: &str, data: &str, order: &[usize]) -> Result<(), ImportError> {
        let (source, order) = match self.turned(data) {
            Some((source, first)) => (source, order.iter().map(|&axis| first[axis]).collect()),
            None => (data.to_owned(), order.to_vec()),
        };
        let shape = self.shape_of(&source);
        if order.is_sorted() {
            self.alias(output, &source);
            return Ok(());
        }
        if moves_no_value(&shape, &order) {
            let made: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
            return self.reshape(output, &source, &made);
        }
        let order: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
        let order = onnx::ints("perm", &order);
        self.emit(node("Transpose", &[&source], output, vec![order]))
    }

    /// Moves the transposes before a node behind it, if the node computes the same then. Returns whether
    /// it did.
    fn sink(&mut self, source: &pb::NodeProto, made: &[usize]) -> Result<bool, ImportError> {
        let op = source.op_type.as_str();
        let elementwise = ELEMENTWISE.contains(&op)
            && !matches!(op, "Dropout" | "QuantizeLinear" | "DequantizeLinear");
        let broadcast = BROADCAST.contains(&op);
        let reduction = REDUCTIONS.contains(&op);
        if !(elementwise || broadcast || reduction || matches!(op, "Concat" | "Pad")) {
            return Ok(false);
        }
        let [output] = &source.output[..] else {
            return Ok(false);
        };
        let parallel = broadcast || op == "Concat";
        let data = if parallel { source.input.len() } else { 1 };
        let (order, sources) = match self.turned_inputs(&source.input[..data]) {
            Turned::Alike(order, sources) => (order, sources),
            Turned::NotAll => return self.sink_reshape(source, made),
            Turned::Apart => return Ok(false),
        };
        let mut moved = source.clone();
        let turned = self.fresh_name(output, "turned");
        moved.output = vec![turned.clone()];
        if !self.turn_inputs(&mut moved, sources, &order) || !self.turn_axes(&mut moved, &order) {
            return Ok(false);
        }
        if reduction {
            let Ok(axes) = shapes::reduced_axes(source, &self.inputs(source)) else {
                return Ok(false);
            };
            let axes: Vec<usize> = axes.iter().map(|&axis| order[axis]).collect();
            self.reduce(source, &moved.input[0].clone(), &axes, &turned)?;
            let kept = self.fresh_name(output, "kept");
            self.transpose(&kept, &turned, &order)?;
            let kept = self.resolved(&kept);
            self.reshape(output, &kept, made)?;
            return Ok(true);
        }
        self.take(moved)?;
        let turned = self.resolved(&turned);
        self.transpose(output, &turned, &order)?;
        Ok(true)
    }

    /// Finds the order that the transposes before the inputs called `names` have in common. Constants are
    /// in any order.
    fn turned_inputs(&self, names: &[String]) -> Turned {
        let mut order: Option<Vec<usize>> = None;
        let mut sources = Vec::new();
        for name in names {
            if self.constants.contains_key(name) {
                sources.push(None);
                continue;
            }
            let Some((inner, found)) = self.turned(name) else {
                return Turned::NotAll;
            };
            if order.as_ref().is_some_and(|order| *order != found) {
                return Turned::Apart;
            }
            order = Some(found);
            sources.push(Some(inner));
        }
        order.map_or(Turned::Apart, |order| Turned::Alike(order, sources))
    }

    /// Gives `node` the values before the transposes, and constants in their order. Returns whether the
    /// constants allow that.
    fn turn_inputs(
        &mut self,
        node: &mut pb::NodeProto,
        sources: Vec<Option<String>>,
        order: &[usize],
    ) -> bool {
        let rank = order.len();
        let mut inverse = vec![0; rank];
        for (at, &axis) in order.iter().enumerate() {
            inverse[axis] = at;
        }
        for (at, inner) in sources.into_iter().enumerate() {
            if let Some(inner) = inner {
                node.input[at] = inner;
                continue;
            }
            let constant = self.constants[&node.input[at]].clone();
            if count(&constant.dims) == 1 && node.op_type != "Concat" {
                continue;
            }
            if constant.dims.len() > rank {
                return false;
            }
            let mut dims = vec![1; rank - constant.dims.len()];
            dims.extend(&constant.dims);
            let turned = transposed(&Constant { dims, ..constant }, &inverse);
            node.input[at] = self.new_constant(&node.output[0], "turned", turned);
        }
        true
    }

    /// Renumbers the axes that a concatenation or a padding names. Returns whether they can be read.
    fn turn_axes(&mut self, node: &mut pb::NodeProto, order: &[usize]) -> bool {
        let rank = order.len();
        match node.op_type.as_str() {
            "Concat" => {
                let Ok(axis) = shapes::axis_of(int(node, "axis", 0), rank) else {
                    return false;
                };
                node.attribute = vec![onnx::int("axis", order[axis] as i64)];
            }
            "Pad" => {
                let Ok(pads) = shapes::pads(node, &self.inputs(node), rank) else {
                    return false;
                };
                let mut flat = vec![0; 2 * rank];
                for (at, [before, after]) in pads.into_iter().enumerate() {
                    flat[order[at]] = before;
                    flat[order[at] + rank] = after;
                }
                if ints(node, "pads").is_some() {
                    node.attribute.retain(|attribute| attribute.name != "pads");
                    node.attribute.push(onnx::ints("pads", &flat));
                } else {
                    node.input.truncate(3);
                    let pads = Constant::int(vec![flat.len()], flat);
                    node.input[1] = self.new_constant(&node.output[0], "pads", pads);
                }
            }
            _ => {}
        }
        true
    }

    /// Moves the reshapes before a node that computes value by value behind it. Returns whether it did.
    fn sink_reshape(
        &mut self,
        source: &pb::NodeProto,
        made: &[usize],
    ) -> Result<bool, ImportError> {
        let op = source.op_type.as_str();
        if !ELEMENTWISE.contains(&op) && !BROADCAST.contains(&op)
            || matches!(op, "QuantizeLinear" | "DequantizeLinear" | "PRelu")
        {
            return Ok(false);
        }
        let mut moved = source.clone();
        let mut form: Option<Vec<usize>> = None;
        for input in &mut moved.input {
            if let Some(constant) = self.constants.get(input) {
                if count(&constant.dims) != 1 {
                    return Ok(false);
                }
                continue;
            }
            if input.is_empty() {
                continue;
            }
            let maker = self.maker(input).filter(|maker| maker.op_type == "Reshape");
            let Some(inner) = maker.map(|maker| maker.input[0].clone()) else {
                return Ok(false);
            };
            let shape = self.shape_of(&inner);
            let same = form.as_ref().is_none_or(|form| *form == shape);
            if !same || self.shape(input) != Some(made) {
                return Ok(false);
            }
            *input = inner;
            form = Some(shape);
        }
        let [output] = &source.output[..] else {
            return Ok(false);
        };
        let inner = self.fresh_name(output, "map");
        moved.output = vec![inner.clone()];
        self.take(moved)?;
        let inner = self.resolved(&inner);
        self.reshape(output, &inner, made)?;
        Ok(true)
    }

    /// Appends a reduction as `source` is one, which keeps its axes.
    fn reduce(
        &mut self,
        source: &pb::NodeProto,
        data: &str,
        axes: &[usize],
        output: &str,
    ) -> Result<(), ImportError> {
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let op = source.op_type.as_str();
        let mut made = node(op, &[data], output, vec![onnx::int("keepdims", 1)]);
        made.name.clone_from(&source.name);
        // The axes became an input in operator set 13 for sums, and in 18 for all others.
        let since = if op == "ReduceSum" { 13 } else { 18 };
        if self.opset >= since {
            let axes = Constant::int(vec![axes.len()], axes);
            made.input.push(self.new_constant(output, "axes", axes));
        } else {
            made.attribute.push(onnx::ints("axes", &axes));
        }
        self.emit(made)
    }

    /// Rewrites a reduction: behind a reshape that only adds or takes out axes of 1 it is over the axes
    /// before that, and its own axes stay until a reshape behind it.
    fn reduction(&mut self, source: pb::NodeProto, made: &[usize]) -> Result<(), ImportError> {
        let Ok(axes) = shapes::reduced_axes(&source, &self.inputs(&source)) else {
            return self.emit(source);
        };
        let (data, output) = (source.input[0].clone(), source.output[0].clone());
        let shape = self.shape_of(&data);
        let long = |shape: &[usize]| -> Vec<usize> {
            (0..shape.len())
                .filter(|&at| at == 0 || shape[at] != 1)
                .collect()
        };
        if axes.contains(&0) || shape.is_empty() {
            return self.emit(source);
        }
        let mut from = data.clone();
        let mut over: Vec<usize> = axes.clone();
        if let Some(inner) = self.reshaped(&data) {
            let before = self.shape_of(&inner);
            let (a, b) = (long(&shape), long(&before));
            let lengths =
                |of: &[usize], at: &[usize]| at.iter().map(|&at| of[at]).collect::<Vec<_>>();
            if lengths(&shape, &a) == lengths(&before, &b) {
                let matching = a.iter().zip(&b).filter(|(at, _)| axes.contains(at));
                over = matching.map(|(_, &at)| at).collect();
                from = inner;
            }
        }
        let averages = matches!(
            source.op_type.as_str(),
            "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceSum"
        );
        if over.is_empty() && averages {
            return self.reshape(&output, &from, made);
        }
        if from == data && int(&source, "keepdims", 1) != 0 {
            return self.emit(source);
        }
        let kept = self.fresh_name(&output, "kept");
        self.reduce(&source, &from, &over, &kept)?;
        self.reshape(&output, &kept, made)
    }

    /// Joins clips that follow each other.
    fn clamp(&mut self, source: pb::NodeProto) -> Result<(), ImportError> {
        let Some((data, lo, hi)) = self.bounds(&source) else {
            return self.emit(source);
        };
        let output = source.output[0].clone();
        let before = self.maker(&data).and_then(|maker| self.bounds(maker));
        let Some((inner, a, b)) = before else {
            return self.clip(source, &data, lo, hi);
        };
        let joined = (a.clamp(lo, hi), b.clamp(lo, hi));
        if joined == (a, b) {
            self.alias(&output, &data);
            return Ok(());
        }
        self.clip(source, &inner, joined.0, joined.1)
    }

    fn clip(
        &mut self,
        mut source: pb::NodeProto,
        data: &str,
        lo: f32,
        hi: f32,
    ) -> Result<(), ImportError> {
        source.attribute.clear();
        if lo == 0.0 && hi >= UNBOUNDED {
            source.op_type = "Relu".into();
            source.input = vec![data.to_owned()];
            return self.emit(source);
        }
        source.op_type = "Clip".into();
        if self.opset < 11 {
            let float = |name: &str, f: f32| pb::AttributeProto {
                name: name.into(),
                r#type: pb::attribute_proto::AttributeType::Float as i32,
                f,
                ..Default::default()
            };
            source.attribute = vec![float("min", lo), float("max", hi)];
            source.input = vec![data.to_owned()];
            return self.emit(source);
        }
        let output = source.output[0].clone();
        let bound = |value: f32| Constant::float(vec![], vec![value]);
        let lo = self.new_constant(&output, "min", bound(lo));
        let hi = self.new_constant(&output, "max", bound(hi));
        source.input = vec![data.to_owned(), lo, hi];
        self.emit(source)
    }

    /// Returns the value that a node clips, and its bounds.
    fn bounds(&self, node: &pb::NodeProto) -> Option<(String, f32, f32)> {
        let single = |name: &String| {
            let constant = self.constants.get(name)?;
            // More axes than the value has would change its shape.
            let is_single = count(&constant.dims) == 1 && constant.dims.len() <= 1;
            constant
                .floats()
                .filter(|_| is_single)
                .map(|values| values[0])
        };
        let optional = |index: usize, name: &str, default: f32| match node.input.get(index) {
            Some(input) if !input.is_empty() => single(input),
            _ => Some(float(node, name, default)),
        };
        let data = node.input.first()?.clone();
        let (data, lo, hi) = match (node.op_type.as_str(), &node.input[..]) {
            ("Relu", _) => (data, 0.0, f32::MAX),
            ("Clip", _) => (
                data,
                optional(1, "min", f32::MIN)?,
                optional(2, "max", f32::MAX)?,
            ),
            (op @ ("Max" | "Min"), [a, b]) => {
                let (data, bound) = match (single(a), single(b)) {
                    (None, Some(bound)) => (a, bound),
                    (Some(bound), None) => (b, bound),
                    _ => return None,
                };
                match op {
                    "Max" => (data.clone(), bound, f32::MAX),
                    _ => (data.clone(), f32::MIN, bound),
                }
            }
            _ => return None,
        };
        let (lo, hi) = (lo.max(f32::MIN), hi.min(f32::MAX));
        (lo <= hi).then_some((data, lo, hi))
    }

    /// Takes a Pad of zeros into the convolution behind it, and makes one of one dimension one of two.
    fn convolution(&mut self, mut source: pb::NodeProto) -> Result<(), ImportError> {
        if self.shape_of(&source.input[0]).len() == 3 {
            return self.lift(source);
        }
        if let Some((inner, pads, value)) = self.padded(&source.input[0])
            && value == 0.0
            && add_pads(&mut source, &pads)
        {
            source.input[0] = inner;
        }
        self.emit(source)
    }

    /// Returns the value that a Pad of constants makes `name` of, its spatial pads and their value.
    fn padded(&self, name: &str) -> Option<(String, Vec<i64>, f32)> {
        let maker = self.maker(name)?;
        let mode = find(maker, "mode").map_or(&b"constant"[..], |a| &a.s);
        if maker.op_type != "Pad" || mode != b"constant" {
            return None;
        }
        let rank = self.shape(name)?.len();
        let pads = shapes::pads(maker, &self.inputs(maker), rank).ok()?;
        let outer = pads.iter().take(2).all(|pads| *pads == [0, 0]);
        let inner = pads.iter().flatten().all(|&pad| pad >= 0);
        let value = match maker.input.get(2) {
            Some(name) if !name.is_empty() => *self.constants.get(name)?.floats()?.first()?,
            _ => float(maker, "value", 0.0),
        };
        let before = pads.iter().skip(2).map(|pads| pads[0]);
        let pads = before
            .chain(pads.iter().skip(2).map(|pads| pads[1]))
            .collect();
        (outer && inner).then(|| (maker.input[0].clone(), pads, value))
    }

    /// Takes a Pad into the pool behind it, and gives a pool or norm of one dimension two.
    fn over_maps(&mut self, mut source: pb::NodeProto, made: &[usize]) -> Result<(), ImportError> {
        let shape = self.shape_of(&source.input[0]);
        let norm = source.op_type == "BatchNormalization";
        if shape.len() == 3 && source.output.len() == 1 {
            let (map, axis) = self.as_map(&source.input[0])?;
            source.input[0] = map;
            if !norm {
                widen_window(&mut source, axis);
            }
            let output = std::mem::take(&mut source.output[0]);
            let inner = self.fresh_name(&output, "map");
            source.output[0].clone_from(&inner);
            self.emit(source)?;
            return self.reshape(&output, &inner, made);
        }
        if let Some((inner, pads, value)) = self.padded(&source.input[0]) {
            let mut joined = source.clone();
            let own = ints(&source, "pads").is_none_or(|pads| pads.iter().all(|&pad| pad == 0));
            let kernel = ints(&source, "kernel_shape").unwrap_or_default();
            let small = pads
                .iter()
                .zip(kernel.iter().chain(kernel))
                .all(|(pad, k)| pad < k);
            let positive = || {
                let maker = self.maker(&inner);
                maker
                    .and_then(|maker| self.bounds(maker))
                    .is_some_and(|(_, lo, _)| lo >= 0.0)
            };
            let exact = match source.op_type.as_str() {
                // A zero never beats a value that is not negative, and nothing loses to the least float.
                "MaxPool" => value <= -UNBOUNDED || (value == 0.0 && positive()),
                "AveragePool" if value == 0.0 && int(&source, "ceil_mode", 0) == 0 => {
                    let counts = int(&source, "count_include_pad", 0) != 0;
                    joined.attribute.retain(|a| a.name != "count_include_pad");
                    joined.attribute.push(onnx::int("count_include_pad", 1));
                    own || counts
                }
                _ => false,
            };
            if exact && small && own && add_pads(&mut joined, &pads) {
                joined.input[0] = inner;
                source = joined;
            }
        }
        self.emit(source)
    }

    /// Gives a value `[batch, channels, time]` a fourth axis, and says which axis is time then.
    fn as_map(&mut self, name: &str) -> Result<(String, usize), ImportError> {
        let shape = self.shape_of(name);
        let &[batch, channels, time] = &shape[..] else {
            return Ok((name.to_owned(), 3));
        };
        if let Some(inner) = self.reshaped(name) {
            let before = self.shape_of(&inner);
            for axis in [3, 2] {
                let mut wanted = vec![batch, channels, 1, 1];
                wanted[axis] = time;
                if before == wanted {
                    return Ok((inner, axis));
                }
            }
        }
        let map = self.fresh_name(name, "map");
        self.reshape(&map, name, &[batch, channels, 1, time])?;
        Ok((self.resolved(&map), 3))
    }

    /// Makes a convolution over time alone one over time and mel. Channels that are the patch's bands
    /// become the places of a kernel that covers them all.
    fn lift(&mut self, mut source: pb::NodeProto) -> Result<(), ImportError> {
        let data = source.input[0].clone();
        let output = source.output[0].clone();
        let constant = source
            .input
            .get(1)
            .and_then(|name| self.constants.get(name));
        let automatic = find(&source, "auto_pad").map_or(&b""[..], |a| &a.s);
        let (Some(kernels), b"" | b"NOTSET" | b"VALID") = (constant.cloned(), automatic) else {
            return self.emit(source);
        };
        let &[outputs, inputs, taps] = &kernels.dims[..] else {
            return self.emit(source);
        };
        let [batch, channels, time] = self.shape_of(&data)[..] else {
            return self.emit(source);
        };
        let dense = int(&source, "group", 1) == 1;
        // [batch, 1, bands, time] without its second axis.
        let bands_first = self
            .reshaped(&data)
            .filter(|inner| dense && self.shape_of(inner) == [batch, 1, channels, time]);
        // [batch, 1, time, bands], turned.
        let time_first = self.turned(&data).and_then(|(inner, order)| {
            let inner = self.reshaped(&inner)?;
            let fits =
                dense && order == [0, 2, 1] && self.shape_of(&inner) == [batch, 1, time, channels];
            fits.then_some(inner)
        });
        let (map, axis, kernels) = if let Some(map) = bands_first.filter(|_| channels > 1) {
            let dims = vec![outputs, 1, inputs, taps];
            (map, 3, Constant { dims, ..kernels })
        } else if let Some(map) = time_first {
            let dims = vec![outputs, 1, taps, inputs];
            let turned = transposed(&kernels, &[0, 2, 1]);
            (map, 2, Constant { dims, ..turned })
        } else {
            let (map, axis) = self.as_map(&data)?;
            let mut dims = vec![outputs, inputs, 1, 1];
            dims[axis] = taps;
            (map, axis, Constant { dims, ..kernels })
        };
        widen_window(&mut source, axis);
        source.attribute.retain(|a| a.name != "kernel_shape");
        let kernels = self.new_constant(&output, "kernels", kernels);
        source.input[0] = map;
        source.input[1] = kernels;
        let inner = self.fresh_name(&output, "map");
        source.output[0].clone_from(&inner);
        let made = self
            .infer(&source)?
            .and_then(|shapes| shapes.into_iter().next());
        let made = made.unwrap_or_default();
        self.convolution(source)?;
        let flat = [
            &made[..2.min(made.len())],
            &[count(made.get(2..).unwrap_or_default())],
        ]
        .concat();
        self.reshape(&output, &inner, &flat)
    }

    /// Rewrites a product with weights: of a map with channels last it is a convolution, and the order in
    /// which a map is flattened goes into the weights.
    fn product(&mut self, mut source: pb::NodeProto, made: &[usize]) -> Result<(), ImportError> {
        let (data, output) = (source.input[0].clone(), source.output[0].clone());
        let weights = source
            .input
            .get(1)
            .and_then(|name| self.constants.get(name))
            .cloned();
        let Some(weights) = weights.filter(|weights| weights.dims.len() == 2) else {
            return self.emit(source);
        };
        let shape = self.shape_of(&data);
        if source.op_type == "MatMul" && shape.len() > 2 {
            return self.product_of_map(source, &weights, made);
        }
        if let Some((inner, order)) = self.reshaped(&data).and_then(|map| self.turned(&map))
            && order[0] == 0
            && shape.len() == 2
        {
            let before = self.shape_of(&inner);
            let columns = source.op_type == "Gemm" && int(&source, "transB", 0) != 0;
            let inputs = count(&before[1..]);
            let fits = shape[1] == inputs && int(&source, "transA", 0) == 0;
            let [rows, width] = [weights.dims[0], weights.dims[1]];
            if fits && inputs == if columns { width } else { rows } {
                let turned: Vec<usize> = order.iter().map(|&axis| before[axis]).collect();
                // Where a value of the map lies in the turned map.
                let places = places(&before[1..]).map(|place| {
                    let moved = order[1..].iter().map(|&axis| place[axis - 1]);
                    index(&turned[1..], &moved.collect::<Vec<_>>())
                });
                let places: Vec<usize> = places.collect();
                let at = (0..rows * width).map(|at| {
                    let (row, column) = (at / width, at % width);
                    match columns {
                        true => row * width + places[column],
                        false => places[row] * width + column,
                    }
                });
                let weights = weights.pick(weights.dims.clone(), at);
                source.input[1] = self.new_constant(&output, "weights", weights);
                let flat = self.fresh_name(&output, "flat");
                self.reshape(&flat, &inner, &shape)?;
                source.input[0] = self.resolved(&flat);
            }
        }
        self.emit(source)
    }

    /// A product of weights with the last axis of a map.
    fn product_of_map(
        &mut self,
        source: pb::NodeProto,
        weights: &Constant,
        made: &[usize],
    ) -> Result<(), ImportError> {
        let (data, output) = (source.input[0].clone(), source.output[0].clone());
        let shape = self.shape_of(&data);
        let rank = shape.len();
        if let Some((inner, order)) = self.turned(&data)
            && order == [0, 2, 3, 1]
        {
            let kernels = transposed(weights, &[1, 0]);
            let dims = [&kernels.dims[..], &[1, 1]].concat();
            let kernels = Constant { dims, ..kernels };
            let kernels = self.new_constant(&output, "kernels", kernels);
            let map = self.fresh_name(&output, "map");
            let mut made = node("Conv", &[&inner, &kernels], &map, vec![]);
            made.name.clone_from(&source.name);
            self.emit(made)?;
            return self.transpose(&output, &map, &order);
        }
        if count(&shape[1..rank - 1]) != 1 {
            return self.emit(source);
        }
        let flat = self.fresh_name(&output, "flat");
        self.reshape(&flat, &data, &[shape[0], shape[rank - 1]])?;
        let flat = self.resolved(&flat);
        let product = self.fresh_name(&output, "product");
        let mut inner = source;
        inner.input[0] = flat;
        inner.output[0].clone_from(&product);
        let width = made.last().copied().unwrap_or(0);
        self.product(inner, &[shape[0], width])?;
        self.reshape(&output, &product, made)
    }
}

/// Tells whether a transpose only moves axes of length 1, so that every value stays where it lies. The
/// batch counts as longer.
fn moves_no_value(shape: &[usize], order: &[usize]) -> bool {
    let long = order.iter().filter(|&&axis| axis == 0 || shape[axis] != 1);
    order.first() == Some(&0) && long.is_sorted()
}

/// Gives the window of one dimension a second one, so that the first is the axis `axis` of a map.
fn widen_window(node: &mut pb::NodeProto, axis: usize) {
    for attribute in &mut node.attribute {
        let other = match attribute.name.as_str() {
            "pads" => 0,
            "strides" | "dilations" | "kernel_shape" => 1,
            _ => continue,
        };
        attribute.ints = attribute
            .ints
            .iter()
            .flat_map(|&own| {
                if axis == 2 {
                    [own, other]
                } else {
                    [other, own]
                }
            })
            .collect();
    }
}

/// Adds pads to those of a window; `false` if the node finds its pads by itself.
fn add_pads(node: &mut pb::NodeProto, more: &[i64]) -> bool {
    let automatic = find(node, "auto_pad").map_or(&b""[..], |a| &a.s);
    if !matches!(automatic, b"" | b"NOTSET" | b"VALID") {
        return false;
    }
    let own = match (automatic, ints(node, "pads")) {
        (b"VALID", _) | (_, None | Some([])) => vec![0; more.len()],
        (_, Some(pads)) if pads.len() == more.len() => pads.to_vec(),
        _ => return false,
    };
    let sum: Vec<i64> = own
        .iter()
        .zip(more)
        .map(|(a, b)| a.saturating_add(*b))
        .collect();
    node.attribute
        .retain(|a| !matches!(a.name.as_str(), "pads" | "auto_pad"));
    node.attribute.push(onnx::ints("pads", &sum));
    true
}

/// Keeps a single value along each axis along which a constant repeats it.
fn without_repeats(constant: &Constant) -> Constant {
    let mut made = constant.clone();
    for axis in 0..made.dims.len() {
        let mut dims = made.dims.clone();
        dims[axis] = 1;
        let first = made.pick(
            dims.clone(),
            places(&dims).map(|place| index(&made.dims, &place)),
        );
        let repeats = places(&made.dims).enumerate().all(|(at, mut place)| {
            place[axis] = 0;
            let (all, one) = (made.floats(), first.floats());
            all.zip(one)
                .is_some_and(|(all, one)| all[at] == one[index(&dims, &place)])
        });
        if repeats {
            made = first;
        }
    }
    made
}
