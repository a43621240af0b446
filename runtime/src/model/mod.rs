//! The packed model `.slvr`: a checked, zero-copy view over bytes. The format is written down in
//! `FORMAT.md`.
//!
//! [`Model::open`] checks everything once. Whatever it accepts can be run by
//! [`crate::backbone::PackedBackbone`] without errors, panics or reads out of bounds. [`wire`] is the
//! layout itself, for those who write models.

mod aligned;
mod cohort;
mod crc;
mod error;
#[cfg(feature = "hash")]
mod hash;
mod network;
mod op;
mod placement;
mod proven;
mod recheck;
mod sections;
#[cfg(feature = "signed")]
mod signed;
#[cfg(feature = "flash")]
pub mod slots;
mod sum;
mod tensor;
mod validate;
mod view;
pub mod wire;

#[cfg(feature = "std")]
pub use aligned::AlignedBytes;
pub use aligned::{ALIGNMENT, Aligned};
pub use cohort::Cohort;
pub use crc::Crc32;
pub use error::OpenError;
#[cfg(feature = "hash")]
pub use hash::content_hash;
pub use op::{Op, OpKind, Scratch, Tables};
pub use recheck::Recheck;
#[cfg(feature = "signed")]
pub use signed::OpenSignedError;
pub use sum::Sum;
pub use tensor::Tensor;
pub use view::Model;
pub use wire::{MAX_ARENA, MAX_OPS, VERSION};
