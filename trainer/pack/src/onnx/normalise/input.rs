//! The graph's input: its axes, and a norm of it that the frontend takes over.

use super::Normal;
use crate::metadata::{FrontendDescription, Layout};
use crate::onnx::attributes::{float, int};
use crate::onnx::error::ImportError;
use crate::onnx::limits::count;
use crate::onnx::pb;
use std::collections::HashSet;

/// The graph's one input.
pub(super) struct Given {
    pub name: String,
    /// Its dimensions as the graph has them, none open.
    pub dims: Vec<usize>,
    /// Patches that the file is made for; 1 if it leaves this open.
    pub batch: usize,
    /// Height and width of a patch in the graph.
    size: [usize; 2],
}

impl Given {
    /// Returns the shape of the input in the normalised graph.
    pub fn patch(&self, batch: usize) -> Vec<usize> {
        let [height, width] = self.size;
        vec![batch, 1, height, width]
    }
}

/// Finds the one input; its shape must be that of the patches, with the single channel before them,
/// behind them or left out.
pub(super) fn find(
    graph: &pb::GraphProto,
    initialised: &HashSet<&str>,
    frontend: &FrontendDescription,
) -> Result<Given, ImportError> {
    let inputs: Vec<_> = graph
        .input
        .iter()
        .filter(|input| !initialised.contains(input.name.as_str()))
        .collect();
    let [input] = inputs[..] else {
        return Err(ImportError::Interface(format!(
            "it has {} inputs, expected one of log-mel patches",
            inputs.len()
        )));
    };
    let (frames, mels) = (frontend.config.frames.into(), frontend.config.mels.into());
    let size: [usize; 2] = match frontend.layout {
        Layout::TimeMel => [frames, mels],
        Layout::MelTime => [mels, frames],
    };
    let [height, width] = size;
    let name = input.name.clone();
    let Some(dims) = stated(input) else {
        // Without a shape the file leaves it to the caller.
        return Ok(Given {
            name,
            dims: vec![1, 1, height, width],
            batch: 1,
            size,
        });
    };
    let batch = dims.first().copied().flatten().unwrap_or(1);
    let forms: [&[usize]; 3] = [&[1, height, width], &[height, width, 1], &[height, width]];
    let fits = |form: &&&[usize]| {
        dims.len() == form.len() + 1
            && dims[1..]
                .iter()
                .zip(**form)
                .all(|(dim, &wanted)| dim.is_none_or(|dim| dim == wanted as i64))
    };
    let most = 1 << 16;
    let batch = usize::try_from(batch)
        .ok()
        .filter(|batch| (1..=most).contains(batch));
    let (Some(form), Some(batch)) = (forms.iter().find(fits), batch) else {
        let shown: Vec<String> = dims
            .iter()
            .map(|dim| dim.map_or("?".into(), |dim| dim.to_string()))
            .collect();
        return Err(ImportError::Interface(format!(
            "its input `{name}` is [{}], but the frontend makes [?, 1, {height}, {width}]",
            shown.join(", ")
        )));
    };
    Ok(Given {
        name,
        dims: [&[batch][..], form].concat(),
        batch,
        size,
    })
}

/// Returns the dimensions that the file states, `None` for each that it leaves open.
fn stated(input: &pb::ValueInfoProto) -> Option<Vec<Option<i64>>> {
    use pb::tensor_shape_proto::dimension::Value as Dim;
    let Some(pb::type_proto::Value::TensorType(tensor)) = input.r#type.as_ref()?.value.as_ref()
    else {
        return None;
    };
    let dims = tensor.shape.as_ref()?.dim.iter();
    Some(
        dims.map(|dim| match dim.value {
            // Some exporters write an open dimension as 0 or -1.
            Some(Dim::DimValue(value)) if value > 0 => Some(value),
            _ => None,
        })
        .collect(),
    )
}

/// Takes factors and constants of the whole input into the frontend's mean and scale, as long as one
/// node reads the input and it is such a one.
pub(super) fn join_norms(normal: &mut Normal) {
    while let Some((index, factor, shift)) = norm(normal) {
        let config = &mut normal.frontend.config;
        // a ((l - m) s) + b = (l - (m - b / (s a))) (s a)
        let scale = f64::from(config.scale) * factor;
        let mean = f64::from(config.mean) - shift / scale;
        let before = *config;
        (config.scale, config.mean) = (scale as f32, mean as f32);
        if config.validate().is_err() {
            *config = before;
            return;
        }
        let node = normal.nodes.remove(index);
        for input in normal.nodes.iter_mut().flat_map(|node| &mut node.input) {
            if *input == node.output[0] {
                input.clone_from(&normal.input);
            }
        }
    }
}

/// Returns the node that alone reads the input and computes `factor * x + shift`, with its two numbers.
fn norm(normal: &Normal) -> Option<(usize, f64, f64)> {
    let reads = |node: &&pb::NodeProto| node.input.contains(&normal.input);
    let [node] = normal.nodes.iter().filter(reads).collect::<Vec<_>>()[..] else {
        return None;
    };
    let index = normal
        .nodes
        .iter()
        .position(|other| std::ptr::eq(other, node))?;
    let [output] = &node.output[..] else {
        return None;
    };
    if normal.outputs.contains(output) {
        return None;
    }
    let single = |at: usize| {
        let constant = normal.constants.get(node.input.get(at)?)?;
        let is_single = count(&constant.dims) == 1 && constant.dims.len() <= 4;
        constant
            .floats()
            .filter(|_| is_single)
            .map(|values| f64::from(values[0]))
    };
    let (factor, shift) = match (node.op_type.as_str(), single(0), single(1)) {
        ("BatchNormalization", None, Some(scale)) if int(node, "training_mode", 0) == 0 => {
            let (bias, mean, variance) = (single(2)?, single(3)?, single(4)?);
            let epsilon = f64::from(float(node, "epsilon", 1e-5));
            let factor = scale / (variance + epsilon).sqrt();
            (factor, bias - factor * mean)
        }
        ("Add", None, Some(c)) | ("Add", Some(c), None) => (1.0, c),
        ("Sub", None, Some(c)) => (1.0, -c),
        ("Mul", None, Some(c)) | ("Mul", Some(c), None) => (c, 0.0),
        ("Div", None, Some(c)) => (1.0 / c, 0.0),
        _ => return None,
    };
    // The frontend's scale is positive.
    let usable = factor.is_finite() && factor > 0.0 && shift.is_finite();
    usable.then_some((index, factor, shift))
}
