//! Means over the steps between two rows of the log.

use super::checkpoint::Progress;
use super::device_step::StepLog;
use super::metrics::MetricsRow;
use crate::ssl::Loss;
use std::collections::BTreeMap;

/// Sums since the last row of the log.
#[derive(Debug, Default)]
pub(super) struct Averages {
    steps: u64,
    counted: u64,
    seconds: f64,
    waited: f64,
    images: f64,
    /// Sums of [`Averages::add`]'s values in their order.
    sums: [f64; 8],
    /// Sum of each teacher's loss, by its name.
    teachers: BTreeMap<String, f64>,
    few_shot: Option<f64>,
}

impl Averages {
    /// Steps per row.
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
        for (sum, value) in self.sums.iter_mut().zip(values.into_iter().chain([norm])) {
            *sum += value;
        }
        for (name, loss) in &loss.teachers {
            *self.teachers.entry(name.clone()).or_default() += f64::from(*loss);
        }
        self.counted += 1;
        self.images += 2.0 * pairs as f64;
    }

    /// Steps that a device took.
    pub(super) fn add_log(&mut self, log: &StepLog, pairs: usize) {
        let kept = f64::NAN;
        let values = log.sums.into_iter().chain([kept, log.norm]);
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += value;
        }
        for (name, loss) in &log.teachers {
            *self.teachers.entry(name.clone()).or_default() += loss;
        }
        self.counted += log.steps;
        self.images += 2.0 * pairs as f64 * log.steps as f64;
    }

    /// Time of a step, taken or not, and how much of it went on waiting for data.
    pub(super) fn time(&mut self, seconds: f64, waited: f64) {
        self.steps += 1;
        self.seconds += seconds;
        self.waited += waited;
    }

    /// Accuracy on held-out sets, percent.
    pub(super) fn measured(&mut self, accuracy: f64) {
        self.few_shot = Some(accuracy);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps == 0 && self.few_shot.is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.steps >= Self::STEPS
    }

    pub(super) fn row(&self, progress: Progress, learning_rate: f64) -> MetricsRow {
        let [
            loss,
            contrastive,
            spread,
            predictive,
            label_accuracy,
            parameter_error,
            kept,
            gradient_norm,
        ] = self.sums.map(|sum| sum / self.counted as f64);
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
            images_per_second: self.images / self.seconds.max(1e-9),
            waiting: self.waited / self.seconds.max(1e-9),
            teachers: self
                .teachers
                .iter()
                .map(|(name, sum)| (name.clone(), sum / self.counted as f64))
                .collect(),
        }
    }
}
