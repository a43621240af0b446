//! Random operators with their data, the same on every target: what the kernels of each instruction
//! set are compared on, byte for byte, with the portable ones and with the definition.
#![no_std]

extern crate alloc;

mod convolution;
mod depthwise;
mod random;
mod sweep;
mod wrong;

pub use convolution::ConvolutionCase;
pub use depthwise::DepthwiseCase;
pub use random::Random;
pub use sweep::{Kernels, Sweep, sweep};
pub use wrong::{odd_number, spoiled, spoiled_depthwise};
