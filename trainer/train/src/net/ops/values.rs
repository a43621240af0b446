//! The values behind a tensor on the CPU.

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};

/// Returns the contiguous `f32` values behind an operator's argument.
pub(super) fn values<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!(
            "{op}: the argument of shape {:?} is not contiguous",
            layout.shape()
        ),
    }
}

/// Calls `f` with the contiguous `f32` values of a CPU tensor.
pub(super) fn with_values<R>(
    op: &str,
    tensor: &Tensor,
    f: impl FnOnce(&[f32]) -> Result<R>,
) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => f(values(op, cpu, layout)?),
        _ => bail!("{op}: only the CPU is supported"),
    }
}
