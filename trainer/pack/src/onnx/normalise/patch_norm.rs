//! A norm of the patch at the head of a graph: a mean and a scale for each band, a mean of the patch.
//!
//! Exporters write it in many ways: arithmetic with constants, a batch norm between transposes or over a
//! reshaped input, a mean that is subtracted. So the head is not matched by its form but tried: nodes that
//! can make nothing but an affine function of the input are computed for chosen patches, and the norm that
//! explains the results is taken if it explains them everywhere.

use super::shapes::Inputs;
use super::{Normal, Pass, fold, rules};
use crate::builder::OwnedPatchNorm;
use crate::metadata::Layout;
use crate::onnx;
use crate::onnx::limits::count;
use crate::onnx::pb::NodeProto;
use crate::onnx::tensor::Constant;
use mtslvr_runtime::frontend::PatchMean;
use std::collections::{HashMap, HashSet};

/// Operators that a head is made of.
const OPERATORS: [&str; 14] = [
    "Add",
    "BatchNormalization",
    "Cast",
    "Div",
    "Flatten",
    "Identity",
    "Mul",
    "Neg",
    "ReduceMean",
    "Reshape",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

/// Greatest error of a value that a norm explains, as a share of the largest one.
const TOLERANCE: f32 = 1e-4;

/// Puts the nodes that compute `norm` between the input, whose shape is `[batch, 1, height, width]`, and what
/// reads it.
pub(super) fn prepend(
    pass: &mut Pass<'_>,
    norm: &OwnedPatchNorm,
    layout: Layout,
    input: &str,
    nodes: &mut Vec<NodeProto>,
) {
    let (time, mel): (i64, usize) = match layout {
        Layout::TimeMel => (2, 3),
        Layout::MelTime => (3, 2),
    };
    let mut head = Vec::new();
    let mut last = input.to_owned();
    let axes = match norm.mean {
        PatchMean::None => vec![],
        PatchMean::Patch => vec![2, 3],
        PatchMean::Band => vec![time],
    };
    if !axes.is_empty() {
        let mean = pass.fresh_name(input, "mean");
        head.push(mean_node(pass, input, &axes, &mean));
        let centred = pass.fresh_name(input, "centred");
        head.push(rules::node("Sub", &[input, &mean], &centred, vec![]));
        last = centred;
    }
    if !norm.bands.is_empty() {
        let mut dims = vec![1; 4];
        dims[mel] = norm.bands.len();
        for (op, at) in [("Sub", 0), ("Mul", 1)] {
            let values = norm.bands.iter().map(|band| band[at]).collect();
            let values = pass.new_constant(input, op, Constant::float(dims.clone(), values));
            let made = pass.fresh_name(input, op);
            head.push(rules::node(op, &[&last, &values], &made, vec![]));
            last = made;
        }
    }
    for name in nodes.iter_mut().flat_map(|node| &mut node.input) {
        if *name == input {
            name.clone_from(&last);
        }
    }
    nodes.splice(0..0, head);
}

/// Makes a mean over `axes`, which were an attribute before they became an input.
fn mean_node(pass: &mut Pass<'_>, input: &str, axes: &[i64], output: &str) -> NodeProto {
    let keep = onnx::int("keepdims", 1);
    if pass.opset < 18 {
        let axes = onnx::ints("axes", axes);
        return rules::node("ReduceMean", &[input], output, vec![axes, keep]);
    }
    let axes = Constant::int(vec![axes.len()], axes.to_vec());
    let axes = pass.new_constant(output, "axes", axes);
    rules::node("ReduceMean", &[input, &axes], output, vec![keep])
}

/// Takes the norm out of the head of a graph, if there is one that a packed model can express.
pub(in crate::onnx) fn take(normal: &mut Normal) -> Option<OwnedPatchNorm> {
    // The longest first.
    let ends = head(normal).into_iter().rev();
    let (inside, last, norm) = ends
        .map(|last| (makers(normal, last), last))
        .filter(|(inside, last)| stands_alone(normal, inside, *last))
        .find_map(|(inside, last)| {
            let norm = norm_of(normal, &inside, last)?;
            Some((inside, last, norm))
        })?;
    let made = normal.nodes[last].output[0].clone();
    let mut index = 0..;
    normal
        .nodes
        .retain(|_| index.next().is_none_or(|at| !inside.contains(&at)));
    for name in normal.nodes.iter_mut().flat_map(|node| &mut node.input) {
        if *name == made {
            name.clone_from(&normal.input);
        }
    }
    let identity = norm.mean == PatchMean::None && norm.bands.is_empty();
    (!identity).then_some(norm)
}

/// Returns the nodes that compute an affine function of the input alone, in their order, whose result has
/// the input's shape.
fn head(normal: &Normal) -> Vec<usize> {
    let patch = normal.shapes.get(&normal.input);
    let mut known: HashSet<&String> = HashSet::from([&normal.input]);
    let mut head = Vec::new();
    for (index, node) in normal.nodes.iter().enumerate() {
        let constant = |name: &String| name.is_empty() || normal.constants.contains_key(name);
        let (fixed, data): (Vec<&String>, Vec<&String>) =
            node.input.iter().partition(|name| constant(name));
        let [output] = &node.output[..] else {
            continue;
        };
        let computes = OPERATORS.contains(&node.op_type.as_str())
            && fixed.len() < node.input.len()
            && data.into_iter().all(|name| known.contains(name));
        if computes {
            known.insert(output);
            if normal.shapes.get(output) == patch && !normal.outputs.contains(output) {
                head.push(index);
            }
        }
    }
    head
}

/// Returns node `last` and all nodes that it needs.
fn makers(normal: &Normal, last: usize) -> HashSet<usize> {
    let makers: HashMap<&String, usize> = normal
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name, index)))
        .collect();
    let mut found = HashSet::new();
    let mut open = vec![last];
    while let Some(index) = open.pop() {
        if found.insert(index) {
            let inputs = normal.nodes[index].input.iter();
            open.extend(inputs.filter_map(|name| makers.get(name)));
        }
    }
    found
}

/// Returns whether nothing but the nodes `inside` reads the input or what they make, except what `last` makes.
fn stands_alone(normal: &Normal, inside: &HashSet<usize>, last: usize) -> bool {
    let made = inside.iter().filter(|&&index| index != last);
    let mut hidden: HashSet<&String> = made
        .flat_map(|&index| &normal.nodes[index].output)
        .collect();
    hidden.insert(&normal.input);
    let outside = normal.nodes.iter().enumerate();
    outside
        .filter(|(index, _)| !inside.contains(index))
        .all(|(_, node)| node.input.iter().all(|name| !hidden.contains(name)))
}

/// Finds the norm that the nodes `inside` compute, if it is one.
fn norm_of(normal: &Normal, inside: &HashSet<usize>, last: usize) -> Option<OwnedPatchNorm> {
    let dims = normal.shapes.get(&normal.input)?;
    let [_, _, height, width] = dims[..] else {
        return None;
    };
    let time_mel = normal.frontend.layout == Layout::TimeMel;
    let mels = if time_mel { width } else { height };
    let band = |at: usize| if time_mel { at % width } else { at / width };
    let run =
        |patch: Vec<f32>| evaluate(normal, inside, last, Constant::float(dims.clone(), patch));
    let len = count(dims);
    // No two places have the same value, so that a change of their order shows.
    let patch = |seed: usize| -> Vec<f32> {
        (0..len)
            .map(|at| (((at + seed) * 7_919) % 10_007) as f32 / 2_500.0 - 2.0)
            .collect()
    };
    let rest = run(vec![0.0; len])?;
    let ones = run(vec![1.0; len])?;
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let differences: Vec<f32> = ones.iter().zip(&rest).map(|(a, b)| a - b).collect();
    let first = patch(0);
    let found = run(first.clone())?;
    // A mean takes what all values have in common away.
    let constant_lost = largest(&differences) <= TOLERANCE * largest(&found);
    let means = match constant_lost {
        true => &[PatchMean::Band, PatchMean::Patch][..],
        false => &[PatchMean::None],
    };
    let second = patch(4_999);
    let expected = run(second.clone())?;
    means.iter().find_map(|&mean| {
        let centred = centred(&first, mean, mels, &band);
        let mut sums = vec![(0.0f64, 0.0f64); mels];
        for (at, x) in centred.iter().enumerate() {
            let (xy, xx) = &mut sums[band(at)];
            *xy += f64::from(x * (found[at] - rest[at]));
            *xx += f64::from(x * x);
        }
        let mut bands = vec![[0.0f32; 2]; mels];
        for (at, value) in rest.iter().enumerate() {
            let (xy, xx) = sums[band(at)];
            let scale = xy / xx;
            bands[band(at)] = [(-f64::from(*value) / scale) as f32, scale as f32];
        }
        let norm = OwnedPatchNorm { mean, bands };
        if !norm.as_norm().fits(mels) {
            return None;
        }
        let made = self::centred(&second, mean, mels, &band);
        let scale = largest(&expected);
        let explained = made.iter().enumerate().all(|(at, x)| {
            let [mean, factor] = norm.bands[band(at)];
            ((x - mean) * factor - expected[at]).abs() <= TOLERANCE * scale
        });
        explained.then(|| without_ones(norm))
    })
}

/// Leaves out bands that change nothing.
fn without_ones(mut norm: OwnedPatchNorm) -> OwnedPatchNorm {
    let nothing = |[mean, scale]: &[f32; 2]| mean.abs() < 1e-6 && (scale - 1.0).abs() < 1e-6;
    if norm.bands.iter().all(nothing) {
        norm.bands.clear();
    }
    norm
}

/// Returns a patch less its mean.
fn centred(
    patch: &[f32],
    mean: PatchMean,
    mels: usize,
    band: &impl Fn(usize) -> usize,
) -> Vec<f32> {
    let frames = patch.len() / mels;
    let mut means = vec![0.0f64; mels];
    for (at, value) in patch.iter().enumerate() {
        means[band(at)] += f64::from(*value) / frames as f64;
    }
    let whole = means.iter().sum::<f64>() / mels as f64;
    let less = |at: usize| match mean {
        PatchMean::None => 0.0,
        PatchMean::Patch => whole,
        PatchMean::Band => means[band(at)],
    };
    let values = patch.iter().enumerate();
    values
        .map(|(at, value)| (f64::from(*value) - less(at)) as f32)
        .collect()
}

/// Computes what node `last` makes of `patch` by the nodes `inside`.
fn evaluate(
    normal: &Normal,
    inside: &HashSet<usize>,
    last: usize,
    patch: Constant,
) -> Option<Vec<f32>> {
    let mut values: HashMap<&str, Constant> = HashMap::from([(normal.input.as_str(), patch)]);
    for (index, node) in normal.nodes.iter().enumerate() {
        if !inside.contains(&index) {
            continue;
        }
        let constants: Vec<Option<&Constant>> = node
            .input
            .iter()
            .map(|name| {
                let value = values.get(name.as_str());
                value.or_else(|| normal.constants.get(name))
            })
            .collect();
        let inputs = Inputs {
            shapes: constants
                .iter()
                .map(|constant| constant.map(|c| c.dims.as_slice()))
                .collect(),
            constants,
        };
        let shapes = [normal.shapes.get(&node.output[0])?.clone()];
        let made = fold::evaluate(node, &inputs, &shapes)?.into_iter().next()?;
        values.insert(&node.output[0], made);
    }
    let made = values.remove(normal.nodes[last].output[0].as_str())?;
    made.floats().map(<[f32]>::to_vec)
}
