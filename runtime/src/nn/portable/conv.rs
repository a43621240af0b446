//! Convolution and linear layers.

use crate::nn::{Convolution, Layout};

/// Convolves `input` into `output`.
///
/// `scratch` holds the input values under the kernel for one output position: at least
/// [`Layout::column_len`] values, or none for a 1x1 kernel. With a residual, `output` comes in
/// holding the second addend.
pub fn convolve(conv: &Convolution<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    let channels = conv.input.channels;
    let pointwise = conv.window.kernel == [1, 1];
    let column_len = conv.layout.column_len(&conv.window, channels);
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
                &scratch[..column_len]
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
/// another in the order of the weights, the zero point where the kernel covers padding.
pub(crate) fn gather(
    conv: &Convolution<'_>,
    input: &[i8],
    oy: usize,
    ox: usize,
    scratch: &mut [i8],
) {
    let (channels, width) = (conv.input.channels, conv.input.width);
    let [kernel_height, kernel_width] = conv.window.kernel;
    let top = oy * conv.window.stride[0];
    let left = ox * conv.window.stride[1];
    let pad = conv.window.padding;
    // Kernel columns [first, last) lie inside the map.
    let first = pad.left.saturating_sub(left).min(kernel_width);
    let last = (width + pad.left)
        .saturating_sub(left)
        .clamp(first, kernel_width);
    let rows = scratch.chunks_exact_mut(conv.layout.row_len(&conv.window, channels));
    for (ky, row) in rows.enumerate().take(kernel_height) {
        let y = top + ky;
        if y < pad.top || y - pad.top >= conv.input.height {
            row.fill(conv.input_zero_point);
            continue;
        }
        row[..first * channels].fill(conv.input_zero_point);
        // To the very end of the row, where weights are zero beyond the kernel.
        row[last * channels..].fill(conv.input_zero_point);
        if first < last {
            let start = ((y - pad.top) * width + left + first - pad.left) * channels;
            let inside = &mut row[first * channels..last * channels];
            inside.copy_from_slice(&input[start..][..inside.len()]);
        }
    }
}

/// Output channels whose sums are made at a time.
const BLOCK: usize = 4;

/// All output channels at one position.
fn outputs(conv: &Convolution<'_>, column: &[i8], centre: &[i8], out: &mut [i8]) {
    let column_len = match conv.layout {
        Layout::Rows => column.len(),
        Layout::Pairs => column.len().next_multiple_of(2),
    };
    let adapter_len = conv.layout.adapter_len(centre.len());
    let mut o = 0;
    while o < out.len() {
        let mut acc = [0; BLOCK];
        let block = BLOCK.min(out.len() - o);
        acc[..block].copy_from_slice(&conv.bias[o..o + block]);
        add_products(
            conv.layout,
            conv.weights,
            column_len,
            column,
            o,
            block,
            &mut acc,
        );
        if !centre.is_empty() {
            add_products(
                conv.layout,
                conv.adapter,
                adapter_len,
                centre,
                o,
                block,
                &mut acc,
            );
        }
        for (i, &acc) in acc.iter().enumerate().take(block) {
            out[o + i] = conv.finish(o + i, acc, out[o + i]);
        }
        o += block;
    }
}

/// Adds to `acc` the products of `x` with the channels of `table` from `o` (a multiple of the block)
/// on, of which each has `len` values.
#[inline(always)]
fn add_products(
    layout: Layout,
    table: &[i8],
    len: usize,
    x: &[i8],
    o: usize,
    block: usize,
    acc: &mut [i32; BLOCK],
) {
    let channels = &table[layout.index(len, o, 0)..];
    match (layout, block) {
        (Layout::Rows, BLOCK) => rows(channels, x, acc),
        (Layout::Pairs, BLOCK) => {
            let (first, second) = channels.split_at(2 * len);
            pairs(first, second, x, acc);
        }
        // Fewer channels are left than a block has.
        _ => {
            for (i, acc) in acc.iter_mut().enumerate().take(block) {
                let products = layout.channel(channels, len, i).zip(x);
                *acc += products.map(|(w, &x)| w * i32::from(x)).sum::<i32>();
            }
        }
    }
}

/// Four channels one after another: each value of `x` is loaded once for four multiplications, and
/// the loop has no bounds checks.
#[inline(always)]
fn rows(channels: &[i8], x: &[i8], acc: &mut [i32; BLOCK]) {
    let n = x.len();
    let (w0, rest) = channels.split_at(n);
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

/// Products after which `256 * second + first` must be parted: as many of -128 and 128 keep `second`
/// within 24 bits.
const SEGMENT: usize = 511;

/// The same for four channels in two pairs. A number of a pair, as it is, sums for both of its
/// channels: `both = first + 256 * second`, in 32 bits that wrap around.
#[inline(always)]
fn pairs(first: &[i8], second: &[i8], x: &[i8], acc: &mut [i32; BLOCK]) {
    let [first, second] = [first, second].map(|table| table.as_chunks::<2>().0);
    for (x, (first, second)) in x
        .chunks(SEGMENT)
        .zip(first.chunks(SEGMENT).zip(second.chunks(SEGMENT)))
    {
        let [mut a0, mut both0, mut a2, mut both2] = [0_i32; 4];
        for (&x, (p, q)) in x.iter().zip(first.iter().zip(second)) {
            let v = i32::from(x);
            let [p_both, q_both] =
                [p, q].map(|pair| i16::from_le_bytes(pair.map(|byte| byte as u8)));
            a0 += v * i32::from(p[0]);
            both0 = both0.wrapping_add(v * i32::from(p_both));
            a2 += v * i32::from(q[0]);
            both2 = both2.wrapping_add(v * i32::from(q_both));
        }
        acc[0] += a0;
        acc[1] += both0.wrapping_sub(a0) >> 8;
        acc[2] += a2;
        acc[3] += both2.wrapping_sub(a2) >> 8;
    }
}
