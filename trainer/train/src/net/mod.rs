//! The network in candle: ResNet trunk, adapters, heads, and the operators written by hand.

mod eigen;
mod heads;
mod layers;
mod levelling;
mod memory;
mod operators;
pub mod ops;
mod parameters;
mod spec;
mod trunk;
mod whitening;

/// Device on which parameters lie.
pub use candle_core::Device;
use eigen::leading_eigen;
pub use heads::{AugmentationHead, Projector, SiameseHeads};
pub use layers::{AdaptedConv, Linear, Mode, NORM_EPS, Norm, PathNorm};
pub(crate) use levelling::Levelling;
pub use memory::keep_freed_memory;
pub use operators::{Operators, Processor};
pub use parameters::{Buffer, Parameters, RunningStatistics, Weights};
pub use spec::{
    AdapterKind, AdapterSpec, BackboneSpec, OutputSpec, PATH_OUTPUTS, PATHS, PartSpec,
    SINGLE_OUTPUT, StageSpec, StemSpec,
};
pub use trunk::Trunk;
pub use whitening::{Levels, Whitening};
