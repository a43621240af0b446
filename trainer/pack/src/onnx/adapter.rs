//! Joins adapters when a graph is read: a 1x1 convolution beside a kernel becomes its adapter; one
//! behind a kernel can only be composed with it.

use crate::builder::Activation;
use crate::graph::{Channels, Op, OpKind};
use mtslvr_runtime::nn::Window;

/// Composes the linear convolution `inner` and the 1x1 convolution `point` behind it: the kernels are
/// `sum over m of point[o][m] * inner[m]`.
pub(super) fn compose(inner: &Op, point: &Channels) -> Option<Op> {
    let OpKind::Convolution { channels, .. } = &inner.kind else {
        return None;
    };
    let inner_channels = plain_kernels(channels)?;
    let middle = inner_channels.gain.len();
    let row = inner_channels.weights.len() / middle.max(1);
    let mut weights = Vec::with_capacity(point.gain.len() * row);
    let mut shift = Vec::with_capacity(point.gain.len());
    for (taps, bias) in point.weights.chunks_exact(middle).zip(&point.shift) {
        let mut kernel = vec![0.0f64; row];
        let mut sum = f64::from(*bias);
        for (c, &tap) in taps.iter().enumerate() {
            let part = &inner_channels.weights[c * row..][..row];
            for (sum, &weight) in kernel.iter_mut().zip(part) {
                *sum += f64::from(tap) * f64::from(weight);
            }
            sum += f64::from(tap) * f64::from(inner_channels.shift[c]);
        }
        weights.extend(kernel.iter().map(|&weight| weight as f32));
        shift.push(sum as f32);
    }
    let mut composed = inner.clone();
    composed.output.channels = point.gain.len();
    *composed.kind.channels_mut()? = Channels {
        weights: weights.into(),
        adapter: None,
        gain: vec![1.0; shift.len()],
        shift,
    };
    Some(composed)
}

/// Joins a 1x1 convolution to one that reads the same input with the same stride, as its adapter.
pub(super) fn join_adapter(main: &Op, tap: &Op) -> Option<Op> {
    let plain = |op: &Op| {
        op.activation == Activation::Linear
            && op
                .kind
                .channels()
                .is_some_and(|c| c.adapter.is_none() && c.gain.iter().all(|&gain| gain == 1.0))
    };
    let (
        OpKind::Convolution { input, window, .. },
        OpKind::Convolution {
            input: tap_input,
            window: tap_window,
            ..
        },
    ) = (&main.kind, &tap.kind)
    else {
        return None;
    };
    let [kh, kw] = window.kernel;
    let p = window.padding;
    let centred = window.dilation == [1, 1]
        && kh % 2 == 1
        && kw % 2 == 1
        && [p.top, p.bottom] == [kh / 2; 2]
        && [p.left, p.right] == [kw / 2; 2];
    let point = Window {
        stride: window.stride,
        ..Window::square(1, 1, 0)
    };
    if input != tap_input || *tap_window != point || !centred || !plain(main) || !plain(tap) {
        return None;
    }
    let mut joined = main.clone();
    let (channels, tap) = (joined.kind.channels_mut()?, tap.kind.channels()?);
    channels.adapter = Some(tap.weights.clone());
    for (shift, more) in channels.shift.iter_mut().zip(&tap.shift) {
        *shift += more;
    }
    Some(joined)
}

/// Joins two convolutions of the same input with the same window by adding their kernels.
pub(super) fn join_kernels(main: &Op, other: &Op) -> Option<Op> {
    if !same_reading(main, other) || main.output != other.output {
        return None;
    }
    let mut joined = main.clone();
    let first = plain_kernels(main.kind.channels()?)?;
    let second = plain_kernels(other.kind.channels()?)?;
    let add = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
    *joined.kind.channels_mut()? = Channels {
        weights: add(&first.weights, &second.weights).into(),
        adapter: None,
        shift: add(&first.shift, &second.shift),
        gain: first.gain,
    };
    Some(joined)
}

/// Tells whether two operators are linear convolutions of the same values with the same window.
pub(super) fn same_reading(a: &Op, b: &Op) -> bool {
    match (&a.kind, &b.kind) {
        (
            OpKind::Convolution { input, window, .. },
            OpKind::Convolution {
                input: other_input,
                window: other_window,
                ..
            },
        ) => {
            [a.activation, b.activation] == [Activation::Linear; 2]
                && (input, window) == (other_input, other_window)
        }
        _ => false,
    }
}

/// Takes the gain into the kernels, so that it is one. `None` with an adapter.
fn plain_kernels(channels: &Channels) -> Option<Channels> {
    if channels.adapter.is_some() {
        return None;
    }
    let row = channels.weights.len() / channels.gain.len().max(1);
    let kernels = channels.weights.chunks_exact(row.max(1));
    let scaled = kernels
        .zip(&channels.gain)
        .flat_map(|(kernel, gain)| kernel.iter().map(move |weight| weight * gain));
    Some(Channels {
        weights: scaled.collect(),
        adapter: None,
        gain: vec![1.0; channels.gain.len()],
        shift: channels.shift.clone(),
    })
}
