//! The losses of a step: what they tell the log, and the gradients that the backward pass begins with.

use super::backend::{Address, Backend, Element, Product};
use super::tape::{Rows, Tape, Work, blocks, multiply, plain, turned};
use crate::augment::OPERATORS;
use crate::ssl::{Outputs, TaskOutput};
use candle_core::Result;

/// Values of the log: the total, then one for each of these; teachers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Total,
    Contrastive,
    Spread,
    Predictive,
    LabelAccuracy,
    ParameterError,
    /// The teacher of this number.
    Teacher(usize),
}

impl Entry {
    /// Entries before those of the teachers.
    pub(crate) const PLAIN: usize = 6;

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Total => 0,
            Self::Contrastive => 1,
            Self::Spread => 2,
            Self::Predictive => 3,
            Self::LabelAccuracy => 4,
            Self::ParameterError => 5,
            Self::Teacher(number) => Self::PLAIN + number,
        }
    }
}

/// Where the values that a batch brings lie.
#[derive(Clone, Debug)]
pub(crate) struct BatchAddresses {
    pub(crate) labels: Address,
    pub(crate) parameters: Address,
    pub(crate) snr: Address,
    /// Targets, and 1 or 0 for each view: whether it has one.
    pub(crate) lessons: Vec<(Address, Address)>,
}

/// Writes losses behind a network.
pub(crate) struct Losses<'t, 'b> {
    pub(crate) tape: &'t Tape<'b>,
    pub(crate) log: Address,
    pub(crate) batch: BatchAddresses,
    /// Least SNR of views that count in the predictive loss, dB.
    pub(crate) least_snr: f32,
}

impl BatchAddresses {
    /// Sets memory aside for batches of `views` views and lessons of so many values.
    pub(crate) fn new(
        device: &dyn Backend,
        views: usize,
        lessons: &[usize],
    ) -> anyhow::Result<Self> {
        let floats = |count: usize| device.allocate(count * Element::F32.bytes());
        let mut batch = Self {
            labels: floats(views * OPERATORS)?,
            parameters: floats(views * OPERATORS)?,
            snr: floats(views)?,
            lessons: Vec::new(),
        };
        for dim in lessons {
            let targets = floats(views * dim)?;
            batch.lessons.push((targets, floats(views)?));
        }
        Ok(batch)
    }
}

impl Losses<'_, '_> {
    /// Adds the losses of all tasks and lessons; `weights` are those of the predictive loss and of the error of
    /// parameters.
    pub(crate) fn all(&self, outputs: &Outputs<Rows>, weights: [f64; 2]) -> Result<()> {
        let [contrastive, predictive, _] = Self::kinds(outputs);
        for task in &outputs.tasks {
            match task {
                TaskOutput::SimClr {
                    projections,
                    temperature,
                } => self.nt_xent(projections, *temperature, contrastive)?,
                TaskOutput::SimSiam {
                    projections,
                    predictions,
                } => self.sim_siam(projections, predictions, contrastive)?,
                TaskOutput::Predictive { logits, parameters } => {
                    self.predictive(logits, parameters.as_ref(), weights, predictive)?;
                }
            }
        }
        let mut number = 0;
        for (teacher, lesson) in outputs.lessons.iter().enumerate() {
            for told in &lesson.told {
                let of = (teacher, lesson.told.len());
                self.lesson(told, number, of, lesson.weight)?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Returns the entries of the log that no task fills.
    pub(crate) fn unknown(outputs: &Outputs<Rows>) -> Vec<Entry> {
        let entries: [&[Entry]; 3] = [
            &[Entry::Contrastive, Entry::Spread],
            &[Entry::Predictive, Entry::LabelAccuracy],
            &[Entry::ParameterError],
        ];
        let counted = Self::kinds(outputs).into_iter().zip(entries);
        let lacking = counted.filter(|(count, _)| *count == 0);
        lacking.flat_map(|(_, entries)| entries).copied().collect()
    }

    /// Numbers of contrastive tasks, of predictive ones, and of those that regress parameters.
    fn kinds(outputs: &Outputs<Rows>) -> [usize; 3] {
        let mut kinds = [0; 3];
        for task in &outputs.tasks {
            match task {
                TaskOutput::SimClr { .. } | TaskOutput::SimSiam { .. } => kinds[0] += 1,
                TaskOutput::Predictive { parameters, .. } => {
                    kinds[1] += 1;
                    kinds[2] += usize::from(parameters.is_some());
                }
            }
        }
        kinds
    }

    /// Adds `scale` times the sum of `count` values to an entry of the log, and `weight` times that to the total.
    fn log(&self, values: Address, count: usize, scale: f64, weight: f64, entry: Entry) -> Work {
        let slot = |entry: Entry| self.log.plus(entry.index() * Element::F32.bytes());
        Work::launch(
            "add_to_log",
            Element::F32,
            1,
            [
                values.into(),
                count.into(),
                (scale as f32).into(),
                (weight as f32).into(),
                slot(entry).into(),
                slot(Entry::Total).into(),
            ],
        )
    }

    /// Directions of rows and one over their lengths, and how far they are spread, for the log.
    fn directions(&self, x: &Rows, tasks: usize) -> Result<(Address, Address, Vec<Work>)> {
        let unit = self.tape.floats(x.rows * x.columns)?;
        let inverse = self.tape.floats(x.rows)?;
        let deviations = self.tape.floats(x.columns)?;
        let columns = x.columns.into();
        // The deviations' mean, times the square root of their number.
        let scale = 1.0 / (x.columns as f64).sqrt() / tasks as f64;
        let work = vec![
            Work::launch(
                "unit_rows",
                Element::F32,
                x.rows,
                [x.value.at.into(), unit.into(), inverse.into(), columns],
            ),
            Work::launch(
                "column_deviations",
                Element::F32,
                x.columns.div_ceil(32),
                [unit.into(), x.rows.into(), columns, deviations.into()],
            ),
            self.log(deviations, x.columns, scale, 0.0, Entry::Spread),
        ];
        Ok((unit, inverse, work))
    }

    fn nt_xent(&self, z: &Rows, temperature: f64, tasks: usize) -> Result<()> {
        let (rows, columns) = (z.rows, z.columns);
        let (unit, inverse, mut work) = self.directions(z, tasks)?;
        let similarity = self.tape.floats(rows * rows)?;
        let of_unit = self.tape.floats(rows * columns)?;
        let losses = self.tape.floats(rows)?;
        work.push(multiply(
            "similarity",
            Product {
                sizes: [rows, rows, columns],
                a: plain(unit),
                b: turned(unit),
                c: similarity,
                add: false,
            },
        ));
        work.push(Work::launch(
            "nt_xent_rows",
            Element::F32,
            rows,
            [
                similarity.into(),
                rows.into(),
                (temperature as f32).into(),
                1f32.into(),
                losses.into(),
            ],
        ));
        let share = 1.0 / tasks as f64;
        // The total takes the loss whole, the log its mean over tasks.
        work.push(self.log(losses, rows, share, tasks as f64, Entry::Contrastive));
        for transposed in [false, true] {
            let mut a = plain(similarity);
            a.transposed = transposed;
            work.push(multiply(
                "similarity, gradient",
                Product {
                    sizes: [rows, columns, rows],
                    a,
                    b: plain(unit),
                    c: of_unit,
                    add: transposed,
                },
            ));
        }
        let value = z.value;
        self.tape.push(Vec::new(), move |slopes, backend| {
            if let Some((to, add)) = slopes.give(&value, backend)? {
                work.push(Work::launch(
                    "unit_rows_gradient",
                    Element::F32,
                    rows,
                    [
                        unit.into(),
                        inverse.into(),
                        of_unit.into(),
                        to.into(),
                        columns.into(),
                        add.into(),
                    ],
                ));
            }
            Ok(work)
        });
        Ok(())
    }

    fn sim_siam(&self, z: &Rows, p: &Rows, tasks: usize) -> Result<()> {
        let (_, _, mut work) = self.directions(z, tasks)?;
        let losses = self.tape.floats(p.rows)?;
        let share = 1.0 / tasks as f64;
        let log = self.log(losses, p.rows, share, tasks as f64, Entry::Contrastive);
        let cosines = Cosines {
            counted: None,
            shift: p.rows / 2,
            base: 0.0,
            weight: 1.0,
        };
        let rest = cosines.write(p, z.value.at, losses);
        self.tape.push(Vec::new(), move |slopes, backend| {
            if let Some((to, add)) = slopes.give(&rest.value, backend)? {
                work.push(rest.launch(to, add));
            }
            work.push(log);
            Ok(work)
        });
        Ok(())
    }

    fn predictive(
        &self,
        logits: &Rows,
        predicted: Option<&Rows>,
        weights: [f64; 2],
        tasks: usize,
    ) -> Result<()> {
        let (rows, operators) = (logits.rows, logits.columns);
        let totals = self.tape.floats(2)?;
        let told = [
            self.tape.floats(rows)?,
            self.tape.floats(rows)?,
            self.tape.floats(rows)?,
        ];
        let [weight, weight_of_parameters] = weights;
        // The log has means over tasks, the total all of them.
        let (share, all) = (1.0 / tasks as f64, tasks as f64);
        let mut work = vec![Work::launch(
            "predictive_totals",
            Element::F32,
            1,
            [
                self.batch.labels.into(),
                self.batch.snr.into(),
                self.least_snr.into(),
                rows.into(),
                operators.into(),
                totals.into(),
            ],
        )];
        let mut logs = vec![
            self.log(told[0], rows, share, weight * all, Entry::Predictive),
            self.log(told[1], rows, share, 0.0, Entry::LabelAccuracy),
        ];
        if predicted.is_some() {
            let entry = Entry::ParameterError;
            logs.push(self.log(told[2], rows, share, weight_of_parameters * all, entry));
        }
        let (logits, predicted) = (logits.value, predicted.map(|rows| rows.value));
        let (batch, least_snr) = (self.batch.clone(), self.least_snr);
        self.tape.push(Vec::new(), move |slopes, backend| {
            let to_logits = slopes.give(&logits, backend)?;
            let to_predicted = match &predicted {
                Some(predicted) => slopes.give(predicted, backend)?,
                None => None,
            };
            let (of_logits, add_logits) = to_logits.unwrap_or((Address::NONE, false));
            let (of_predicted, add_predicted) = to_predicted.unwrap_or((Address::NONE, false));
            work.push(Work::launch(
                "predictive_rows",
                Element::F32,
                blocks(rows),
                [
                    logits.at.into(),
                    predicted.map_or(Address::NONE, |value| value.at).into(),
                    batch.labels.into(),
                    batch.parameters.into(),
                    batch.snr.into(),
                    least_snr.into(),
                    totals.into(),
                    rows.into(),
                    operators.into(),
                    (weight as f32).into(),
                    (weight_of_parameters as f32).into(),
                    of_logits.into(),
                    add_logits.into(),
                    of_predicted.into(),
                    add_predicted.into(),
                    told[0].into(),
                    told[1].into(),
                    told[2].into(),
                ],
            ));
            work.extend(logs);
            Ok(work)
        });
        Ok(())
    }

    /// Adds the distillation of one of `lessons` lessons of a teacher.
    fn lesson(
        &self,
        told: &Rows,
        number: usize,
        (teacher, lessons): (usize, usize),
        weight: f64,
    ) -> Result<()> {
        let (targets, counted) = self.batch.lessons[number];
        let losses = self.tape.floats(told.rows)?;
        let share = 1.0 / lessons as f64;
        let log = self.log(
            losses,
            told.rows,
            share,
            weight * lessons as f64,
            Entry::Teacher(teacher),
        );
        let cosines = Cosines {
            counted: Some(counted),
            shift: 0,
            base: 1.0,
            weight,
        };
        let cosines = cosines.write(told, targets, losses);
        self.tape.push(Vec::new(), move |slopes, backend| {
            let mut work = Vec::new();
            if let Some((to, add)) = slopes.give(&cosines.value, backend)? {
                work.push(cosines.launch(to, add));
            }
            work.push(log);
            Ok(work)
        });
        Ok(())
    }
}

/// A loss of cosines to targets, `cosine_rows` in `kernels.cu`.
struct Cosines {
    counted: Option<Address>,
    /// Rows between a prediction and its target.
    shift: usize,
    base: f32,
    weight: f64,
}

/// The same, written for some rows.
struct WrittenCosines {
    cosines: Cosines,
    value: super::tape::Value,
    sizes: [usize; 2],
    targets: Address,
    losses: Address,
}

impl Cosines {
    fn write(self, p: &Rows, targets: Address, losses: Address) -> WrittenCosines {
        WrittenCosines {
            cosines: self,
            value: p.value,
            sizes: [p.rows, p.columns],
            targets,
            losses,
        }
    }
}

impl WrittenCosines {
    fn launch(&self, to: Address, add: bool) -> Work {
        let [rows, columns] = self.sizes;
        let Cosines {
            counted,
            shift,
            base,
            weight,
        } = self.cosines;
        Work::launch(
            "cosine_rows",
            Element::F32,
            rows,
            [
                self.value.at.into(),
                self.targets.into(),
                counted.unwrap_or(Address::NONE).into(),
                rows.into(),
                columns.into(),
                shift.into(),
                (1.0 / rows as f32).into(),
                base.into(),
                (weight as f32).into(),
                to.into(),
                add.into(),
                self.losses.into(),
            ],
        )
    }
}
