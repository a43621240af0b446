//! Training operators written by hand: channels-last, multi-threaded, each with its own backward.
//!
//! candle's own convolution backward is an order of magnitude slower on a CPU, and its batch norm
//! is a chain of broadcast element-wise operators. Activations here are `[batch, height, width,
//! channels]`, so that a convolution's vectors and a norm's run along contiguous channels, and go from
//! operator to operator as [`Activation`]s, with their gradients. On another device than the CPU the
//! same functions compose candle's own operators.

mod activation;
mod adapted_kernel;
mod band_means;
mod batch_norm;
mod composed;
mod conv2d;
#[cfg(test)]
pub(crate) mod finite_difference;

pub use activation::Activation;
pub use adapted_kernel::add_to_centre;
pub use band_means::band_means;
pub use batch_norm::{BatchStatistics, Residual, batch_norm};
pub use conv2d::{Conv2d, conv2d};

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// The contiguous `f32` values behind an operator's argument.
fn values<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!(
            "{op}: the argument of shape {:?} is not contiguous",
            layout.shape()
        ),
    }
}

/// A loop over values, with its arguments. [`run`](Self::run) must be `#[inline(always)]`: only inlined
/// is it compiled for other vectors than the least that the architecture has.
trait Loop {
    fn run(self);
}

/// Runs a loop compiled for the widest vectors that this processor has. No loop here reorders a sum,
/// so that the results are the same bits on every processor.
fn vectorised(body: impl Loop) {
    struct Dispatched<L>(L);
    impl<L: Loop> pulp::WithSimd for Dispatched<L> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) {
            self.0.run();
        }
    }
    pulp::Arch::new().dispatch(Dispatched(body));
}

/// `length` values made block by block, and what `write` gives of each block: memory of this size
/// is not cleared first.
///
/// # Safety
/// `write` must initialise every value of the part that it gets.
#[allow(unsafe_code)]
unsafe fn made_in_blocks<R: Send>(
    length: usize,
    block: usize,
    write: impl Fn(usize, &mut [MaybeUninit<f32>]) -> R + Sync + Send,
) -> (Vec<f32>, Vec<R>) {
    let mut values = Vec::with_capacity(length);
    let parts = values.spare_capacity_mut()[..length]
        .par_chunks_mut(block)
        .enumerate()
        .map(|(index, part)| write(index, part))
        .collect();
    // SAFETY: the capacity is at least `length`, and the caller's `write` has initialised all parts.
    unsafe { values.set_len(length) };
    (values, parts)
}

/// Calls `f` with the contiguous `f32` values of a CPU tensor.
fn with_values<R>(op: &str, tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => f(values(op, cpu, layout)?),
        _ => bail!("{op}: only the CPU is supported"),
    }
}
