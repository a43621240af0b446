//! Means over the newest steps, for the rows of the log.

use super::checkpoint::Progress;
use super::device_step::StepLog;
use super::metrics::MetricsRow;
use crate::ssl::Loss;
use std::collections::{BTreeMap, VecDeque};

/// Sums over the newest steps. A row is a mean over as many steps whenever it is taken: one over the few
/// steps since the row before would stand out of the curve where a run ends between two rows.
#[derive(Debug, Default)]
pub(super) struct Averages {
    /// Stretches of steps, the newest last, that [`Self::STEPS`] steps or a little more lie in.
    recent: VecDeque<Stretch>,
    /// Steps that are not closed yet.
    open: Stretch,
    /// Steps since the last row of the log.
    since_row: u64,
    few_shot: Option<f64>,
}

/// Sums over a step of the processor, or over the steps between two reports of a device.
#[derive(Debug, Default)]
struct Stretch {
    /// Steps, taken or left out.
    steps: u64,
    /// Steps taken.
    counted: u64,
    seconds: f64,
    waited: f64,
    images: f64,
    /// Sums of [`Averages::add`]'s values in their order.
    sums: [f64; 8],
    /// Sum of each teacher's loss, by its name.
    teachers: BTreeMap<String, f64>,
}

impl Averages {
    /// Steps per row, and steps that a row is the mean over.
    const STEPS: u64 = 20;

    /// A step that was taken.
    pub(super) fn add(&mut self, loss: &Loss, norm: f64, pairs: usize) {
        let total = loss.total.to_scalar::<f32>().unwrap_or(f32::NAN);
        let values = [
            total,
            loss.contrastive,
            loss.spread,
            loss.predictive,
            loss.label_accuracy,
            loss.parameter_error,
            loss.kept,
        ]
        .map(f64::from);
        let values = values.into_iter().chain([norm]);
        let teachers = loss.teachers.iter();
        let teachers = teachers.map(|(name, loss)| (name, f64::from(*loss)));
        self.open.add(1, values, teachers, pairs);
    }

    /// Steps that a device took.
    pub(super) fn add_log(&mut self, log: &StepLog, pairs: usize) {
        let kept = f64::NAN;
        let values = log.sums.into_iter().chain([kept, log.norm]);
        let teachers = log.teachers.iter().map(|(name, loss)| (name, *loss));
        self.open.add(log.steps, values, teachers, pairs);
    }

    /// Time of a step, taken or not, and how much of it went on waiting for data.
    pub(super) fn time(&mut self, seconds: f64, waited: f64) {
        self.since_row += 1;
        self.open.steps += 1;
        self.open.seconds += seconds;
        self.open.waited += waited;
    }

    /// Accuracy on held-out sets, percent.
    pub(super) fn measured(&mut self, accuracy: f64) {
        self.few_shot = Some(accuracy);
    }

    /// Whether nothing happened since the last row of the log.
    pub(super) fn is_empty(&self) -> bool {
        self.since_row == 0 && self.few_shot.is_none()
    }

    /// Whether a row of the log is due.
    pub(super) fn is_full(&self) -> bool {
        self.since_row >= Self::STEPS
    }

    /// Begins the next row of the log.
    pub(super) fn logged(&mut self) {
        self.since_row = 0;
        self.few_shot = None;
    }

    /// Returns the means over the newest [`Self::STEPS`] steps: fewer at the beginning of a process, up to
    /// twice as many where a device reports between two rows.
    pub(super) fn row(&mut self, progress: Progress, learning_rate: f64) -> MetricsRow {
        self.close();
        let total = |value: fn(&Stretch) -> f64| self.recent.iter().map(value).sum::<f64>();
        let counted = total(|stretch| stretch.counted as f64);
        let seconds = total(|stretch| stretch.seconds).max(1e-9);
        let mut sums = [0.0; 8];
        let mut teachers: BTreeMap<String, f64> = BTreeMap::new();
        for stretch in &self.recent {
            for (sum, value) in sums.iter_mut().zip(stretch.sums) {
                *sum += value;
            }
            for (name, loss) in &stretch.teachers {
                *teachers.entry(name.clone()).or_default() += loss / counted;
            }
        }
        let [
            loss,
            contrastive,
            spread,
            predictive,
            label_accuracy,
            parameter_error,
            kept,
            gradient_norm,
        ] = sums.map(|sum| sum / counted);
        MetricsRow {
            step: progress.step,
            seconds: progress.seconds,
            loss,
            contrastive,
            spread,
            predictive,
            label_accuracy,
            parameter_error,
            kept,
            few_shot: self.few_shot.unwrap_or(f64::NAN),
            learning_rate,
            gradient_norm,
            images_per_second: total(|stretch| stretch.images) / seconds,
            waiting: total(|stretch| stretch.waited) / seconds,
            teachers,
        }
    }

    /// Ends the open stretch, and lets go of those that the newest steps do not lie in.
    fn close(&mut self) {
        if self.open.steps > 0 {
            self.recent.push_back(std::mem::take(&mut self.open));
        }
        let mut steps: u64 = self.recent.iter().map(|stretch| stretch.steps).sum();
        while let Some(oldest) = self.recent.front().map(|stretch| stretch.steps)
            && steps - oldest >= Self::STEPS
        {
            self.recent.pop_front();
            steps -= oldest;
        }
    }
}

impl Stretch {
    /// Adds sums over `steps` steps of so many pairs.
    fn add<'t>(
        &mut self,
        steps: u64,
        values: impl Iterator<Item = f64>,
        teachers: impl Iterator<Item = (&'t String, f64)>,
        pairs: usize,
    ) {
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += value;
        }
        for (name, loss) in teachers {
            *self.teachers.entry(name.clone()).or_default() += loss;
        }
        self.counted += steps;
        self.images += 2.0 * pairs as f64 * steps as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a step with the gradient's length `norm`, 64 pairs, in a quarter of a second.
    fn step(averages: &mut Averages, norm: f64) {
        let values = [norm; 8].into_iter();
        averages.open.add(1, values, std::iter::empty(), 64);
        averages.time(0.25, 0.05);
    }

    fn row(averages: &mut Averages, step: u64) -> MetricsRow {
        let progress = Progress {
            step,
            ..Progress::default()
        };
        averages.row(progress, 0.1)
    }

    #[test]
    fn a_row_between_two_others_is_a_mean_over_as_many_steps() {
        let mut averages = Averages::default();
        for at in 1..=40 {
            // Every other step is an outlier.
            step(&mut averages, if at % 2 == 0 { 9.0 } else { 1.0 });
            let row = row(&mut averages, at);
            assert!(at < 2 || (row.gradient_norm - 5.0).abs() < 2.0, "{row:?}");
            if averages.is_full() {
                assert!(at % Averages::STEPS == 0 && row.loss == 5.0, "{row:?}");
                averages.logged();
                assert!(averages.is_empty());
            }
        }
        // The run ends one step later, which alone would stand out.
        step(&mut averages, 9.0);
        let last = row(&mut averages, 41);
        assert_eq!((last.step, last.gradient_norm), (41, 5.4));
        assert_eq!(last.images_per_second, 2.0 * 64.0 / 0.25);
        assert!((last.waiting - 0.2).abs() < 1e-12);
    }

    #[test]
    fn reports_of_a_device_stay_whole_and_old_ones_go() {
        let mut averages = Averages::default();
        let mut report = |steps: u64, loss: f64| {
            for _ in 0..steps {
                averages.time(0.25, 0.0);
            }
            let sums = [loss * steps as f64; 8].into_iter();
            let teacher = "speech".to_owned();
            let teachers = std::iter::once((&teacher, steps as f64));
            averages.open.add(steps, sums, teachers, 64);
            let row = row(&mut averages, 0);
            averages.logged();
            row
        };
        assert_eq!(report(20, 3.0).loss, 3.0);
        assert_eq!(report(20, 1.0).loss, 1.0);
        let last = report(5, 2.0);
        assert!((last.loss - (20.0 + 10.0) / 25.0).abs() < 1e-12, "{last:?}");
        assert!((last.teachers["speech"] - 1.0).abs() < 1e-12, "{last:?}");
    }
}
