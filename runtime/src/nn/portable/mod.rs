//! The operators in plain Rust, for every target. They are the definition that all other kernels
//! are compared with.

mod add;
mod conv;
mod pool;

pub use add::add;
#[cfg(arm_mve)]
pub(super) use conv::gather;
pub use conv::{convolve, linear};
pub use pool::{average_pool, max_pool};
