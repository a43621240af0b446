//! Trains, exports, packs and evaluates MT-SLVR audio backbones. The binary is `mtslvr`.

pub mod atomic_file;
pub mod audio;
pub mod augment;
pub mod capture;
pub mod cli;
pub mod embed;
pub mod evaluate;
pub mod experiment;
pub mod export;
pub mod net;
pub mod profile;
pub mod report;
pub mod ssl;
pub mod stream;
pub mod timing;
pub mod train;
pub mod view;
