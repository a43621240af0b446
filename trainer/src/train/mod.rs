//! The training loop: configuration, data, optimiser, checkpoints, metrics.

mod checkpoint;
mod config;
mod metrics;
mod optimiser;
mod pairs;
mod run;
mod schedule;

pub use checkpoint::{load_weights, save_weights};
pub use config::{DataConfig, FrontendSection, PRESETS, RunConfig, TrainConfig};
pub use metrics::{MetricsRow, read as read_metrics};
pub use optimiser::AdamW;
pub use pairs::{Batch, PairSource};
pub use run::{Observer, RunFolder, TrainRequest, Trained, train};
pub use schedule::warmup_cosine;
