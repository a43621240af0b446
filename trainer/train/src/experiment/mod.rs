//! Experiments: variants of one configuration, each trained from several seeds under matched
//! compute, each evaluated on the same tasks, and the tables that follow.

mod cell;
mod interval;
mod invariance;
mod measure;
mod plan;
mod run;
mod summary;
mod table;

pub use cell::{CellResult, Measurement};
pub use interval::Spread;
pub use invariance::{OperatorEffect, operator_effects};
pub use plan::{Cell, Compute, EvaluationPlan, Plan, Variant};
pub use run::{Audio, Progress, Request, run};
pub use summary::{Row, Summary};
