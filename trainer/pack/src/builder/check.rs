//! Checks of a description that the file itself could not express.

use super::{BuildError, ChannelRules, ModelSpec, OpKindSpec, fusion};
use mtslvr_runtime::model::MAX_OPS;
use mtslvr_runtime::nn::{Quantisation, Shape, Window};

pub(super) fn check(spec: &ModelSpec) -> Result<(), BuildError> {
    let paths = spec.input.len();
    if !matches!(paths, 1 | 2) {
        return Err(BuildError::Paths { found: paths });
    }
    if !(1..=MAX_OPS).contains(&spec.ops.len()) {
        return Err(BuildError::OpCount {
            found: spec.ops.len(),
        });
    }
    check_scales(&spec.input, 0)?;
    let frontend = &spec.frontend;
    let mut shapes = vec![Shape::new(frontend.frames.into(), frontend.mels.into(), 1)];
    for (index, op) in spec.ops.iter().enumerate() {
        let (first, second) = fusion::operands(&op.kind);
        for tensor in [Some(first), second].into_iter().flatten() {
            if tensor > index {
                return Err(BuildError::Operand { op: index, tensor });
            }
        }
        check_length(
            Some(index),
            "quantisation",
            op.output.quantisation.len(),
            paths,
        )?;
        check_scales(&op.output.quantisation, index + 1)?;
        let shape = op.output.shape;
        for (what, found) in [
            ("height", shape.height),
            ("width", shape.width),
            ("number of channels", shape.channels),
        ] {
            check_size(index, what, found, u16::MAX.into())?;
        }
        let input = shapes[first];
        match &op.kind {
            OpKindSpec::Convolution {
                window,
                paths: rules,
                ..
            } => {
                check_window(index, window)?;
                let row = window.area() * input.channels;
                check_length(Some(index), "paths", rules.len(), paths)?;
                for rules in rules {
                    check_rules(index, rules, shape.channels, row, input.channels)?;
                }
            }
            OpKindSpec::Linear { paths: rules, .. } => {
                check_length(Some(index), "paths", rules.len(), paths)?;
                for rules in rules {
                    check_rules(index, rules, shape.channels, input.len(), 0)?;
                }
            }
            OpKindSpec::MaxPool { window, .. } | OpKindSpec::AveragePool { window, .. } => {
                check_window(index, window)?;
            }
            OpKindSpec::Add { .. } => {}
        }
        shapes.push(shape);
    }
    let dim = paths * shapes.last().map_or(0, Shape::len);
    check_length(None, "base mean", spec.base_mean.len(), dim)
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

fn check_size(op: usize, what: &'static str, found: usize, limit: usize) -> Result<(), BuildError> {
    if found <= limit {
        Ok(())
    } else {
        Err(BuildError::Size {
            op: Some(op),
            what,
            found,
            limit,
        })
    }
}

fn check_scales(quantisation: &[Quantisation], tensor: usize) -> Result<(), BuildError> {
    match quantisation
        .iter()
        .find(|q| !(1e-30..=1e30).contains(&q.scale))
    {
        None => Ok(()),
        Some(q) => Err(BuildError::Scale {
            tensor,
            found: q.scale,
        }),
    }
}

fn check_window(op: usize, window: &Window) -> Result<(), BuildError> {
    let p = window.padding;
    for kernel in window.kernel {
        check_size(op, "kernel", kernel, u16::MAX.into())?;
    }
    for stride in window.stride {
        check_size(op, "stride", stride, u8::MAX.into())?;
    }
    for padding in [p.top, p.bottom, p.left, p.right] {
        check_size(op, "padding", padding, u8::MAX.into())?;
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
