//! One optimiser step.

use crate::augment::OPERATORS;
use crate::net::{Mode, Parameters};
use crate::ssl::{Lesson, Loss, Objective, Views};
use crate::train::config::RunConfig;
use crate::train::optimiser::AdamW;
use crate::train::pairs::Batch;
use crate::train::teachers::Answers;
use anyhow::Result;
use candle_core::{Device, Tensor};

/// Why a step was not taken.
pub(super) struct Skipped(pub(super) String);

impl<E: std::fmt::Display> From<E> for Skipped {
    fn from(error: E) -> Self {
        Self(format!("{error:#}"))
    }
}

/// Takes one optimiser step at the learning rate `rate`; returns the loss and the gradient's length.
pub(super) fn take(
    config: &RunConfig,
    objective: &Objective,
    parameters: &Parameters,
    optimiser: &mut AdamW,
    batch: &Batch,
    rate: f64,
) -> Result<(Loss, f64), Skipped> {
    let views = views(config, batch, parameters.device())?;
    let mode = Mode::Train {
        momentum: config.train.norm_momentum,
    };
    let loss = objective.loss(&views, mode)?;
    let total: f32 = loss.total.to_scalar()?;
    if !total.is_finite() {
        return Err(Skipped(format!("the loss is {total}")));
    }
    let gradients = loss.total.backward()?;
    let norm = optimiser.update(
        parameters,
        &gradients,
        rate,
        config.train.weight_decay,
        config.train.clip_norm,
    )?;
    Ok((loss, norm))
}

/// Puts a batch on `device`.
fn views(config: &RunConfig, batch: &Batch, device: &Device) -> candle_core::Result<Views> {
    let (frames, mels) = (
        usize::from(config.frontend.frames),
        usize::from(config.frontend.mels),
    );
    let views = 2 * config.train.batch;
    let lesson = |answers: &Answers| -> candle_core::Result<Lesson> {
        let counted = answers.counted.as_ref();
        Ok(Lesson {
            targets: Tensor::from_slice(&answers.rows, (views, answers.dim), device)?,
            counted: counted
                .map(|counted| Tensor::from_slice(counted, views, device))
                .transpose()?,
        })
    };
    let background = config.environment.background;
    let predicted = background.predictive_snr_db.map(|least| {
        let snrs = (0u32..).zip(&batch.snr_db);
        let rows: Vec<u32> = snrs
            .filter(|(_, snr)| **snr >= least)
            .map(|(view, _)| view)
            .collect();
        Tensor::from_slice(&rows, rows.len(), device)
    });
    let lessons = batch.answers.iter().map(lesson);
    let by_operator = |values: &[f32]| Tensor::from_slice(values, (views, OPERATORS), device);
    Ok(Views {
        patches: Tensor::from_slice(&batch.patches, (views, frames, mels), device)?,
        labels: by_operator(&batch.labels)?,
        parameters: by_operator(&batch.parameters)?,
        predicted: predicted.transpose()?,
        lessons: lessons.collect::<candle_core::Result<_>>()?,
    })
}

/// Does `work` on a thread of the pool, where the operators of a step share theirs out: handing each of
/// them over from outside takes a twentieth of a step. A pool of one thread is left to who makes the
/// next batch meanwhile.
pub fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() > 1 {
        rayon::scope(|_| work())
    } else {
        work()
    }
}
