//! Computes a description in real numbers, for comparison with the engine.

use mtslvr_pack::builder::{Activation, ChannelRules, ModelSpec, OpKindSpec};
use mtslvr_runtime::nn::{Shape, Window};

/// Computes all tensors of a description in real numbers, without quantisation of activations.
pub fn interpret(spec: &ModelSpec, patch: &[f32]) -> Vec<Vec<f64>> {
    let mut tensors: Vec<Vec<f64>> = vec![patch.iter().map(|&x| x.into()).collect()];
    let mut shapes = vec![Shape::new(
        spec.frontend.frames.into(),
        spec.frontend.mels.into(),
        1,
    )];
    let activate = |activation: Activation, x: f64| match activation {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::Clip { lo, hi } => x.clamp(lo.into(), hi.into()),
    };
    for op in &spec.ops {
        let out = op.output.shape;
        let mut values = Vec::with_capacity(out.len());
        for at in 0..out.len() {
            let (position, o) = (at / out.channels, at % out.channels);
            let (oy, ox) = (position / out.width, position % out.width);
            let value = match &op.kind {
                OpKindSpec::Convolution {
                    input,
                    window,
                    channels: rules,
                } => {
                    let map = shapes[*input];
                    let row = window.area() * map.channels;
                    let mut acc = 0.0;
                    walk(window, map, oy, ox, |tap, pixel| {
                        for c in 0..map.channels {
                            let w = rules.weights[o * row + tap * map.channels + c];
                            acc += f64::from(w) * tensors[*input][pixel * map.channels + c];
                        }
                    });
                    if let Some(adapter) = &rules.adapter {
                        let pixel = oy * window.stride[0] * map.width + ox * window.stride[1];
                        for c in 0..map.channels {
                            let w = adapter[o * map.channels + c];
                            acc += f64::from(w) * tensors[*input][pixel * map.channels + c];
                        }
                    }
                    affine(rules, o, acc)
                }
                OpKindSpec::Linear {
                    input,
                    channels: rules,
                } => {
                    let x = &tensors[*input];
                    let row = &rules.weights[o * x.len()..][..x.len()];
                    let acc = row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
                    affine(rules, o, acc)
                }
                OpKindSpec::Depthwise {
                    input,
                    window,
                    channels: rules,
                } => {
                    let map = shapes[*input];
                    let mut acc = 0.0;
                    walk(window, map, oy, ox, |tap, pixel| {
                        let w = rules.weights[o * window.area() + tap];
                        acc += f64::from(w) * tensors[*input][pixel * map.channels + o];
                    });
                    affine(rules, o, acc)
                }
                OpKindSpec::Add { a, b } => {
                    tensors[*a][at] + tensors[*b][repeated(shapes[*b], [oy, ox, o])]
                }
                OpKindSpec::Multiply { a, b } => {
                    tensors[*a][at] * tensors[*b][repeated(shapes[*b], [oy, ox, o])]
                }
                OpKindSpec::Lookup { input, curve } => curve.at(tensors[*input][at]),
                OpKindSpec::Slopes { input, slopes } => match tensors[*input][at] {
                    x if x < 0.0 => x * f64::from(slopes[o]),
                    x => x,
                },
                OpKindSpec::Concatenate { a, b } => {
                    let [first, second] = [shapes[*a], shapes[*b]].map(|shape| shape.channels);
                    match o.checked_sub(first) {
                        None => tensors[*a][position * first + o],
                        Some(o) => tensors[*b][position * second + o],
                    }
                }
                OpKindSpec::Reshape { input } => tensors[*input][at],
                OpKindSpec::Slice { input, first } => {
                    tensors[*input][position * shapes[*input].channels + first + o]
                }
                OpKindSpec::MaxPool { input, window } => {
                    let mut greatest = f64::NEG_INFINITY;
                    walk(window, shapes[*input], oy, ox, |_, pixel| {
                        greatest = greatest.max(tensors[*input][pixel * out.channels + o]);
                    });
                    greatest
                }
                OpKindSpec::AveragePool { input, window } => {
                    let mut sum = 0.0;
                    walk(window, shapes[*input], oy, ox, |_, pixel| {
                        sum += tensors[*input][pixel * out.channels + o];
                    });
                    sum / window.area() as f64
                }
            };
            values.push(activate(op.activation, value));
        }
        tensors.push(values);
        shapes.push(out);
    }
    tensors
}

fn affine(rules: &ChannelRules, o: usize, acc: f64) -> f64 {
    f64::from(rules.gain[o]) * f64::from(rules.scale[o]) * acc + f64::from(rules.shift[o])
}

/// Returns the index of a value of a map that is repeated where it has a single row, column or channel.
fn repeated(map: Shape, [y, x, c]: [usize; 3]) -> usize {
    let at = |index: usize, size: usize| if size == 1 { 0 } else { index };
    let pixel = at(y, map.height) * map.width + at(x, map.width);
    pixel * map.channels + at(c, map.channels)
}

/// Calls `visit(kernel position, pixel)` for every pixel inside the map.
fn walk(window: &Window, map: Shape, oy: usize, ox: usize, mut visit: impl FnMut(usize, usize)) {
    for tap in 0..window.area() {
        let (ky, kx) = (tap / window.kernel[1], tap % window.kernel[1]);
        let [ky, kx] = [ky * window.dilation[0], kx * window.dilation[1]];
        let y = (oy * window.stride[0] + ky).checked_sub(window.padding.top);
        let x = (ox * window.stride[1] + kx).checked_sub(window.padding.left);
        if let (Some(y), Some(x)) = (y, x)
            && y < map.height
            && x < map.width
        {
            visit(tap, y * map.width + x);
        }
    }
}
