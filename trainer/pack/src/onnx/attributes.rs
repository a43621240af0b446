//! Reads a node's attributes, and windows from them.

use super::pb::{AttributeProto, NodeProto};
use crate::metadata::Layout;
use mtslvr_runtime::nn::{Padding, Shape, Window};

pub fn find<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
}

pub fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    find(node, name).map_or(default, |attribute| attribute.i)
}

pub fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
    find(node, name).map_or(default, |attribute| attribute.f)
}

pub fn ints<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    find(node, name).map(|attribute| &attribute.ints[..])
}

/// Reads the window of a convolution or pool over `input`, height being time. `kernel` is in the order
/// of the graph's axes, as all attributes are.
pub fn window(
    node: &NodeProto,
    kernel: [usize; 2],
    input: Shape,
    layout: Layout,
) -> Result<Window, String> {
    if int(node, "ceil_mode", 0) != 0 {
        return Err("ceil_mode is not supported".into());
    }
    let stride = pair(node, "strides", 1)?;
    let dilation = pair(node, "dilations", 1)?;
    let size = match layout {
        Layout::TimeMel => [input.height, input.width],
        Layout::MelTime => [input.width, input.height],
    };
    let [top, left, bottom, right] = padding(node, kernel, [stride, dilation], size)?;
    Ok(match layout {
        Layout::TimeMel => Window {
            kernel,
            stride,
            padding: Padding {
                top,
                bottom,
                left,
                right,
            },
            dilation,
        },
        Layout::MelTime => Window {
            kernel: [kernel[1], kernel[0]],
            stride: [stride[1], stride[0]],
            padding: Padding {
                top: left,
                bottom: right,
                left: top,
                right: bottom,
            },
            dilation: [dilation[1], dilation[0]],
        },
    })
}

/// Reads an attribute of two positive numbers, one for each axis; both are `default` without it.
fn pair(node: &NodeProto, name: &str, default: usize) -> Result<[usize; 2], String> {
    match ints(node, name) {
        None | Some([]) => Ok([default; 2]),
        Some(&[a, b]) => match (usize::try_from(a), usize::try_from(b)) {
            (Ok(a), Ok(b)) if a > 0 && b > 0 => Ok([a, b]),
            _ => Err(format!("{name} is [{a}, {b}], expected positive numbers")),
        },
        Some(other) => Err(format!(
            "{name} has {} entries, expected 2: only two-dimensional windows are supported",
            other.len()
        )),
    }
}

/// Reads the padding `[top, left, bottom, right]` of a map of `size`, all in the order of the graph's
/// axes: given by `pads`, or by `auto_pad`.
fn padding(
    node: &NodeProto,
    kernel: [usize; 2],
    [stride, dilation]: [[usize; 2]; 2],
    size: [usize; 2],
) -> Result<[usize; 4], String> {
    let automatic = find(node, "auto_pad").map_or(&b"NOTSET"[..], |a| &a.s);
    match automatic {
        b"NOTSET" | b"" => match ints(node, "pads") {
            None | Some([]) => Ok([0; 4]),
            Some(&[a, b, c, d]) => {
                let mut pads = [0; 4];
                for (pad, found) in pads.iter_mut().zip([a, b, c, d]) {
                    *pad = usize::try_from(found)
                        .map_err(|_| format!("pads hold {found}, expected none below 0"))?;
                }
                Ok(pads)
            }
            Some(other) => Err(format!("pads have {} entries, expected 4", other.len())),
        },
        b"VALID" => Ok([0; 4]),
        b"SAME_UPPER" | b"SAME_LOWER" => {
            let sides = |axis: usize| {
                // Enough that the output has ceil(size / stride) positions.
                let outputs = size[axis].div_ceil(stride[axis]);
                let gaps = (kernel[axis] - 1).saturating_mul(dilation[axis]);
                let covered = ((outputs - 1) * stride[axis]).saturating_add(gaps.saturating_add(1));
                let total = covered.saturating_sub(size[axis]);
                (total / 2, total - total / 2)
            };
            let ((a, b), (c, d)) = (sides(0), sides(1));
            // The two differ in the side that gets an odd position.
            Ok(if automatic == b"SAME_UPPER" {
                [a, c, b, d]
            } else {
                [b, d, a, c]
            })
        }
        other => Err(format!(
            "auto_pad {} is not supported",
            String::from_utf8_lossy(other)
        )),
    }
}
