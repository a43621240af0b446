//! The network in candle: ResNet trunk, adapters, heads, and the operators written by hand.

mod spec;

pub use spec::{AdapterKind, AdapterSpec, BackboneSpec, PATH_OUTPUTS, PATHS, StageSpec, StemSpec};
