//! Turns trained weights into a model for a device: ONNX, int8, `.slvr`, and the check that all engines
//! agree.
//!
//! Without features the crate opens, inspects and runs packed models, and makes them from an owned
//! description ([`builder`]). The feature `onnx` reads and writes ONNX and quantises it; `tract` and
//! `ort` run ONNX. The feature `signing` makes keys and signs.

pub mod builder;
#[cfg(feature = "onnx")]
pub mod calibration;
#[cfg(feature = "onnx")]
mod cohort;
pub mod engine;
#[cfg(feature = "onnx")]
mod equalise;
#[cfg(feature = "onnx")]
pub mod graph;
pub mod inspect;
#[cfg(feature = "onnx")]
pub mod interpret;
#[cfg(feature = "onnx")]
mod kinds;
pub mod memory_plan;
mod metadata;
#[cfg(feature = "onnx")]
pub mod onnx;
mod opened;
#[cfg(feature = "onnx")]
mod pack;
mod part_outputs;
#[cfg(feature = "onnx")]
mod quantise;
mod regular;
mod shipped;
#[cfg(feature = "signing")]
pub mod signing;
mod statistics;
#[cfg(all(feature = "onnx", feature = "ort"))]
pub mod verify;
mod work;

#[cfg(feature = "onnx")]
pub use cohort::{DEFAULT_CENTRES, MOST_CENTRES, centres};
pub use opened::{
    BackboneFile, Engine, ONNX_FILE, OpenBackboneError, OpenedBackbone, SLVR_FILE, open_backbone,
};
#[cfg(feature = "onnx")]
pub use pack::{CalibrationAudio, Kind, PackError, PackOptions, name_of, pack, spread_patches};
#[cfg(feature = "onnx")]
pub use quantise::{Labels, quantise};
pub use shipped::{ModelSource, SHIPPED, ShippedModel, model_kinds, shipped_names};
pub use statistics::{EmbeddingStatistics, StatisticsError};
pub use work::{WORK_VARIABLE, WorkError, WorkLimit};
