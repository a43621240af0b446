//! A training step on a GPU: the whole of it, from patches to moved parameters, without the host.
//!
//! The network says what it computes through [`Operators`](crate::net::Operators). A [`Tape`] writes that
//! down as work for a [`Backend`], with the backward pass behind it; [`DeviceStep`] adds losses and the
//! optimiser, and has the whole recorded once and repeated. Parameters, moments and running statistics stay
//! on the device until somebody asks for them.
//!
//! Every kernel but convolutions and matrix products is in `kernels.cu`. Tests run the same text on the
//! processor, and compare the step with the one that candle differentiates.

mod backend;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "emulated-device")]
mod emulated;
mod losses;
mod step;
mod tape;
#[cfg(any(feature = "cuda", feature = "emulated-device"))]
mod tensor_cores;
#[cfg(all(test, feature = "emulated-device"))]
mod tests;

pub use backend::{
    Address, Argument, Backend, Element, Factor, Launch, Pass, Product, Recording, THREADS,
};
#[cfg(feature = "cuda")]
pub use cuda::{Convolving, Cuda};
#[cfg(feature = "emulated-device")]
pub use emulated::Emulated;
pub use step::{DeviceStep, Inputs, StepLog};
pub use tape::{Kernels, Map, Rows, Tape};
