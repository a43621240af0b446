//! The features of a path: averages of its last map over time and bands of mel.

use super::activation::Activation;
use super::node::passed;
use super::values::with_values;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Means of `x` (`[batch, height, width, channels]`) over all of the height and each of `bands` parts
/// of the width, `[batch, channels * bands]`: a channel's bands lie side by side.
///
/// # Errors
/// If `x` has not four axes, or its width is no multiple of `bands`.
pub fn band_means(x: &Activation, bands: usize) -> Result<Tensor> {
    let &[_, _, width, _] = x.dims() else {
        bail!("band_means: expected [batch,h,w,c], got {:?}", x.dims());
    };
    if bands == 0 || !width.is_multiple_of(bands) {
        bail!("band_means: a width of {width} is not divided by {bands} bands");
    }
    let op = BandMeans {
        x: x.clone(),
        bands,
        columns: width / bands,
    };
    x.node().apply_op1(op)
}

struct BandMeans {
    x: Activation,
    bands: usize,
    /// Columns of a band.
    columns: usize,
}

impl BandMeans {
    /// Calls `f(position in an image, offset of its band)` for every position.
    fn positions(&self, mut f: impl FnMut(usize, usize)) {
        let (height, width) = (self.x.dims()[1], self.x.dims()[2]);
        for position in 0..height * width {
            f(position, position % width / self.columns);
        }
    }

    /// One over the positions of a band.
    fn share(&self) -> f32 {
        1.0 / (self.x.dims()[1] * self.columns) as f32
    }
}

impl CustomOp1 for BandMeans {
    fn name(&self) -> &'static str {
        "band_means"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels) = (self.x.dims()[0], self.x.dims()[3]);
        let (image, row) = (self.x.dims()[1..].iter().product(), channels * self.bands);
        let mut means = vec![0f32; batch * row];
        with_values("band_means", self.x.values(), |x| {
            let images = means.par_chunks_mut(row).zip(x.par_chunks(image));
            images.with_min_len(8).for_each(|(means, x)| {
                self.positions(|position, band| {
                    let x = &x[position * channels..][..channels];
                    for (mean, x) in means[band..].iter_mut().step_by(self.bands).zip(x) {
                        *mean += x;
                    }
                });
                for mean in means {
                    *mean *= self.share();
                }
            });
            Ok(())
        })?;
        Ok((CpuStorage::F32(means), Shape::from((batch, row))))
    }

    fn bwd(&self, node: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let channels = self.x.dims()[3];
        let (image, row) = (self.x.dims()[1..].iter().product(), channels * self.bands);
        let mut dx = vec![0f32; self.x.values().elem_count()];
        with_values("band_means", gradient, |gradient| {
            let images = dx.par_chunks_mut(image).zip(gradient.par_chunks(row));
            images.with_min_len(8).for_each(|(dx, gradient)| {
                self.positions(|position, band| {
                    let dx = &mut dx[position * channels..][..channels];
                    for (dx, gradient) in dx
                        .iter_mut()
                        .zip(gradient[band..].iter().step_by(self.bands))
                    {
                        *dx = gradient * self.share();
                    }
                });
            });
            Ok(())
        })?;
        self.x.gradient().add(dx);
        passed(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use candle_core::Device;

    #[test]
    fn bands_of_a_channel_lie_side_by_side() {
        // One row of four columns, two channels: 0 to 3 and ten times that.
        let x = Tensor::new(&[0f32, 0., 1., 10., 2., 20., 3., 30.], &Device::Cpu).unwrap();
        let x = Activation::new(&x.reshape((1, 1, 4, 2)).unwrap()).unwrap();
        let means = |bands: usize| band_means(&x, bands).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(means(1), [[1.5, 15.0]]);
        assert_eq!(means(2), [[0.5, 2.5, 5.0, 25.0]]);
        assert!(
            band_means(&x, 3)
                .unwrap_err()
                .to_string()
                .contains("not divided")
        );
        for bands in [1, 3] {
            check_gradient(&[random(1, &[2, 3, 6, 5])], |t| {
                band_means(&Activation::new(&t[0])?, bands)
            });
        }
    }
}
