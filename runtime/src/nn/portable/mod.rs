//! The operators in plain Rust, for every target. They are the definition that all other kernels
//! are compared with.

mod add;
mod conv;
mod depthwise;
mod elementwise;
mod pool;

pub use add::add;
#[cfg(arm_mve)]
pub(super) use conv::gather;
pub use conv::{convolve, linear};
#[cfg(feature = "std")]
pub(super) use depthwise::channels;
pub use depthwise::depthwise;
#[cfg(arm_dsp)]
pub(super) use depthwise::some_channels;
pub use elementwise::{concatenate, lookup, multiply, slice, slopes};
pub use pool::{average_pool, max_pool};
