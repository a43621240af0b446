//! Checks a description for faults that would not show in the file itself.

use super::{BuildError, ChannelRules, ModelSpec, OpKindSpec};
use mtslvr_runtime::model::MAX_OPS;
use mtslvr_runtime::nn::{Quantisation, Shape, Window};
use mtslvr_runtime::space::{Part, Parts};

pub(super) fn check(spec: &ModelSpec) -> Result<(), BuildError> {
    if !(1..=MAX_OPS).contains(&spec.ops.len()) {
        return Err(BuildError::OpCount {
            found: spec.ops.len(),
        });
    }
    check_scale(spec.input, 0)?;
    let frontend = &spec.frontend;
    let mut shapes = vec![Shape::new(frontend.frames.into(), frontend.mels.into(), 1)];
    for (index, op) in spec.ops.iter().enumerate() {
        let (first, second) = op.kind.operands();
        for tensor in [Some(first), second].into_iter().flatten() {
            if tensor > index {
                return Err(BuildError::Operand { op: index, tensor });
            }
        }
        check_scale(op.output.quantisation, index + 1)?;
        let shape = op.output.shape;
        for (what, found) in [
            ("height", shape.height),
            ("width", shape.width),
            ("number of channels", shape.channels),
        ] {
            check_size(Some(index), what, found, u16::MAX.into())?;
        }
        check_window(index, &op.kind.window())?;
        let input = shapes[first];
        match &op.kind {
            OpKindSpec::Convolution {
                window, channels, ..
            } => {
                let row = window.area() * input.channels;
                check_rules(index, channels, shape.channels, row, input.channels)?;
            }
            OpKindSpec::Depthwise {
                window, channels, ..
            } => check_rules(index, channels, shape.channels, window.area(), 0)?,
            OpKindSpec::Linear { channels, .. } => {
                check_rules(index, channels, shape.channels, input.len(), 0)?;
            }
            OpKindSpec::Slopes { slopes, .. } => {
                check_length(Some(index), "slopes", slopes.len(), shape.channels)?;
            }
            OpKindSpec::Slice { first, .. } => {
                check_size(Some(index), "first channel", *first, u16::MAX.into())?;
            }
            _ => {}
        }
        shapes.push(shape);
    }
    check_embedding(spec, &shapes)
}

/// Checks the parts, and the lists that are as long as an embedding.
fn check_embedding(spec: &ModelSpec, shapes: &[Shape]) -> Result<(), BuildError> {
    let mut parts = Vec::new();
    for part in &spec.parts {
        let shape = shapes.get(part.tensor);
        let shape = shape.ok_or_else(|| BuildError::PartTensor {
            part: part.name.clone(),
            tensor: part.tensor,
        })?;
        parts.push(Part {
            name: &part.name,
            len: shape.len(),
            share: part.share,
        });
    }
    let parts = Parts::new(parts).map_err(BuildError::Parts)?;
    let dim = parts.dim();
    check_length(None, "base mean", spec.base_mean.len(), dim)?;
    let directions = spec.cohort.len() / dim;
    check_length(None, "cohort", spec.cohort.len(), directions * dim)?;
    if !spec.cohort_weights.is_empty() {
        let weights = spec.cohort_weights.len();
        check_length(
            None,
            "cohort's weights",
            weights,
            directions * spec.parts.len(),
        )?;
    }
    check_size(None, "cohort", directions, u16::MAX.into())
}

fn check_length(
    op: Option<usize>,
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), BuildError> {
    if found == expected {
        Ok(())
    } else {
        Err(BuildError::Length {
            op,
            what,
            found,
            expected,
        })
    }
}

fn check_size(
    op: Option<usize>,
    what: &'static str,
    found: usize,
    limit: usize,
) -> Result<(), BuildError> {
    if found <= limit {
        Ok(())
    } else {
        Err(BuildError::Size {
            op,
            what,
            found,
            limit,
        })
    }
}

fn check_scale(quantisation: Quantisation, tensor: usize) -> Result<(), BuildError> {
    let found = quantisation.scale;
    if (1e-30..=1e30).contains(&found) {
        Ok(())
    } else {
        Err(BuildError::Scale { tensor, found })
    }
}

fn check_window(op: usize, window: &Window) -> Result<(), BuildError> {
    let p = window.padding;
    for kernel in window.kernel {
        check_size(Some(op), "kernel", kernel, u16::MAX.into())?;
    }
    for stride in window.stride {
        check_size(Some(op), "stride", stride, u8::MAX.into())?;
    }
    for dilation in window.dilation {
        check_size(Some(op), "dilation", dilation, usize::from(u8::MAX) + 1)?;
    }
    for padding in [p.top, p.bottom, p.left, p.right] {
        check_size(Some(op), "padding", padding, u8::MAX.into())?;
    }
    Ok(())
}

fn check_rules(
    op: usize,
    rules: &ChannelRules,
    channels: usize,
    row: usize,
    adapter_row: usize,
) -> Result<(), BuildError> {
    let length = |what, found, expected| check_length(Some(op), what, found, expected);
    length("weights", rules.weights.len(), channels * row)?;
    if let Some(adapter) = &rules.adapter {
        length("adapter", adapter.len(), channels * adapter_row)?;
    }
    length("scale", rules.scale.len(), channels)?;
    length("gain", rules.gain.len(), channels)?;
    length("shift", rules.shift.len(), channels)?;
    // A tensor without channels is refused here, because rows could not be counted.
    length("channels", channels.min(1), 1)
}
