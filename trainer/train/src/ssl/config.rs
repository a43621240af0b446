//! The configuration of an objective: tasks, losses and the sizes of their heads.

use super::teaching::TeacherConfig;
use crate::net::AdapterKind;
use crate::range::{OutOfRange, check_range};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `[objective]` table of a run's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Tasks to learn: one for each path or, where all share one path (`adapters.kind =
    /// "none"`), one or two on that.
    pub tasks: Vec<Task>,
    /// The contrastive loss.
    pub contrastive: ContrastiveLoss,
    /// τ of NT-Xent.
    pub temperature: f64,
    /// Hidden units of SimCLR's projector.
    pub projector_hidden: usize,
    /// Values that NT-Xent compares.
    pub projector_out: usize,
    /// SimSiam's heads.
    pub sim_siam: SimSiamConfig,
    /// Hidden layers of the augmentation predictor.
    pub predictor_hidden: Vec<usize>,
    /// Weight of the predictive loss in the sum.
    pub pred_weight: f64,
    /// Weight of the operators' parameters' regression in the predictive loss; 0 leaves it out.
    pub parameter_weight: f64,
    /// Teachers to learn from besides, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub teachers: BTreeMap<String, TeacherConfig>,
    /// Weight of the loss by which a part without a teacher keeps telling what it told when the run
    /// began. It matters only in a run that starts from trained weights.
    pub keep_weight: f64,
}

/// One objective on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Two views of one sound agree.
    Contrastive,
    /// The view tells which operators made it.
    Predictive,
}

/// The contrastive losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContrastiveLoss {
    /// NT-Xent against the rest of the batch (Chen et al. 2020).
    SimClr,
    /// Prediction of the other view, without negatives (Chen and He 2021).
    SimSiam,
}

/// Sizes of SimSiam's heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimSiamConfig {
    /// Values of each projector layer, and of what is compared.
    pub width: usize,
    /// Hidden values of the predictor.
    pub bottleneck: usize,
}

impl Default for SimSiamConfig {
    fn default() -> Self {
        Self {
            width: 512,
            bottleneck: 128,
        }
    }
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            tasks: vec![Task::Contrastive, Task::Predictive],
            contrastive: ContrastiveLoss::SimClr,
            temperature: 0.1,
            projector_hidden: 256,
            projector_out: 128,
            sim_siam: SimSiamConfig::default(),
            predictor_hidden: vec![128, 64],
            pred_weight: 1.0,
            parameter_weight: 0.0,
            teachers: BTreeMap::new(),
            keep_weight: 1.0,
        }
    }
}

impl ObjectiveConfig {
    /// Refuses tasks that do not fit a trunk whose paths are told apart by `kind`.
    ///
    /// # Errors
    /// A sentence that says what would go wrong.
    pub fn check_paths(&self, kind: AdapterKind) -> Result<(), String> {
        let tasks = &self.tasks;
        match (&tasks[..], kind) {
            ([] | [_, _, _, ..], _) => Err(format!(
                "objective.tasks has {} entries, expected one or two of \"contrastive\" and \"predictive\"",
                tasks.len()
            )),
            ([_], kind) if kind != AdapterKind::None => Err(format!(
                "objective.tasks has one entry, but backbone.adapters.kind = {kind:?} makes two paths, one of \
                 which would learn nothing; give two tasks, or set the kind to \"none\""
            )),
            ([Task::Predictive, Task::Contrastive], _) => Err(
                "objective.tasks is [\"predictive\", \"contrastive\"]; the contrastive task comes first, because \
                 the first path's features are the invariant ones"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// Refuses values that are out of range, those of the teachers included.
    ///
    /// # Errors
    /// The first value that is out of range, by the name of its key.
    pub(crate) fn check(&self) -> Result<(), OutOfRange> {
        check_range("objective.temperature", self.temperature, 1e-3, 10.0)?;
        for (key, weight) in [
            ("pred_weight", self.pred_weight),
            ("parameter_weight", self.parameter_weight),
            ("keep_weight", self.keep_weight),
        ] {
            check_range(&format!("objective.{key}"), weight, 0.0, 1e3)?;
        }
        for (name, teacher) in &self.teachers {
            let name = format!("objective.teachers.{name}");
            check_range(&format!("{name}.weight"), teacher.weight, 0.0, 1e3)?;
            check_range(&format!("{name}.whitening"), teacher.whitening, 0.0, 1.0)?;
        }
        let widths = [
            ("projector_hidden", self.projector_hidden),
            ("projector_out", self.projector_out),
            ("sim_siam.width", self.sim_siam.width),
            ("sim_siam.bottleneck", self.sim_siam.bottleneck),
        ];
        let hidden = self.predictor_hidden.iter();
        let hidden = hidden.map(|&width| ("predictor_hidden", width));
        for (key, width) in widths.into_iter().chain(hidden) {
            check_range(&format!("objective.{key}"), width as f64, 1.0, 65536.0)?;
        }
        Ok(())
    }
}
