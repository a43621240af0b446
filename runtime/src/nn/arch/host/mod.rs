//! Convolutions on machines with `std`.
//!
//! Weights are brought into another order once, when a backbone is made ([`Repacker`]). Kernels for the
//! machine's instruction set then compute tiles of several output positions by blocks of sixteen
//! output channels ([`RepackedConvolution::run`]).
//!
//! The input is copied into a map with its padding around it ([`PaddedMap`]), so that the values under
//! a row of the kernel are contiguous and padding costs no branch. A kernel takes a *group* of input
//! values, the same for all channels of a block, and multiplies it with a *line* of weights, which has
//! a group for each channel of the block:
//!
//! ```text
//!                      channel 0   channel 1         channel 15
//!                     +-----------+-----------+-   -+-----------+
//!   line of weights   | w w w w   | w w w w   | ... | w w w w   |
//!                     +-----------+-----------+-   -+-----------+
//!   position 0: group x x x x, added to its sums of channels 0 to 15
//!   position 1: group x x x x, added to its sums of channels 0 to 15
//!   ...
//! ```
//!
//! 32-bit sums wrap around. The way to them does not matter then: sums of integers modulo 2^32 do not
//! depend on their order.

// Elsewhere the portable kernels are all there is.
#![cfg_attr(
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )),
    allow(dead_code)
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod depthwise;
mod dispatch;
#[cfg(target_arch = "aarch64")]
mod neon;
mod padded;
mod peak;
mod repack;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
mod tile;

pub use depthwise::depthwise;
pub use dispatch::{add, multiply, quantise_all};
pub use padded::PaddedMap;
pub use peak::sum_products;
pub use repack::{RepackedConvolution, Repacker};
