//! The network in candle: ResNet trunk, adapters, heads, and the operators written by hand.

pub mod ops;
mod spec;

pub use spec::{AdapterKind, AdapterSpec, BackboneSpec, PATH_OUTPUTS, PATHS, StageSpec, StemSpec};
