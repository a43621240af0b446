//! Maximum and average pooling.

use core::ops::Range;

use crate::nn::geometry::{Shape, Window};
use crate::nn::operators::{AveragePool, MaxPool};

/// Takes the maximum over the part of each window that lies inside the map.
///
/// `input` has `pool.input`'s shape and `output` has `pool.output`'s; see
/// [wrong arguments](crate::nn#wrong-arguments).
pub fn max_pool(pool: &MaxPool, input: &[i8], output: &mut [i8]) {
    if !pool.fits(input, output) {
        return;
    }
    let [lo, hi] = pool.clamp;
    let mut out = output.iter_mut();
    for oy in 0..pool.output.height {
        for ox in 0..pool.output.width {
            let (rows, columns) = inside(&pool.window, pool.input, oy, ox);
            for c in 0..pool.output.channels {
                let Some(out) = out.next() else { return };
                let mut greatest = i8::MIN;
                for y in rows.clone() {
                    for &value in row(input, pool.input, y, columns.clone(), c) {
                        greatest = greatest.max(value);
                    }
                }
                *out = greatest.max(lo).min(hi);
            }
        }
    }
}

/// Takes the sum over each window, times the multiplier.
///
/// `input` has `pool.input`'s shape and `output` has `pool.output`'s; see
/// [wrong arguments](crate::nn#wrong-arguments).
pub fn average_pool(pool: &AveragePool, input: &[i8], output: &mut [i8]) {
    if !pool.fits(input, output) {
        return;
    }
    let zero_point = i32::from(pool.input_zero_point);
    let mut out = output.iter_mut();
    for oy in 0..pool.output.height {
        for ox in 0..pool.output.width {
            let (rows, columns) = inside(&pool.window, pool.input, oy, ox);
            for c in 0..pool.output.channels {
                let Some(out) = out.next() else { return };
                let mut sum = 0_i32;
                for y in rows.clone() {
                    for &value in row(input, pool.input, y, columns.clone(), c) {
                        sum = sum.wrapping_add(i32::from(value) - zero_point);
                    }
                }
                *out = pool.requantisation.apply(sum, pool.multiplier);
            }
        }
    }
}

/// Returns the values of channel `c` in some columns of row `y` of a map.
#[inline(always)]
fn row(
    map: &[i8],
    shape: Shape,
    y: usize,
    columns: Range<usize>,
    c: usize,
) -> impl Iterator<Item = &i8> {
    let first = (y * shape.width + columns.start) * shape.channels + c;
    let values = map.get(first..).unwrap_or_default();
    let positions = values.chunks(shape.channels.max(1)).take(columns.len());
    positions.filter_map(<[i8]>::first)
}

/// Returns the rows and columns of the map under the window at output (`oy`, `ox`).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::geometry::Padding;
    use crate::nn::rules::Requantisation;
    use proptest::prelude::*;

    fn geometry() -> impl Strategy<Value = (Shape, Window)> {
        let sizes = (1usize..5, 1usize..5, 0usize..6, 0usize..6, 1usize..6);
        let walks = (1usize..4, 1usize..4, [any::<u8>(); 4]);
        (sizes, walks).prop_map(|((kh, kw, dh, dw, channels), (sh, sw, pads))| {
            let [top, bottom, left, right] = pads.map(usize::from);
            let window = Window {
                kernel: [kh, kw],
                stride: [sh, sw],
                padding: Padding {
                    top: top % kh,
                    bottom: bottom % kh,
                    left: left % kw,
                    right: right % kw,
                },
                dilation: [1, 1],
            };
            (Shape::new(kh + dh, kw + dw, channels), window)
        })
    }

    /// Returns the values of one channel under the window and inside the map, by brute force.
    fn under(input: Shape, window: &Window, data: &[i8], at: [usize; 3]) -> Vec<i8> {
        let [oy, ox, c] = at;
        let mut values = Vec::new();
        for ky in 0..window.kernel[0] {
            for kx in 0..window.kernel[1] {
                let y = (oy * window.stride[0] + ky).checked_sub(window.padding.top);
                let x = (ox * window.stride[1] + kx).checked_sub(window.padding.left);
                if let (Some(y), Some(x)) = (y, x)
                    && y < input.height
                    && x < input.width
                {
                    values.push(data[(y * input.width + x) * input.channels + c]);
                }
            }
        }
        values
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pools_agree_with_the_definition(
            (input, window) in geometry(),
            data in proptest::collection::vec(any::<i8>(), 500),
            (zero_point, out_zero_point, multiplier) in (any::<i8>(), any::<i8>(), any::<i32>()),
            clamp in any::<(i8, i8)>(),
        ) {
            let data = &data[..input.len()];
            let [height, width] = window.output_size(input.height, input.width).unwrap();
            let output = Shape::new(height, width, input.channels);
            let (lo, hi) = (clamp.0.min(clamp.1), clamp.0.max(clamp.1));
            let max = MaxPool { input, output, window, clamp: [lo, hi] };
            let mut maxima = vec![0; output.len()];
            max_pool(&max, data, &mut maxima);
            let requantisation = Requantisation { pre: 1, zero_point: out_zero_point, lo, hi };
            let average =
                AveragePool { input, output, window, input_zero_point: zero_point, multiplier, requantisation };
            let mut means = vec![0; output.len()];
            average_pool(&average, data, &mut means);
            for oy in 0..height {
                for ox in 0..width {
                    for c in 0..input.channels {
                        let values = under(input, &window, data, [oy, ox, c]);
                        let at = (oy * width + ox) * input.channels + c;
                        prop_assert_eq!(maxima[at], (*values.iter().max().unwrap()).clamp(lo, hi));
                        let sum: i64 = values.iter().map(|&v| i64::from(v) - i64::from(zero_point)).sum();
                        let product = ((sum * 2 * i64::from(multiplier)) as f64 / 2f64.powi(32) + 0.5).floor();
                        let expected = (product + f64::from(out_zero_point)).clamp(lo.into(), hi.into());
                        prop_assert_eq!(f64::from(means[at]), expected);
                    }
                }
            }
        }
    }
}
