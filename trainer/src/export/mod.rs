//! From trained weights to what a device runs: ONNX, int8, `.slvr`, and the check that all engines agree.

pub mod calibration;
pub mod graph;
pub mod inspect;
pub mod interpret;
pub mod memory_plan;
pub mod onnx;
mod opened;
mod pack;
mod quantise;
#[cfg(test)]
mod random;
mod run;
mod shipped;
mod statistics;
mod synthetic;
pub mod verify;

pub use opened::{
    BackboneFile, Engine, ONNX_FILE, OpenBackboneError, OpenedBackbone, SLVR_FILE, open_backbone,
};
pub use pack::{PackError, PackOptions, pack, spread_patches};
pub use quantise::{Labels, quantise};
pub use run::{ExportRequest, Exported, export_run, write_shipped};
pub use shipped::{ModelSource, SHIPPED, ShippedModel, model_kinds, shipped_names};
pub use statistics::{EmbeddingStatistics, StatisticsError, part_shares};
pub use synthetic::{calibration_clips, calibration_mix};
