//! A norm of the patch at the head of a graph: a mean and a scale for each band, a mean of the patch.
//!
//! Exporters write it in many ways: arithmetic with constants, a batch norm between transposes or over a
//! reshaped input, a mean that is subtracted. So the head is not matched by its form but tried: nodes that
//! can make nothing but an affine function of the input are computed for chosen patches, and the norm that
//! explains the results is taken if it explains them everywhere.

use super::shapes::Inputs;
use super::{Normal, fold, rules};
use crate::builder::OwnedPatchNorm;
use crate::metadata::Layout;
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
    pass: &mut super::Pass<'_>,
    norm: &OwnedPatchNorm,
    layout: Layout,
    input: &str,
    nodes: &mut Vec<NodeProto>,
) {
    let made = pass.fresh_name(input, "normed");
    for name in nodes.iter_mut().flat_map(|node| &mut node.input) {
        if *name == input {
            name.clone_from(&made);
        }
    }
    let (time, mel) = match layout {
        Layout::TimeMel => (2, 3),
        Layout::MelTime => (3, 2),
    };
    let mut head = Vec::new();
    let mut last = input.to_owned();
    let mut then = |pass: &mut super::Pass<'_>, last: &mut String, op: &str, other: &str| {
        let name = pass.fresh_name(input, op);
        head.push(rules::node(op, &[last, other], &name, vec![]));
        *last = name;
    };
    let axes: Option<&[i64]> = match norm.mean {
        PatchMean::None => None,
        PatchMean::Patch => Some(&[2, 3]),
        PatchMean::Band => Some(if time == 2 { &[2] } else { &[3] }),
    };
    let mean = axes.map(|axes| {
        let name = pass.fresh_name(input, "mean");
        let keep = crate::onnx::int("keepdims", 1);
        // Axes were an attribute before they became an input.
        let node = if pass.opset < 18 {
            let axes = crate::onnx::ints("axes", axes);
            rules::node("ReduceMean", &[input], &name, vec![axes, keep])
        } else {
            let axes = Constant::int(vec![axes.len()], axes.to_vec());
            let axes = pass.new_constant(&name, "axes", axes);
            rules::node("ReduceMean", &[input, &axes], &name, vec![keep])
        };
        (name, node)
    });
    let mean = mean.map(|(name, node)| {
        then(pass, &mut last, "Sub", &name);
        node
    });
    if !norm.bands.is_empty() {
        let mut dims = vec![1; 4];
        dims[mel] = norm.bands.len();
        for (op, at) in [("Sub", 0), ("Mul", 1)] {
            let values = norm.bands.iter().map(|band| band[at]).collect();
            let values = Constant::float(dims.clone(), values);
            let values = pass.new_constant(&made, op, values);
            then(pass, &mut last, op, &values);
        }
    }
    head.push(rules::node("Identity", &[&last], &made, vec![]));
    nodes.splice(0..0, mean.into_iter().chain(head));
}

/// Takes the norm out of the head of a graph, if there is one that a packed model can express.
pub(in crate::onnx) fn take(normal: &mut Normal) -> Option<OwnedPatchNorm> {
    let head = head(normal);
    // The longest first.
    let (last, norm) = head.iter().rev().find_map(|&last| {
        let inside = makers(normal, last);
        stands_alone(normal, &inside, last)
            .then(|| norm_of(normal, &inside, last))
            .flatten()
            .map(|norm| (last, norm))
    })?;
    let made = normal.nodes[last].output[0].clone();
    let inside = makers(normal, last);
    let mut index = 0;
    normal.nodes.retain(|_| {
        index += 1;
        !inside.contains(&(index - 1))
    });
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
    let mut known: HashSet<&str> = HashSet::from([normal.input.as_str()]);
    let mut head = Vec::new();
    let patch = normal.shapes.get(&normal.input);
    for (index, node) in normal.nodes.iter().enumerate() {
        let of_input = |name: &&String| known.contains(name.as_str());
        let readable = node.input.iter().all(|name| {
            name.is_empty() || known.contains(name.as_str()) || normal.constants.contains_key(name)
        });
        let [output] = &node.output[..] else {
            continue;
        };
        if OPERATORS.contains(&node.op_type.as_str())
            && readable
            && node.input.iter().any(|name| of_input(&name))
        {
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
    let (mels, band): (usize, fn(usize, usize) -> usize) = match normal.frontend.layout {
        Layout::TimeMel => (width, |at, width| at % width),
        Layout::MelTime => (height, |at, width| at / width),
    };
    let band = |at: usize| band(at, width);
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
        // The frame that each value belongs to does not matter to a norm without bands.
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
