//! A parallel adapter as part of the kernels that it runs beside.

use super::values::{values, with_values};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// `kernels` (`[out, k, k, in]`, `k` odd) with `adapter` (`[out, 1, 1, in]`) added to their centres: a
/// 1x1 convolution of the same stride reads just the pixel under the kernel's centre.
///
/// # Errors
/// If the shapes do not fit, or the sides of the kernels are even.
pub fn add_to_centre(kernels: &Tensor, adapter: &Tensor) -> Result<Tensor> {
    let (&[out, height, width, channels], &[adapter_out, 1, 1, adapter_channels]) =
        (kernels.dims(), adapter.dims())
    else {
        bail!(
            "add_to_centre: kernels {:?} and adapter {:?} are not [out, k, k, in] and [out, 1, 1, in]",
            kernels.dims(),
            adapter.dims()
        );
    };
    let fits = (adapter_out, adapter_channels) == (out, channels);
    if !fits || height != width || height.is_multiple_of(2) {
        bail!(
            "add_to_centre: an adapter {:?} does not fit kernels {:?}",
            adapter.dims(),
            kernels.dims()
        );
    }
    kernels
        .contiguous()?
        .apply_op2(&adapter.contiguous()?, AddToCentre)
}

struct AddToCentre;

/// Returns where the centres lie, one after the other: `channels` values each.
fn centres(kernels: &[usize]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (taps, channels) = (kernels[1] * kernels[2], kernels[3]);
    (0..kernels[0]).map(move |out| {
        let start = (out * taps + taps / 2) * channels;
        start..start + channels
    })
}

impl CustomOp2 for AddToCentre {
    fn name(&self) -> &'static str {
        "add_to_centre"
    }

    fn cpu_fwd(
        &self,
        kernels: &CpuStorage,
        lk: &Layout,
        adapter: &CpuStorage,
        la: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let name = "add_to_centre";
        let mut sum = values(name, kernels, lk)?.to_vec();
        let adapter = values(name, adapter, la)?;
        let channels = lk.dims()[3].max(1);
        for (centre, adapter) in centres(lk.dims()).zip(adapter.chunks_exact(channels)) {
            for (sum, value) in sum[centre].iter_mut().zip(adapter) {
                *sum += value;
            }
        }
        Ok((CpuStorage::F32(sum), lk.shape().clone()))
    }

    fn bwd(
        &self,
        kernels: &Tensor,
        adapter: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_adapter = with_values("add_to_centre", gradient, |values| {
            let of_adapter = centres(kernels.dims()).flat_map(|centre| &values[centre]);
            Ok(of_adapter.copied().collect::<Vec<f32>>())
        })?;
        let of_adapter = Tensor::from_vec(of_adapter, adapter.shape(), adapter.device())?;
        Ok((Some(gradient.clone()), Some(of_adapter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};
    use crate::net::ops::{Activation, Conv2d, conv2d};

    #[test]
    fn is_a_convolution_beside_the_other() {
        let [x, kernels, adapter] = [&[2, 5, 6, 3][..], &[4, 3, 3, 3], &[4, 1, 1, 3]]
            .map(|shape| random(shape.len() as u64, shape));
        let x = Activation::new(&x).unwrap();
        let run = |w: &Tensor, padding: usize| {
            let y = conv2d(&x, w, Conv2d { stride: 2, padding });
            y.unwrap().tensor().unwrap()
        };
        let joint = run(&add_to_centre(&kernels, &adapter).unwrap(), 1);
        let apart = (run(&kernels, 1) + run(&adapter, 0)).unwrap();
        let difference = (joint - apart).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
        check_gradient(&[kernels, adapter], |t| add_to_centre(&t[0], &t[1]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kernels, adapter) in [
            ([4, 3, 3, 3], [4, 1, 1, 2]),
            ([4, 2, 2, 3], [4, 1, 1, 3]),
            ([4, 3, 3, 3], [4, 3, 3, 3]),
        ] {
            let error = add_to_centre(&random(1, &kernels), &random(2, &adapter)).unwrap_err();
            assert!(error.to_string().contains("adapter"), "{error}");
        }
    }
}
