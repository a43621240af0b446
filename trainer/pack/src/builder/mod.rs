//! Makes packed models: turns an owned description of a quantised network into the bytes of a `.slvr`.
//!
//! The caller gives int8 weights, the quantisation of each tensor, and each channel's affine rule in
//! real numbers. The builder derives every integer table from them, fuses additions into the
//! convolutions before them, places the tensors, writes the file and opens it again to check it.

mod check;
mod curve;
mod emit;
mod error;
mod file;
mod fusion;
mod integer;
mod planner;
mod spec;
mod tables;

pub use curve::{Combination, Curve, Function};
pub use error::BuildError;
pub use file::{Section, add_section, seal, sign};
pub use planner::{Placement, Request, place};
pub use spec::{
    Activation, ChannelRules, ModelSpec, OpKindSpec, OpSpec, OwnedPatchNorm, PartSpec, TensorSpec,
};

use mtslvr_runtime::model::{AlignedBytes, Model};

/// Packs `spec`: a whole `.slvr` file that [`Model::open`] accepts.
///
/// # Errors
/// [`BuildError`] if the description cannot be packed.
pub fn build(spec: &ModelSpec) -> Result<AlignedBytes, BuildError> {
    check::check(spec)?;
    let file = AlignedBytes::new(&emit::emit(spec)?);
    Model::open(&file).map_err(BuildError::Check)?;
    Ok(file)
}
