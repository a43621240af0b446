//! From trained weights to what a device runs: ONNX, int8, `.slvr`, and the check that all engines agree.

pub mod onnx;
#[cfg(test)]
mod random;
mod statistics;

pub use statistics::EmbeddingStatistics;
