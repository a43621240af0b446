//! Reads pools, means and the nodes that flatten a map.

use super::channels::Norm;
use super::{NodeError, OutputReader, Value};
use crate::graph::OpKind;
use crate::metadata::Layout;
use crate::onnx::attributes;
use crate::onnx::pb::NodeProto;
use mtslvr_runtime::nn::{Shape, Window};

impl<'g> OutputReader<'g, '_> {
    /// Reads a mean or maximum whose axes are given.
    pub(super) fn reduce(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let axes = match attributes::ints(node, "axes") {
            Some(axes) => axes.to_vec(),
            None => self
                .constant(node, 1)?
                .ints()
                .map(<[i64]>::to_vec)
                .unwrap_or_default(),
        };
        let keep = attributes::int(node, "keepdims", 1) != 0;
        let mut reduced = [false; 2];
        for &axis in &axes {
            match axis {
                2 | -2 => reduced[0] = true,
                3 | -1 => reduced[1] = true,
                _ => {
                    return Err(NodeError::Reason(format!(
                        "its axes are {axes:?}; only time and mel (2, 3) can be reduced"
                    )));
                }
            }
        }
        if reduced == [false; 2] || !keep && reduced != [true; 2] {
            return Err(NodeError::Reason(format!(
                "its axes are {axes:?}; expected [2, 3], or one of them with keepdims = 1"
            )));
        }
        if self.layout == Layout::MelTime {
            reduced.reverse();
        }
        self.pool_all(node, reduced, !keep)
    }

    /// Reads a mean or maximum over all of time, mel or both.
    pub(super) fn pool_all(
        &mut self,
        node: &'g NodeProto,
        reduced: [bool; 2],
        flat: bool,
    ) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?;
        if value.flat {
            return Err(NodeError::Reason("its input is already flat".into()));
        }
        let shape = value.shape;
        let size = |reduced: bool, size: usize| if reduced { size } else { 1 };
        let window = Window {
            kernel: [
                size(reduced[0], shape.height),
                size(reduced[1], shape.width),
            ],
            ..Window::square(1, 1, 0)
        };
        if matches!(node.op_type.as_str(), "GlobalMaxPool" | "ReduceMax") {
            let [height, width] = window_output(&window, shape)?;
            let input = self.tensor(&node.input[0])?;
            let kind = OpKind::MaxPool { input, window };
            return Ok(self.put(node, kind, Shape::new(height, width, shape.channels), flat));
        }
        self.average(node, window, flat)
    }

    pub(super) fn pool(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?;
        let (shape, flat) = (value.shape, value.flat);
        let kernel = match attributes::ints(node, "kernel_shape") {
            Some(&[a, b]) if a > 0 && b > 0 && !flat => [a as usize, b as usize],
            _ => {
                return Err(NodeError::Reason(
                    "only two-dimensional pools over maps are supported".into(),
                ));
            }
        };
        let window = attributes::window(node, kernel, shape, self.layout)?;
        if window.dilation != [1, 1] {
            return Err(NodeError::Reason("dilated pools are not supported".into()));
        }
        let [height, width] = window_output(&window, shape)?;
        if node.op_type != "MaxPool" {
            let counts_padding = attributes::int(node, "count_include_pad", 0) != 0;
            if !counts_padding && window.padding != Window::square(1, 1, 0).padding {
                return Err(NodeError::Reason(
                    "a padded average must have count_include_pad = 1".into(),
                ));
            }
            return self.average(node, window, false);
        }
        let input = self.tensor(&node.input[0])?;
        let kind = OpKind::MaxPool { input, window };
        Ok(self.put(node, kind, Shape::new(height, width, shape.channels), false))
    }

    /// Makes an average. A norm before one without padding comes behind it, where fewer values are.
    fn average(
        &mut self,
        node: &'g NodeProto,
        window: Window,
        flat: bool,
    ) -> Result<Value, NodeError> {
        let value = self.value(node, 0)?.clone();
        let [height, width] = window_output(&window, value.shape)?;
        let shape = Shape::new(height, width, value.shape.channels);
        let unpadded = window.padding == Window::square(1, 1, 0).padding;
        let norm = Norm::of(&value).filter(|_| unpadded);
        let input = match &norm {
            Some(norm) => norm.source,
            None => self.tensor(&node.input[0])?,
        };
        let pooled = self.put(node, OpKind::AveragePool { input, window }, shape, flat);
        Ok(match (norm, pooled.tensor) {
            (Some(norm), Some(tensor)) => {
                self.norm_of(node, tensor, &pooled, &norm.gain, &norm.shift)
            }
            _ => pooled,
        })
    }

    /// Reads a Flatten of `[batch, c, h, w]` to `[batch, c * h * w]`, or a Reshape that undoes it. All
    /// nodes that only change a shape are one of the two here.
    pub(super) fn flatten(&mut self, node: &'g NodeProto) -> Result<Value, NodeError> {
        let mut value = self.value(node, 0)?.clone();
        let shape = value.shape;
        let flattens = node.op_type == "Flatten" && attributes::int(node, "axis", 1) == 1;
        let undoes = || {
            let sides = match self.layout {
                Layout::TimeMel => [shape.height, shape.width],
                Layout::MelTime => [shape.width, shape.height],
            };
            let map = [0, shape.channels as i64, sides[0] as i64, sides[1] as i64];
            let target = self.constant(node, 1).ok().and_then(|target| target.ints());
            value.flat && target == Some(&map[..])
        };
        if !flattens && !undoes() {
            return Err(NodeError::Reason(
                "only flattening to [batch, values] is supported".into(),
            ));
        }
        value.flat = flattens;
        Ok(value)
    }
}

pub(super) fn window_output(window: &Window, input: Shape) -> Result<[usize; 2], String> {
    window
        .output_size(input.height, input.width)
        .ok_or_else(|| {
            let p = window.padding;
            format!(
                "a kernel of {:?} with stride {:?} and padding [{}, {}, {}, {}] does not fit a map of {input}",
                window.kernel, window.stride, p.top, p.left, p.bottom, p.right
            )
        })
}
