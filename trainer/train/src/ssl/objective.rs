//! The joint objective: the network with a head for each task, and the loss of one batch.

use super::config::{ContrastiveLoss, ObjectiveConfig, SimSiamConfig, Task};
use super::sim_siam::unit_rows;
use super::teaching::{Lesson, Subject, Taught};
use super::{
    augmentation_prediction, distillation, label_accuracy, nt_xent, parameter_regression, sim_siam,
    spread,
};
use crate::net::ops::Activation;
use crate::net::{
    AugmentationHead, BackboneSpec, Linear, Mode, Operators, Parameters, PartSpec, Processor,
    Projector, SiameseHeads, Trunk, Weights,
};
use candle_core::{Device, Result, Tensor, bail};
use std::sync::Arc;

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

/// The learners of one teacher's lessons.
#[derive(Debug)]
struct Pupil {
    teacher: String,
    weight: f64,
    learners: Vec<Learner>,
}

/// The learner of one lesson.
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

impl Head {
    /// Makes the head of a task from features of length `dim`; `suffix` follows its name.
    fn new(
        task: Task,
        config: &ObjectiveConfig,
        (dim, operators): (usize, usize),
        suffix: &str,
        p: &mut Parameters,
    ) -> Result<Self> {
        Ok(match (task, config.contrastive) {
            (Task::Contrastive, ContrastiveLoss::SimClr) => Self::SimClr(Projector::new(
                p,
                &format!("projector{suffix}"),
                dim,
                config.projector_hidden,
                config.projector_out,
            )?),
            (Task::Contrastive, ContrastiveLoss::SimSiam) => {
                let SimSiamConfig { width, bottleneck } = config.sim_siam;
                let name = format!("sim_siam{suffix}");
                Self::SimSiam(SiameseHeads::new(p, &name, dim, width, bottleneck)?)
            }
            (Task::Predictive, _) => Self::Predictive(AugmentationHead::new(
                p,
                &format!("augmentation{suffix}"),
                dim,
                &config.predictor_hidden,
                operators,
                config.parameter_weight > 0.0,
            )?),
        })
    }
}

impl Pupil {
    /// Makes what learns from a teacher: a layer for each part of a backbone that teaches paths.
    fn new(taught: &Taught, spec: &BackboneSpec, p: &mut Parameters) -> Result<Self> {
        let Taught {
            name,
            weight,
            subject,
        } = taught;
        let dim = spec.feature_dim();
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
            Subject::Part(part) => match spec.parts.iter().position(|known| known.name == *part) {
                Some(index) => vec![Learner::Part(index)],
                None => bail!("the teacher {name} teaches {part}, which is no part"),
            },
        };
        Ok(Self {
            teacher: name.clone(),
            weight: *weight,
            learners,
        })
    }
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
    /// Lessons of the teachers: those of the first, then those of the second, and so on.
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
        let heads = config.tasks.iter().enumerate();
        let heads = heads.map(|(index, task)| {
            // The second head of a kind has the path's number in its name.
            let second = index > 0 && config.tasks[0] == *task;
            let suffix = if second { "1" } else { "" };
            Head::new(*task, config, (dim, operators), suffix, p)
        });
        let heads = heads.collect::<Result<_>>()?;
        let pupils = teachers.iter().map(|taught| Pupil::new(taught, spec, p));
        let pupils = pupils.collect::<Result<_>>()?;
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

    /// Returns everything that the losses are computed from, for a map of patches `[2N, frames, mels, 1]`.
    ///
    /// A path learns the part of its number of a backbone that teaches; the first path learns the parts
    /// beyond, too.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn outputs<O: Operators>(&self, o: &O, patches: &O::Map) -> Result<Outputs<O::Rows>> {
        let averages = self.trunk.averages_by(o, patches)?;
        let features = self.trunk.path_features(o, &averages)?;
        let mut tasks = Vec::new();
        for (index, head) in self.heads.iter().enumerate() {
            let features = &features[index.min(features.len() - 1)];
            tasks.push(match head {
                Head::SimClr(projector) => TaskOutput::SimClr {
                    projections: projector.forward(o, features)?,
                    temperature: self.config.temperature,
                },
                Head::SimSiam(heads) => {
                    let (projections, predictions) = heads.forward(o, features)?;
                    TaskOutput::SimSiam {
                        projections,
                        predictions,
                    }
                }
                Head::Predictive(head) => {
                    let (logits, parameters) = head.forward(o, features)?;
                    TaskOutput::Predictive { logits, parameters }
                }
            });
        }
        let mut lessons = Vec::new();
        for pupil in &self.pupils {
            let learners = pupil.learners.iter().enumerate();
            let told = learners.map(|(number, learner)| match learner {
                Learner::Path(linear) => {
                    linear.forward(o, features.get(number).unwrap_or(&features[0]))
                }
                Learner::Part(index) => self.trunk.part(o, *index, &averages),
            });
            lessons.push(LessonOutput {
                teacher: pupil.teacher.clone(),
                weight: pupil.weight / pupil.learners.len() as f64,
                told: told.collect::<Result<_>>()?,
            });
        }
        Ok(Outputs {
            averages,
            tasks,
            lessons,
        })
    }

    /// Returns the weights of the predictive loss and of the squared error of the operators' parameters in
    /// the sum.
    pub(crate) fn predictive_weights(&self) -> [f64; 2] {
        let weight = self.config.pred_weight;
        [weight, weight * self.config.parameter_weight]
    }

    /// Whether parts keep telling what they told when the run began.
    pub(crate) fn keeps(&self) -> bool {
        self.keeper.is_some()
    }

    /// Returns the joint loss of a batch of pairs, computed on the processor.
    ///
    /// Shared weights get the sum of the tasks' gradients; what is a path's own, and its head, only
    /// its own task's.
    ///
    /// # Errors
    /// If there are fewer lessons than the teachers give, or shapes do not fit.
    pub fn loss(&self, views: &Views, mode: Mode) -> Result<Loss> {
        let processor = Processor { mode };
        let patches = Activation::new(&views.patches.unsqueeze(3)?)?;
        let outputs = self.outputs(&processor, &patches)?;
        let mut sums = Sums::default();
        for task in &outputs.tasks {
            self.add_task(task, views, &mut sums)?;
        }
        let mut teachers = Vec::new();
        let mut lessons = views.lessons.iter();
        for output in &outputs.lessons {
            let distance = learn(output, &mut lessons, &mut sums)?;
            teachers.push((output.teacher.clone(), distance));
        }
        if let Some(keeper) = &self.keeper {
            self.add_kept(keeper, &views.patches, &outputs.averages, &mut sums)?;
        }
        sums.into_loss(teachers)
    }

    /// Adds the loss of one task.
    fn add_task(&self, task: &TaskOutput<Tensor>, views: &Views, sums: &mut Sums) -> Result<()> {
        let (projections, loss) = match task {
            TaskOutput::SimClr {
                projections,
                temperature,
            } => (projections, nt_xent(projections, *temperature)?),
            TaskOutput::SimSiam {
                projections,
                predictions,
            } => (projections, sim_siam(projections, predictions)?),
            TaskOutput::Predictive { logits, parameters } => {
                return self.add_predictive(logits, parameters.as_ref(), views, sums);
            }
        };
        sums.contrastive.push(loss.to_scalar()?);
        sums.spreads.push(spread(projections)?);
        sums.add(&loss, 1.0)
    }

    /// Adds the loss of the augmentation prediction, over the views that count in it.
    fn add_predictive(
        &self,
        logits: &Tensor,
        parameters: Option<&Tensor>,
        views: &Views,
        sums: &mut Sums,
    ) -> Result<()> {
        if let Some(rows) = &views.predicted
            && rows.elem_count() == 0
        {
            sums.predictive.push(0.0);
            return sums.add(&logits.zeros_like()?.sum_all()?, 1.0);
        }
        let counted = |values: &Tensor| match &views.predicted {
            None => Ok(values.clone()),
            Some(rows) => values.index_select(rows, 0),
        };
        let [weight, weight_of_parameters] = self.predictive_weights();
        let (logits, labels) = (counted(logits)?, counted(&views.labels)?);
        let loss = augmentation_prediction(&logits, &labels)?;
        sums.predictive.push(loss.to_scalar()?);
        sums.accuracies.push(label_accuracy(&logits, &labels)?);
        sums.add(&loss, weight)?;
        if let Some(predicted) = parameters {
            let (predicted, wanted) = (counted(predicted)?, counted(&views.parameters)?);
            let loss = parameter_regression(&predicted, &wanted, &labels)?;
            sums.errors.push(loss.to_scalar()?);
            sums.add(&loss, weight_of_parameters)?;
        }
        Ok(())
    }

    /// Adds the losses of the parts that keep telling what they told when the run began.
    fn add_kept(
        &self,
        Keeper { trunk, parts }: &Keeper,
        patches: &Tensor,
        averages: &[Tensor],
        sums: &mut Sums,
    ) -> Result<()> {
        let processor = Processor {
            mode: Mode::Evaluate,
        };
        let at_start = trunk.averages(patches, processor.mode)?;
        for &part in parts {
            let targets = unit_rows(&trunk.part(&processor, part, &at_start)?)?.detach();
            let told = self.trunk.part(&processor, part, averages)?;
            let loss = distillation(&told, &targets, None)?;
            sums.kept.push(loss.to_scalar()?);
            sums.add(&loss, self.config.keep_weight / parts.len() as f64)?;
        }
        Ok(())
    }
}

/// Adds the losses of one teacher's lessons, which are taken from `lessons`; returns their mean.
fn learn<'l>(
    output: &LessonOutput<Tensor>,
    lessons: &mut impl Iterator<Item = &'l Lesson>,
    sums: &mut Sums,
) -> Result<f32> {
    let mut distances = Vec::new();
    for told in &output.told {
        let Some(lesson) = lessons.next() else {
            bail!("the teacher {} gives too few lessons", output.teacher);
        };
        let loss = distillation(told, &lesson.targets, lesson.counted.as_ref())?;
        distances.push(loss.to_scalar()?);
        sums.add(&loss, output.weight)?;
    }
    Ok(mean(&distances))
}

/// Rows that the losses of one batch are computed from.
#[derive(Debug)]
pub struct Outputs<R> {
    /// Averages of each path's last map, [`Trunk::averages`].
    pub averages: Vec<R>,
    /// Output of each task's head.
    pub tasks: Vec<TaskOutput<R>>,
    /// Rows that the learners of each teacher tell.
    pub lessons: Vec<LessonOutput<R>>,
}

/// Output of a task's head.
#[derive(Debug)]
pub enum TaskOutput<R> {
    /// For [`nt_xent`].
    SimClr {
        /// `[2N, values]`
        projections: R,
        /// Temperature of the loss.
        temperature: f64,
    },
    /// For [`sim_siam`].
    SimSiam {
        /// `[2N, values]`
        projections: R,
        /// `[2N, values]`
        predictions: R,
    },
    /// For [`augmentation_prediction`] and [`parameter_regression`].
    Predictive {
        /// `[2N, operators]`
        logits: R,
        /// `[2N, operators]`, if they are regressed.
        parameters: Option<R>,
    },
}

/// Rows that the learners of one teacher tell.
#[derive(Debug)]
pub struct LessonOutput<R> {
    /// Name of the teacher.
    pub teacher: String,
    /// Weight of each lesson's [`distillation`] in the sum.
    pub weight: f64,
    /// `[2N, values]` for each lesson.
    pub told: Vec<R>,
}

/// The weighted sum of a batch's losses so far, and their values for the log.
#[derive(Debug, Default)]
struct Sums {
    total: Option<Tensor>,
    contrastive: Vec<f32>,
    spreads: Vec<f32>,
    predictive: Vec<f32>,
    accuracies: Vec<f32>,
    errors: Vec<f32>,
    kept: Vec<f32>,
}

impl Sums {
    /// Adds a loss to the sum.
    fn add(&mut self, loss: &Tensor, weight: f64) -> Result<()> {
        let loss = (loss * weight)?;
        self.total = Some(match self.total.take() {
            None => loss,
            Some(sum) => (sum + loss)?,
        });
        Ok(())
    }

    fn into_loss(self, teachers: Vec<(String, f32)>) -> Result<Loss> {
        let Some(total) = self.total else {
            bail!("an objective without tasks has no loss");
        };
        Ok(Loss {
            total,
            contrastive: mean(&self.contrastive),
            spread: mean(&self.spreads),
            predictive: mean(&self.predictive),
            label_accuracy: mean(&self.accuracies),
            parameter_error: mean(&self.errors),
            teachers,
            kept: mean(&self.kept),
        })
    }
}

/// The mean; not a number where there is nothing to average.
fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

#[cfg(test)]
mod tests;
