//! The operators in plain Rust, for every target: what the others are compared with.

mod add;
mod conv;
mod pool;

pub use add::add;
#[cfg(arm_mve)]
pub(crate) use conv::gather;
pub use conv::{convolve, linear};
pub use pool::{average_pool, max_pool};
