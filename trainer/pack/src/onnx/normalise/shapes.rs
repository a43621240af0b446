//! Finds the shapes of what a node makes, and the work that it takes.

use crate::onnx::attributes::{find, int, ints};
use crate::onnx::limits::count;
use crate::onnx::pb::NodeProto;
use crate::onnx::tensor::Constant;

/// Access to what is known of the values that a node reads.
pub(super) struct Inputs<'n> {
    /// Shape of each input; `None` for an input that is left out, or of an unknown shape.
    pub shapes: Vec<Option<&'n [usize]>>,
    /// The inputs that are constants.
    pub constants: Vec<Option<&'n Constant>>,
}

impl<'n> Inputs<'n> {
    fn shape(&self, index: usize) -> Result<&'n [usize], Failed> {
        let shape = self.shapes.get(index).copied().flatten();
        shape.ok_or(Failed::Unknown)
    }

    fn constant(&self, index: usize) -> Option<&'n Constant> {
        self.constants.get(index).copied().flatten()
    }

    /// Returns the whole numbers that `name` holds as an attribute, or input `index` as a constant.
    pub(super) fn numbers(&self, node: &NodeProto, name: &str, index: usize) -> Option<Vec<i64>> {
        if let Some(values) = ints(node, name) {
            return Some(values.to_vec());
        }
        self.constant(index)?.ints().map(<[i64]>::to_vec)
    }
}

/// Explains why shapes are not found.
pub(super) enum Failed {
    /// The operator is unknown, or depends on a shape that is.
    Unknown,
    /// The node cannot be computed.
    Wrong(String),
}

fn wrong<T>(reason: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::Wrong(reason.into()))
}

/// Operators that compute each value from that at the same place of their first input.
pub(super) const ELEMENTWISE: [&str; 41] = [
    "Abs",
    "Acos",
    "Asin",
    "Atan",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "QuantizeLinear",
    "DequantizeLinear",
    "IsNaN",
    "IsInf",
];

/// Operators of several inputs that are broadcast to each other.
pub(super) const BROADCAST: [&str; 20] = [
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "PRelu",
    "Sub",
    "Sum",
    "Where",
    "Xor",
];

/// Reductions over axes.
pub(super) const REDUCTIONS: [&str; 9] = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

/// Operators that keep the shape of their first input, and mix its values.
const SAME_SHAPE: [&str; 10] = [
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "LRN",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "RMSNormalization",
    "Softmax",
];

/// Returns the shape of each output of a node.
pub(super) fn infer(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<Vec<usize>>, Failed> {
    let op = node.op_type.as_str();
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(Failed::Unknown);
    }
    if ELEMENTWISE.contains(&op) || SAME_SHAPE.contains(&op) {
        return Ok(vec![inputs.shape(0)?.to_vec(); node.output.len()]);
    }
    if BROADCAST.contains(&op) {
        let mut shape = Vec::new();
        for index in 0..node.input.len() {
            shape = broadcast(&shape, inputs.shape(index)?)?;
        }
        return Ok(vec![shape]);
    }
    if REDUCTIONS.contains(&op) {
        return reduce(node, inputs).map(|shape| vec![shape]);
    }
    let one = match op {
        "Conv" => convolution(node, inputs)?,
        "MaxPool" | "AveragePool" | "LpPool" => pool(node, inputs)?,
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let shape = inputs.shape(0)?;
            shape
                .iter()
                .enumerate()
                .map(|(at, &dim)| if at < 2 { dim } else { 1 })
                .collect()
        }
        "Gemm" => gemm(node, inputs)?,
        "MatMul" => matmul(inputs)?,
        "Reshape" => reshape(node, inputs)?,
        "Flatten" => {
            let shape = inputs.shape(0)?;
            let axis = match int(node, "axis", 1) {
                axis if axis == shape.len() as i64 => shape.len(),
                axis => axis_of(axis, shape.len())?,
            };
            vec![count(&shape[..axis]), count(&shape[axis..])]
        }
        "Squeeze" => squeeze(node, inputs)?,
        "Unsqueeze" => unsqueeze(node, inputs)?,
        "Transpose" => {
            let shape = inputs.shape(0)?;
            permutation(node, shape.len())?
                .into_iter()
                .map(|axis| shape[axis])
                .collect()
        }
        "Concat" => concat(node, inputs)?,
        "Slice" => {
            let shape = inputs.shape(0)?;
            slices(node, inputs, shape)?
                .iter()
                .map(|slice| slice.len)
                .collect()
        }
        "Split" => return split(node, inputs),
        "Gather" => {
            let (data, at) = (inputs.shape(0)?, inputs.shape(1)?);
            let axis = axis_of(int(node, "axis", 0), data.len())?;
            [&data[..axis], at, &data[axis + 1..]].concat()
        }
        "Pad" => {
            let shape = inputs.shape(0)?;
            let pads = pads(node, inputs, shape.len())?;
            let padded = shape.iter().zip(&pads).map(|(&dim, [before, after])| {
                let sum = (dim as i64).checked_add(*before)?.checked_add(*after)?;
                usize::try_from(sum).ok()
            });
            match padded.collect::<Option<Vec<_>>>() {
                Some(shape) => shape,
                None => return wrong("its pads cannot be"),
            }
        }
        "Expand" => {
            let target = dims(inputs.constant(1))?;
            broadcast(inputs.shape(0)?, &target)?
        }
        "Tile" => {
            let shape = inputs.shape(0)?;
            let repeats = dims(inputs.constant(1))?;
            if repeats.len() != shape.len() {
                return wrong("its repeats do not fit its input");
            }
            shape
                .iter()
                .zip(&repeats)
                .map(|(&dim, &times)| dim.saturating_mul(times))
                .collect()
        }
        "ConstantOfShape" => dims(inputs.constant(0))?,
        "Shape" => vec![shape_slice(node, inputs.shape(0)?).len()],
        "Size" => vec![],
        "Constant" | "Range" => return Err(Failed::Unknown),
        _ => return Err(Failed::Unknown),
    };
    Ok(vec![one])
}

/// Counts the multiply-accumulates or comparisons of a node that makes `outputs`.
pub(super) fn work(node: &NodeProto, inputs: &Inputs<'_>, outputs: &[Vec<usize>]) -> u64 {
    let made: u64 = outputs.iter().map(|shape| count(shape) as u64).sum();
    let read = |index: usize| {
        inputs
            .shapes
            .get(index)
            .copied()
            .flatten()
            .unwrap_or_default()
    };
    let each = match node.op_type.as_str() {
        "Conv" => count(read(1).get(1..).unwrap_or_default()),
        "MaxPool" | "AveragePool" | "LpPool" => {
            let kernel = ints(node, "kernel_shape").unwrap_or_default();
            kernel.iter().fold(1, |product: usize, &k| {
                product.saturating_mul(usize::try_from(k).unwrap_or(1))
            })
        }
        "Gemm" if int(node, "transA", 0) != 0 => read(0).first().copied().unwrap_or(1),
        "Gemm" | "MatMul" => read(0).last().copied().unwrap_or(1),
        _ => 1,
    };
    let read: u64 = inputs
        .shapes
        .iter()
        .flatten()
        .map(|shape| count(shape) as u64)
        .sum();
    made.saturating_mul(each as u64).saturating_add(read)
}

/// Returns the axis that `axis` of a value of `rank` axes means; negative ones count from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, Failed> {
    let turned = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    match usize::try_from(turned) {
        Ok(found) if found < rank => Ok(found),
        _ => wrong(format!("it names axis {axis} of a value with {rank}")),
    }
}

fn axes_of(axes: &[i64], rank: usize) -> Result<Vec<usize>, Failed> {
    axes.iter().map(|&axis| axis_of(axis, rank)).collect()
}

/// Returns the shape that two shapes are broadcast to.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Failed> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], at: usize| {
        (at + shape.len())
            .checked_sub(rank)
            .map_or(1, |at| shape[at])
    };
    (0..rank)
        .map(|at| match (dim(a, at), dim(b, at)) {
            (1, other) | (other, 1) => Ok(other),
            (a, b) if a == b => Ok(a),
            _ => wrong(format!("shapes {a:?} and {b:?} do not fit together")),
        })
        .collect()
}

/// Returns the axes that a reduction is over.
pub(super) fn reduced_axes(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let rank = inputs.shape(0)?.len();
    let given = node.input.get(1).is_some_and(|name| !name.is_empty());
    match inputs.numbers(node, "axes", 1) {
        Some(axes) if !axes.is_empty() => axes_of(&axes, rank),
        None if given => Err(Failed::Unknown),
        _ if int(node, "noop_with_empty_axes", 0) != 0 => Ok(vec![]),
        _ => Ok((0..rank).collect()),
    }
}

fn reduce(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let shape = inputs.shape(0)?;
    let axes = reduced_axes(node, inputs)?;
    let keep = int(node, "keepdims", 1) != 0;
    let dims = shape.iter().enumerate();
    Ok(dims
        .filter_map(|(at, &dim)| match axes.contains(&at) {
            false => Some(dim),
            true => keep.then_some(1),
        })
        .collect())
}

fn convolution(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let (shape, kernels) = (inputs.shape(0)?, inputs.shape(1)?);
    let group = usize::try_from(int(node, "group", 1)).unwrap_or(0);
    let [batch, channels, size @ ..] = shape else {
        return wrong(format!(
            "its input has shape {shape:?}, expected [batch, channels, ...]"
        ));
    };
    let [outputs, per_group, kernel @ ..] = kernels else {
        return wrong(format!("its kernels have shape {kernels:?}"));
    };
    let fits = group > 0 && per_group.checked_mul(group) == Some(*channels);
    if !fits || kernel.len() != size.len() || outputs % group != 0 {
        return wrong(format!(
            "kernels of shape {kernels:?} do not fit an input of {shape:?}"
        ));
    }
    Ok([&[*batch, *outputs][..], &windows(node, kernel, size)?].concat())
}

fn pool(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let shape = inputs.shape(0)?;
    let kernel = ints(node, "kernel_shape").unwrap_or_default();
    let kernel: Option<Vec<usize>> = kernel.iter().map(|&k| usize::try_from(k).ok()).collect();
    let kernel = kernel.unwrap_or_default();
    let fits = shape.len() > 2 && kernel.len() == shape.len() - 2;
    if !fits {
        return wrong(format!("its kernel does not fit an input of {shape:?}"));
    }
    if let Some(pads) = ints(node, "pads") {
        let room = kernel.iter().chain(&kernel);
        let inside = pads.iter().zip(room).all(|(&pad, &k)| pad < k as i64);
        if !inside {
            return wrong(format!(
                "its pads {pads:?} are not smaller than its kernel {kernel:?}"
            ));
        }
    }
    Ok([&shape[..2], &windows(node, &kernel, &shape[2..])?].concat())
}

/// Returns the numbers of places of a window over a map of `size`.
fn windows(node: &NodeProto, kernel: &[usize], size: &[usize]) -> Result<Vec<usize>, Failed> {
    let list = |name: &str, default: i64, len: usize| match ints(node, name) {
        None | Some([]) => Ok(vec![default; len]),
        Some(values) if values.len() == len => Ok(values.to_vec()),
        Some(values) => wrong(format!(
            "{name} have {} entries, expected {len}",
            values.len()
        )),
    };
    let rank = size.len();
    let strides = list("strides", 1, rank)?;
    let dilations = list("dilations", 1, rank)?;
    let pads = list("pads", 0, 2 * rank)?;
    let automatic = find(node, "auto_pad").map_or(&b""[..], |a| &a.s);
    let up = int(node, "ceil_mode", 0) != 0;
    (0..rank)
        .map(|at| {
            let reach = dilations[at].checked_mul((kernel[at] as i64).saturating_sub(1));
            let reach = reach.and_then(|reach| reach.checked_add(1));
            let (stride, size) = (strides[at], size[at] as i64);
            let (true, true, Some(reach)) =
                (stride > 0 && dilations[at] > 0, kernel[at] > 0, reach)
            else {
                return wrong("its strides, dilations and kernel must be positive numbers");
            };
            if matches!(automatic, b"SAME_UPPER" | b"SAME_LOWER") {
                return Ok(size.unsigned_abs().div_ceil(stride.unsigned_abs()) as usize);
            }
            let (before, after) = match automatic {
                b"VALID" => (0, 0),
                _ => (pads[at], pads[at + rank]),
            };
            if before < 0 || after < 0 {
                return wrong(format!(
                    "pads hold {}, expected none below 0",
                    before.min(after)
                ));
            }
            let padded = size
                .checked_add(before)
                .and_then(|sum| sum.checked_add(after));
            let room = padded.and_then(|sum| sum.checked_sub(reach));
            match room {
                Some(room) if room >= 0 => {
                    let steps = if up {
                        room.unsigned_abs().div_ceil(stride.unsigned_abs()) as i64
                    } else {
                        room / stride
                    };
                    // A last window that begins in the padding behind the map is left out.
                    let late = up && steps * stride >= size + before;
                    Ok((steps - i64::from(late)) as usize + 1)
                }
                _ => wrong(format!(
                    "a kernel that reaches over {reach} does not fit {size} places"
                )),
            }
        })
        .collect()
}

fn gemm(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let (a, b) = (inputs.shape(0)?, inputs.shape(1)?);
    let (&[a0, a1], &[b0, b1]) = (a, b) else {
        return wrong(format!(
            "it multiplies {a:?} and {b:?}, expected two dimensions each"
        ));
    };
    let turn = |turned: bool, x: usize, y: usize| if turned { (y, x) } else { (x, y) };
    let (rows, inner) = turn(int(node, "transA", 0) != 0, a0, a1);
    let (other, columns) = turn(int(node, "transB", 0) != 0, b0, b1);
    if inner != other {
        return wrong(format!(
            "it multiplies {a:?} and {b:?}, which do not fit together"
        ));
    }
    Ok(vec![rows, columns])
}

fn matmul(inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let (a, b) = (inputs.shape(0)?, inputs.shape(1)?);
    let ([outer_a @ .., rows, inner], [outer_b @ .., other, columns]) = (a, b) else {
        return Err(Failed::Unknown);
    };
    if inner != other {
        return wrong(format!(
            "it multiplies {a:?} and {b:?}, which do not fit together"
        ));
    }
    let mut shape = broadcast(outer_a, outer_b)?;
    shape.extend([*rows, *columns]);
    Ok(shape)
}

fn reshape(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let shape = inputs.shape(0)?;
    let target = inputs.numbers(node, "shape", 1).ok_or(Failed::Unknown)?;
    let copies = int(node, "allowzero", 0) == 0;
    let mut made = Vec::with_capacity(target.len());
    let mut open = None;
    for (at, &dim) in target.iter().enumerate() {
        made.push(match dim {
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            0 if copies => match shape.get(at) {
                Some(&dim) => dim,
                None => {
                    return wrong(format!(
                        "{target:?} copies a dimension that {shape:?} lacks"
                    ));
                }
            },
            dim => match usize::try_from(dim) {
                Ok(dim) => dim,
                Err(_) => return wrong(format!("{target:?} is no shape")),
            },
        });
    }
    let (have, fixed) = (count(shape), count(&made));
    if let Some(at) = open {
        if fixed == 0 || have % fixed != 0 {
            return wrong(format!("{shape:?} cannot take the shape {target:?}"));
        }
        made[at] = have / fixed;
    } else if have != fixed {
        return wrong(format!("{shape:?} cannot take the shape {target:?}"));
    }
    Ok(made)
}

fn squeeze(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let shape = inputs.shape(0)?;
    let given = node.input.get(1).is_some_and(|name| !name.is_empty());
    let axes = match inputs.numbers(node, "axes", 1) {
        Some(axes) => axes_of(&axes, shape.len())?,
        None if given => return Err(Failed::Unknown),
        // The batch stays, which a file with a batch of one would lose.
        None => (1..shape.len()).filter(|&at| shape[at] == 1).collect(),
    };
    if axes.iter().any(|&axis| shape[axis] != 1) {
        return wrong(format!(
            "it takes axes {axes:?} out of {shape:?}, which are not all 1"
        ));
    }
    let dims = shape.iter().enumerate();
    Ok(dims
        .filter(|(at, _)| !axes.contains(at))
        .map(|(_, &dim)| dim)
        .collect())
}

fn unsqueeze(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let shape = inputs.shape(0)?;
    let axes = inputs.numbers(node, "axes", 1).ok_or(Failed::Unknown)?;
    let axes = axes_of(&axes, shape.len() + axes.len())?;
    let mut rest = shape.iter();
    let mut made = Vec::new();
    for at in 0..shape.len() + axes.len() {
        made.push(match axes.contains(&at) {
            true => 1,
            false => match rest.next() {
                Some(&dim) => dim,
                None => return wrong(format!("it names an axis twice: {axes:?}")),
            },
        });
    }
    Ok(made)
}

/// Returns the order of axes of a Transpose of a value of `rank` axes.
pub(super) fn permutation(node: &NodeProto, rank: usize) -> Result<Vec<usize>, Failed> {
    let Some(order) = ints(node, "perm").filter(|order| !order.is_empty()) else {
        return Ok((0..rank).rev().collect());
    };
    let order = axes_of(order, rank)?;
    if order.len() != rank || !(0..rank).all(|axis| order.contains(&axis)) {
        return wrong(format!("{order:?} is no order of {rank} axes"));
    }
    Ok(order)
}

fn concat(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<usize>, Failed> {
    let mut made = inputs.shape(0)?.to_vec();
    let axis = axis_of(int(node, "axis", 0), made.len())?;
    for index in 1..node.input.len() {
        let shape = inputs.shape(index)?;
        let fits = shape.len() == made.len()
            && (0..made.len()).all(|at| at == axis || shape[at] == made[at]);
        if !fits {
            return wrong(format!("it joins {made:?} and {shape:?} along axis {axis}"));
        }
        made[axis] = made[axis].saturating_add(shape[axis]);
    }
    Ok(made)
}

fn split(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Vec<Vec<usize>>, Failed> {
    let shape = inputs.shape(0)?;
    let axis = axis_of(int(node, "axis", 0), shape.len())?;
    let given = node.input.get(1).is_some_and(|name| !name.is_empty());
    let parts = node.output.len().max(1);
    let lengths = match inputs.numbers(node, "split", 1) {
        Some(lengths) => lengths
            .iter()
            .map(|&len| usize::try_from(len).unwrap_or(0))
            .collect(),
        None if given => return Err(Failed::Unknown),
        None => {
            let each = shape[axis].div_ceil(parts);
            let left = |part: usize| shape[axis].saturating_sub(part * each);
            (0..parts)
                .map(|part| left(part).min(each))
                .collect::<Vec<_>>()
        }
    };
    if lengths.len() != parts
        || lengths.iter().fold(0, |a: usize, b| a.saturating_add(*b)) != shape[axis]
    {
        return wrong(format!("it splits {} places into {lengths:?}", shape[axis]));
    }
    let made = lengths.into_iter().map(|len| {
        let mut part = shape.to_vec();
        part[axis] = len;
        part
    });
    Ok(made.collect())
}

/// The places that a Slice takes along one axis.
pub(super) struct Range {
    pub start: usize,
    pub step: i64,
    pub len: usize,
}

/// Returns the places that a Slice takes along each axis of a value of `shape`.
pub(super) fn slices(
    node: &NodeProto,
    inputs: &Inputs<'_>,
    shape: &[usize],
) -> Result<Vec<Range>, Failed> {
    let list = |name: &str, index: usize| inputs.numbers(node, name, index);
    let starts = list("starts", 1).ok_or(Failed::Unknown)?;
    let ends = list("ends", 2).ok_or(Failed::Unknown)?;
    let optional = |name: &str, index: usize, default: Vec<i64>| {
        let given = node.input.get(index).is_some_and(|name| !name.is_empty());
        match list(name, index) {
            Some(values) => Ok(values),
            None if given => Err(Failed::Unknown),
            None => Ok(default),
        }
    };
    let axes = optional("axes", 3, (0..starts.len() as i64).collect())?;
    let steps = optional("steps", 4, vec![1; starts.len()])?;
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return wrong("its starts, ends, axes and steps differ in number");
    }
    let mut ranges: Vec<Range> = shape
        .iter()
        .map(|&len| Range {
            start: 0,
            step: 1,
            len,
        })
        .collect();
    for (at, axis) in axes_of(&axes, shape.len())?.into_iter().enumerate() {
        let (len, step) = (shape[axis] as i64, steps[at]);
        if step == 0 || step == i64::MIN {
            return wrong(format!("it steps by {step}"));
        }
        let place = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
        let (start, end) = (place(starts[at]), place(ends[at]));
        let (start, covered) = if step > 0 {
            let start = start.clamp(0, len);
            (start, end.clamp(0, len) - start)
        } else {
            let start = start.clamp(-1, len - 1);
            (start, start - end.clamp(-1, len - 1))
        };
        let taken = covered.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
        ranges[axis] = Range {
            start: usize::try_from(start).unwrap_or(0),
            step,
            len: taken,
        };
    }
    Ok(ranges)
}

/// Returns the pads before and behind each axis of a Pad over `rank` axes.
pub(super) fn pads(
    node: &NodeProto,
    inputs: &Inputs<'_>,
    rank: usize,
) -> Result<Vec<[i64; 2]>, Failed> {
    let pads = inputs.numbers(node, "pads", 1).ok_or(Failed::Unknown)?;
    let given = node.input.get(3).is_some_and(|name| !name.is_empty());
    let axes = match inputs.constant(3).and_then(Constant::ints) {
        Some(axes) => axes_of(axes, rank)?,
        None if given => return Err(Failed::Unknown),
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return wrong(format!(
            "it has {} pads for {} axes",
            pads.len(),
            axes.len()
        ));
    }
    let mut made = vec![[0, 0]; rank];
    for (at, &axis) in axes.iter().enumerate() {
        made[axis] = [pads[at], pads[at + axes.len()]];
    }
    Ok(made)
}

/// Reads a shape that a constant holds.
fn dims(constant: Option<&Constant>) -> Result<Vec<usize>, Failed> {
    let values = constant.and_then(Constant::ints).ok_or(Failed::Unknown)?;
    let dims: Option<Vec<usize>> = values
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    match dims {
        Some(dims) => Ok(dims),
        None => wrong(format!("{values:?} is no shape")),
    }
}

/// Returns the part of `shape` that a Shape node gives.
pub(super) fn shape_slice<'s>(node: &NodeProto, shape: &'s [usize]) -> &'s [usize] {
    let rank = shape.len() as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let start = place(int(node, "start", 0));
    let end = place(int(node, "end", rank));
    shape.get(start..end).unwrap_or_default()
}
