//! Trains MT-SLVR audio backbones, writes them as ONNX, and compares variants of them.
#![deny(unsafe_code)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    rustdoc::broken_intra_doc_links
)]

pub mod augment;
pub mod experiment;
pub mod export;
pub mod net;
pub mod report;
pub mod ssl;
pub mod train;
pub mod trunk_backbone;
