//! The block of weights that a linear layer on a Cortex-M takes at a time.

/// Rows of weights that share each load of the input.
pub(super) const ROWS: usize = 4;
