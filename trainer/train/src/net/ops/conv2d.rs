//! Two-dimensional convolution, channels last, forward and backward: directly where the channels are
//! whole vectors, else by unfolding.
//!
//! Each of the three passes runs its vectors along the channels of what it writes, so each chooses
//! for itself. The direct way reaches 85 to 95 % of the multiply-adds that the processor can do and
//! was faster than unfolding at every size of the presets, 1x1 kernels among them.

mod direct;
mod frame;
pub(super) mod geometry;
pub(crate) mod passes;
mod products;
mod unfolded;
mod vectors;

pub use geometry::Conv2d;

use super::activation::{Activation, Gradient};
use super::node::{Backward, node, passed};
use super::values::with_values;
use candle_core::{Result, Tensor};
use geometry::Geometry;
use passes::{forward, input_gradient, weight_gradient};

/// Convolves `x` (`[batch, height, width, in]`) with `weight` (`[out, kh, kw, in]`).
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d(x: &Activation, weight: &Tensor, op: Conv2d) -> Result<Activation> {
    let weight = weight.contiguous()?;
    let g = Geometry::new(&op, x.dims(), weight.dims())?;
    let y = with_values("conv2d", x.values(), |x| {
        with_values("conv2d", &weight, |w| Ok(forward(&g, x, w)))
    })?;
    let shape = (g.batch, g.out_height, g.out_width, g.out_channels);
    let y = Tensor::from_vec(y, shape, weight.device())?;
    let gradient = Gradient::default();
    let step = Step {
        geometry: g,
        x: x.clone(),
        gradient: gradient.clone(),
    };
    let node = node(&[x.node(), &weight], step)?;
    Ok(Activation::made(y, node, gradient))
}

/// A convolution in candle's graph.
struct Step {
    geometry: Geometry,
    x: Activation,
    /// The result's.
    gradient: Gradient,
}

impl Backward for Step {
    const NAME: &'static str = "conv2d";

    fn backward(&self, arguments: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
        let (node, w) = (arguments[0], arguments[1]);
        let (g, dy) = (&self.geometry, self.gradient.take(Self::NAME)?);
        let (dx, dw) = with_values(Self::NAME, self.x.values(), |x| {
            with_values(Self::NAME, w, |w| {
                Ok(rayon::join(
                    || node.track_op().then(|| input_gradient(g, w, &dy)),
                    || weight_gradient(g, x, &dy),
                ))
            })
        })?;
        if let Some(dx) = dx {
            self.x.gradient().add(dx);
        }
        let dw = Tensor::from_vec(dw, w.shape(), w.device())?;
        Ok(vec![passed(node)?, Some(dw)])
    }
}

#[cfg(test)]
mod tests {
    use super::vectors::Vectors;
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use proptest::prelude::*;

    /// On tensors.
    fn conv2d(x: &Tensor, weight: &Tensor, op: Conv2d) -> Result<Tensor> {
        super::conv2d(&Activation::new(x)?, weight, op)?.tensor()
    }

    /// The definition, term by term.
    fn reference(x: &Tensor, w: &Tensor, op: Conv2d) -> Vec<f32> {
        let g = Geometry::new(&op, x.dims(), w.dims()).unwrap();
        let (x, w) = (
            x.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            w.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        );
        let mut y = Vec::new();
        for b in 0..g.batch {
            for oy in 0..g.out_height {
                for ox in 0..g.out_width {
                    for o in 0..g.out_channels {
                        let mut sum = 0f64;
                        for ky in 0..g.kh {
                            for kx in 0..g.kw {
                                let (iy, ix) = (
                                    (oy * g.stride + ky) as isize - g.padding as isize,
                                    (ox * g.stride + kx) as isize - g.padding as isize,
                                );
                                if iy < 0
                                    || ix < 0
                                    || iy >= g.height as isize
                                    || ix >= g.width as isize
                                {
                                    continue;
                                }
                                for i in 0..g.channels {
                                    let at = ((b * g.height + iy as usize) * g.width + ix as usize)
                                        * g.channels
                                        + i;
                                    sum += f64::from(x[at])
                                        * f64::from(
                                            w[((o * g.kh + ky) * g.kw + kx) * g.channels + i],
                                        );
                                }
                            }
                        }
                        y.push(sum as f32);
                    }
                }
            }
        }
        y
    }

    #[test]
    fn forward_and_backward_match_their_definitions() {
        // (height, width, in, out, kernel, stride, padding), odd sizes with stride 2 among them
        for (case, (h, w, i, o, k, stride, padding)) in [
            (5, 7, 3, 4, 3, 1, 1),
            (7, 6, 2, 5, 3, 2, 1),
            (8, 5, 4, 3, 1, 1, 0),
            (7, 9, 4, 3, 1, 2, 0),
            (9, 8, 1, 4, 5, 2, 2),
            (2, 2, 3, 3, 3, 1, 1),
            (1, 1, 3, 2, 3, 1, 1),
            (5, 4, 8, 16, 3, 1, 1),
            (5, 6, 16, 8, 3, 2, 1),
        ]
        .into_iter()
        .enumerate()
        {
            let op = Conv2d { stride, padding };
            let x = random(case as u64, &[3, h, w, i]);
            let weight = random(case as u64 + 100, &[o, k, k, i]);
            let y = conv2d(&x, &weight, op).unwrap();
            let got = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (got, want) in got.iter().zip(reference(&x, &weight, op)) {
                assert!((got - want).abs() < 1e-5, "case {case}: {got} != {want}");
            }
            check_gradient(&[x, weight], |t| conv2d(&t[0], &t[1], op));
        }
    }

    /// Sizes that direct convolution takes: odd ones, kernels smaller than the stride, wide padding,
    /// one image and several blocks of them, channels of every way to tile.
    fn sizes() -> impl Strategy<Value = (Conv2d, [usize; 4], [usize; 4])> {
        let geometry = (1usize..=5, 1usize..=5, 1usize..=3, 0usize..=3);
        let channels = prop::sample::select(vec![1usize, 3, 8, 16, 24, 40, 48, 64, 80]);
        let image = (1usize..=9, 1usize..=9, channels.clone());
        let sizes = (
            prop::sample::select(vec![1usize, 2, 35]),
            image,
            channels,
            geometry,
        );
        sizes.prop_map(|(batch, (h, w, i), o, (kh, kw, stride, padding))| {
            let (h, w) = (h.max(kh), w.max(kw));
            (Conv2d { stride, padding }, [batch, h, w, i], [o, kh, kw, i])
        })
    }

    fn flat(seed: u64, shape: &[usize]) -> Vec<f32> {
        random(seed, shape)
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    /// Whether both are the same up to the rounding of sums of `terms` products.
    fn same(got: &[f32], want: &[f32], terms: usize) -> bool {
        let near = 1e-6 * (terms as f32).sqrt() * 16.0;
        got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= near)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn direct_and_unfolded_convolution_agree((op, x_shape, w_shape) in sizes(), seed: u64) {
            let g = Geometry::new(&op, &x_shape, &w_shape).unwrap();
            let (x, w) = (flat(seed, &x_shape), flat(seed ^ 1, &w_shape));
            let dy = flat(seed ^ 2, &[g.batch, g.out_height, g.out_width, g.out_channels]);
            for vectors in Vectors::all_for_channels(g.out_channels) {
                let got = direct::forward(&g, vectors, &x, &w);
                prop_assert!(same(&got, &unfolded::forward(&g, &x, &w), g.patch()), "{vectors:?} forward");
                let got = products::weight_gradient(&g, vectors, &x, &dy);
                let want = unfolded::weight_gradient(&g, &x, &dy);
                prop_assert!(same(&got, &want, g.batch * g.out_rows()), "{vectors:?} weight");
            }
            for vectors in Vectors::all_for_channels(g.channels) {
                let got = direct::input_gradient(&g, vectors, &w, &dy);
                let want = unfolded::input_gradient(&g, &w, &dy);
                prop_assert!(same(&got, &want, g.kh * g.kw * g.out_channels), "{vectors:?} input");
            }
        }
    }

    #[test]
    fn results_are_the_same_bits_for_any_number_of_threads() {
        let op = Conv2d {
            stride: 2,
            padding: 1,
        };
        // The second has more weights than partial sums are kept of for many blocks.
        for (x_shape, w_shape) in [
            ([37, 9, 8, 16], [48, 3, 3, 16]),
            ([5, 4, 4, 160], [512, 3, 3, 160]),
        ] {
            let g = Geometry::new(&op, &x_shape, &w_shape).unwrap();
            let (x, w) = (flat(1, &x_shape), flat(2, &w_shape));
            let dy = flat(3, &[g.batch, g.out_height, g.out_width, g.out_channels]);
            let all = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| {
                    [
                        forward(&g, &x, &w),
                        input_gradient(&g, &w, &dy),
                        weight_gradient(&g, &x, &dy),
                    ]
                })
            };
            let one = all(1);
            assert!(same(
                &one[2],
                &unfolded::weight_gradient(&g, &x, &dy),
                g.batch * g.out_rows()
            ));
            for threads in [2, 3] {
                assert!(all(threads) == one, "{threads} threads");
            }
        }
    }

    #[test]
    fn a_batch_of_several_blocks_matches_one_image_at_a_time() {
        let op = Conv2d {
            stride: 1,
            padding: 1,
        };
        let (x, w) = (random(1, &[37, 16, 16, 8]), random(2, &[8, 3, 3, 8]));
        let whole = conv2d(&x, &w, op).unwrap();
        for image in [0, 20, 36] {
            let one = conv2d(&x.narrow(0, image, 1).unwrap(), &w, op).unwrap();
            let difference = (one - whole.narrow(0, image, 1).unwrap())
                .unwrap()
                .abs()
                .unwrap();
            assert!(difference.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let error = conv2d(
            &random(0, &[1, 4, 4, 3]),
            &random(0, &[2, 3, 3, 4]),
            Conv2d {
                stride: 1,
                padding: 1,
            },
        );
        assert!(error.unwrap_err().to_string().contains("does not fit"));
    }
}
