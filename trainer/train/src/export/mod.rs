//! Export of trained weights into the files that are shipped: ONNX, `.slvr`, and the check that all engines agree.

#[cfg(test)]
mod random;
mod run;
#[cfg(test)]
mod tests;
mod write;

pub use run::{ExportRequest, Exported, calibration_audio, export_run, write_shipped};
pub use write::{WriteError, write};
