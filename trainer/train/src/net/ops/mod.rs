//! Training operators written by hand: channels-last, multi-threaded, each with its own backward.
//!
//! candle's own convolution backward is an order of magnitude slower on a CPU, and its batch norm
//! is a chain of broadcast element-wise operators. Activations here are `[batch, height, width,
//! channels]`, so that a convolution's vectors and a norm's run along contiguous channels, and go from
//! operator to operator as [`Activation`]s, with their gradients. A GPU's are in [`crate::device`].

mod activation;
mod adapted_kernel;
mod band_means;
mod batch_norm;
mod conv2d;
#[cfg(test)]
pub(crate) mod finite_difference;
mod loops;
mod node;
mod values;

pub use activation::Activation;
pub use adapted_kernel::add_to_centre;
pub use band_means::band_means;
pub use batch_norm::{BatchStatistics, Residual, batch_norm};
pub use conv2d::geometry::Geometry;
#[cfg(feature = "emulated-device")]
pub(crate) use conv2d::passes as convolution_passes;
pub use conv2d::{Conv2d, conv2d};
