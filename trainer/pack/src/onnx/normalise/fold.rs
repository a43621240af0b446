//! Computes nodes that read nothing but constants.

use super::shapes::{self, Inputs};
use crate::onnx::attributes::{find, float, int};
use crate::onnx::limits::count;
use crate::onnx::pb::NodeProto;
use crate::onnx::pb::tensor_proto::DataType;
use crate::onnx::tensor::{Constant, Values};

/// Returns what a node makes of constants, in the `shapes` that were found for it. `None` if it has no
/// fixed result, or is none of the nodes that exporters write around weights and shapes.
pub(super) fn evaluate(
    node: &NodeProto,
    inputs: &Inputs<'_>,
    shapes: &[Vec<usize>],
) -> Option<Vec<Constant>> {
    let dims = shapes.first()?.clone();
    // The shape of a value is fixed even where its contents are not.
    match node.op_type.as_str() {
        "Shape" => {
            let shape = inputs.shapes.first().copied().flatten()?;
            let part = shapes::shape_slice(node, shape);
            let values = part.iter().map(|&dim| dim as i64).collect();
            return Some(vec![Constant::int(dims, values)]);
        }
        "Size" => {
            let shape = inputs.shapes.first().copied().flatten()?;
            return Some(vec![Constant::int(dims, vec![count(shape) as i64])]);
        }
        _ => {}
    }
    let all = node.input.iter().zip(&inputs.constants);
    if all
        .clone()
        .any(|(name, constant)| !name.is_empty() && constant.is_none())
    {
        return None;
    }
    let constant = |index: usize| inputs.constants.get(index).copied().flatten();
    if node.op_type == "ConstantOfShape" {
        return filled(node, dims).map(|made| vec![made]);
    }
    let data = constant(0)?;
    let made = match node.op_type.as_str() {
        "Identity" | "Dropout" => data.clone(),
        "Cast" => cast(data, int(node, "to", 1))?,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => Constant {
            dims,
            ..data.clone()
        },
        "Transpose" => transposed(data, &shapes::permutation(node, data.dims.len()).ok()?),
        "Expand" => broadcast(data, &dims),
        "Tile" => {
            let of = &data.dims;
            let at = places(&dims).map(|place| {
                let inside: Vec<usize> = place.iter().zip(of).map(|(at, dim)| at % dim).collect();
                index(of, &inside)
            });
            data.pick(dims.clone(), at)
        }
        "Slice" => {
            let ranges = shapes::slices(node, inputs, &data.dims).ok()?;
            let at = places(&dims).map(|place| {
                let source = place
                    .iter()
                    .zip(&ranges)
                    .map(|(&at, range)| (range.start as i64 + at as i64 * range.step) as usize);
                index(&data.dims, &source.collect::<Vec<_>>())
            });
            data.pick(dims.clone(), at)
        }
        "Gather" => gather(node, data, constant(1)?, dims)?,
        "Concat" => concat(node, inputs, dims)?,
        "Split" => return split(node, data, shapes),
        "DequantizeLinear" => dequantised(node, data, constant(1)?, constant(2))?,
        "Where" => {
            let parts = [data, constant(1)?, constant(2)?].map(|part| broadcast(part, &dims));
            let [chosen, yes, no] = parts;
            let chosen = chosen.ints()?.to_vec();
            match (yes.values, no.values) {
                (Values::Float(a), Values::Float(b)) => {
                    Constant::float(dims, choose(&chosen, &a, &b))
                }
                (Values::Int(a), Values::Int(b)) => Constant {
                    kind: yes.kind,
                    ..Constant::int(dims, choose(&chosen, &a, &b))
                },
                _ => return None,
            }
        }
        "BatchNormalization" => batch_norm(node, inputs)?,
        op if shapes::REDUCTIONS.contains(&op) => reduced(node, inputs, data, dims)?,
        op if shapes::BROADCAST.contains(&op) && node.input.len() == 2 => {
            binary(op, &broadcast(data, &dims), &broadcast(constant(1)?, &dims))?
        }
        op => unary(op, data)?,
    };
    let finite = |made: &Constant| {
        made.floats()
            .is_none_or(|values| values.len() == 1 || values.iter().all(|v| v.is_finite()))
    };
    finite(&made).then(|| vec![made])
}

fn choose<T: Copy>(chosen: &[i64], yes: &[T], no: &[T]) -> Vec<T> {
    let pairs = yes.iter().zip(no);
    let values = chosen.iter().zip(pairs);
    values
        .map(|(&first, (&yes, &no))| if first != 0 { yes } else { no })
        .collect()
}

fn filled(node: &NodeProto, dims: Vec<usize>) -> Option<Constant> {
    let len = count(&dims);
    let Some(value) = find(node, "value").and_then(|attribute| attribute.t.as_ref()) else {
        return Some(Constant::float(dims, vec![0.0; len]));
    };
    let value = Constant::read(value).ok()?;
    let one = match &value.values {
        Values::Float(values) => values.len() == 1,
        Values::Int(values) => values.len() == 1,
    };
    one.then(|| value.pick(dims, std::iter::repeat_n(0, len)))
}

/// Converts to the type `to`. Floats of all widths are one type here.
fn cast(data: &Constant, to: i64) -> Option<Constant> {
    let kind = DataType::try_from(i32::try_from(to).ok()?).ok()?;
    let dims = data.dims.clone();
    match kind {
        DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double => {
            let values = match &data.values {
                Values::Float(values) => values.clone(),
                Values::Int(values) => values.iter().map(|&v| v as f32).collect(),
            };
            Some(Constant::float(dims, values))
        }
        DataType::String | DataType::Complex64 | DataType::Complex128 | DataType::Undefined => None,
        _ => {
            let whole = |v: f32| match kind {
                DataType::Bool => i64::from(v != 0.0),
                _ => v as i64,
            };
            let values = match &data.values {
                Values::Float(values) => values.iter().map(|&v| whole(v)).collect(),
                Values::Int(values) if kind == DataType::Bool => {
                    values.iter().map(|&v| i64::from(v != 0)).collect()
                }
                Values::Int(values) => values.clone(),
            };
            Some(Constant {
                kind,
                ..Constant::int(dims, values)
            })
        }
    }
}

/// Puts the axes of a constant in the order `order`.
pub(super) fn transposed(data: &Constant, order: &[usize]) -> Constant {
    let dims: Vec<usize> = order.iter().map(|&axis| data.dims[axis]).collect();
    let mut place = vec![0; order.len()];
    let at = places(&dims).map(|made| {
        for (&axis, &at) in order.iter().zip(&made) {
            place[axis] = at;
        }
        index(&data.dims, &place)
    });
    data.pick(dims.clone(), at)
}

/// Repeats a constant to the shape `dims`.
fn broadcast(data: &Constant, dims: &[usize]) -> Constant {
    if data.dims == dims {
        return data.clone();
    }
    let missing = dims.len().saturating_sub(data.dims.len());
    let at = places(dims).map(|place| {
        let inside = place[missing..].iter().zip(&data.dims);
        let inside: Vec<usize> = inside
            .map(|(&at, &dim)| if dim == 1 { 0 } else { at })
            .collect();
        index(&data.dims, &inside)
    });
    data.pick(dims.to_vec(), at)
}

fn gather(node: &NodeProto, data: &Constant, at: &Constant, dims: Vec<usize>) -> Option<Constant> {
    let axis = shapes::axis_of(int(node, "axis", 0), data.dims.len()).ok()?;
    let len = data.dims[axis] as i64;
    let chosen = at.ints()?.iter().map(|&at| {
        let at = if at < 0 { at + len } else { at };
        (0..len).contains(&at).then_some(at as usize)
    });
    let chosen = chosen.collect::<Option<Vec<usize>>>()?;
    let inner = count(&data.dims[axis + 1..]);
    let outer = count(&data.dims[..axis]);
    let at = (0..outer).flat_map(|o| {
        let chosen = chosen.iter();
        chosen.flat_map(move |&c| (0..inner).map(move |i| (o * len as usize + c) * inner + i))
    });
    Some(data.pick(dims, at))
}

fn concat(node: &NodeProto, inputs: &Inputs<'_>, dims: Vec<usize>) -> Option<Constant> {
    let axis = shapes::axis_of(int(node, "axis", 0), dims.len()).ok()?;
    let parts = inputs
        .constants
        .iter()
        .copied()
        .collect::<Option<Vec<&Constant>>>()?;
    let outer = count(&dims[..axis]);
    let mut made = parts[0].pick(dims.clone(), std::iter::empty());
    for o in 0..outer {
        for part in &parts {
            let row = count(&part.dims[axis..]);
            let range = o * row..(o + 1) * row;
            match (&mut made.values, &part.values) {
                (Values::Float(made), Values::Float(part)) => made.extend(&part[range]),
                (Values::Int(made), Values::Int(part)) => made.extend(&part[range]),
                _ => return None,
            }
        }
    }
    Some(made)
}

fn split(node: &NodeProto, data: &Constant, shapes: &[Vec<usize>]) -> Option<Vec<Constant>> {
    let axis = shapes::axis_of(int(node, "axis", 0), data.dims.len()).ok()?;
    let mut before = 0;
    let parts = shapes.iter().map(|dims| {
        let first = before;
        before += dims[axis];
        let at = places(dims).map(move |mut place| {
            place[axis] += first;
            place
        });
        data.pick(dims.clone(), at.map(|place| index(&data.dims, &place)))
    });
    Some(parts.collect())
}

/// `(x - zero point) * scale`, with one scale, or one for each place along an axis.
fn dequantised(
    node: &NodeProto,
    data: &Constant,
    scale: &Constant,
    zero: Option<&Constant>,
) -> Option<Constant> {
    let values = data.ints()?;
    let scales = scale.floats()?;
    let zeros = match zero {
        Some(zero) => zero.ints()?.to_vec(),
        None => vec![0; scales.len()],
    };
    if int(node, "block_size", 0) != 0 || zeros.len() != scales.len() {
        return None;
    }
    let (places, inner) = if scales.len() == 1 {
        (1, 1)
    } else {
        let axis = shapes::axis_of(int(node, "axis", 1), data.dims.len()).ok()?;
        (data.dims[axis], count(&data.dims[axis + 1..]))
    };
    if scales.len() != places {
        return None;
    }
    let real = values.iter().enumerate().map(|(at, &value)| {
        let c = at / inner % places;
        (value - zeros[c]) as f32 * scales[c]
    });
    Some(Constant::float(data.dims.clone(), real.collect()))
}

fn reduced(
    node: &NodeProto,
    inputs: &Inputs<'_>,
    data: &Constant,
    dims: Vec<usize>,
) -> Option<Constant> {
    let axes = shapes::reduced_axes(node, inputs).ok()?;
    // Reduced axes are kept as ones while the places are counted.
    let kept: Vec<usize> = data
        .dims
        .iter()
        .enumerate()
        .map(|(at, &dim)| if axes.contains(&at) { 1 } else { dim })
        .collect();
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); count(&kept)];
    let value = |at: usize| match &data.values {
        Values::Float(values) => f64::from(values[at]),
        Values::Int(values) => values[at] as f64,
    };
    for (at, place) in places(&data.dims).enumerate() {
        let inside: Vec<usize> = place
            .iter()
            .zip(&kept)
            .map(|(&at, &dim)| at % dim)
            .collect();
        groups[index(&kept, &inside)].push(value(at));
    }
    let whole = data.ints().is_some();
    let made = groups.into_iter().map(|group| {
        let sum = || group.iter().sum::<f64>();
        let squares = || group.iter().map(|v| v * v).sum::<f64>();
        Some(match node.op_type.as_str() {
            "ReduceSum" => sum(),
            "ReduceMean" if !whole => sum() / group.len() as f64,
            "ReduceMax" => group.iter().copied().reduce(f64::max)?,
            "ReduceMin" => group.iter().copied().reduce(f64::min)?,
            "ReduceProd" => group.iter().product(),
            "ReduceL1" => group.iter().map(|v| v.abs()).sum(),
            "ReduceL2" if !whole => squares().sqrt(),
            "ReduceSumSquare" => squares(),
            _ => return None,
        })
    });
    let made = made.collect::<Option<Vec<f64>>>()?;
    Some(if whole {
        let values = made.iter().map(|&v| v as i64).collect();
        Constant {
            kind: data.kind,
            ..Constant::int(dims, values)
        }
    } else {
        Constant::float(dims, made.iter().map(|&v| v as f32).collect())
    })
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias`, each of the four with a value for each channel.
fn batch_norm(node: &NodeProto, inputs: &Inputs<'_>) -> Option<Constant> {
    if int(node, "training_mode", 0) != 0 {
        return None;
    }
    let data = inputs.constants.first().copied().flatten()?;
    let channels = *data.dims.get(1)?;
    let of = |at: usize| {
        let values = inputs.constants.get(at).copied().flatten()?.floats()?;
        (values.len() == channels).then_some(values)
    };
    let (scale, bias, mean, variance) = (of(1)?, of(2)?, of(3)?, of(4)?);
    let epsilon = f64::from(float(node, "epsilon", 1e-5));
    let inner = count(&data.dims[2..]);
    let values = data.floats()?.iter().enumerate().map(|(at, &x)| {
        let c = at / inner % channels;
        let factor = f64::from(scale[c]) / (f64::from(variance[c]) + epsilon).sqrt();
        ((f64::from(x) - f64::from(mean[c])) * factor + f64::from(bias[c])) as f32
    });
    Some(Constant::float(data.dims.clone(), values.collect()))
}

/// Combines two constants of one shape.
fn binary(op: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let dims = a.dims.clone();
    let truths = |values: Vec<bool>| Constant {
        kind: DataType::Bool,
        ..Constant::int(dims.clone(), values.into_iter().map(i64::from).collect())
    };
    match (&a.values, &b.values) {
        (Values::Float(x), Values::Float(y)) => {
            let made = |f: fn(f32, f32) -> f32| {
                let values = x.iter().zip(y).map(|(&a, &b)| f(a, b)).collect();
                Some(Constant::float(dims.clone(), values))
            };
            let told = |f: fn(&f32, &f32) -> bool| {
                Some(truths(x.iter().zip(y).map(|(a, b)| f(a, b)).collect()))
            };
            match op {
                "Add" | "Sum" => made(|a, b| a + b),
                "Sub" => made(|a, b| a - b),
                "Mul" => made(|a, b| a * b),
                "Div" => made(|a, b| a / b),
                "Pow" => made(f32::powf),
                "Min" => made(f32::min),
                "Max" => made(f32::max),
                "Equal" => told(|a, b| a == b),
                "Less" => told(|a, b| a < b),
                "Greater" => told(|a, b| a > b),
                _ => None,
            }
        }
        (Values::Int(x), Values::Int(y)) => {
            let made = |f: fn(i64, i64) -> Option<i64>| {
                let values = x.iter().zip(y).map(|(&a, &b)| f(a, b));
                let values = values.collect::<Option<Vec<i64>>>()?;
                Some(Constant {
                    kind: a.kind,
                    ..Constant::int(dims.clone(), values)
                })
            };
            let told = |f: fn(&i64, &i64) -> bool| {
                Some(truths(x.iter().zip(y).map(|(a, b)| f(a, b)).collect()))
            };
            match op {
                "Add" | "Sum" => made(i64::checked_add),
                "Sub" => made(i64::checked_sub),
                "Mul" => made(i64::checked_mul),
                "Div" => made(i64::checked_div),
                "Mod" => made(i64::checked_rem_euclid),
                "Min" => made(|a, b| Some(a.min(b))),
                "Max" => made(|a, b| Some(a.max(b))),
                "Equal" => told(|a, b| a == b),
                "Less" => told(|a, b| a < b),
                "Greater" => told(|a, b| a > b),
                "And" => told(|a, b| *a != 0 && *b != 0),
                "Or" => told(|a, b| *a != 0 || *b != 0),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unary(op: &str, data: &Constant) -> Option<Constant> {
    let dims = data.dims.clone();
    match &data.values {
        Values::Float(values) => {
            let f: fn(f32) -> f32 = match op {
                "Sqrt" => f32::sqrt,
                "Neg" => |v| -v,
                "Reciprocal" => |v| 1.0 / v,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Abs" => f32::abs,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Relu" => |v| v.max(0.0),
                "Sigmoid" => |v| 1.0 / (1.0 + (-v).exp()),
                "Tanh" => f32::tanh,
                _ => return None,
            };
            Some(Constant::float(
                dims,
                values.iter().map(|&v| f(v)).collect(),
            ))
        }
        Values::Int(values) => {
            let f: fn(i64) -> Option<i64> = match op {
                "Neg" => i64::checked_neg,
                "Abs" => i64::checked_abs,
                "Not" => |v| Some(i64::from(v == 0)),
                _ => return None,
            };
            let values = values.iter().map(|&v| f(v)).collect::<Option<Vec<i64>>>()?;
            Some(Constant {
                kind: data.kind,
                ..Constant::int(dims, values)
            })
        }
    }
}

/// Visits the places of a value of shape `dims` in the order in which they lie.
pub(super) fn places(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let dims = dims.to_vec();
    (0..count(&dims)).map(move |mut at| {
        let mut place = vec![0; dims.len()];
        for (place, &dim) in place.iter_mut().zip(&dims).rev() {
            *place = at % dim;
            at /= dim;
        }
        place
    })
}

/// Returns where `place` lies in a value of shape `dims`.
pub(super) fn index(dims: &[usize], place: &[usize]) -> usize {
    dims.iter()
        .zip(place)
        .fold(0, |index, (&dim, &at)| index * dim + at)
}

/// Reads the constant of a Constant node. The error says why it cannot be read.
pub(super) fn constant(node: &NodeProto) -> Result<Constant, String> {
    let attribute = node.attribute.first().ok_or_else(|| "nothing".to_owned())?;
    Constant::from_attribute(attribute)
}

/// Returns the whole numbers of a Range of constants, at most `most`.
pub(super) fn range(inputs: &Inputs<'_>, most: usize) -> Option<Constant> {
    let value = |index: usize| match inputs.constants.get(index).copied().flatten()?.ints()? {
        &[value] => Some(value),
        _ => None,
    };
    let (start, end, step) = (value(0)?, value(1)?, value(2)?);
    let span = end.checked_sub(start)?;
    if step == 0 || (span > 0) != (step > 0) {
        return Some(Constant::int(vec![0], vec![]));
    }
    let len = usize::try_from(span.unsigned_abs().div_ceil(step.unsigned_abs())).ok()?;
    (len <= most).then(|| {
        let values = (0..len as i64).map(|at| start.wrapping_add(at.wrapping_mul(step)));
        Constant::int(vec![len], values.collect())
    })
}
