//! Self-supervised objectives: NT-Xent and SimSiam, augmentation prediction, distillation, and their
//! sum.

mod config;
mod distillation;
mod mlap;
mod nt_xent;
mod objective;
mod sim_siam;
mod teaching;

pub use config::{ContrastiveLoss, ObjectiveConfig, SimSiamConfig, Task};
pub use distillation::distillation;
pub use mlap::{augmentation_prediction, label_accuracy, parameter_regression};
pub use nt_xent::nt_xent;
pub use objective::{LessonOutput, Loss, Objective, Outputs, TaskOutput, Views};
pub use sim_siam::{sim_siam, spread};
pub use teaching::{Lesson, Subject, Taught, TeacherConfig};
