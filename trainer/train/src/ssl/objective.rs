//! The joint objective: the network with a head for each task, and the loss of one batch.

use super::sim_siam::unit_rows;
use super::teaching::{Lesson, Subject, Taught, TeacherConfig};
use super::{
    augmentation_prediction, distillation, label_accuracy, nt_xent, parameter_regression, sim_siam,
    spread,
};
use crate::net::{
    AdapterKind, AugmentationHead, BackboneSpec, Linear, Mode, Parameters, PartSpec, Projector,
    SiameseHeads, Trunk, Weights,
};
use candle_core::{Device, Result, Tensor, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    pupils: Vec<Pupil>,
    keeper: Option<Keeper>,
}

/// What learns from one teacher.
#[derive(Debug)]
struct Pupil {
    teacher: String,
    weight: f64,
    learners: Vec<Learner>,
}

/// What learns one lesson.
#[derive(Debug)]
enum Learner {
    /// A path, through the linear layer `teacher.NAME.PART`, which is not exported.
    Path(Linear),
    /// The part of this number.
    Part(usize),
}

/// The network as it was when the run began, which says what parts without a teacher are to keep.
#[derive(Debug)]
struct Keeper {
    trunk: Trunk,
    parts: Vec<usize>,
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
    /// `contrastive + pred_weight * predictive`, summed over tasks, and the teachers' weighted losses:
    /// what is differentiated.
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
    /// The loss of each teacher by name, mean over its lessons.
    pub teachers: Vec<(String, f32)>,
    /// The loss of the parts that keep what they told when the run began, mean over them.
    pub kept: f32,
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
    /// What the teachers ask: the lessons of the first, then those of the second, and so on.
    pub lessons: Vec<Lesson>,
}

impl Objective {
    /// Fresh weights, registered in `p`, to learn from `teachers` besides.
    ///
    /// # Errors
    /// If the tasks do not fit the trunk's paths, or a teacher's part is none of the backbone's.
    pub fn new(
        config: &ObjectiveConfig,
        spec: &BackboneSpec,
        operators: usize,
        teachers: &[Taught],
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
        let mut pupils = Vec::new();
        for Taught {
            name,
            weight,
            subject,
        } in teachers
        {
            let learners = match subject {
                Subject::Paths(lengths) => {
                    let parts = lengths.iter().enumerate();
                    let mut linear = |part: usize, length: usize| {
                        Linear::new(p, &format!("teacher.{name}.{part}"), (dim, length))
                    };
                    parts
                        .map(|(part, &length)| Ok(Learner::Path(linear(part, length)?)))
                        .collect::<Result<_>>()?
                }
                Subject::Part(part) => {
                    match spec.parts.iter().position(|known| known.name == *part) {
                        Some(index) => vec![Learner::Part(index)],
                        None => bail!("the teacher {name} teaches {part}, which is no part"),
                    }
                }
            };
            pupils.push(Pupil {
                teacher: name.clone(),
                weight: *weight,
                learners,
            });
        }
        Ok(Self {
            config: config.clone(),
            trunk: Arc::new(trunk),
            heads,
            pupils,
            keeper: None,
        })
    }

    /// Makes the parts that no teacher teaches keep telling what they tell with the trunk's weights
    /// `start`, on `device`.
    ///
    /// # Errors
    /// If the weights do not fit the trunk.
    pub fn keep(&mut self, start: &Weights, device: &Device) -> Result<()> {
        let spec = self.trunk.spec();
        let learners = || self.pupils.iter().flat_map(|pupil| &pupil.learners);
        let taught = |part: usize| {
            learners().any(|learner| matches!(learner, Learner::Part(index) if *index == part))
        };
        let parts: Vec<usize> = (0..spec.parts.len())
            .filter(|&part| !taught(part))
            .collect();
        if parts.is_empty() || self.config.keep_weight == 0.0 {
            return Ok(());
        }
        let mut frozen = Parameters::new(0, device);
        let trunk = Trunk::new(spec, &mut frozen)?;
        let missing = frozen.load_known(start)?;
        // A part that is taught may be new.
        let needed = |name: &&String| {
            let new = |part: &PartSpec| name.starts_with(&format!("part.{}.", part.name));
            !(0..spec.parts.len()).any(|part| taught(part) && new(&spec.parts[part]))
        };
        if let Some(name) = missing.iter().find(needed) {
            bail!("the weights that the run starts from lack {name}, or have another shape of it");
        }
        self.keeper = Some(Keeper { trunk, parts });
        Ok(())
    }

    /// The joint loss of a batch of pairs.
    ///
    /// Shared weights get the sum of the tasks' gradients; what is a path's own, and its head, only
    /// its own task's. A path learns the part of its number of a backbone that teaches; the first path learns
    /// the parts beyond, too.
    pub fn loss(&self, views: &Views, mode: Mode) -> Result<Loss> {
        let averages = self.trunk.averages(&views.patches, mode)?;
        let features = self.trunk.path_features(&averages)?;
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
            mut kept,
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
        let mut teachers = Vec::new();
        let mut lessons = views.lessons.iter();
        for pupil in &self.pupils {
            let mut distances = Vec::new();
            for (number, learner) in pupil.learners.iter().enumerate() {
                let Some(lesson) = lessons.next() else {
                    bail!("the teacher {} gives too few lessons", pupil.teacher);
                };
                let told = match learner {
                    Learner::Path(linear) => {
                        linear.forward(features.get(number).unwrap_or(&features[0]))?
                    }
                    Learner::Part(index) => self.trunk.part(*index, &averages)?,
                };
                let loss = distillation(&told, &lesson.targets, lesson.counted.as_ref())?;
                distances.push(loss.to_scalar()?);
                add(&loss, pupil.weight / pupil.learners.len() as f64)?;
            }
            teachers.push((pupil.teacher.clone(), mean(&distances)));
        }
        if let Some(Keeper { trunk, parts }) = &self.keeper {
            let before = trunk.averages(&views.patches, Mode::Evaluate)?;
            for &part in parts {
                let targets = unit_rows(&trunk.part(part, &before)?)?.detach();
                let told = self.trunk.part(part, &averages)?;
                let loss = distillation(&told, &targets, None)?;
                kept.push(loss.to_scalar()?);
                add(&loss, self.config.keep_weight / parts.len() as f64)?;
            }
        }
        let Some(total) = total else {
            bail!("an objective without tasks has no loss");
        };
        Ok(Loss {
            total,
            contrastive: mean(&contrastive),
            spread: mean(&spreads),
            predictive: mean(&predictive),
            label_accuracy: mean(&accuracies),
            parameter_error: mean(&errors),
            teachers,
            kept: mean(&kept),
        })
    }
}

/// The mean; not a number where there is nothing to average.
fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::OPERATORS;
    use crate::net::ops::finite_difference::random;
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
            lessons: Vec::new(),
        }
    }

    fn lesson(targets: Tensor) -> Lesson {
        Lesson {
            targets,
            counted: None,
        }
    }

    fn taught(name: &str, weight: f64, subject: Subject) -> Taught {
        Taught {
            name: name.into(),
            weight,
            subject,
        }
    }

    fn with(preset: &str, settings: &[&str]) -> RunConfig {
        let text = PRESETS.iter().find(|(name, _)| *name == preset).unwrap().1;
        let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
        RunConfig::from_toml(text, &settings).unwrap()
    }

    /// candle's own LayerNorm and softmax give no gradient without a word; nothing here may.
    fn every_parameter_gets_a_gradient(name: &str, config: &RunConfig, teachers: &[Taught]) {
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let objective = Objective::new(objective, backbone, OPERATORS, teachers, &mut p).unwrap();
        let mut views = views();
        for taught in teachers {
            let dims = match &taught.subject {
                Subject::Paths(lengths) => lengths.clone(),
                Subject::Part(part) => {
                    let mut parts = backbone.parts.iter();
                    vec![parts.find(|known| known.name == *part).unwrap().dim]
                }
            };
            let lessons = dims.iter().map(|&dim| lesson(random(6, &[4, dim])));
            views.lessons.extend(lessons);
        }
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
            let with_teachers = |kind: &str, settings: &[&str], teachers: &[Taught]| {
                let kind = format!("backbone.adapters.kind={kind}");
                // Narrow: each variant is a network of its own.
                let narrow = "backbone.stages=[{ width = 5, blocks = 1, stride = 2 }, \
                              { width = 6, blocks = 1, stride = 1 }, { width = 6, blocks = 2, stride = 2 }]";
                let output = "backbone.output={ bands = 2, dim = 8, whitening = 0.5 }";
                let settings = [&[loss.as_str(), kind.as_str(), narrow, output], settings].concat();
                let config = with("edge-s", &settings);
                every_parameter_gets_a_gradient(&settings.join(" "), &config, teachers);
            };
            let check = |kind: &str, settings: &[&str]| with_teachers(kind, settings, &[]);
            let parts =
                "backbone.parts=[{ name = \"a\", dim = 5 }, { name = \"b\", dim = 4, path = 1 }]";
            let one_part = "backbone.parts=[{ name = \"a\", dim = 5 }]";
            let backbone = || taught("big", 1.0, Subject::Paths(vec![5, 3]));
            let part = |name: &str| taught(name, 2.0, Subject::Part(name.into()));
            for kind in paths {
                for from in [
                    "backbone.adapters.from_stage=0",
                    "backbone.adapters.from_stage=2",
                ] {
                    check(kind, &[BOTH, from]);
                }
                check(kind, &[TWICE]);
                check(kind, &[BOTH, "objective.parameter_weight=0.5"]);
                with_teachers(kind, &[BOTH], &[backbone()]);
                with_teachers(kind, &[BOTH, parts], &[backbone(), part("a"), part("b")]);
            }
            for tasks in [
                BOTH,
                "objective.tasks=[\"contrastive\"]",
                "objective.tasks=[\"predictive\"]",
            ] {
                check("none", &[tasks]);
                with_teachers("none", &[tasks], &[backbone()]);
                with_teachers("none", &[tasks, one_part], &[part("a")]);
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

    /// Makes paths differ, so that lessons tell which one was asked.
    fn tell_paths_apart(p: &Parameters) {
        for (index, (name, variable)) in p.variables().enumerate() {
            if name.contains("adapter.") {
                let values = random(index as u64 + 1, variable.dims());
                variable.set(&values).unwrap();
            }
        }
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
    fn a_path_learns_the_part_of_its_number_by_the_weight_given() {
        let loss = |weight: f64, parts: &[usize]| {
            let config = with("edge-s", &["backbone.adapters.kind=parallel"]);
            let mut p = Parameters::new(1, &Device::Cpu);
            let (objective, backbone) = (&config.objective, &config.backbone);
            let teachers = [taught("big", weight, Subject::Paths(parts.to_vec()))];
            let objective =
                Objective::new(objective, backbone, OPERATORS, &teachers, &mut p).unwrap();
            tell_paths_apart(&p);
            let mut views = views();
            let features = objective.trunk.features(&views.patches, Mode::Evaluate);
            let told = |part: usize| {
                // A third part is learnt by the first path.
                let features = &features.as_ref().unwrap()[part % 2];
                let Learner::Path(linear) = &objective.pupils[0].learners[part] else {
                    panic!("a part of a backbone is learnt by a path");
                };
                unit_rows(&linear.forward(features).unwrap()).unwrap()
            };
            views.lessons = (0..parts.len()).map(|part| lesson(told(part))).collect();
            let loss = objective.loss(&views, Mode::Evaluate).unwrap();
            assert_eq!(loss.teachers[0].0, "big");
            assert!(loss.teachers[0].1.abs() < 1e-5, "{:?}", loss.teachers);
            views.lessons[0] = lesson((told(0) * -1.0).unwrap());
            objective.loss(&views, Mode::Evaluate).unwrap()
        };
        let [once, thrice] = [1.0, 3.0].map(|weight| loss(weight, &[5]));
        assert!((once.teachers[0].1 - 2.0).abs() < 1e-5);
        let totals = [once, thrice].map(|loss| loss.total.to_scalar::<f32>().unwrap());
        assert!((totals[1] - totals[0] - 4.0).abs() < 1e-4, "{totals:?}");
        for parts in [&[5, 3][..], &[5, 3, 4]] {
            let distance = loss(1.0, parts).teachers[0].1;
            assert!((distance - 2.0 / parts.len() as f32).abs() < 1e-5);
        }
    }

    const TWO_PARTS: &str =
        "backbone.parts=[{ name = \"a\", dim = 5 }, { name = \"b\", dim = 4, path = 1 }]";

    #[test]
    fn a_part_learns_from_its_teacher_what_views_with_a_target_have() {
        let config = with("edge-s", &["backbone.adapters.kind=parallel", TWO_PARTS]);
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let part = |name: &str, weight| taught(name, weight, Subject::Part(name.into()));
        let teachers = [part("b", 2.0), part("a", 3.0)];
        let objective = Objective::new(objective, backbone, OPERATORS, &teachers, &mut p).unwrap();
        tell_paths_apart(&p);
        let mut views = views();
        let averages = objective.trunk.averages(&views.patches, Mode::Evaluate);
        let told = |index: usize| {
            let part = objective.trunk.part(index, averages.as_ref().unwrap());
            unit_rows(&part.unwrap()).unwrap()
        };
        // The lessons come in the teachers' order: first part 1, which reads path 1.
        let opposite = (told(0) * -1.0).unwrap();
        views.lessons = vec![lesson(told(1)), lesson(opposite)];
        let loss = objective.loss(&views, Mode::Evaluate).unwrap();
        let names: Vec<&str> = loss.teachers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["b", "a"]);
        assert!(loss.teachers[0].1.abs() < 1e-5);
        assert!((loss.teachers[1].1 - 2.0).abs() < 1e-5);
        let total = loss.total.to_scalar::<f32>().unwrap();
        // Without a view that has a target, what the part is to tell does not matter.
        views.lessons[1].counted = Some(Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap());
        let loss = objective.loss(&views, Mode::Evaluate).unwrap();
        assert_eq!(loss.teachers[1].1, 0.0);
        let without = loss.total.to_scalar::<f32>().unwrap();
        assert!((total - without - 6.0).abs() < 1e-4, "{total} {without}");
        assert!(
            Objective::new(
                &config.objective,
                backbone,
                OPERATORS,
                &[part("c", 1.0)],
                &mut Parameters::new(1, &Device::Cpu)
            )
            .is_err()
        );
    }

    #[test]
    fn a_part_without_a_teacher_keeps_what_it_told() {
        let config = with("edge-s", &[TWO_PARTS]);
        let mut p = Parameters::new(1, &Device::Cpu);
        let (objective, backbone) = (&config.objective, &config.backbone);
        let teachers = [taught("a", 1.0, Subject::Part("a".into()))];
        let mut objective =
            Objective::new(objective, backbone, OPERATORS, &teachers, &mut p).unwrap();
        let mut start = p.to_weights().unwrap();
        // The part that is taught may be new.
        start.retain(|name, _| !name.starts_with("part.a."));
        objective.keep(&start, &Device::Cpu).unwrap();
        let mut views = views();
        views.lessons = vec![lesson(random(6, &[4, 5]))];
        let loss = || objective.loss(&views, Mode::Evaluate).unwrap();
        assert!(loss().kept.abs() < 1e-5);
        let (_, weight) = p
            .variables()
            .find(|(name, _)| *name == "part.b.weight")
            .unwrap();
        weight.set(&(weight.as_tensor() * -1.0).unwrap()).unwrap();
        let turned = loss();
        assert!((turned.kept - 2.0).abs() < 1e-5);
        let gradients = turned.total.backward().unwrap();
        assert!(gradients.get(weight.as_tensor()).is_some());

        start.retain(|name, _| !name.starts_with("part.b."));
        let error = objective
            .keep(&start, &Device::Cpu)
            .unwrap_err()
            .to_string();
        assert!(error.contains("lack part.b."), "{error}");
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
