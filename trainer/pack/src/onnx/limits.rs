//! Limits to what a foreign ONNX file may ask for. They are checked before anything is computed or
//! handed on.

use super::error::{ImportError, LIMITS_VARIABLE};
use std::num::NonZeroU32;

/// Most bytes, nodes, values and work of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, and of the files beside it that hold its weights, together.
    pub bytes: u64,
    /// Nodes, constants and descriptions of values in a graph, before it is decoded.
    pub entries: u64,
    /// Nodes of the graph.
    pub nodes: usize,
    /// Values of one tensor.
    pub elements: usize,
    /// Values of one tensor that a patch makes: an engine holds several copies of it.
    pub made: usize,
    /// Values of all tensors that one patch makes.
    pub patch_elements: u64,
    /// Multiply-accumulates, or comparisons of pools, for one patch.
    pub work: u64,
}

impl Limits {
    /// The limits of every command: 1 GiB of weights, and what a workstation computes in about ten
    /// seconds a patch.
    pub const DEFAULT: Self = Self {
        bytes: 1 << 30,
        entries: 200_000,
        nodes: 20_000,
        elements: 1 << 28,
        made: 1 << 25,
        patch_elements: 1 << 28,
        work: 30_000_000_000,
    };

    /// Returns the default limits, each as many times as large as the environment says.
    ///
    /// # Errors
    /// [`ImportError::Variable`] if the variable is not a whole number above 0.
    pub fn from_environment() -> Result<Self, ImportError> {
        let Some(text) = std::env::var_os(LIMITS_VARIABLE) else {
            return Ok(Self::DEFAULT);
        };
        let text = text.to_string_lossy();
        let times: NonZeroU32 = text
            .trim()
            .parse()
            .map_err(|_| ImportError::Variable(text.clone().into_owned()))?;
        let (whole, count) = (u64::from(times.get()), times.get() as usize);
        let Self {
            bytes,
            entries,
            nodes,
            elements,
            made,
            patch_elements,
            work,
        } = Self::DEFAULT;
        Ok(Self {
            bytes: bytes.saturating_mul(whole),
            entries: entries.saturating_mul(whole),
            nodes: nodes.saturating_mul(count),
            elements: elements.saturating_mul(count),
            made: made.saturating_mul(count),
            patch_elements: patch_elements.saturating_mul(whole),
            work: work.saturating_mul(whole),
        })
    }

    /// Refuses `found` above `most`, both counts of `what`.
    pub(super) fn check(what: &'static str, found: u64, most: u64) -> Result<(), ImportError> {
        if found > most {
            return Err(ImportError::Limit { what, found, most });
        }
        Ok(())
    }
}

/// Multiplies `dims`; the largest number if the product cannot be counted.
pub(super) fn count(dims: &[usize]) -> usize {
    // A dimension of zero makes the product zero, whatever the others overflow to.
    if dims.contains(&0) {
        return 0;
    }
    dims.iter()
        .fold(1usize, |product, &dim| product.saturating_mul(dim))
}
