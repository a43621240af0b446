//! Trains MT-SLVR audio backbones, writes them as ONNX, and compares variants of them.

pub mod augment;
pub mod device;
pub mod experiment;
pub mod export;
pub mod net;
mod range;
pub mod report;
pub mod ssl;
pub mod train;
pub mod trunk_backbone;
pub mod waveform_embedder;
