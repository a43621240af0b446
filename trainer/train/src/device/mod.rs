//! Passes of a network on a GPU, from patches to the gradients of all parameters, without the host.
//!
//! The network says what it computes through [`Operators`](crate::net::Operators). A [`Tape`] writes that
//! down as work for a [`Backend`], with the losses and the backward pass behind it.
//! [`DeviceStep`](crate::train::DeviceStep) makes a training step of it.
//!
//! The kernels are in `kernels.cu`. Tests run the same text on the processor, and compare the step with the one that
//! candle differentiates.

mod backend;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "emulated-device")]
mod emulated;
mod losses;
mod tape;
#[cfg(any(feature = "cuda", feature = "emulated-device"))]
mod tensor_cores;
mod views;

pub use backend::{
    Address, Argument, Backend, Element, Factor, Launch, Pass, Product, Recording, THREADS,
};
#[cfg(feature = "cuda")]
pub use cuda::{Convolving, Cuda};
#[cfg(feature = "emulated-device")]
pub use emulated::Emulated;
pub(crate) use losses::{BatchAddresses, Entry, Losses};
pub use tape::{Kernels, Map, Rows, Tape};
pub(crate) use tape::{MOST_PARTS, Passes, Running, Stores, Work, blocks};
pub(crate) use views::{DeviceViews, DrawnWords, SoundWords, ViewSource, ViewWords, words};
