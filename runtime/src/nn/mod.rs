//! int8 operators with exactly specified arithmetic, over maps in NHWC order (height = time,
//! width = mel bands, channels innermost).
//!
//! [`portable`] is the definition. Every kernel in [`arch`] is written for some instruction set,
//! takes the same arguments and gives the same bytes.
//!
//! # Wrong arguments
//!
//! No operator panics, and none reads or writes out of bounds, whatever it is called with. Each
//! checks once, before it starts, that shapes, tables, buffers and bounds fit each other
//! ([`Convolution::fits`], [`Depthwise::fits`], [`MaxPool::fits`], [`AveragePool::fits`], [`Slopes::fits`]). Where they do not, it returns
//! and leaves the output as it is. Sums that do not fit 32 bits wrap around.
//! [`Model::open`](crate::model::Model::open) proves for each operator of a model that it fits and
//! that its sums do, so neither happens to an engine.
//!
//! Preparing tables is another matter: it happens once, on a host. [`Layout::arrange`] and
//! `arch::host::Repacker::new` panic where their documentation says so.

pub mod arch;
mod geometry;
mod layout;
mod operators;
pub mod portable;
mod rules;

pub use geometry::{Padding, Shape, Window};
pub use layout::Layout;
pub use operators::{AveragePool, Convolution, Depthwise, MaxPool, Slopes};
pub use rules::{
    ADD_FRACTION_BITS, AddRule, MAX_PRE_SHIFT, ProductRule, Quantisation, Requantisation,
};
