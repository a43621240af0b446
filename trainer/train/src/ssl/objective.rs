//! The joint objective: the network with a head for each task, and the loss of one batch.

use super::{
    augmentation_prediction, distillation, label_accuracy, nt_xent, parameter_regression, sim_siam,
    spread,
};
use crate::net::{
    AdapterKind, AugmentationHead, BackboneSpec, Linear, Mode, Parameters, Projector, SiameseHeads,
    Trunk,
};
use candle_core::{Result, Tensor, bail};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The `[objective]` table of a run's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// What is learned: one task for each path or, where all share one path (`adapters.kind =
    /// "none"`), one or two on that.
    pub tasks: Vec<Task>,
    /// Which contrastive loss.
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
    /// A trained backbone to learn from besides.
    pub distillation: DistillationConfig,
}

/// A teacher: a wider backbone that has been trained, whose embeddings of the same views the paths are
/// to tell. Its passes are not counted where an experiment matches compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistillationConfig {
    /// The teacher, as `--model` takes one: an `.onnx` or `.slvr` file, a run folder or a shipped
    /// backbone's name; its sample rate has to be the frontend's. None: no distillation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// Weight of the distillation loss in the sum.
    pub weight: f64,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self {
            teacher: None,
            weight: 1.0,
        }
    }
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
            distillation: DistillationConfig::default(),
        }
    }
}

impl ObjectiveConfig {
    /// Whether the tasks fit a trunk whose paths are told apart by `kind`; the error says what would
    /// go wrong.
    pub fn check_paths(&self, kind: AdapterKind) -> std::result::Result<(), String> {
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
}

/// The backbone and the heads it is trained with.
#[derive(Debug)]
pub struct Objective {
    config: ObjectiveConfig,
    /// The part that is exported.
    pub trunk: Arc<Trunk>,
    heads: Vec<Head>,
    /// `teacher.HALF`: from a path's features to a half of the teacher's embedding.
    teacher: Vec<Linear>,
}

#[derive(Debug)]
enum Head {
    SimClr(Projector),
    SimSiam(SiameseHeads),
    Predictive(AugmentationHead),
}

/// The loss of one batch, and its parts for the log; parts that the objective lacks are not a number.
#[derive(Debug)]
pub struct Loss {
    /// `contrastive + pred_weight * predictive`, summed over tasks, and the weighted distillation
    /// loss: what is differentiated.
    pub total: Tensor,
    /// The contrastive loss, mean over the tasks that have one.
    pub contrastive: f32,
    /// [`spread`] of the contrastive projections, mean over tasks: near 0 they have collapsed.
    pub spread: f32,
    /// Cross entropy of the augmentation prediction.
    pub predictive: f32,
    /// Share of operator labels predicted right.
    pub label_accuracy: f32,
    /// Squared error of the operators' parameters.
    pub parameter_error: f32,
    /// The distillation loss, mean over the teacher's halves.
    pub distillation: f32,
}

/// One batch of pairs: first views of all clips, then second ones in the same order.
#[derive(Clone, Debug)]
pub struct Views {
    /// `[2N, frames, mels]`
    pub patches: Tensor,
    /// `[2N, operators]`, 1 where the operator made this view.
    pub labels: Tensor,
    /// `[2N, operators]`, each operator's parameter over its range from -1 to 1; 0 where it did not
    /// run.
    pub parameters: Tensor,
    /// Numbers of the views that count in the predictive loss, `u32`; all count where there are none.
    pub predicted: Option<Tensor>,
    /// What the teacher says of each view, `[2N, dim]` of unit length for each half of its embedding;
    /// none without a teacher.
    pub targets: Vec<Tensor>,
}

impl Objective {
    /// Fresh weights, registered in `p`, to learn from a teacher the halves of whose embedding have
    /// `teacher` values; none without a teacher.
    ///
    /// # Errors
    /// If the tasks do not fit the trunk's paths.
    pub fn new(
        config: &ObjectiveConfig,
        spec: &BackboneSpec,
        operators: usize,
        teacher: &[usize],
        p: &mut Parameters,
    ) -> Result<Self> {
        if let Err(reason) = config.check_paths(spec.adapters.kind) {
            bail!("{reason}");
        }
        let dim = spec.feature_dim();
        let trunk = Trunk::new(spec, p)?;
        let mut heads = Vec::new();
        for (index, task) in config.tasks.iter().enumerate() {
            // The second head of a kind has the path's number in its name.
            let second = index > 0 && config.tasks[0] == *task;
            let name = |name: &str| format!("{name}{}", if second { "1" } else { "" });
            heads.push(match (task, config.contrastive) {
                (Task::Contrastive, ContrastiveLoss::SimClr) => Head::SimClr(Projector::new(
                    p,
                    &name("projector"),
                    dim,
                    config.projector_hidden,
                    config.projector_out,
                )?),
                (Task::Contrastive, ContrastiveLoss::SimSiam) => {
                    let SimSiamConfig { width, bottleneck } = config.sim_siam;
                    let name = name("sim_siam");
                    Head::SimSiam(SiameseHeads::new(p, &name, dim, width, bottleneck)?)
                }
                (Task::Predictive, _) => Head::Predictive(AugmentationHead::new(
                    p,
                    &name("augmentation"),
                    dim,
                    &config.predictor_hidden,
                    operators,
                    config.parameter_weight > 0.0,
                )?),
            });
        }
        let halves = teacher.iter().enumerate();
        let teacher = halves
            .map(|(half, &length)| Linear::new(p, &format!("teacher.{half}"), (dim, length)))
            .collect::<Result<_>>()?;
        Ok(Self {
            config: config.clone(),
            trunk: Arc::new(trunk),
            heads,
            teacher,
        })
    }

    /// The joint loss of a batch of pairs.
    ///
    /// Shared weights get the sum of the tasks' gradients; what is a path's own, and its head, only
    /// its own task's. A path learns the teacher's half of its kind, a single one both.
    pub fn loss(&self, views: &Views, mode: Mode) -> Result<Loss> {
        let features = self.trunk.features(&views.patches, mode)?;
        let mut total: Option<Tensor> = None;
        let mut add = |loss: &Tensor, weight: f64| -> Result<()> {
            let loss = (loss * weight)?;
            total = Some(match total.take() {
                None => loss,
                Some(sum) => (sum + loss)?,
            });
            Ok(())
        };
        let [
            mut contrastive,
            mut spreads,
            mut predictive,
            mut accuracies,
            mut errors,
            mut distances,
        ] = [const { Vec::<f32>::new() }; 6];
        for (index, head) in self.heads.iter().enumerate() {
            let features = &features[index.min(features.len() - 1)];
            match head {
                Head::SimClr(projector) => {
                    let projections = projector.forward(features, mode)?;
                    let loss = nt_xent(&projections, self.config.temperature)?;
                    contrastive.push(loss.to_scalar()?);
                    spreads.push(spread(&projections)?);
                    add(&loss, 1.0)?;
                }
                Head::SimSiam(heads) => {
                    let (projections, predictions) = heads.forward(features, mode)?;
                    let loss = sim_siam(&projections, &predictions)?;
                    contrastive.push(loss.to_scalar()?);
                    spreads.push(spread(&projections)?);
                    add(&loss, 1.0)?;
                }
                Head::Predictive(head) => {
                    let (logits, parameters) = head.forward(features, mode)?;
                    let counted = |values: &Tensor| match &views.predicted {
                        None => Ok(values.clone()),
                        Some(rows) => values.index_select(rows, 0),
                    };
                    if views
                        .predicted
                        .as_ref()
                        .is_some_and(|rows| rows.elem_count() == 0)
                    {
                        predictive.push(0.0);
                        add(&logits.zeros_like()?.sum_all()?, 1.0)?;
                        continue;
                    }
                    let (logits, labels) = (counted(&logits)?, counted(&views.labels)?);
                    let loss = augmentation_prediction(&logits, &labels)?;
                    predictive.push(loss.to_scalar()?);
                    accuracies.push(label_accuracy(&logits, &labels)?);
                    add(&loss, self.config.pred_weight)?;
                    if let Some(predicted) = parameters {
                        let (predicted, wanted) =
                            (counted(&predicted)?, counted(&views.parameters)?);
                        let loss = parameter_regression(&predicted, &wanted, &labels)?;
                        errors.push(loss.to_scalar()?);
                        let weight = self.config.pred_weight * self.config.parameter_weight;
                        add(&loss, weight)?;
                    }
                }
            }
        }
        for (half, (head, targets)) in self.teacher.iter().zip(&views.targets).enumerate() {
            let told = head.forward(&features[half.min(features.len() - 1)])?;
            let loss = distillation(&told, targets)?;
            distances.push(loss.to_scalar()?);
            let weight = self.config.distillation.weight / self.teacher.len() as f64;
            add(&loss, weight)?;
        }
        let Some(total) = total else {
            bail!("an objective without tasks has no loss");
        };
        // Not a number where there is nothing to average.
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        Ok(Loss {
            total,
            contrastive: mean(&contrastive),
            spread: mean(&spreads),
            predictive: mean(&predictive),
            label_accuracy: mean(&accuracies),
            parameter_error: mean(&errors),
            distillation: mean(&distances),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::OPERATORS;
    use crate::net::ops::finite_difference::random;
    use crate::ssl::sim_siam::unit_rows;
    use crate::train::{PRESETS, RunConfig};
    use candle_core::{DType, Device};

    /// Views of patches shorter than any preset's own, which keeps the tests quick.
    fn views() -> Views {
        let labels = random(2, &[4, OPERATORS]).ge(0.0).unwrap();
        let labels = labels.to_dtype(DType::F32).unwrap();
        Views {
            patches: random(1, &[4, 33, 64]),
            parameters: (random(3, &[4, OPERATORS]) * &labels).unwrap(),
            labels,
            predicted: None,
            targets: Vec::new(),
        }
    }

    fn with(preset: &str, settings: &[&str]) -> RunConfig {
        let text = PRESETS.iter().find(|(name, _)| *name == preset).unwrap().1;
        let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
        RunConfig::from_toml(text, &settings).unwrap()
    }

    /// candle's own LayerNorm and softmax give no gradient without a word; nothing here may.
    fn every_parameter_gets_a_gradient(name: &str, config: &RunConfig, teacher: &[usize]) {
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let objective = Objective::new(objective, backbone, OPERATORS, teacher, &mut p).unwrap();
        let mut views = views();
        let targets = teacher.iter().map(|&dim| random(6, &[4, dim]));
        views.targets = targets.collect();
        let loss = objective
            .loss(&views, Mode::Train { momentum: 0.1 })
            .unwrap();
        let gradients = loss.total.backward().unwrap();
        for (parameter, variable) in p.variables() {
            let gradient = gradients.get(variable.as_tensor());
            let gradient =
                gradient.unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
            let length: f32 = gradient
                .sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar()
                .unwrap();
            assert!(
                length.is_finite() && length > 0.0,
                "{name}: gradient of {parameter} is {length}"
            );
        }
    }

    #[test]
    fn every_parameter_of_every_preset_gets_a_gradient() {
        for (name, _) in PRESETS {
            every_parameter_gets_a_gradient(name, &RunConfig::preset(name).unwrap(), &[]);
        }
    }

    #[test]
    fn every_parameter_of_every_variant_gets_a_gradient() {
        const BOTH: &str = "objective.tasks=[\"contrastive\", \"predictive\"]";
        const TWICE: &str = "objective.tasks=[\"contrastive\", \"contrastive\"]";
        let paths = ["split", "batch-norm", "series", "parallel", "separate"];
        for contrastive in ["sim-clr", "sim-siam"] {
            let loss = format!("objective.contrastive={contrastive}");
            let taught = |kind: &str, settings: &[&str], teacher: &[usize]| {
                let kind = format!("backbone.adapters.kind={kind}");
                // Narrow: each variant is a network of its own.
                let narrow = "backbone.stages=[{ width = 5, blocks = 1, stride = 2 }, \
                              { width = 6, blocks = 1, stride = 1 }, { width = 6, blocks = 2, stride = 2 }]";
                let output = "backbone.output={ bands = 2, dim = 8, whitening = 0.5 }";
                let settings = [&[loss.as_str(), kind.as_str(), narrow, output], settings].concat();
                let config = with("edge-s", &settings);
                every_parameter_gets_a_gradient(&settings.join(" "), &config, teacher);
            };
            let check = |kind: &str, settings: &[&str]| taught(kind, settings, &[]);
            for kind in paths {
                for from in [
                    "backbone.adapters.from_stage=0",
                    "backbone.adapters.from_stage=2",
                ] {
                    check(kind, &[BOTH, from]);
                }
                check(kind, &[TWICE]);
                check(kind, &[BOTH, "objective.parameter_weight=0.5"]);
                taught(kind, &[BOTH], &[5, 3]);
            }
            for tasks in [
                BOTH,
                "objective.tasks=[\"contrastive\"]",
                "objective.tasks=[\"predictive\"]",
            ] {
                check("none", &[tasks]);
                taught("none", &[tasks], &[5, 3]);
            }
        }
    }

    #[test]
    fn parts_that_an_objective_lacks_are_not_numbers() {
        let config = with(
            "edge-s",
            &[
                "backbone.adapters.kind=none",
                "objective.tasks=[\"contrastive\"]",
            ],
        );
        let mut p = Parameters::new(1, &Device::Cpu);
        let objective =
            Objective::new(&config.objective, &config.backbone, OPERATORS, &[], &mut p).unwrap();
        let loss = objective.loss(&views(), Mode::Evaluate).unwrap();
        assert!(loss.contrastive.is_finite() && loss.spread > 0.0);
        assert!(loss.predictive.is_nan() && loss.label_accuracy.is_nan());
        assert_eq!(loss.total.to_scalar::<f32>().unwrap(), loss.contrastive);
    }

    #[test]
    fn views_that_do_not_count_leave_the_predictive_loss_alone() {
        let settings = [
            "backbone.adapters.kind=none",
            "objective.tasks=[\"predictive\"]",
            "objective.parameter_weight=0.5",
        ];
        let config = with("edge-s", &settings);
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let objective = Objective::new(objective, backbone, OPERATORS, &[], &mut p).unwrap();
        let all = views();
        let loss = |views: &Views| {
            let loss = objective.loss(views, Mode::Evaluate).unwrap();
            let total: f32 = loss.total.to_scalar().unwrap();
            (total, loss)
        };
        let rows = Tensor::new(&[0u32, 3], &Device::Cpu).unwrap();
        let some = Views {
            predicted: Some(rows.clone()),
            ..all.clone()
        };
        let pick = |values: &Tensor| values.index_select(&rows, 0).unwrap();
        let only = Views {
            patches: pick(&all.patches),
            labels: pick(&all.labels),
            parameters: pick(&all.parameters),
            ..all.clone()
        };
        let (some, only) = (loss(&some).0, loss(&only).0);
        assert!((some - only).abs() < 1e-6 && some != loss(&all).0);
        let none = Views {
            predicted: Some(Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap()),
            ..all
        };
        let (total, none) = loss(&none);
        assert_eq!((total, none.predictive), (0.0, 0.0));
        assert!(none.total.backward().is_ok());
    }

    #[test]
    fn a_path_learns_the_teachers_half_of_its_kind_by_the_weight_given() {
        let loss = |weight: f64, teacher: &[usize]| {
            let mut config = with("edge-s", &["backbone.adapters.kind=parallel"]);
            config.objective.distillation.weight = weight;
            let mut p = Parameters::new(1, &Device::Cpu);
            let (objective, backbone) = (&config.objective, &config.backbone);
            let objective =
                Objective::new(objective, backbone, OPERATORS, teacher, &mut p).unwrap();
            // Paths that differ, so that the halves tell which one was asked.
            for (index, (name, variable)) in p.variables().enumerate() {
                if name.contains("adapter.") {
                    let values = random(index as u64 + 1, variable.dims());
                    variable.set(&values).unwrap();
                }
            }
            let mut views = views();
            let features = objective.trunk.features(&views.patches, Mode::Evaluate);
            let told = |half: usize| {
                let features = &features.as_ref().unwrap()[half];
                unit_rows(&objective.teacher[half].forward(features).unwrap()).unwrap()
            };
            views.targets = (0..teacher.len()).map(told).collect();
            let loss = objective.loss(&views, Mode::Evaluate).unwrap();
            assert!(loss.distillation.abs() < 1e-5, "{}", loss.distillation);
            views.targets = vec![(told(0) * -1.0).unwrap()];
            objective.loss(&views, Mode::Evaluate).unwrap()
        };
        let [once, thrice] = [1.0, 3.0].map(|weight| loss(weight, &[5]));
        assert!((once.distillation - 2.0).abs() < 1e-5);
        let totals = [once, thrice].map(|loss| loss.total.to_scalar::<f32>().unwrap());
        assert!((totals[1] - totals[0] - 4.0).abs() < 1e-4, "{totals:?}");
        loss(1.0, &[5, 3]);
    }

    #[test]
    fn tasks_that_do_not_fit_the_paths_are_refused() {
        let text = PRESETS[0].1;
        for (tasks, named) in [
            ("[]", "0 entries"),
            ("[\"contrastive\"]", "learn nothing"),
            ("[\"predictive\", \"contrastive\"]", "comes first"),
        ] {
            let error = RunConfig::from_toml(text, &[format!("objective.tasks={tasks}")]);
            let message = format!("{:#}", error.unwrap_err());
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn adapters_start_as_the_shared_network_and_stay_apart() {
        let config = with("edge-s", &["backbone.adapters.kind=parallel"]);
        let mut p = Parameters::new(5, &Device::Cpu);
        let trunk = Trunk::new(&config.backbone, &mut p).unwrap();
        let patches = random(3, &[2, 33, 64]);
        let rows = |path: usize| {
            trunk.features(&patches, Mode::Evaluate).unwrap()[path]
                .to_vec2::<f32>()
                .unwrap()
        };
        assert_eq!(rows(0), rows(1));
        let (name, adapter) = p
            .variables()
            .find(|(name, _)| name.contains("adapter.1"))
            .unwrap();
        adapter.set(&random(4, adapter.dims())).unwrap();
        let before = rows(0);
        assert_ne!(rows(1), before, "{name} changes the predictive path");
    }
}
