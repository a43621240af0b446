//! Self-supervised objectives: NT-Xent, multi-label augmentation prediction, and their sum.

mod mlap;
mod nt_xent;
mod objective;

pub use mlap::{augmentation_prediction, label_accuracy};
pub use nt_xent::nt_xent;
pub use objective::{Loss, Objective, ObjectiveConfig};
