//! Convolution and linear layers.

use crate::nn::layout::Layout;
use crate::nn::operators::Convolution;
use crate::parts::{copy, part, part_mut};

/// Convolves `input` into `output`.
///
/// `input` has `conv.input`'s shape, `output` has `conv.output`'s, and `scratch` has at least
/// [`Layout::scratch_len`] bytes, whose contents do not matter; see
/// [wrong arguments](crate::nn#wrong-arguments). With a residual, `output` comes in holding the
/// second addend.
pub fn convolve(conv: &Convolution<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    if conv.fits(input, output, scratch) {
        // Whatever fits has all values that are asked for.
        let _ = convolve_positions(conv, input, output, scratch);
    }
}

/// Convolves what [fits](Convolution::fits), one position after another.
fn convolve_positions(
    conv: &Convolution<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let channels = conv.input.channels;
    let pointwise = conv.window.kernel == [1, 1];
    let column_len = conv.layout.column_len(&conv.window, channels);
    let mut pixels = output.chunks_exact_mut(conv.output.channels.max(1));
    for oy in 0..conv.output.height {
        for ox in 0..conv.output.width {
            let out = pixels.next()?;
            let y = oy * conv.window.stride[0];
            let x = ox * conv.window.stride[1];
            let centre = || part(input, (y * conv.input.width + x) * channels, channels);
            let column = if pointwise {
                centre()?
            } else {
                gather(conv, input, oy, ox, scratch)?;
                scratch.get(..column_len)?
            };
            let centre = if conv.adapter.is_empty() {
                &[]
            } else {
                centre()?
            };
            outputs(conv, column, centre, out)?;
        }
    }
    Some(())
}

/// Computes a linear layer: all of `input` against the weights of each output channel.
///
/// The weights are `[output.len()][input.len()]` in `conv.layout`'s order. The shapes, the window and
/// the adapter are not read; see [wrong arguments](crate::nn#wrong-arguments). With a residual,
/// `output` comes in holding the second addend.
pub fn linear(conv: &Convolution<'_>, input: &[i8], output: &mut [i8]) {
    if conv.fits_linear(input, output) {
        // Whatever fits has all values that are asked for.
        let _ = outputs(conv, input, &[], output);
    }
}

/// Copies the values under the kernel at output (`oy`, `ox`) to `scratch`: kernel rows one after
/// another in the order of the weights, with the zero point where the kernel covers padding. `None` if values
/// are missing.
pub(in crate::nn) fn gather(
    conv: &Convolution<'_>,
    input: &[i8],
    oy: usize,
    ox: usize,
    scratch: &mut [i8],
) -> Option<()> {
    if conv.window.dilation != [1, 1] {
        return gather_taps(conv, input, [oy, ox], scratch);
    }
    let (channels, width) = (conv.input.channels, conv.input.width);
    let [kernel_height, kernel_width] = conv.window.kernel;
    let top = oy * conv.window.stride[0];
    let left = ox * conv.window.stride[1];
    let pad = conv.window.padding;
    // Kernel columns [first, last) lie inside the map.
    let first = pad.left.saturating_sub(left).min(kernel_width);
    let last = (width + pad.left)
        .saturating_sub(left)
        .min(kernel_width)
        .max(first);
    let row_len = conv.layout.row_len(&conv.window, channels);
    let rows = scratch.chunks_exact_mut(row_len.max(1));
    for (ky, row) in rows.enumerate().take(kernel_height) {
        let y = top + ky;
        if y < pad.top || y - pad.top >= conv.input.height {
            row.fill(conv.input_zero_point);
            continue;
        }
        row.get_mut(..first * channels)?.fill(conv.input_zero_point);
        // Up to the end of the row: it may be longer than the kernel is wide, by a weight of zero.
        row.get_mut(last * channels..)?.fill(conv.input_zero_point);
        if first < last {
            let start = ((y - pad.top) * width + left + first - pad.left) * channels;
            let len = (last - first) * channels;
            copy(
                part(input, start, len)?,
                part_mut(row, first * channels, len)?,
            )?;
        }
    }
    Some(())
}

/// Does the work of [`gather`] for a kernel with gaps between its places, one place after another.
#[inline(never)]
fn gather_taps(
    conv: &Convolution<'_>,
    input: &[i8],
    position: [usize; 2],
    scratch: &mut [i8],
) -> Option<()> {
    let (channels, window) = (conv.input.channels, &conv.window);
    let [kernel_height, kernel_width] = window.kernel;
    let rows = scratch.chunks_exact_mut(conv.layout.row_len(window, channels).max(1));
    for (ky, row) in rows.enumerate().take(kernel_height) {
        // A row may be longer than the kernel is wide, by a weight of zero.
        row.get_mut(kernel_width * channels..)?
            .fill(conv.input_zero_point);
        for (kx, tap) in row
            .chunks_exact_mut(channels.max(1))
            .enumerate()
            .take(kernel_width)
        {
            match window.source(conv.input, position, [ky, kx]) {
                Some(at) => copy(part(input, at * channels, channels)?, tap)?,
                None => tap.fill(conv.input_zero_point),
            }
        }
    }
    Some(())
}

/// Output channels that are summed at a time.
const BLOCK: usize = 4;

/// Computes all output channels at one position, from the values under the kernel and those under
/// its centre (none without an adapter).
fn outputs(conv: &Convolution<'_>, column: &[i8], centre: &[i8], out: &mut [i8]) -> Option<()> {
    let column_len = match conv.layout {
        Layout::Rows => column.len(),
        Layout::Pairs => column.len().next_multiple_of(2),
    };
    let adapter_len = conv.layout.adapter_len(centre.len());
    let mut o = 0;
    while o < out.len() {
        let mut acc = [0; BLOCK];
        let block = BLOCK.min(out.len() - o);
        for (acc, &bias) in acc.iter_mut().zip(part(conv.bias, o, block)?) {
            *acc = bias;
        }
        add_products(
            conv.layout,
            conv.weights,
            column_len,
            column,
            o,
            block,
            &mut acc,
        )?;
        if !centre.is_empty() {
            add_products(
                conv.layout,
                conv.adapter,
                adapter_len,
                centre,
                o,
                block,
                &mut acc,
            )?;
        }
        let multipliers = part(conv.multipliers, o, block)?;
        let made = part_mut(out, o, block)?.iter_mut().zip(acc);
        for ((out, acc), &multiplier) in made.zip(multipliers) {
            *out = conv.finish(multiplier, acc, *out);
        }
        o += block;
    }
    Some(())
}

/// Adds to `acc` the products of `x` with `block` channels of `table` from channel `o` on, of which
/// each has `len` values. `o` is a multiple of [`BLOCK`].
#[inline(always)]
fn add_products(
    layout: Layout,
    table: &[i8],
    len: usize,
    x: &[i8],
    o: usize,
    block: usize,
    acc: &mut [i32; BLOCK],
) -> Option<()> {
    let channels = table.get(layout.index(len, o, 0)..)?;
    match (layout, block) {
        (Layout::Rows, BLOCK) => rows(channels, x, acc)?,
        (Layout::Pairs, BLOCK) => {
            let (first, second) = channels.split_at_checked(2 * len)?;
            pairs(first, second, x, acc);
        }
        // Fewer channels are left than a block has.
        _ => {
            for (i, acc) in acc.iter_mut().enumerate().take(block) {
                let products = layout.channel(channels, len, i).zip(x);
                let sum = products.fold(0_i32, |sum, (w, &x)| sum.wrapping_add(w * i32::from(x)));
                *acc = acc.wrapping_add(sum);
            }
        }
    }
    Some(())
}

/// Adds the products of four channels that lie one after another. Each value of `x` is loaded once
/// for four multiplications, and the loop has no bounds checks.
#[inline(always)]
fn rows(channels: &[i8], x: &[i8], acc: &mut [i32; BLOCK]) -> Option<()> {
    let n = x.len();
    let (w0, rest) = channels.split_at_checked(n)?;
    let (w1, rest) = rest.split_at_checked(n)?;
    let (w2, rest) = rest.split_at_checked(n)?;
    let w3 = rest.get(..n)?;
    let [mut a0, mut a1, mut a2, mut a3] = *acc;
    for i in 0..n {
        let v = i32::from(x[i]);
        a0 = a0.wrapping_add(v * i32::from(w0[i]));
        a1 = a1.wrapping_add(v * i32::from(w1[i]));
        a2 = a2.wrapping_add(v * i32::from(w2[i]));
        a3 = a3.wrapping_add(v * i32::from(w3[i]));
    }
    *acc = [a0, a1, a2, a3];
    Some(())
}

/// Number of products after which a sum `256 * second + first` must be taken apart: that many, each of
/// at most 128 times 128, keep `second` within 24 bits.
const SEGMENT: usize = 511;

/// Adds the products of four channels in two pairs.
///
/// The 16-bit number of a pair sums for both of its channels at once:
/// `both = first + 256 * second`, in 32 bits that wrap around. Its low byte sums `first` alone, and
/// `second = (both - first) >> 8`.
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
        acc[0] = acc[0].wrapping_add(a0);
        acc[1] = acc[1].wrapping_add(both0.wrapping_sub(a0) >> 8);
        acc[2] = acc[2].wrapping_add(a2);
        acc[3] = acc[3].wrapping_add(both2.wrapping_sub(a2) >> 8);
    }
}
