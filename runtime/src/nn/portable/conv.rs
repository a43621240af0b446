//! Convolution and linear layers.

use crate::nn::Convolution;

/// Convolves `input` into `output`.
///
/// `scratch` holds the input values under the kernel for one output position: at least
/// `kernel area * input channels` values, or none for a 1x1 kernel. With a residual, `output`
/// comes in holding the second addend.
pub fn convolve(conv: &Convolution<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    let channels = conv.input.channels;
    let pointwise = conv.window.kernel == [1, 1];
    let mut pixels = output.chunks_exact_mut(conv.output.channels);
    for oy in 0..conv.output.height {
        for ox in 0..conv.output.width {
            let Some(out) = pixels.next() else { return };
            let y = oy * conv.window.stride[0];
            let x = ox * conv.window.stride[1];
            let centre = || &input[(y * conv.input.width + x) * channels..][..channels];
            let column: &[i8] = if pointwise {
                centre()
            } else {
                gather(conv, input, oy, ox, scratch);
                &scratch[..conv.window.area() * channels]
            };
            let centre = if conv.adapter.is_empty() {
                &[]
            } else {
                centre()
            };
            outputs(conv, column, centre, out);
        }
    }
}

/// A linear layer: the whole of `input` against each row of the weights.
pub fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    outputs(conv, input, &[], output);
}

/// Copies what lies under the kernel at output (`oy`, `ox`) to `scratch`, kernel rows one after
/// another, the zero point where the kernel covers padding.
fn gather(conv: &Convolution<'_>, input: &[i8], oy: usize, ox: usize, scratch: &mut [i8]) {
    let (channels, width) = (conv.input.channels, conv.input.width);
    let [_, kernel_width] = conv.window.kernel;
    let top = oy * conv.window.stride[0];
    let left = ox * conv.window.stride[1];
    let pad = conv.window.padding;
    // Kernel columns [first, last) lie inside the map.
    let first = pad.left.saturating_sub(left).min(kernel_width);
    let last = (width + pad.left)
        .saturating_sub(left)
        .clamp(first, kernel_width);
    let rows = scratch.chunks_exact_mut(kernel_width * channels);
    for (ky, row) in rows.enumerate().take(conv.window.kernel[0]) {
        let y = top + ky;
        if y < pad.top || y - pad.top >= conv.input.height {
            row.fill(conv.input_zero_point);
            continue;
        }
        row[..first * channels].fill(conv.input_zero_point);
        row[last * channels..].fill(conv.input_zero_point);
        if first < last {
            let start = ((y - pad.top) * width + left + first - pad.left) * channels;
            let inside = &mut row[first * channels..last * channels];
            inside.copy_from_slice(&input[start..][..inside.len()]);
        }
    }
}

/// All output channels at one position.
fn outputs(conv: &Convolution<'_>, column: &[i8], centre: &[i8], out: &mut [i8]) {
    const BLOCK: usize = 4;
    let mut o = 0;
    while o < out.len() {
        let mut acc = [0; BLOCK];
        let block = BLOCK.min(out.len() - o);
        if block == BLOCK {
            acc.copy_from_slice(&conv.bias[o..o + BLOCK]);
            dot4(&conv.weights[o * column.len()..], column, &mut acc);
            if !centre.is_empty() {
                dot4(&conv.adapter[o * centre.len()..], centre, &mut acc);
            }
        } else {
            for (i, acc) in acc.iter_mut().enumerate().take(block) {
                *acc = conv.bias[o + i] + dot(&conv.weights[(o + i) * column.len()..], column);
                if !centre.is_empty() {
                    *acc += dot(&conv.adapter[(o + i) * centre.len()..], centre);
                }
            }
        }
        for (i, &acc) in acc.iter().enumerate().take(block) {
            let q = conv.requantisation.apply(acc, conv.multipliers[o + i]);
            out[o + i] = match &conv.residual {
                None => q,
                Some(rule) => rule.apply(q, out[o + i]),
            };
        }
        o += block;
    }
}

/// Adds the products of `x` with four consecutive rows of `rows`: each value of `x` is loaded once
/// for four multiplications, and the loop has no bounds checks.
#[inline(always)]
fn dot4(rows: &[i8], x: &[i8], acc: &mut [i32; 4]) {
    let n = x.len();
    let (w0, rest) = rows.split_at(n);
    let (w1, rest) = rest.split_at(n);
    let (w2, rest) = rest.split_at(n);
    let w3 = &rest[..n];
    let [mut a0, mut a1, mut a2, mut a3] = *acc;
    for i in 0..n {
        let v = i32::from(x[i]);
        a0 += v * i32::from(w0[i]);
        a1 += v * i32::from(w1[i]);
        a2 += v * i32::from(w2[i]);
        a3 += v * i32::from(w3[i]);
    }
    *acc = [a0, a1, a2, a3];
}

#[inline(always)]
fn dot(row: &[i8], x: &[i8]) -> i32 {
    row.iter()
        .zip(x)
        .map(|(&w, &x)| i32::from(w) * i32::from(x))
        .sum()
}
