//! Makes packed models: an owned description of a quantised network to the bytes of a `.slvr`.
//!
//! The caller gives int8 weights, what each tensor's int8 values stand for, and each channel's
//! affine rule in real numbers. The builder derives every integer table from them, fuses additions
//! into the convolutions before them, places the tensors, writes the file and opens it again to
//! check it.

mod spec;

pub use spec::{Activation, ChannelRules, ModelSpec, OpKindSpec, OpSpec, TensorSpec};
