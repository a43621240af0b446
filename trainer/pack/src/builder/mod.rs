//! Makes packed models: an owned description of a quantised network to the bytes of a `.slvr`.
//!
//! The caller gives int8 weights, what each tensor's int8 values stand for, and each channel's
//! affine rule in real numbers. The builder derives every integer table from them, fuses additions
//! into the convolutions before them, places the tensors, writes the file and opens it again to
//! check it.

mod check;
mod emit;
mod error;
mod file;
mod fusion;
mod integer;
mod planner;
mod spec;
mod tables;

pub use error::BuildError;
pub use file::{Section, add_section, seal};
pub use planner::{Placement, Request, place};
pub use spec::{Activation, ChannelRules, ModelSpec, OpKindSpec, OpSpec, PartSpec, TensorSpec};

use mtslvr_runtime::model::{AlignedBytes, Model};

/// Packs `spec`: a whole `.slvr` file that [`Model::open`] accepts.
///
/// # Errors
/// [`BuildError`]: what of the description cannot be packed.
pub fn build(spec: &ModelSpec) -> Result<AlignedBytes, BuildError> {
    check::check(spec)?;
    let file = AlignedBytes::new(&emit::emit(spec)?);
    Model::open(&file).map_err(BuildError::Check)?;
    Ok(file)
}
