//! Maximum and average pooling.

use core::ops::Range;

use crate::nn::{AveragePool, MaxPool, Shape, Window};

/// Maximum over the part of each window that lies inside the map.
pub fn max_pool(pool: &MaxPool, input: &[i8], output: &mut [i8]) {
    let [lo, hi] = pool.clamp;
    let mut out = output.iter_mut();
    for oy in 0..pool.output.height {
        for ox in 0..pool.output.width {
            let (rows, columns) = inside(&pool.window, pool.input, oy, ox);
            for c in 0..pool.output.channels {
                let Some(out) = out.next() else { return };
                let mut greatest = i8::MIN;
                for y in rows.clone() {
                    for x in columns.clone() {
                        greatest = greatest.max(input[at(pool.input, y, x, c)]);
                    }
                }
                *out = greatest.clamp(lo, hi);
            }
        }
    }
}

/// Sum over each window, times the multiplier.
pub fn average_pool(pool: &AveragePool, input: &[i8], output: &mut [i8]) {
    let zero_point = i32::from(pool.input_zero_point);
    let mut out = output.iter_mut();
    for oy in 0..pool.output.height {
        for ox in 0..pool.output.width {
            let (rows, columns) = inside(&pool.window, pool.input, oy, ox);
            for c in 0..pool.output.channels {
                let Some(out) = out.next() else { return };
                let mut sum = 0;
                for y in rows.clone() {
                    for x in columns.clone() {
                        sum += i32::from(input[at(pool.input, y, x, c)]) - zero_point;
                    }
                }
                *out = pool.requantisation.apply(sum, pool.multiplier);
            }
        }
    }
}

fn at(shape: Shape, y: usize, x: usize, c: usize) -> usize {
    (y * shape.width + x) * shape.channels + c
}

/// Rows and columns of the map under the window at output (`oy`, `ox`).
fn inside(window: &Window, map: Shape, oy: usize, ox: usize) -> (Range<usize>, Range<usize>) {
    let span = |start: usize, pad: usize, kernel: usize, size: usize| {
        let end = (start + kernel).saturating_sub(pad).min(size);
        start.saturating_sub(pad)..end
    };
    let [kernel_height, kernel_width] = window.kernel;
    let pad = window.padding;
    (
        span(oy * window.stride[0], pad.top, kernel_height, map.height),
        span(ox * window.stride[1], pad.left, kernel_width, map.width),
    )
}
