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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{AddRule, Padding, Requantisation, Shape, Window};
    use proptest::prelude::*;
    use proptest::test_runner::TestRng;

    /// A random convolution's data; everything small enough for the 32-bit accumulators.
    #[derive(Debug)]
    struct Case {
        input: Shape,
        window: Window,
        channels: usize,
        zero_point: i8,
        data: Vec<i8>,
        weights: Vec<i8>,
        adapter: Vec<i8>,
        bias: Vec<i32>,
        multipliers: Vec<i32>,
        requantisation: Requantisation,
        residual: Option<(AddRule, Vec<i8>)>,
    }

    fn case(mut rng: TestRng) -> Case {
        let mut below = |n: usize| rng.next_u32() as usize % n;
        let kernel = [1 + below(7), 1 + below(7)];
        let stride = [1 + below(3), 1 + below(3)];
        let with_adapter = below(2) == 1;
        // With an adapter no padding after the end, so that its centre mostly stays inside.
        let after = |n: usize| if with_adapter { 1 } else { n };
        let padding = Padding {
            top: below(kernel[0]),
            bottom: below(after(kernel[0])),
            left: below(kernel[1]),
            right: below(after(kernel[1])),
        };
        let input = Shape::new(kernel[0] + below(6), kernel[1] + below(6), 1 + below(9));
        let window = Window {
            kernel,
            stride,
            padding,
        };
        let channels = 1 + below(11);
        let [height, width] = window.output_size(input.height, input.width).unwrap();
        let row = window.area() * input.channels;
        let mut bytes = |n: usize| -> Vec<i8> { (0..n).map(|_| rng.next_u32() as i8).collect() };
        let (data, weights) = (bytes(input.len()), bytes(channels * row));
        let adapter = bytes(if with_adapter {
            channels * input.channels
        } else {
            0
        });
        let addend = bytes(height * width * channels);
        let [zero_point, inner, outer, second] = bytes(4)[..] else {
            unreachable!()
        };
        let clamps = bytes(4);
        let mut wide = |bits: u32| (rng.next_u32() as i32) >> (32 - bits);
        let rule = AddRule {
            a_zero_point: inner,
            a_multiplier: wide(22),
            b_zero_point: second,
            b_multiplier: wide(22),
            zero_point: outer,
            lo: clamps[0].min(clamps[1]),
            hi: clamps[0].max(clamps[1]),
        };
        let pre = wide(3).unsigned_abs() as u8;
        Case {
            input,
            window,
            channels,
            zero_point,
            data,
            weights,
            adapter,
            bias: (0..channels).map(|_| wide(20)).collect(),
            multipliers: (0..channels).map(|_| wide(26)).collect(),
            requantisation: Requantisation {
                pre,
                zero_point: inner,
                lo: clamps[2].min(clamps[3]),
                hi: clamps[2].max(clamps[3]),
            },
            residual: (wide(1) != 0).then_some((rule, addend)),
        }
    }

    impl Case {
        fn convolution(&self) -> Convolution<'_> {
            let [height, width] = self
                .window
                .output_size(self.input.height, self.input.width)
                .unwrap();
            Convolution {
                input: self.input,
                output: Shape::new(height, width, self.channels),
                window: self.window,
                input_zero_point: self.zero_point,
                weights: &self.weights,
                adapter: &self.adapter,
                bias: &self.bias,
                multipliers: &self.multipliers,
                requantisation: self.requantisation,
                residual: self.residual.as_ref().map(|r| r.0),
            }
        }

        /// The definition, one index at a time, in i64 and f64.
        fn reference(&self, oy: usize, ox: usize, o: usize) -> i8 {
            let Shape {
                height,
                width,
                channels,
            } = self.input;
            let [kernel_height, kernel_width] = self.window.kernel;
            let value = |y: isize, x: isize, c: usize| -> i64 {
                let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                if inside {
                    self.data[(y as usize * width + x as usize) * channels + c].into()
                } else {
                    self.zero_point.into()
                }
            };
            let (y0, x0) = (oy * self.window.stride[0], ox * self.window.stride[1]);
            let pad = self.window.padding;
            let mut acc = i64::from(self.bias[o]);
            for ky in 0..kernel_height {
                for kx in 0..kernel_width {
                    for c in 0..channels {
                        let y = (y0 + ky) as isize - pad.top as isize;
                        let x = (x0 + kx) as isize - pad.left as isize;
                        let at = ((o * kernel_height + ky) * kernel_width + kx) * channels + c;
                        acc += value(y, x, c) * i64::from(self.weights[at]);
                    }
                }
            }
            if !self.adapter.is_empty() {
                for c in 0..channels {
                    let w = self.adapter[o * channels + c];
                    acc += value(y0 as isize, x0 as isize, c) * i64::from(w);
                }
            }
            let r = &self.requantisation;
            let product = (acc << r.pre) * i64::from(self.multipliers[o]);
            let rounded = (product as f64 / 2f64.powi(32) + 0.5).floor();
            let q = (f64::from(r.zero_point) + rounded).clamp(r.lo.into(), r.hi.into()) as i8;
            let [_, output_width] = self.window.output_size(height, width).unwrap();
            match &self.residual {
                None => q,
                Some((rule, addend)) => {
                    rule.apply(q, addend[(oy * output_width + ox) * self.channels + o])
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn convolve_agrees_with_the_definition(case in any::<u64>().prop_perturb(|_, rng| case(rng))) {
            let convolution = case.convolution();
            let Shape { height, width, channels } = convolution.output;
            let centre_inside = (height - 1) * case.window.stride[0] < case.input.height
                && (width - 1) * case.window.stride[1] < case.input.width;
            prop_assume!(case.adapter.is_empty() || centre_inside);
            let mut output = match &case.residual {
                Some((_, addend)) => addend.clone(),
                None => vec![0; convolution.output.len()],
            };
            let mut scratch = vec![99; case.window.area() * case.input.channels];
            convolve(&convolution, &case.data, &mut output, &mut scratch);
            for oy in 0..height {
                for ox in 0..width {
                    for o in 0..channels {
                        let got = output[(oy * width + ox) * channels + o];
                        prop_assert_eq!(got, case.reference(oy, ox, o), "{} {} {}", oy, ox, o);
                    }
                }
            }
        }

        /// A linear layer is a convolution whose kernel is the whole map.
        #[test]
        fn linear_agrees_with_the_definition(case in any::<u64>().prop_perturb(|_, rng| case(rng))) {
            let [height, width] = case.window.kernel;
            let input = Shape::new(height, width, case.input.channels);
            let case = Case {
                input,
                window: Window { padding: Padding::default(), ..case.window },
                data: case.data[..input.len()].to_vec(),
                adapter: Vec::new(),
                residual: None,
                ..case
            };
            let mut output = vec![0; case.channels];
            linear(&case.convolution(), &case.data, &mut output);
            for (o, &got) in output.iter().enumerate() {
                prop_assert_eq!(got, case.reference(0, 0, o));
            }
        }
    }
}
