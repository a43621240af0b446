//! Training operators written by hand: channels-last, multi-threaded, each with its own backward.
//!
//! candle's own convolution backward is an order of magnitude slower on a CPU, and its batch norm
//! is a chain of broadcast element-wise operators. Activations here are `[batch, height, width,
//! channels]`, so that a convolution is one matrix product per block of rows and a norm runs along
//! contiguous channels. On another device than the CPU the same functions compose candle's own
//! operators.

mod batch_norm;
mod composed;
mod conv2d;
#[cfg(test)]
pub(crate) mod finite_difference;

pub use batch_norm::{BatchNorm, BatchStatistics, Residual, batch_norm};
pub use conv2d::{Conv2d, conv2d};

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};

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

/// Calls `f` with the contiguous `f32` values of a CPU tensor.
fn with_values<R>(op: &str, tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => f(values(op, cpu, layout)?),
        _ => bail!("{op}: only the CPU is supported"),
    }
}
