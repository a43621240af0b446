//! The training loop: configuration, data, optimiser, checkpoints, metrics.

mod averages;
mod checkpoint;
mod config;
mod device_step;
mod folder;
mod heard;
mod metrics;
mod monitor;
mod observer;
mod optimiser;
mod pairs;
mod request;
mod run;
mod schedule;
mod start;
mod targets;
mod teacher;
mod teachers;
mod tensorboard;
mod window_model;
pub(crate) mod window_teacher;
mod windows;

pub use checkpoint::{check as check_checkpoint, load_weights, save_weights};
pub use config::{
    DataConfig, DeviceKind, FrontendSection, MonitorConfig, PRESETS, PairsConfig, Precision,
    RunConfig, TrainConfig, ViewsOn,
};
pub use device_step::{DeviceStep, StepLog, StepSettings};
pub use folder::RunFolder;
pub use metrics::{MetricsRow, read as read_metrics};
pub use observer::Observer;
pub use optimiser::AdamW;
pub use pairs::{Batch, Feed, PairSource};
pub use request::TrainRequest;
pub use run::{Trained, in_pool, train};
pub use schedule::warmup_cosine;
pub use start::Start;
pub use teachers::Answers;
pub(crate) use windows::WindowRule;
